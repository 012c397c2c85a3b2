//! Redis, queues, workers, PostgreSQL and logs, on real servers: each as it should be, each not, and what may not be asked.

use super::{came_out, check, of};
use crate::cli_support::{Desk, OBSCTL};
use lab::{Major, Publish, RedisOptions, Version, WorkerOptions, eventually, get};
use std::time::Duration;

#[test]
fn redis_and_queues_with_and_without_workers() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::V5_6);
    app.publish(&[Publish::quick().queue("mail").times(30)]);
    let environment = format!("broker: {{via: direct, url: '{}'}}", redis.url());
    let checks = "checks:
  - {name: redis, redis: true}
  - {name: memory, redis: true, fail: [used > 1MiB, memory > 99%]}
  - {name: reachable, redis: true, want: reachable == yes}
  - {name: few, queue: mail, fail: waiting > 100}
  - {name: many, queue: mail, fail: waiting > 20}
  - {name: own verdict, queue: mail}
  - {name: absent, queue: nothing, fail: waiting > 20}
  - {name: somebody, workers: true, want: heard > 0}
  - {name: silent, workers: true, fail: silent > 0}
  - {name: beat, beat: true, on_no_data: ok}
  - {name: beat wanted, beat: true, on_no_data: fail}
";
    let ran = check(&environment, checks, "-o json").run().ends(1);
    let answer = ran.json();
    let status = |name: &str| of(&answer, name)["status"].as_str().unwrap().to_owned();
    for (name, wanted) in [
        ("redis", "ok"),
        ("memory", "failed"),
        ("reachable", "ok"),
        ("few", "ok"),
        ("many", "failed"),
        ("absent", "unknown"),
        ("somebody", "failed"),
        ("beat", "ok"),
        ("beat wanted", "failed"),
    ] {
        assert_eq!(status(name), wanted, "{name}: {answer:#}");
    }
    assert_eq!(of(&answer, "many")["says"], "mail waiting 30");
    assert_ne!(status("own verdict"), "ok", "nobody consumes it: {answer:#}");

    let _worker = app.worker(WorkerOptions { queues: vec!["mail".into()], ..WorkerOptions::default() });
    let only = "--only few --only many --only somebody --only silent -o json";
    eventually(Duration::from_secs(120), || {
        let ran = check(&environment, checks, only).run();
        if ran.status == 0 { Ok(()) } else { Err(ran.out) }
    });
}

#[test]
fn a_redis_that_is_away_is_one_line() {
    let redis = get().redis();
    let environment = format!("broker: {{via: direct, url: '{}'}}", redis.url());
    redis.kill().unwrap();
    let checks = "checks:
  - {name: redis, redis: true}
  - {name: reachable, redis: true, want: reachable == yes, needs: redis}
  - {name: mail, queue: mail, fail: waiting > 20, needs: redis}
  - {name: workers, workers: true, needs: redis}
  - {name: alone, queue: mail, fail: waiting > 20}
";
    let ran = check(&environment, checks, "-o json").run().ends(1);
    came_out(
        &ran,
        &[
            ("redis", "failed", "unreachable"),
            ("reachable", "skipped", "unreachable"),
            ("mail", "skipped", "unreachable"),
            ("workers", "skipped", "unreachable"),
            ("alone", "unknown", "unreachable"),
        ],
    );
    let answer = ran.json();
    assert_eq!((&answer["facts"]["causes"][0]["check"], answer["facts"]["causes"].as_array().unwrap().len()), (&"redis".into(), 1));
    check(&environment, checks, "").run().ends(1).shows(&["CAUSE redis: ", "3 checks skipped for it"]);
    redis.restart_unready().unwrap();
}

#[test]
fn what_may_not_be_asked_is_no_permission() {
    let acl = vec!["user nobody on >pw ~* &* -@all +ping +client +select +auth +hello".to_owned()];
    let redis = get().redis_with(RedisOptions { acl, ..RedisOptions::default() });
    let environment = format!("broker: {{via: direct, url: '{}'}}", redis.url_for("nobody", "pw", 0));
    let ran =
        check(&environment, "checks:\n  - {name: mail, queue: mail, fail: waiting > 1}\n  - {name: redis, redis: true}\n", "-o json").run();
    let answer = ran.json();
    assert_eq!((ran.status, &of(&answer, "mail")["status"]), (3, &"unknown".into()), "{answer:#}");
}

#[test]
fn sessions_locks_and_a_statement_of_ones_own() {
    let server = get().postgres(Major::V15);
    server.role("watcher", "W-1", "GRANT pg_monitor TO watcher");
    server.role("blind", "b1ind", "");
    server.psql("postgres", "CREATE TABLE shop_order (id int, state text, at timestamptz DEFAULT now()); INSERT INTO shop_order SELECT n, 'stuck' FROM generate_series(1, 12) n; GRANT SELECT ON shop_order TO watcher; CREATE FUNCTION naughty() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO shop_order VALUES (99) RETURNING id'; CREATE TABLE stock (id int PRIMARY KEY); INSERT INTO stock VALUES (1)");
    let environment = format!(
        "postgres: {{main: {{via: direct, url: '{}'}}, blind: {{via: direct, url: '{}'}}}}",
        server.url_for("watcher", "W-1", "postgres"),
        server.url_for("blind", "b1ind", "postgres")
    );
    let checks = "checks:
  - {name: own, postgres: main}
  - {name: up, postgres: main, want: reachable == yes}
  - {name: connections, postgres: main, fail: connections > 95%}
  - {name: connections ill, postgres: main, fail: connections > 0.1%}
  - {name: transaction, postgres: main, fail: longest_transaction > 1h}
  - {name: blocked, postgres: main, fail: blocked > 0}
  - {name: lag, postgres: main, fail: lag > 30s}
  - {name: few, sql: SELECT count(*) FROM shop_order WHERE state = 'stuck', unit: count, fail: value > 20}
  - {name: many, sql: SELECT count(*) FROM shop_order WHERE state = 'stuck', unit: count, fail: value > 10}
  - {name: age, sql: 'SELECT extract(epoch FROM now() - max(at)) FROM shop_order', unit: seconds, fail: value > 1h}
  - {name: rows, sql: SELECT id FROM shop_order, fail: rows > 11}
  - {name: word, sql: SELECT state FROM shop_order LIMIT 1, unit: text, want: value == stuck}
  - {name: nothing, sql: SELECT NULL::int, fail: value > 10}
  - {name: no table, sql: SELECT 1 FROM nothing_here, fail: value > 10}
  - {name: writes, sql: 'DELETE FROM shop_order RETURNING id', fail: value > 10}
  - {name: calls, sql: SELECT naughty(), fail: value > 10}
  - {name: slow, sql: 'SELECT count(*) FROM generate_series(1, 100000000000) a', fail: value > 10}
  - {name: denied, sql: SELECT id FROM shop_order, database: blind, fail: value > 10}
  - {name: unseen, postgres: blind, fail: longest_transaction > 1h}
";
    let _watched = server.session("postgres", "postgres", "somebody");
    let ran = check(&environment, checks, "-o json --timeout 60s").run().ends(1).never_says(&["b1ind", "W-1"]);
    let answer = ran.json();
    let seen = |name: &str| {
        let check = of(&answer, name);
        (check["status"].as_str().unwrap().to_owned(), check["unanswered"].as_str().unwrap_or_default().to_owned())
    };
    for (name, status, why) in [
        ("own", "ok", ""),
        ("up", "ok", ""),
        ("connections", "ok", ""),
        ("connections ill", "failed", ""),
        ("transaction", "ok", ""),
        ("blocked", "ok", ""),
        ("lag", "ok", ""),
        ("few", "ok", ""),
        ("many", "failed", ""),
        ("age", "ok", ""),
        ("rows", "failed", ""),
        ("word", "ok", ""),
        ("nothing", "unknown", "no-data"),
        ("no table", "unknown", "no-data"),
        ("writes", "unknown", "no-permission"),
        ("calls", "unknown", "no-permission"),
        ("slow", "unknown", "timeout"),
        ("denied", "unknown", "no-permission"),
        ("unseen", "unknown", "no-permission"),
    ] {
        assert_eq!(seen(name), (status.to_owned(), why.to_owned()), "{name}: {:#}", of(&answer, name));
    }
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM shop_order").trim(), "12");

    // Somebody holds others up.
    let mut holder = server.session("postgres", "postgres", "import");
    holder.run("BEGIN");
    holder.run("UPDATE stock SET id = 1");
    let mut waiter = server.session("postgres", "postgres", "checkout");
    waiter.send("UPDATE stock SET id = 1");
    server.eventually("postgres", &format!("SELECT {} = ANY (pg_blocking_pids({}))", holder.pid(), waiter.pid()), "t");
    let answer = check(&environment, checks, "-o json --only blocked").run().ends(1).json();
    assert_eq!((&of(&answer, "blocked")["status"], &of(&answer, "blocked")["says"]), (&"failed".into(), &"blocked 1".into()));

    // One connection for all of it, and it is gone afterwards.
    let most = server.psql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'obsctl'");
    assert_eq!(most.trim(), "0");
}

#[test]
fn a_database_that_is_away_or_wants_another_password() {
    let server = get().postgres(Major::V15);
    server.role("watcher", "W-1", "GRANT pg_monitor TO watcher");
    let checks = "checks:
  - {name: postgres, postgres: main, want: reachable == yes}
  - {name: sessions, postgres: main, fail: longest_transaction > 1h, needs: postgres}
  - {name: alone, sql: SELECT 1, fail: value > 10}
";
    let wrong = format!("postgres: {{main: {{via: direct, url: '{}'}}}}", server.url_for("watcher", "wr0ng", "postgres"));
    let ran = check(&wrong, checks, "-o json").run().ends(3).never_says(&["wr0ng"]);
    came_out(
        &ran,
        &[("postgres", "unknown", "no-permission"), ("sessions", "skipped", "no-permission"), ("alone", "unknown", "no-permission")],
    );
    let away = "postgres: {main: {via: direct, url: 'postgres://watcher:W-1@127.0.0.1:1/postgres'}}";
    let ran = check(away, checks, "-o json").run().ends(1);
    came_out(&ran, &[("postgres", "failed", "unreachable"), ("sessions", "skipped", "unreachable"), ("alone", "unknown", "unreachable")]);
}

#[test]
fn a_cluster_that_is_away_is_said_once() {
    let kubeconfig = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n\
        contexts: [{name: c, context: {cluster: c, user: u, namespace: shop}}]\nusers: [{name: u, user: {}}]\n";
    let desk = Desk::new().file("kubeconfig", kubeconfig);
    let path = desk.path("kubeconfig").display().to_string();
    let seen = desk.var("KUBECONFIG", path).start(OBSCTL, ["check"]);
    assert_eq!(seen.status, 3, "{seen:#?}");
    // What can be asked through the cluster alone is not called ill, and the reason stands there once.
    let flat = seen.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in
        ["CAUSE rollout: ", "16 checks skipped for it", "the same: pods, release, events, redis, workers", "1 unanswered, 16 skipped"]
    {
        assert!(flat.contains(part), "{part}: {}", seen.out);
    }
    assert!(!flat.contains("FAIL") && flat.matches("refuses connections").count() == 2, "{}", seen.out);
}

#[test]
fn log_lines_are_counted_and_their_numbers_spread() {
    let folder = tempfile::tempdir().unwrap();
    let now = a_minute_ago();
    let mut lines = String::new();
    for n in 1..=100 {
        lines.push_str(&format!(
            r#"{{"timestamp": "{now}", "level": "info", "event": "request_finished", "path": "/api/a/", "duration_ms": {n}}}"#
        ));
        lines.push('\n');
    }
    for _ in 0..3 {
        lines.push_str(&format!(r#"{{"timestamp": "{now}", "level": "error", "event": "payment failed", "path": "/api/b/", "duration_ms": 5000, "password": "hunter2"}}"#));
        lines.push('\n');
    }
    std::fs::write(folder.path().join("web.log"), lines).unwrap();
    let environment = format!("apps: {{backend: {{files: ['{}/*.log']}}}}", folder.path().display());
    let checks = "checks:
  - {name: few errors, logs: backend, level: error, since: 1h, fail: count > 5}
  - {name: many errors, logs: backend, level: error, since: 1h, fail: count > 2}
  - {name: rate, logs: all, since: 1h, fail: rate > 1/m}
  - {name: match, logs: backend, match: 'payment (failed|lost)', since: 1h, fail: count > 2}
  - {name: field, logs: backend, fields: {path: /api/b/}, since: 1h, fail: count > 3}
  - {name: median, logs: backend, value: duration_ms, unit: ms, by: path, since: 1h, warn: p50 > 60s, fail: max > 6s}
  - {name: tail, logs: backend, value: duration_ms, unit: ms, by: path, since: 1h, fail: p95 > 1s}
  - {name: nothing, logs: backend, match: no such line, value: duration_ms, since: 1h, fail: p95 > 1}
  - {name: no file, logs: /nowhere/*.log, since: 1h, fail: count > 1}
";
    let ran = check(&environment, checks, "-o json").run().never_says(&["hunter2"]);
    let answer = ran.json();
    for (name, status) in [
        ("few errors", "ok"),
        ("many errors", "failed"),
        ("rate", "failed"),
        ("match", "failed"),
        ("field", "ok"),
        ("median", "ok"),
        ("tail", "failed"),
        ("nothing", "unknown"),
        ("no file", "unknown"),
    ] {
        assert_eq!(of(&answer, name)["status"], status, "{name}: {answer:#}");
    }
    assert_eq!(of(&answer, "tail")["says"], "/api/b/ p95 5.0 s");
    assert!(!of(&answer, "many errors")["evidence"].as_array().unwrap().is_empty());
}

/// A minute ago, as the machine's own clock has it.
fn a_minute_ago() -> String {
    lab::process::Start::new("date", "date").args(["-u", "-d", "1 minute ago", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap().trim().to_owned()
}
