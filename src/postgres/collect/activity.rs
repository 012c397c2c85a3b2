//! Sessions, from pg_stat_activity.

use super::look::{ask, coverage, database_seen};
use crate::{
    answer::Coverage,
    connect::postgres::Postgres,
    error::Result,
    postgres::{
        decode::rows,
        model::{ActivityFacts, Backend, BackendState, DatabaseSeen},
    },
    text::Redactor,
};
use jiff::Timestamp;

/// PostgreSQL 14 and later have `query_id` and `leader_pid`; older ones are asked without.
fn sql(version_num: u32) -> String {
    let query_id = if version_num >= 140_000 { "a.query_id" } else { "NULL::bigint AS query_id" };
    let leader = if version_num >= 130_000 { "a.leader_pid" } else { "NULL::int AS leader_pid" };
    format!(
        "SELECT a.pid, {leader}, a.backend_type, a.usename, a.datname, a.application_name, host(a.client_addr) AS client, a.state, \
         a.backend_start, a.xact_start, a.query_start, a.state_change, a.wait_event_type, a.wait_event, \
         age(a.backend_xmin)::bigint AS xmin_age, {query_id}, a.query \
         FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid()"
    )
}

/// All sessions but our own.
///
/// # Errors
/// As `Postgres::rows`.
pub async fn activity(db: &Postgres, redact: &Redactor) -> Result<(ActivityFacts, Coverage)> {
    let server = database_seen(db).await?;
    of(db, server, redact).await
}

pub(super) async fn of(db: &Postgres, server: DatabaseSeen, redact: &Redactor) -> Result<(ActivityFacts, Coverage)> {
    let texts = ask(db, "reading pg_stat_activity", &sql(server.version_num)).await?;
    let read = rows::all(texts.iter().map(String::as_str), |text| rows::backend(text, redact));
    let mut backends: Vec<Backend> = read.rows;
    backends.sort_by_key(|b| (!b.is_client(), b.transaction_at.unwrap_or(Timestamp::MAX), b.pid));
    let clients = backends.iter().filter(|b| b.is_client()).count();
    let hidden = backends.iter().filter(|b| b.state == BackendState::Hidden).count();
    let coverage = coverage(&server, &["pg_stat_activity"], hidden, read.bad);
    // Our own connection is one too.
    let connections = u32::try_from(clients + 1).unwrap_or(u32::MAX);
    Ok((ActivityFacts { server, backends, connections }, coverage))
}
