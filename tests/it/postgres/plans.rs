//! Plans with and without values, what was sent for them, and for how long the transaction was held.

use super::{RUNTIME, explain, open, running, server};
use lab::{Major, Proxy};
use obsctl::{
    postgres::{
        collect::{Analysis, Explainer, Request, Values, ValuesFrom},
        statement::Statement,
    },
    text::Redactor,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SKEWED: &str = "CREATE TABLE job (id int PRIMARY KEY, status text, made timestamptz); \
    INSERT INTO job SELECT n, CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'done' END, now() FROM generate_series(1, 50000) n; \
    CREATE INDEX job_status ON job (status); ANALYZE job";

fn given(values: &[&str]) -> Values {
    Values { list: values.iter().map(|v| Some((*v).to_owned())).collect(), ..Values::default() }
}

#[test]
fn without_values_the_plan_is_the_generic_one_on_every_version() {
    for version in Major::ALL {
        let server = server(version);
        server.psql("postgres", SKEWED);
        let explained = explain(&server.url(), "SELECT * FROM job WHERE status = $1 AND made > now() - interval $2", &running()).unwrap();
        assert!(explained.is_generic && matches!(&explained.analysis, Analysis::Withheld(why) if why.contains("--param")));
        assert_eq!(explained.parameter_types.iter().map(|t| t.as_str()).collect::<Vec<_>>(), ["text", "interval"]);
        let text = serde_json::to_string(&explained.plain).unwrap();
        assert!(text.contains("$1"), "{version:?}: {text}");
        assert_eq!(explained.server.major(), version.number());
    }
}

#[test]
fn a_value_can_flip_the_plan() {
    let server = server(Major::V15);
    server.psql("postgres", SKEWED);
    let kinds = |value: &str| {
        let explained = explain(&server.url(), "SELECT * FROM job WHERE status = %(s)s", &Request { values: given(&[value]), ..running() }).unwrap();
        assert!(matches!(explained.analysis, Analysis::Ran(_)), "{:?}", explained.analysis);
        (explained.plain.nodes[0].kind.clone(), explained.generic.unwrap().nodes[0].kind.clone())
    };
    let (rare, generic) = kinds("failed");
    let (common, _) = kinds("done");
    assert_ne!(rare, common, "the values make a difference; generic: {generic}");
}

#[test]
fn a_wrong_number_of_values_is_said() {
    let server = server(Major::V15);
    server.psql("postgres", SKEWED);
    let error = explain(&server.url(), "SELECT * FROM job WHERE status = %s", &Request { values: given(&["a", "b"]), ..running() }).unwrap_err();
    assert!(error.says().contains("1 parameters and 2 values"), "{}", error.says());
}

#[test]
fn sampled_values_run_on_a_replica_only() {
    let primary = server(Major::V15);
    primary.psql("postgres", SKEWED);
    let replica = primary.replica().unwrap();
    replica.await_caught_up(&primary).unwrap();
    let request = Request { values: Values { from: ValuesFrom::Sampled, ..given(&["done"]) }, ..running() };
    let sql = "SELECT * FROM job WHERE status = $1";
    let on_primary = explain(&primary.url(), sql, &request).unwrap();
    assert!(matches!(&on_primary.analysis, Analysis::Withheld(why) if why.contains("replica")), "{:?}", on_primary.analysis);
    let on_replica = explain(&replica.url(), sql, &request).unwrap();
    assert!(on_replica.server.replica && matches!(on_replica.analysis, Analysis::Ran(_)), "{:?}", on_replica.analysis);
    assert!(on_replica.server.replay_age_seconds.is_some());
}

#[test]
fn what_is_shown_is_what_was_sent() {
    let server = server(Major::V15);
    server.psql("postgres", SKEWED);
    let explained = explain(&server.url(), "SELECT * FROM job WHERE status = %s", &Request { values: given(&["done"]), ..running() }).unwrap();
    let logged = server.statements("obsctl");
    let sent: Vec<String> = explained.sent.iter().map(|s| one_line(s)).collect();
    assert_eq!(logged.iter().map(|s| one_line(s)).collect::<Vec<_>>(), sent);
    assert!(sent.iter().any(|s| s.starts_with("PREPARE obsctl_")) && sent.iter().any(|s| s.starts_with("EXPLAIN (ANALYZE")));
    assert_eq!(sent.last().map(String::as_str), Some("ROLLBACK"));
}

fn one_line(sql: &str) -> String {
    sql.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_transaction_is_held_for_the_query_and_three_round_trips() {
    let server = server(Major::V15);
    server.psql("postgres", SKEWED);
    let trip = Duration::from_millis(50);
    let far = Proxy::far(server.address(), trip).unwrap();
    let pg = open(&server.url().replace(&server.address(), &format!("127.0.0.1:{}", far.port()))).unwrap();
    let redact = Redactor::default();
    let statement = Statement::read("SELECT count(*) FROM job", true).unwrap();
    RUNTIME.block_on(async {
        let explainer = Explainer::new(&pg, &redact).await.unwrap();
        explainer.explain(&statement, &running(), &CancellationToken::new()).await.unwrap()
    });
    let held = longest_transaction(&server.log());
    assert!(held < trip * 3 + Duration::from_millis(60), "{held:?}");
}

/// The longest time from a BEGIN to its ROLLBACK in the server's log.
fn longest_transaction(log: &str) -> Duration {
    let time = |line: &str| -> Option<jiff::civil::DateTime> { line.get(..23)?.replace(' ', "T").parse().ok() };
    let (mut begun, mut longest) = (None, jiff::SignedDuration::ZERO);
    for line in log.lines().filter(|l| l.contains(" obsctl: ")) {
        if line.contains(": BEGIN") {
            begun = time(line);
        } else if line.ends_with(": ROLLBACK") {
            longest = longest.max(begun.take().zip(time(line)).map(|(b, e)| e.duration_since(b)).unwrap_or_default());
        }
    }
    assert!(longest > jiff::SignedDuration::ZERO, "no transaction in the log:\n{log}");
    longest.unsigned_abs()
}
