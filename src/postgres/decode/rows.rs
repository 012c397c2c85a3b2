//! Rows of the server's own views, each asked for as one JSON object (`row_to_json`) → model. Columns that a version does not have are
//! simply not there; a row that cannot be read is counted by the caller, never dropped in silence.

use crate::{
    postgres::{
        model::{
            Backend, BackendState, DatabaseSeen, HeldLock, LockWait, PreparedTransaction, RawWait, ReplicaState, StatementKey,
            StatementReading, StatementStats, StatementsExtension, TableStats, WaitEvent,
        },
        statement::shown::{Asker, shown},
    },
    safe,
    text::{Redactor, Safe},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Rows that were read, and how many could not be.
#[derive(Debug)]
pub struct DecodedRows<T> {
    /// Those that were.
    pub rows: Vec<T>,
    /// Those that were not, with the first reason.
    pub bad: Option<(usize, Safe)>,
}

impl<T> Default for DecodedRows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), bad: None }
    }
}

/// Reads all rows of one kind.
pub fn all<'t, T>(texts: impl IntoIterator<Item = &'t str>, one: impl Fn(&str) -> Result<T, serde_json::Error>) -> DecodedRows<T> {
    let mut read = DecodedRows::default();
    for text in texts {
        match one(text) {
            Ok(row) => read.rows.push(row),
            Err(error) => {
                // serde's message may quote a value.
                let why = safe!("column {} of a row makes no sense", error.column());
                read.bad = Some(read.bad.map_or((1, why), |(n, first)| (n + 1, first)));
            }
        }
    }
    read
}

/// PostgreSQL writes times with an offset, or without one where the column has none: then they are UTC. `infinity` is no time.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    if text.ends_with("infinity") {
        return Ok(None);
    }
    if let Ok(at) = text.parse() {
        return Ok(Some(at));
    }
    let civil: jiff::civil::DateTime = text.parse().map_err(D::Error::custom)?;
    civil.to_zoned(TimeZone::UTC).map(|zoned| Some(zoned.timestamp())).map_err(D::Error::custom)
}

fn certain<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    time(from)?.ok_or_else(|| D::Error::custom("a time is missing"))
}

fn name(text: Option<String>) -> Option<Safe> {
    text.filter(|text| !text.is_empty()).map(Safe::name)
}

#[derive(Deserialize)]
struct RawServer {
    #[serde(deserialize_with = "certain")]
    at: Timestamp,
    version: String,
    version_num: u32,
    replica: bool,
    role: String,
    sees_all: bool,
    database: String,
    max_connections: u32,
    reserved: u32,
    #[serde(deserialize_with = "certain")]
    started_at: Timestamp,
    extension: Option<String>,
    extension_schema: Option<String>,
}

/// The answer of `collect::server`.
///
/// # Errors
/// It is none.
pub fn server(text: &str) -> Result<DatabaseSeen, serde_json::Error> {
    let raw: RawServer = serde_json::from_str(text)?;
    let statements = match (raw.extension.as_deref().and_then(extension_version), raw.extension_schema) {
        (Some(version), Some(schema)) => Some(StatementsExtension { version, schema: Safe::name(schema) }),
        _ => None,
    };
    // Debian writes `15.8 (Debian 15.8-1)`.
    let version = raw.version.split_whitespace().next().map(Safe::name).unwrap_or_default();
    Ok(DatabaseSeen {
        observed_at: raw.at,
        version,
        version_num: raw.version_num,
        replica: raw.replica,
        role: Safe::name(raw.role),
        sees_all: raw.sees_all,
        database: Safe::name(raw.database),
        max_connections: raw.max_connections,
        reserved_connections: raw.reserved,
        started_at: raw.started_at,
        statements,
    })
}

/// `1.10` is ten, not one.
fn extension_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[derive(Deserialize)]
struct RawBackend {
    pid: i32,
    leader_pid: Option<i32>,
    backend_type: Option<String>,
    usename: Option<String>,
    datname: Option<String>,
    application_name: Option<String>,
    client: Option<String>,
    state: Option<String>,
    #[serde(default, deserialize_with = "time")]
    backend_start: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    xact_start: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    query_start: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    state_change: Option<Timestamp>,
    wait_event_type: Option<String>,
    wait_event: Option<String>,
    xmin_age: Option<i64>,
    query_id: Option<i64>,
    query: Option<String>,
}

/// What the server writes in place of another role's statement.
const HIDDEN: &str = "<insufficient privilege>";

/// One row of pg_stat_activity.
///
/// # Errors
/// It is none.
pub fn backend(text: &str, redact: &Redactor) -> Result<Backend, serde_json::Error> {
    let raw: RawBackend = serde_json::from_str(text)?;
    let hidden = raw.query.as_deref() == Some(HIDDEN);
    let query = raw.query.filter(|query| !hidden && !query.is_empty()).map(|query| shown(&query, redact));
    let wait = raw.wait_event_type.zip(raw.wait_event);
    let kind = raw.backend_type.map_or_else(|| "client backend".into(), Safe::name);
    Ok(Backend {
        pid: raw.pid,
        leader: raw.leader_pid.filter(|leader| *leader != raw.pid),
        kind,
        role: name(raw.usename),
        database: name(raw.datname),
        application: raw.application_name.filter(|a| !a.is_empty()).map(|a| redact.safe(a.as_bytes())),
        client: name(raw.client),
        state: match raw.state.as_deref() {
            _ if hidden => BackendState::Hidden,
            Some("active") => BackendState::Active,
            Some("idle") => BackendState::Idle,
            Some("idle in transaction") => BackendState::IdleInTransaction,
            Some("idle in transaction (aborted)") => BackendState::IdleInFailedTransaction,
            _ => BackendState::Other,
        },
        connected_at: raw.backend_start,
        transaction_at: raw.xact_start,
        statement_at: raw.query_start,
        state_at: raw.state_change,
        wait: wait.map(|(class, event)| WaitEvent { class: Safe::name(class), event: Safe::name(event) }),
        xmin_age: raw.xmin_age,
        query_id: raw.query_id,
        asker: query.as_ref().and_then(|q| q.asker.clone()),
        query: query.map(|q| q.text),
    })
}

#[derive(Deserialize)]
struct RawLock {
    pid: i32,
    #[serde(default)]
    blockers: Vec<i32>,
    locktype: Option<String>,
    mode: Option<String>,
    relation: Option<String>,
    #[serde(default, deserialize_with = "time")]
    waitstart: Option<Timestamp>,
}

impl RawLock {
    /// `public.orders_order`, `row of public.orders_order`, `end of a transaction`.
    fn on(&self) -> Option<Safe> {
        let relation = name(self.relation.clone());
        Some(match (self.locktype.as_deref()?, relation) {
            ("relation", Some(relation)) => relation,
            ("tuple", Some(relation)) => safe!("row of {}", relation),
            ("transactionid", _) => "end of a transaction (a row that it changed)".into(),
            ("virtualxid", _) => "end of a transaction (its snapshot)".into(),
            ("advisory", _) => "advisory lock".into(),
            (other, Some(relation)) => safe!("{} of {}", Safe::name(other), relation),
            (other, None) => Safe::name(other),
        })
    }
}

/// One session that waits, with those who hold it up.
///
/// # Errors
/// It is none.
pub fn wait(text: &str) -> Result<RawWait, serde_json::Error> {
    let raw: RawLock = serde_json::from_str(text)?;
    let wait = raw.on().zip(raw.mode.as_ref()).map(|(on, mode)| LockWait { on, mode: Safe::name(mode), since: raw.waitstart });
    Ok(RawWait { pid: raw.pid, blockers: raw.blockers, wait })
}

/// One lock that is held.
///
/// # Errors
/// It is none.
pub fn held(text: &str) -> Result<(i32, HeldLock), serde_json::Error> {
    let raw: RawLock = serde_json::from_str(text)?;
    let on = raw.on().unwrap_or_default();
    Ok((raw.pid, HeldLock { on, mode: raw.mode.map(Safe::name).unwrap_or_default() }))
}

#[derive(Deserialize)]
struct RawPrepared {
    gid: String,
    #[serde(deserialize_with = "certain")]
    prepared: Timestamp,
    owner: String,
    database: String,
}

/// One prepared transaction.
///
/// # Errors
/// It is none.
pub fn prepared(text: &str, redact: &Redactor) -> Result<PreparedTransaction, serde_json::Error> {
    let raw: RawPrepared = serde_json::from_str(text)?;
    Ok(PreparedTransaction {
        gid: redact.safe(raw.gid.as_bytes()),
        prepared_at: raw.prepared,
        owner: Safe::name(raw.owner),
        database: Safe::name(raw.database),
    })
}

#[derive(Deserialize)]
struct RawStatement {
    queryid: Option<i64>,
    datname: Option<String>,
    rolname: Option<String>,
    toplevel: Option<bool>,
    query: Option<String>,
    calls: i64,
    total_ms: f64,
    max_ms: Option<f64>,
    rows: i64,
    hit: i64,
    read: i64,
    temp: i64,
    io_ms: Option<f64>,
    wal_bytes: Option<f64>,
    #[serde(default, deserialize_with = "time")]
    stats_since: Option<Timestamp>,
}

/// One row of pg_stat_statements, by the names that `collect` gives its columns.
///
/// # Errors
/// It is none.
pub fn statement(text: &str, redact: &Redactor) -> Result<StatementStats, serde_json::Error> {
    let raw: RawStatement = serde_json::from_str(text)?;
    let query = raw.query.filter(|query| query != HIDDEN && !query.is_empty()).map(|query| shown(&query, redact));
    Ok(StatementStats {
        key: StatementKey {
            // Another role's statements have none.
            queryid: raw.queryid.unwrap_or(0),
            database: name(raw.datname).unwrap_or_default(),
            role: name(raw.rolname).unwrap_or_default(),
            toplevel: raw.toplevel.unwrap_or(true),
        },
        asker: query.as_ref().and_then(|q| q.asker.clone()),
        query: query.map(|q| q.text),
        calls: raw.calls,
        total_ms: raw.total_ms,
        max_ms: raw.max_ms,
        rows: raw.rows,
        hit: raw.hit,
        read: raw.read,
        temp: raw.temp,
        // Nothing at all was waited for: more likely nobody measured.
        io_ms: raw.io_ms.filter(|ms| *ms > 0.0 || raw.read == 0),
        wal_bytes: raw.wal_bytes.map(|bytes| bytes as i64),
        since: raw.stats_since,
    })
}

#[derive(Deserialize)]
struct RawReset {
    #[serde(default, deserialize_with = "time")]
    stats_reset: Option<Timestamp>,
    dealloc: Option<i64>,
}

/// pg_stat_statements_info: when its counters were reset, and how often statements were dropped.
///
/// # Errors
/// It is none.
pub fn reset(text: &str) -> Result<(Option<Timestamp>, Option<i64>), serde_json::Error> {
    let raw: RawReset = serde_json::from_str(text)?;
    Ok((raw.stats_reset, raw.dealloc))
}

#[derive(Deserialize)]
struct RawTable {
    name: String,
    reltuples: f64,
    n_live_tup: Option<i64>,
    n_dead_tup: Option<i64>,
    n_mod_since_analyze: Option<i64>,
    analyze_after: Option<f64>,
    #[serde(default, deserialize_with = "time")]
    analyzed: Option<Timestamp>,
    hit: Option<i64>,
    read: Option<i64>,
}

/// One table.
///
/// # Errors
/// It is none.
pub fn table(text: &str) -> Result<TableStats, serde_json::Error> {
    let raw: RawTable = serde_json::from_str(text)?;
    Ok(TableStats {
        name: Safe::name(raw.name),
        // −1: never vacuumed or analyzed.
        planned_rows: raw.reltuples.max(0.0),
        live_rows: raw.n_live_tup.unwrap_or(0),
        dead_rows: raw.n_dead_tup.unwrap_or(0),
        changed_since_analyze: raw.n_mod_since_analyze.unwrap_or(0),
        analyze_after: raw.analyze_after.unwrap_or(f64::MAX),
        analyzed_at: raw.analyzed,
        hit: raw.hit.unwrap_or(0),
        read: raw.read.unwrap_or(0),
    })
}

#[derive(Deserialize)]
struct RawReplica {
    caught_up: Option<bool>,
    replayed_s_ago: Option<f64>,
    paused: Option<bool>,
    receiving: Option<bool>,
    cancelled: Option<i64>,
}

/// How a replica stands.
///
/// # Errors
/// It is none.
pub fn replica(text: &str) -> Result<ReplicaState, serde_json::Error> {
    let raw: RawReplica = serde_json::from_str(text)?;
    Ok(ReplicaState {
        caught_up: raw.caught_up.unwrap_or(false),
        replayed_s_ago: raw.replayed_s_ago,
        paused: raw.paused.unwrap_or(false),
        receiving: raw.receiving,
        cancelled: raw.cancelled.unwrap_or(0),
    })
}

#[derive(Deserialize)]
struct SavedReading {
    obsctl_statements: u32,
    reading: SavedStatements,
}

#[derive(Deserialize)]
struct SavedStatements {
    at: Timestamp,
    reset_at: Option<Timestamp>,
    evictions: Option<i64>,
    statements: Vec<SavedStatement>,
}

#[derive(Deserialize)]
struct SavedStatement {
    key: SavedKey,
    query: Option<String>,
    asker: Option<SavedAsker>,
    calls: i64,
    total_ms: f64,
    max_ms: Option<f64>,
    rows: i64,
    hit: i64,
    read: i64,
    temp: i64,
    io_ms: Option<f64>,
    wal_bytes: Option<i64>,
    since: Option<Timestamp>,
}

#[derive(Deserialize)]
struct SavedKey {
    queryid: i64,
    database: String,
    role: String,
    toplevel: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
enum SavedAsker {
    View(String),
    Task(String),
    Application(String),
}

/// The version of a saved reading that `--save` writes and this reads.
pub const READING_VERSION: u32 = 1;

/// A reading that `--save` wrote: `{"obsctl_statements": 1, "reading": …}`.
///
/// # Errors
/// It is none, or of a version that is not known; in words.
pub fn saved_reading(bytes: &[u8]) -> Result<StatementReading, Safe> {
    let saved: SavedReading =
        serde_json::from_slice(bytes).map_err(|e| safe!("not a reading of `db slow --save` (line {}, column {})", e.line(), e.column()))?;
    if saved.obsctl_statements != READING_VERSION {
        return Err(safe!("a reading of version {}; this obsctl reads {}", saved.obsctl_statements, READING_VERSION));
    }
    let statement = |s: SavedStatement| StatementStats {
        key: StatementKey {
            queryid: s.key.queryid,
            database: Safe::name(s.key.database),
            role: Safe::name(s.key.role),
            toplevel: s.key.toplevel,
        },
        // A file may have passed through anybody's hands.
        query: s.query.map(Safe::name),
        asker: s.asker.map(|asker| match asker {
            SavedAsker::View(name) => Asker::View(Safe::name(name)),
            SavedAsker::Task(name) => Asker::Task(Safe::name(name)),
            SavedAsker::Application(name) => Asker::Application(Safe::name(name)),
        }),
        calls: s.calls,
        total_ms: s.total_ms,
        max_ms: s.max_ms,
        rows: s.rows,
        hit: s.hit,
        read: s.read,
        temp: s.temp,
        io_ms: s.io_ms,
        wal_bytes: s.wal_bytes,
        since: s.since,
    };
    let SavedStatements { at, reset_at, evictions, statements } = saved.reading;
    Ok(StatementReading { at, reset_at, evictions, statements: statements.into_iter().map(statement).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_session_is_read_with_the_columns_that_there_are() {
        let text = r#"{"pid":12,"leader_pid":12,"backend_type":"client backend","usename":"app","datname":"shop","application_name":"web",
            "client":null,"state":"idle in transaction","xact_start":"2026-11-21T20:00:00.5+00:00","query":"UPDATE t SET a = 'secret'"}"#;
        let backend = backend(text, &Redactor::default()).expect("a session");
        assert_eq!((backend.leader, backend.state), (None, BackendState::IdleInTransaction));
        assert_eq!(backend.query.as_deref(), Some("UPDATE t SET a = '…'"));
        assert_eq!(backend.transaction_at.map(|t| t.to_string()).as_deref(), Some("2026-11-21T20:00:00.5Z"));
    }

    #[test]
    fn another_roles_session_is_hidden() {
        let text = r#"{"pid":12,"usename":"app","query":"<insufficient privilege>"}"#;
        let backend = backend(text, &Redactor::default()).expect("a session");
        assert_eq!((backend.state, backend.query), (BackendState::Hidden, None));
    }

    #[test]
    fn versions_are_not_decimals() {
        assert_eq!(extension_version("1.10"), Some((1, 10)));
        assert_eq!(extension_version("1"), None);
    }

    #[test]
    fn rows_that_make_no_sense_are_counted() {
        let read = all(["{\"pid\":1}", "{\"pid\":\"x\"}", "[]"], wait);
        assert_eq!((read.rows.len(), read.bad.map(|b| b.0)), (1, Some(2)));
    }

    #[test]
    fn a_reading_comes_back_as_it_was_saved() {
        let row = r#"{"queryid":-5,"datname":"shop","rolname":"app","query":"SELECT $1 /*controller='a'*/","calls":3,"total_ms":1.5,"rows":3,"hit":1,"read":0,"temp":0}"#;
        let statement = statement(row, &Redactor::default()).expect("a statement");
        let at: Timestamp = "2026-11-21T20:00:00Z".parse().expect("a time");
        let reading = StatementReading { at, reset_at: None, evictions: Some(0), statements: vec![statement] };
        let saved = serde_json::json!({"obsctl_statements": READING_VERSION, "reading": reading}).to_string();
        assert_eq!(saved_reading(saved.as_bytes()), Ok(reading));
        assert!(saved_reading(b"{}").is_err());
    }

    proptest! {
        #[test]
        fn no_row_is_too_odd(text in any::<String>()) {
            let redact = Redactor::default();
            let _ = (server(&text).is_ok(), backend(&text, &redact).is_ok(), wait(&text).is_ok(), statement(&text, &redact).is_ok());
            let _ = (table(&text).is_ok(), replica(&text).is_ok(), saved_reading(text.as_bytes()).is_ok());
        }
    }
}
