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
        let explained = explain(&server.url(), "SELECT * FROM job WHERE status = $1 AND made > now() - interval $2", &running())
            .unwrap_or_else(|e| panic!("{version:?} {}", e.says()));
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
        let explained =
            explain(&server.url(), "SELECT * FROM job WHERE status = %(s)s", &Request { values: given(&[value]), ..running() }).unwrap();
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
    let error =
        explain(&server.url(), "SELECT * FROM job WHERE status = %s", &Request { values: given(&["a", "b"]), ..running() }).unwrap_err();
    assert!(error.says().contains("1 parameters and 2 values"), "{}", error.says());
}

#[test]
fn sampled_values_run_on_a_replica_only() {
    let primary = server(Major::V15);
    primary.psql("postgres", SKEWED);
    let replica = primary.replica().unwrap();
    primary.psql("postgres", "UPDATE job SET made = now() WHERE id = 1");
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
    let explained =
        explain(&server.url(), "SELECT * FROM job WHERE status = %s", &Request { values: given(&["done"]), ..running() }).unwrap();
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
    let trip = Duration::from_millis(50);
    let redact = Redactor::default();
    for version in Major::tested() {
        let server = server(version);
        server.psql("postgres", SKEWED);
        let far = Proxy::far(server.address(), trip).unwrap();
        let pg = open(&server.url().replace(&server.address(), &format!("127.0.0.1:{}", far.port()))).unwrap();
        // A query that takes much longer than a trip is held for as long as it runs, and no longer.
        for sql in ["SELECT count(*) FROM job", "SELECT count(*) FROM job a, generate_series(1, 20) b WHERE a.id % 7 < b"] {
            let statement = Statement::read(sql, true).unwrap();
            // A machine that is busy with other things only adds to it: the shortest of a few runs is what obsctl itself takes.
            let mut shortest = Duration::MAX;
            let most = trip * 3 + trip / 2;
            for _ in 0..24 {
                let before = server.log().len();
                let explained = RUNTIME.block_on(async {
                    let explainer = Explainer::new(&pg, &redact).await.unwrap();
                    explainer.explain(&statement, &running()).await.unwrap()
                });
                let Analysis::Ran(plan) = explained.analysis else { panic!("{:?}", explained.analysis) };
                let query = Duration::from_secs_f64((plan.execution_ms.unwrap() + plan.planning_ms.unwrap()) / 1e3);
                let held = longest_transaction(server.log().get(before..).unwrap());
                shortest = shortest.min(held.saturating_sub(query));
                if shortest < most {
                    break;
                }
            }
            // The planning of the plain plan and the screen are the server's own work: less than half a trip.
            assert!(shortest < most, "{version:?} {sql}: {shortest:?} beside the query");
        }
    }
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

#[test]
fn an_index_is_tried_without_being_built() {
    let server = server(Major::V15);
    server.psql("postgres", "CREATE EXTENSION hypopg; CREATE TABLE job (id int, status text); INSERT INTO job SELECT n, 's' || n FROM generate_series(1, 20000) n; ANALYZE job");
    let pg = open(&server.url()).unwrap();
    let redact = Redactor::default();
    for (sql, values) in
        [("SELECT * FROM job WHERE status = 's5'", Values::default()), ("SELECT * FROM job WHERE status = $1", Values::default())]
    {
        let statement = Statement::read(sql, true).unwrap();
        let request = Request { values, ..Request::default() };
        RUNTIME.block_on(async {
            let explainer = Explainer::new(&pg, &redact).await.unwrap();
            assert!(explainer.server.hypopg.is_some());
            explainer.trials(&statement, &request, &[]).await.unwrap_err();
            let before = explainer.explain(&statement, &request).await.unwrap().plain.nodes[0].total_cost;
            let indexes = ["CREATE INDEX ON public.job (status)", "CREATE INDEX ON public.job (nope)", "CREATE INDEX ON public.job (id)"]
                .map(str::to_owned);
            let tried = explainer.trials(&statement, &request, &indexes).await.unwrap();
            let costs: Vec<Option<f64>> = tried.iter().map(|t| t.plan.as_ref().ok().map(|p| p.nodes[0].total_cost)).collect();
            assert!(costs[0].unwrap() < before / 2.0 && costs[1].is_none() && costs[2] == Some(before), "{sql}: {before} {costs:?}");
            assert!(tried[0].bytes.unwrap() > 8192);
            let again = explainer.explain(&statement, &request).await.unwrap();
            assert_eq!(again.plain.nodes[0].total_cost, before, "nothing is left of it in the session");
            let forced = explainer.without_seq_scans(&statement, &request).await.unwrap();
            assert!(forced.nodes[0].total_cost >= before);
        });
    }
}

#[test]
fn likely_values_come_from_the_statistics() {
    let server = server(Major::V18);
    server.psql("postgres", SKEWED);
    let pg = open(&server.url()).unwrap();
    let redact = Redactor::default();
    let values = |sql: &str| {
        let statement = Statement::read(sql, true).unwrap();
        RUNTIME.block_on(async {
            let explainer = Explainer::new(&pg, &redact).await.unwrap();
            let generic = explainer.explain(&statement, &Request::default()).await.unwrap();
            explainer.likely_values(&statement, &generic.plain).await.unwrap().map(|v| (v.list, v.from))
        })
    };
    let (list, from) = values("SELECT * FROM job j WHERE j.status = $1 AND j.id > $2 LIMIT $3").unwrap();
    assert_eq!((list[0].as_deref(), list[2].as_deref(), from), (Some("done"), Some("20"), ValuesFrom::Sampled));
    assert!(list[1].as_deref().is_some_and(|id| id.parse::<u32>().is_ok_and(|id| id > 1000)), "{list:?}");
    assert_eq!(values("SELECT * FROM job WHERE made > now() - $1::interval"), None);
    let (list, _) = values("SELECT * FROM job WHERE status = ANY ($1)").unwrap();
    assert_eq!(list[0].as_deref(), Some("{\"done\"}"));
}

#[test]
fn statements_are_found_on_the_server() {
    use obsctl::postgres::collect::source::{Slowness, by_pid, by_query_id, slowest};
    let server = server(Major::V15);
    server.psql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE job AS SELECT n AS id FROM generate_series(1, 1000) n");
    for n in 0..5 {
        server.psql("postgres", &format!("SELECT sum(a.id) FROM job a, job b WHERE a.id > {n}"));
    }
    let mut session = server.session("postgres", "postgres", "worker");
    session.run("SELECT 'busy', 7");
    let (pid, url) = (session.pid(), server.url());
    let pg = open(&url).unwrap();
    RUNTIME.block_on(async {
        let facts = obsctl::postgres::collect::server_facts(&pg).await.unwrap();
        let found = slowest(&pg, &facts, Slowness::Total, 1).await.unwrap();
        assert_eq!(found.sql, "SELECT sum(a.id) FROM job a, job b WHERE a.id > $1");
        let same = by_query_id(&pg, &facts, found.query_id.unwrap()).await.unwrap();
        assert_eq!(same.sql, found.sql);
        assert_eq!(by_pid(&pg, &facts, pid).await.unwrap().sql.trim_end_matches(';'), "SELECT 'busy', 7");
        assert!(by_pid(&pg, &facts, 1).await.is_err());
        assert!(slowest(&pg, &facts, Slowness::Mean, 99).await.is_err());
    });
    server.role("blind", "pw", "SELECT 1");
    let pg = open(&server.url_for("blind", "pw", "postgres")).unwrap();
    let error = RUNTIME.block_on(async {
        let facts = obsctl::postgres::collect::server_facts(&pg).await.unwrap();
        by_pid(&pg, &facts, pid).await.unwrap_err()
    });
    assert!(error.says().contains("does not see"), "{}", error.says());
}

#[test]
fn several_hosts_and_the_files_of_libpq() {
    let primary = server(Major::V15);
    let replica = primary.replica().unwrap();
    let hosts = format!("{},{}", primary.address(), replica.address());
    for (query, is_replica) in [("", true), ("?target_session_attrs=read-write", false), ("?target_session_attrs=standby", true)] {
        let explained = explain(&format!("postgres://postgres@{hosts}/postgres{query}"), "SELECT 1", &Request::default()).unwrap();
        assert_eq!(explained.server.replica, is_replica, "{query}");
    }
    let gone = format!("postgres://postgres@127.0.0.1:1,{}/postgres", primary.address());
    assert!(!explain(&gone, "SELECT 1", &Request::default()).unwrap().server.replica);
    let dsn = format!("host=127.0.0.1 port={} user=postgres dbname=postgres options='-c search_path=pg_catalog'", primary.port());
    assert_eq!(explain(&dsn, "SELECT 1", &Request::default()).unwrap().server.search_path.as_str(), "pg_catalog");
    let socket =
        format!("postgres://postgres@{}:{}/postgres", primary.socket_folder().display().to_string().replace('/', "%2F"), primary.port());
    let by_query = format!("postgres://postgres@/postgres?host={}&port={}", primary.socket_folder().display(), primary.port());
    for url in [socket, by_query] {
        if let Err(error) = explain(&url, "SELECT 1", &Request::default()) {
            panic!("{url}: {}", error.says());
        }
    }
}
