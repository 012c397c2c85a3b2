//! What goes wrong on the way, and what is left then: an error that says what to do, or the plain plan without a run.

use super::{RUNTIME, explain, open, open_until, running, server};
use lab::{Fault, Major, PostgresOptions, PostgresServer, Proxy, eventually, get};
use obsctl::{
    error::Kind,
    postgres::{
        collect::{Analysis, Explainer, Limits, Request},
        statement::Statement,
    },
    text::Redactor,
};
use std::{thread, time::Duration};
use tokio_util::sync::CancellationToken;

const SLOW: &str = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100) b";
const SOON: Duration = Duration::from_secs(20);

fn reader(server: &PostgresServer) -> String {
    server.role("reader", "pw", "GRANT pg_read_all_data TO reader");
    server.url_for("reader", "pw", "postgres")
}

/// The backend that runs the slow statement.
fn slow_backend(server: &PostgresServer) -> i32 {
    let looking = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'EXPLAIN (ANALYZE%' AND state = 'active'";
    eventually(SOON, || server.psql("postgres", looking).parse().map_err(|_| "nothing runs".to_owned()))
}

#[test]
fn a_timeout_leaves_the_plain_plan() {
    let server = server(Major::V15);
    let limits = Limits { statement: Duration::from_millis(300), ..Limits::default() };
    let explained = explain(&reader(&server), SLOW, &Request { limits, ..running() }).unwrap();
    assert!(matches!(&explained.analysis, Analysis::Failed(why) if why.contains("cancelled")), "{:?}", explained.analysis);
    assert!(!explained.plain.nodes.is_empty());
}

#[test]
fn ctrl_c_cancels_on_the_server_and_leaves_the_plain_plan() {
    let server = server(Major::V15);
    let url = reader(&server);
    let stop = CancellationToken::new();
    let explained = thread::scope(|scope| {
        scope.spawn(|| {
            slow_backend(&server);
            stop.cancel();
        });
        let pg = open_until(&url, &stop).unwrap();
        let redact = Redactor::default();
        let statement = Statement::read(SLOW, true).unwrap();
        RUNTIME.block_on(async { Explainer::new(&pg, &redact).await.unwrap().explain(&statement, &running()).await.unwrap() })
    });
    assert!(matches!(explained.analysis, Analysis::Interrupted), "{:?}", explained.analysis);
    server.eventually("postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 100000000)%' AND state = 'active' AND pid <> pg_backend_pid()", "0");
    assert!(server.log().contains("canceling statement due to user request"));
}

#[test]
fn a_killed_backend_and_a_restart_leave_the_plain_plan() {
    let server = server(Major::V15);
    let url = reader(&server);
    for restart in [false, true] {
        let explained = thread::scope(|scope| {
            scope.spawn(|| {
                let pid = slow_backend(&server);
                if restart { server.restart().unwrap() } else { server.terminate_backend(pid) }
            });
            explain(&url, SLOW, &running()).unwrap()
        });
        assert!(matches!(explained.analysis, Analysis::Failed(_)), "{:?}", explained.analysis);
        assert!(!explained.plain.nodes.is_empty());
    }
}

#[test]
fn a_lock_is_waited_for_no_longer_than_said() {
    let server = server(Major::V15);
    server.psql("postgres", "CREATE TABLE held (a int)");
    let mut holder = server.session("postgres", "postgres", "holder");
    holder.run("BEGIN; LOCK TABLE held");
    let error = explain(&reader(&server), "SELECT * FROM held", &running()).unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{}", error.says());
    assert!(error.says().contains("lock"), "{}", error.says());
}

#[test]
fn rights_are_named() {
    let server = server(Major::V15);
    server.psql("postgres", "CREATE TABLE secret (a int)");
    server.role("nobody", "pw", "CREATE TABLE IF NOT EXISTS unused (a int)");
    let url = server.url_for("nobody", "pw", "postgres");
    let error = explain(&url, "SELECT * FROM secret", &running()).unwrap_err();
    assert!(error.kind() == Kind::Denied && error.says().contains("permission denied for table secret"), "{}", error.says());
    let explained = explain(&url, "SELECT 1", &running()).unwrap();
    assert!(!explained.server.sees_others && explained.server.hypopg.is_none() && !explained.server.superuser);
    let error = explain(&url, "SELECT * FROM missing", &running()).unwrap_err();
    assert!(error.says().contains("does not exist"), "{}", error.says());
}

#[test]
fn a_wrong_password_and_a_missing_database_are_said() {
    let server = server(Major::V15);
    reader(&server);
    let error = explain(&server.url_for("reader", "wrong-hunter2", "postgres"), "SELECT 1", &running()).unwrap_err();
    assert!(error.kind() == Kind::Auth && !error.says().contains("hunter2"), "{}", error.says());
    let error = explain(&server.url_for("reader", "pw", "nowhere"), "SELECT 1", &running()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{}", error.says());
}

#[test]
fn tls_is_verified_and_what_is_wrong_is_said() {
    let options = PostgresOptions { tls: true, hba: vec!["hostssl all certified 127.0.0.1/32 cert".into()], ..PostgresOptions::default() };
    let server = get().postgres_with(Major::V15, &options);
    explain(&reader(&server), "SELECT 1", &running()).unwrap();
    let bare = format!("postgres://reader:pw@127.0.0.1:{}/postgres", server.port());
    for (query, kind) in [("?sslmode=disable", Kind::Auth), ("?sslmode=verify-full", Kind::Tls)] {
        let error = explain(&format!("{bare}{query}"), "SELECT 1", &running()).unwrap_err();
        assert_eq!(error.kind(), kind, "{query}: {}", error.says());
    }
    explain(&format!("{bare}?sslmode=require"), "SELECT 1", &running()).unwrap();
    server.role("certified", "pw", "GRANT pg_read_all_data TO certified");
    let (cert, key) = server.client_certificate("certified").unwrap();
    let certified = format!(
        "postgres://certified@127.0.0.1:{}/postgres?sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
        server.port(),
        server.ca().unwrap().display(),
        cert.display(),
        key.display()
    );
    assert_eq!(explain(&certified, "SELECT 1", &running()).unwrap().server.role.as_str(), "certified");
    let plain = lab::get().postgres(Major::V15);
    let error =
        explain(&format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=require", plain.port()), "SELECT 1", &running()).unwrap_err();
    assert!(error.says().contains("TLS"), "{}", error.says());
}

#[test]
fn an_exhausted_server_says_so() {
    let server =
        get().postgres_with(Major::V15, &PostgresOptions { config: vec!["max_connections = 5".into()], ..PostgresOptions::default() });
    let url = reader(&server);
    let _held: Vec<_> = (0..2).map(|n| server.session("reader", "postgres", &format!("held {n}"))).collect();
    let error = explain(&url, "SELECT 1", &running()).unwrap_err();
    assert!(error.says().contains("53300"), "{}", error.says());
}

#[test]
fn a_pool_that_is_used_up_says_so() {
    let server = server(Major::V15);
    reader(&server);
    let bouncer = server.bouncer(1, &[("reader", "pw")]).unwrap();
    let url = bouncer.url("reader", "pw", "postgres");
    thread::scope(|scope| {
        scope.spawn(|| explain(&url, SLOW, &running()));
        let held = slow_backend(&server);
        // The only connection of the pool is busy: whoever comes next is sent away after the pooler's two seconds.
        let error = explain(&url, "SELECT 1", &running()).unwrap_err();
        assert!(error.says().contains("query_wait_timeout"), "{}", error.says());
        server.terminate_backend(held);
    });
}

#[test]
fn where_a_text_of_several_lines_is_wrong_is_said() {
    for version in [Major::V14, Major::V15, Major::V18] {
        let server = server(version);
        let url = reader(&server);
        for (sql, says) in [
            ("SELECT 1\nFORM t", "at line 2, column"),
            ("SELECT 1,\n  nope", "\"nope\" does not exist"),
            ("SELECT 1,\n  nope", "line 2, column 3"),
        ] {
            let error = explain(&url, sql, &running()).unwrap_err();
            assert!(error.says().contains(says), "{version:?} {sql}: {}", error.says());
        }
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_is_an_error_not_a_wait() {
    let server = server(Major::V15);
    let url = reader(&server);
    let proxy = Proxy::before(server.address()).unwrap();
    let through = url.replace(&server.address(), &format!("127.0.0.1:{}", proxy.port()));
    for at in [1, 200, 900, 4_000] {
        proxy.set(Fault::Cut(at));
        assert!(explain(&through, "SELECT 1", &running()).is_err(), "cut at {at}");
    }
    proxy.set(Fault::Pass);
    explain(&through, "SELECT 1", &running()).unwrap();
}

#[test]
fn a_pooler_in_transaction_mode_is_no_hindrance() {
    let server = server(Major::V15);
    reader(&server);
    server.psql("postgres", "CREATE TABLE t AS SELECT n AS a FROM generate_series(1, 100) n");
    let bouncer = server.bouncer(1, &[("reader", "pw")]).unwrap();
    let url = bouncer.url("reader", "pw", "postgres");
    for _ in 0..3 {
        let values = obsctl::postgres::collect::Values { list: vec![Some("5".into())], ..Default::default() };
        let explained = explain(&url, "SELECT * FROM t WHERE a = %s", &Request { values, ..running() }).unwrap();
        assert!(matches!(explained.analysis, Analysis::Ran(_)), "{:?}", explained.analysis);
        explain(&url, "SELECT nope", &running()).unwrap_err();
    }
    let pg = open(&url).unwrap();
    let left =
        RUNTIME.block_on(pg.rows("looking".into(), "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'obsctl%'", &[])).unwrap();
    assert_eq!(left[0].get::<_, i64>(0), 0);
}
