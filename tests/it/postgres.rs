//! `explain` on real servers: what may not run does not, what runs is as limited as it says, and what fails leaves the plain plan.

mod advice;
mod faults;
mod harmless;
mod plans;
mod safety;

use jiff::tz::TimeZone;
use lab::{Major, PostgresServer, get};
use obsctl::{
    config::{Inputs, Vars, load},
    connect::postgres::Postgres,
    error::Error,
    postgres::{
        collect::{Explained, Explainer, Request},
        statement::Statement,
    },
    session::{Session, Stop},
    text::Redactor,
};
use std::sync::LazyLock;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// A session with the database that a URL names.
fn open(url: &str) -> Result<Postgres, Error> {
    open_until(url, &CancellationToken::new())
}

/// One that ends when it is told to stop.
fn open_until(url: &str, stop: &CancellationToken) -> Result<Postgres, Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("obsctl.yaml");
    let quoted = serde_json::to_string(url).unwrap();
    std::fs::write(
        &file,
        format!("environments:\n  a:\n    apps: {{web: {{files: [x.log]}}}}\n    postgres: {{main: {{url: {quoted}}}}}\n"),
    )
    .unwrap();
    let vars = Vars::of([("HOME", folder.path())]);
    let env = load(&Inputs { config: Some(file), vars, cwd: folder.path().to_owned(), ..Inputs::default() })?;
    let session = Session::new(env, None, Redactor::default(), Stop::default(), TimeZone::UTC);
    RUNTIME.block_on(async { session.postgres("main").await?.until(stop.clone()).open().await })
}

/// Explains a statement as a session of its own.
fn explain(url: &str, sql: &str, request: &Request) -> Result<Explained, Error> {
    let statement = Statement::read(sql, true)?;
    let pg = open(url)?;
    let redact = Redactor::default().showing_sensitive();
    RUNTIME.block_on(async { Explainer::new(&pg, &redact).await?.explain(&statement, request).await })
}

/// Whatever runs is run, as whoever it is.
fn running() -> Request {
    Request { analyze: true, allow_superuser: true, ..Request::default() }
}

/// Why a statement was refused.
fn refused(url: &str, sql: &str, request: &Request) -> String {
    match explain(url, sql, request) {
        Err(error) => error.says().to_string(),
        Ok(explained) => panic!("{sql}\nwas not refused: {:?}", explained.analysis),
    }
}

fn server(version: Major) -> PostgresServer {
    get().postgres(version)
}
