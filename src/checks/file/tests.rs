//! Files that are good, and what is said of those that are not.

use super::*;
use crate::checks::model::CheckRoute;
use jiff::SignedDuration;
use proptest::prelude::*;

fn of(files: &[(&str, &str)]) -> Result<Vec<CheckSpec>> {
    let all: BTreeMap<PathBuf, Vec<u8>> = files.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect();
    let read = |path: &Path| all.get(path).cloned().ok_or_else(|| Error::new(Kind::Config, "reading").what("there is no such file"));
    load(&[PathBuf::from(files[0].0)], &Vars::of([("TAG", "0.57.0"), ("HOST", "app.example.org")]), &read)
}

fn one(text: &str) -> Result<Vec<CheckSpec>> {
    of(&[("checks.yaml", text)])
}

fn wrong(text: &str) -> String {
    let error = one(text).err().unwrap_or_else(|| panic!("this is wrong: {text}"));
    assert_eq!(error.kind(), Kind::Config);
    error.what_happened().to_string()
}

#[test]
fn every_kind_is_read() {
    let specs = one(r#"
defaults: {route: page, tags: prod}
checks:
  - {name: a, health: all}
  - {name: b, queue: [mail, celery], warn: oldest > 2m, fail: [oldest > 10m, waiting > 10000], for: 5m, needs: [e]}
  - {name: c, workers: true, fail: silent > 0}
  - {name: d, beat: true, route: record}
  - {name: e, redis: true, warn: memory > 80%}
  - {name: f, postgres: main, fail: "longest_transaction > 5m", tags: [db]}
  - {name: g, sql: SELECT count(*) FROM shop_order WHERE state = 'stuck', unit: count, fail: value > 10}
  - {name: h, logs: backend, level: error, since: 10m, fail: rate > 1/s}
  - {name: i, logs: [backend], value: duration_ms, unit: ms, by: path, fail: p95 > 800ms}
  - {name: j, kubernetes: backend, want: 'version == ${TAG}'}
  - {name: k, http: "https://${HOST}/api/", want: [status == 200, "$.status == ok", header content-type =~ json], fail: time > 2s}
  - {name: l, http: https://x.example.org/admin, reachable: false}
  - {name: m, tcp: "db:5432"}
  - {name: n, tls: "app.example.org:443", fail: certificate < 14d}
  - {name: o, promql: "up == 0", url: http://prometheus:9090, fail: series > 0}
  - {name: p, command: [test, -e, /tmp/x], on_no_data: fail}
"#)
    .unwrap_or_else(|e| panic!("{e} {:?}", e.hints()));
    let words: Vec<&str> = specs.iter().map(|s| s.kind.word()).collect();
    assert_eq!(
        words,
        [
            "health",
            "queue",
            "workers",
            "beat",
            "redis",
            "postgres",
            "sql",
            "logs",
            "logs",
            "kubernetes",
            "http",
            "http",
            "tcp",
            "tls",
            "promql",
            "command"
        ]
    );
    assert_eq!(
        (specs[1].lasts, specs[1].route, specs[3].route),
        (Some(SignedDuration::from_mins(5)), CheckRoute::Page, CheckRoute::Record)
    );
    assert_eq!(specs[9].want[0].says.as_str(), "version == 0.57.0");
    assert_eq!(specs[5].tags, ["prod", "db"]);
    assert_eq!(specs[1].place.as_ref().map(|p| p.says().to_string()).as_deref(), Some("checks.yaml:5:5"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, says) in [
        ("checks:\n  - {queue: mail, fail: oldest > 5}", "checks.yaml:2:25: oldest: 5 is no duration: 90s, 5m, 2h"),
        ("checks:\n  - {queue: mail, fail: [oldest > 5m, oldst > 5m]}", "checks.yaml:2:39: queue has no `oldst`: did you mean `oldest`?"),
        (
            "checks:\n  - {queue: mail, redis: true}",
            "checks.yaml:2:5: a check asks one thing: health, queue, workers, beat, redis, postgres, sql, logs, kubernetes, http, tcp, tls, promql or command",
        ),
        ("checks:\n  - {queue: mail, fial: oldest > 5m}", "checks.yaml:2:19: unknown key `fial`: did you mean `fail`?"),
        ("checks:\n  - {queue: mail, needs: redis}", "checks.yaml:2:5: needs `redis`, which is no check"),
        (
            "checks:\n  - {name: a, queue: mail}\n  - {name: a, redis: true}",
            "checks.yaml:3:5: a check named `a` stands at checks.yaml:2:5 already",
        ),
        ("checks:\n  - {http: 'https://${NOPE}/'}", "checks.yaml:2:12: the variable NOPE is not set"),
        ("checks:\n  - {queue: mail, by: path}", "checks.yaml:2:23: `by` belongs to logs, and this check is of queue"),
        ("checks:\n  - {sql: SELECT 1}", "checks.yaml:2:5: sql has no verdict of its own: warn, fail or want, over value, rows"),
        ("checks:\n  - {tcp: db}", "checks.yaml:2:11: no address: host:port"),
        ("checks:\n  - {redis: false}", "checks.yaml:2:13: false asks nothing: leave the check out"),
        ("checks:\n  - {logs: all, level: loud, fail: count > 1}", "checks.yaml:2:24: no level: debug, info, warning, error, critical"),
        ("checks:\n  - {queue: mail, route: shout}", "checks.yaml:2:26: unknown word: here stands one of page, notify, record"),
        ("checks: []", "checks.yaml: there is no check in it"),
        ("", "checks.yaml: there is no check in it"),
        ("checks:\n  - queue: mail\n    queue: celery", "checks.yaml:3:5: this key stands here a second time"),
        ("include: nowhere.yaml\nchecks: []", "there is no such file"),
    ] {
        assert_eq!(wrong(text), says, "{text}");
    }
    // All of them at once.
    let error = one("checks:\n  - {queue: mail, fail: oldest > 5, warn: nope > 1}\n  - {tcp: x}").expect_err("wrong");
    assert_eq!(error.hints().len(), 2);
}

#[test]
fn files_include_others_once() {
    let specs = of(&[
        ("a/one.yaml", "include: [two.yaml, ../b/three.yaml]\nchecks: [{redis: true}]"),
        ("a/two.yaml", "include: one.yaml\nchecks: [{beat: true, needs: redis}]"),
        ("a/../b/three.yaml", "checks: [{workers: true}]"),
    ])
    .expect("good");
    assert_eq!(specs.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["redis", "beat", "workers"]);
}

#[test]
fn the_schema_knows_every_key() {
    let schema = schema().to_string();
    for key in ["on_no_data", "runbook", "\"for\"", "\"match\"", "promql", "include"] {
        assert!(schema.contains(key), "{key}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "(checks|- |:|\n|  |queue|fail|\\[|\\]|\\{|\\}|mail|> 5m|,|\\$\\{|\"|[a-z]){0,40}") {
        let _ = one(&text);
    }
}
