//! Who waits for whom, from pg_locks and pg_blocking_pids.

use super::{
    activity,
    look::{ask, database_seen, worst},
    transaction::literal,
};
use crate::{
    answer::{Coverage, Part},
    connect::postgres::Postgres,
    error::Result,
    postgres::{
        analyze::locks::{SeenLocks, trees},
        decode::rows,
        model::{DatabaseSeen, HeldLock, LockFacts, PreparedTransaction},
        screen::names_in,
    },
    text::Redactor,
};
use std::collections::BTreeSet;

/// The name of a relation, which only our own database can tell.
const RELATION: &str = "CASE WHEN l.relation IS NULL THEN NULL \
    WHEN l.database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
    THEN coalesce((SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.oid = l.relation), l.relation::text) \
    ELSE l.relation::text || ' of another database' END";

/// pg_blocking_pids stops the lock manager for a moment: it is asked only of those who wait, and once.
fn waits(version_num: u32) -> String {
    let since = if version_num >= 140_000 { "l.waitstart" } else { "NULL::timestamptz AS waitstart" };
    format!(
        "SELECT l.pid, pg_blocking_pids(l.pid) AS blockers, l.locktype, l.mode, {RELATION} AS relation, {since} \
         FROM pg_locks l WHERE NOT l.granted AND l.pid <> pg_backend_pid()"
    )
}

/// All waits. In calm, which is nearly always, one question after who the server is.
///
/// # Errors
/// As `Postgres::rows`.
pub async fn locks(db: &Postgres, redact: &Redactor) -> Result<(LockFacts, Coverage)> {
    let server = database_seen(db).await?;
    of(db, server, redact).await
}

pub(super) async fn of(db: &Postgres, server: DatabaseSeen, redact: &Redactor) -> Result<(LockFacts, Coverage)> {
    let texts = ask(db, "reading pg_locks", &waits(server.version_num)).await?;
    let waits = rows::all(texts.iter().map(String::as_str), rows::wait);
    // The sessions after the waits: who is named there is still here, or is said to be gone.
    let (activity, mut coverage) = activity::of(db, server, redact).await?;
    let mut blockers: Vec<i32> = waits.rows.iter().flat_map(|wait| wait.blockers.iter().copied()).collect();
    blockers.sort_unstable();
    blockers.dedup();
    let (mut held, mut prepared) = (rows::DecodedRows::default(), rows::DecodedRows::default());
    if !blockers.is_empty() {
        // Numbers of processes: nothing that could be anything else.
        let pids: Vec<String> = blockers.iter().map(i32::to_string).collect();
        let sql = format!(
            "SELECT DISTINCT l.pid, l.locktype, l.mode, {RELATION} AS relation FROM pg_locks l \
             WHERE l.granted AND l.pid = ANY ('{{{}}}'::int[]) AND l.locktype NOT IN ('virtualxid', 'transactionid') \
             AND NOT EXISTS (SELECT FROM pg_class i WHERE i.oid = l.relation AND i.relkind IN ('i', 'I'))",
            pids.join(",")
        );
        let texts = ask(db, "reading pg_locks", &sql).await?;
        held = rows::all(texts.iter().map(String::as_str), rows::held);
    }
    if blockers.first() == Some(&0) {
        prepared = transactions(db, redact).await?;
    }
    coverage.searched.push(Part { system: "postgresql", name: "pg_locks".into() });
    if let Some(bad) = worst(&waits, &held) {
        coverage.join(super::look::coverage(&activity.server, &[], 0, Some(bad)));
    }
    let seen =
        SeenLocks { waits: waits.rows, held: held.rows, prepared: prepared.rows, backends: activity.backends, ..SeenLocks::default() };
    Ok((trees(activity.server, seen), coverage))
}

async fn transactions(db: &Postgres, redact: &Redactor) -> Result<rows::DecodedRows<PreparedTransaction>> {
    let sql = "SELECT gid, prepared, owner, database FROM pg_prepared_xacts ORDER BY prepared";
    let texts = ask(db, "reading pg_prepared_xacts", sql).await?;
    Ok(rows::all(texts.iter().map(String::as_str), |text| rows::prepared(text, redact)))
}

/// Who holds a table that a statement names so that it cannot even be planned: for one that has just given up, since no wait shows its
/// blocker any more. Where no such table is named (a view hides it) all that are held so.
///
/// # Errors
/// As `Postgres::rows`.
pub async fn holders(db: &Postgres, statement: &str, writes: bool, redact: &Redactor) -> Result<LockFacts> {
    let server = database_seen(db).await?;
    let modes = match writes {
        true => "'AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock'",
        false => "'AccessExclusiveLock'",
    };
    let names: Vec<String> = names_in(statement).iter().map(|name| literal(name)).collect();
    let mut held: Vec<(i32, HeldLock)> = Vec::new();
    for named in [format!("AND lower(c.relname) = ANY (ARRAY[{}]::text[])", names.join(", ")), String::new()] {
        // A prepared transaction has no process.
        let sql = format!(
            "SELECT DISTINCT coalesce(l.pid, 0) AS pid, l.locktype, l.mode, {RELATION} AS relation FROM pg_locks l \
             JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'm', 'v', 'f') AND c.oid >= 16384 \
             WHERE l.granted AND l.locktype = 'relation' AND l.mode IN ({modes}) AND l.pid IS DISTINCT FROM pg_backend_pid() \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) {named}"
        );
        held = rows::all(ask(db, "reading pg_locks", &sql).await?.iter().map(String::as_str), rows::held).rows;
        if !held.is_empty() {
            break;
        }
    }
    let (activity, _) = activity::of(db, server, redact).await?;
    let named: BTreeSet<i32> = held.iter().map(|(pid, _)| *pid).collect();
    let prepared = if named.contains(&0) { transactions(db, redact).await?.rows } else { Vec::new() };
    let seen = SeenLocks { held, prepared, backends: activity.backends, named: named.into_iter().collect(), ..SeenLocks::default() };
    Ok(trees(activity.server, seen))
}
