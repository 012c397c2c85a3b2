//! The lab's PostgreSQL servers are what a test asked for, of every version, and go with their handles.

use std::path::Path;

use lab::{Major, PostgresOptions, get};

#[test]
fn every_version_starts_with_a_replica() {
    for version in Major::tested() {
        let server = get().postgres(version);
        let number: u32 = server.psql("postgres", "SHOW server_version_num").parse().unwrap();
        assert_eq!(number / 10_000, version.number());
        server.psql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
        let database = server.database(Some("postgres"));
        assert_eq!(server.psql(&database, "SELECT n FROM kept"), "1");

        let replica = server.replica().unwrap();
        replica.eventually("postgres", "SELECT pg_is_in_recovery(), n FROM kept", "t|1");
        replica.pause_replay();
        server.psql("postgres", "INSERT INTO kept VALUES (2)");
        assert_eq!(replica.psql("postgres", "SELECT count(*) FROM kept"), "1");
        replica.resume_replay();
        replica.await_caught_up(&server).unwrap();
        assert_eq!(replica.psql("postgres", "SELECT count(*) FROM kept"), "2");

        let (pid, folder) = (server.pid(), server.socket_folder().to_owned());
        drop(replica);
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!folder.exists());
    }
}

#[test]
fn a_session_holds_a_lock_and_the_log_tells_what_was_sent() {
    let server = get().postgres(Major::V15);
    server.psql("postgres", "CREATE EXTENSION hypopg; CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    let mut holder = server.session("postgres", "postgres", "holder");
    holder.run("BEGIN");
    holder.run("UPDATE t SET n = 2");
    let mut waiter = server.session("postgres", "postgres", "waiter");
    waiter.send("UPDATE t\nSET n = n + 1 RETURNING n");
    let blocked = format!("SELECT pg_blocking_pids({})", waiter.pid());
    server.eventually("postgres", &blocked, &format!("{{{}}}", holder.pid()));
    holder.run("COMMIT");
    assert_eq!(waiter.answer().unwrap(), "3");
    let holder_said = ["SELECT pg_backend_pid();", "BEGIN;", "UPDATE t SET n = 2;", "COMMIT;"];
    assert_eq!(server.statements("holder"), holder_said);
    assert_eq!(server.statements("waiter").last().unwrap(), "UPDATE t\nSET n = n + 1 RETURNING n;");

    server.terminate_backend(waiter.pid());
    assert!(waiter.try_run("SELECT 1").is_err());
    let waiter = server.session("postgres", "postgres", "waiter");
    server.kill_backend(waiter.pid()).unwrap();
    server.await_ready().unwrap();
    server.restart().unwrap();
    assert_eq!(server.psql("postgres", "SELECT n FROM t"), "3");
}

#[test]
fn tls_and_certificates_are_verified() {
    let options =
        PostgresOptions { tls: true, hba: vec!["hostssl all certified 127.0.0.1/32 cert".into()], config: vec!["work_mem = 333kB".into()] };
    let server = get().postgres_with(Major::V15, &options);
    assert_eq!(server.psql("postgres", "SHOW work_mem"), "333kB");
    server.role("app", "App-1", "GRANT pg_monitor TO app");
    server.role("certified", "unused", "");
    let psql = |url: &str| lab::process::Start::new("psql", "/usr/bin/psql").args(["-XAtqc", "SELECT current_user", url]).output();
    let url = server.url_for("app", "App-1", "postgres");
    assert_eq!(psql(&url).unwrap(), "app\n");
    assert!(psql(&server.url_for("app", "wrong", "postgres")).unwrap_err().to_string().contains("password"));
    assert!(psql(&format!("postgres://app:App-1@127.0.0.1:{}/postgres?sslmode=disable", server.port())).is_err());
    let (certificate, key) = server.client_certificate("certified").unwrap();
    let url = server.url_for("certified", "", "postgres");
    let certified = format!("{url}&sslcert={}&sslkey={}", certificate.display(), key.display());
    assert_eq!(psql(&certified).unwrap(), "certified\n");
}

#[test]
fn pgbouncer_pools_transactions() {
    let server = get().postgres(Major::V15);
    server.role("app", "App-1", "");
    let bouncer = server.bouncer(1, &[("app", "App-1")]).unwrap();
    let url = bouncer.url("app", "App-1", "postgres");
    let start = lab::process::Start::new("psql", "/usr/bin/psql");
    let psql = |sql: &str| start.clone().args(["-XAtqc", sql, &url]).output();
    let first = psql("SELECT pg_backend_pid()").unwrap();
    assert_eq!(psql("SELECT pg_backend_pid()").unwrap(), first, "one connection in the pool");
    assert!(start.args(["-XAtqc", "SELECT 1"]).arg(bouncer.url("app", "wrong", "postgres")).output().is_err());
}
