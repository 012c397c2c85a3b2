//! A session to a real PostgreSQL: what it reads, what it cannot do, and what is said when it is refused.

use crate::brokers::RUNTIME;
use jiff::tz::TimeZone;
use lab::sandbox::Profile;
use obsctl::{
    config::{Inputs, Vars, load},
    connect::postgres::Postgres,
    error::{Error, Kind},
    session::{Session, Stop},
    text::Redactor,
};
use std::path::Path;
use tokio_postgres::types::Type;

fn session(config: &Path) -> Session {
    let env = load(&Inputs { config: Some(config.to_owned()), vars: Vars::default(), cwd: "/".into(), ..Inputs::default() }).unwrap();
    Session::new(env, None, Redactor::default(), Stop::default(), TimeZone::UTC)
}

fn open(url: &str) -> Result<Postgres, Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    let url = serde_json::to_string(url).unwrap();
    std::fs::write(&file, format!("environments: {{a: {{apps: {{x: {{files: [x.log]}}}}, postgres: {{main: {{url: {url}}}}}}}}}")).unwrap();
    let session = session(&file);
    RUNTIME.block_on(async { session.postgres("main").await?.open().await })
}

#[test]
fn a_session_reads_and_nothing_else() {
    let sandbox = lab::get().sandbox_local(Profile::A);
    let session = session(&sandbox.config);
    let link = RUNTIME.block_on(session.postgres("main")).unwrap();
    let database = RUNTIME.block_on(link.open()).unwrap();
    let ask = |sql: &str| RUNTIME.block_on(database.rows("asking".into(), sql, &[]));
    // When beat last ran: what it is for.
    let tasks = ask("SELECT name, last_run_at::text FROM django_celery_beat_periodictask ORDER BY name").unwrap();
    assert!(!tasks.is_empty());
    let rows = RUNTIME.block_on(database.rows("asking".into(), "SELECT $1::int4 + 1 AS n", &[(&41i32, Type::INT4)])).unwrap();
    assert_eq!(rows[0].get::<_, i32>("n"), 42);
    let settings =
        ask("SELECT current_setting('application_name'), current_setting('transaction_read_only'), current_setting('statement_timeout')")
            .unwrap();
    let all: Vec<String> = (0..3).map(|i| settings[0].get(i)).collect();
    assert_eq!(all, ["obsctl", "on", "10s"]);
    // Refused by the server itself, and the session goes on.
    let error = ask("CREATE TABLE obsctl_was_here (n int)").unwrap_err();
    assert!(error.what_happened().contains("read-only transaction (SQLSTATE 25006)"), "{error:?}");
    let error = ask("SELECT * FROM no_such_table").unwrap_err();
    assert!(error.kind() == Kind::NotFound && error.what_happened().contains("(SQLSTATE 42P01)"), "{error:?}");
    let error = ask("SELECT pg_sleep(30)").unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error:?}");
    assert_eq!(ask("SELECT 1").unwrap().len(), 1);
    assert_eq!(database.route().as_str(), "direct");
    let error = RUNTIME.block_on(session.postgres("other")).err().unwrap();
    assert_eq!(error.what_happened().as_str(), "there are main");

    let url = std::fs::read_to_string(sandbox.secret("backend-env", "DATABASE_URL")).unwrap();
    let url = url.trim();
    let (login, place) = url.rsplit_once('@').unwrap();
    let (user, secret) = login.rsplit_once(':').unwrap();
    let error = open(&format!("{user}:wrong@{place}")).err().unwrap();
    assert_eq!(error.kind(), Kind::Auth, "{error:?}");
    let (before, _) = url.rsplit_once('/').unwrap();
    let error = open(&format!("{before}/nothing_here")).err().unwrap();
    assert!(error.kind() == Kind::NotFound && error.what_happened().contains("3D000"), "{error:?}");
    let error = open("postgres://u:hunter2@127.0.0.1:1/d").err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable, "{error:?}");
    let error = open(&format!("{url}?sslmode=verify-full")).err().unwrap();
    assert_eq!(error.what_happened().as_str(), "the server has no TLS, and sslmode asks for it", "{error:?}");
    for error in [error.to_string(), open(&format!("{user}@{place}")).err().unwrap().to_string()] {
        assert!(!error.contains(secret), "{error}");
    }
}
