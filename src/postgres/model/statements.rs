//! What a server has run, as pg_stat_statements counts it.

use super::DatabaseSeen;
use crate::{postgres::statement::shown::Asker, text::Safe};
use jiff::Timestamp;
use serde::Serialize;

/// The statements of a server, ranked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatementFacts {
    /// The server.
    pub server: DatabaseSeen,
    /// What the figures are of.
    pub span: StatementSpan,
    /// By what they are ranked.
    pub by: StatementOrder,
    /// All of them together.
    pub total: StatementTotal,
    /// The first ones.
    pub statements: Vec<RankedStatement>,
    /// Those beyond the first ones that look like one statement for each row of another.
    pub suspects: Vec<RankedStatement>,
    /// How many there are in all.
    pub known: usize,
}

/// What the figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum StatementSpan {
    /// Everything since the statistics were reset.
    SinceReset {
        /// When that was, where the server knows.
        at: Option<Timestamp>,
    },
    /// What happened between two readings.
    Between {
        /// The first.
        from: Timestamp,
        /// The second.
        to: Timestamp,
    },
}

/// By what statements are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementOrder {
    /// All their time.
    #[default]
    Total,
    /// The time of one run.
    Mean,
    /// How often they ran.
    Calls,
    /// The rows that they gave.
    Rows,
    /// The blocks that they read from outside shared memory, and wrote to temporary files.
    Io,
}

/// Sums over all statements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StatementTotal {
    /// Milliseconds of execution.
    pub ms: f64,
    /// Runs.
    pub calls: i64,
}

/// A statement with its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankedStatement {
    /// Its counts in the span.
    #[serde(flatten)]
    pub stats: StatementStats,
    /// Milliseconds per run.
    pub mean_ms: f64,
    /// Its part of the time of all statements, 0 to 1.
    pub share: f64,
    /// Rows per run.
    pub rows_per_call: f64,
    /// Who runs it: its comment, and sessions that run it now.
    pub askers: Vec<Asker>,
    /// Against the reading before, with `--diff`: what a run took then.
    pub mean_before_ms: Option<f64>,
    /// Looks like one statement for each row of another.
    pub n_plus_one: bool,
}

/// One reading of pg_stat_statements.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatementReading {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// When the statistics were reset.
    pub reset_at: Option<Timestamp>,
    /// How many times the server has dropped the statements that ran least, for want of room.
    pub evictions: Option<i64>,
    /// The statements.
    pub statements: Vec<StatementStats>,
}

/// What tells statements apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StatementKey {
    /// The statement's ID: what `obsctl explain --queryid` takes.
    pub queryid: i64,
    /// Where it ran.
    pub database: Safe,
    /// As whom.
    pub role: Safe,
    /// Whether a client sent it; else a function did.
    pub toplevel: bool,
}

/// The counts of one statement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatementStats {
    /// Which.
    pub key: StatementKey,
    /// Its text, with `$1` for literals. None: it is another role's, and not shown to us.
    pub query: Option<Safe>,
    /// Who asked first, if a comment says so.
    pub asker: Option<Asker>,
    /// Runs.
    pub calls: i64,
    /// Milliseconds of execution.
    pub total_ms: f64,
    /// Milliseconds of the longest run since the reset: not of the span.
    pub max_ms: Option<f64>,
    /// Rows given or changed.
    pub rows: i64,
    /// Blocks found in shared memory.
    pub hit: i64,
    /// Blocks read from outside it.
    pub read: i64,
    /// Blocks written to and read from temporary files.
    pub temp: i64,
    /// Milliseconds of waiting for files. None: the server does not measure it, or its pg_stat_statements cannot tell.
    pub io_ms: Option<f64>,
    /// Bytes of write-ahead log.
    pub wal_bytes: Option<i64>,
    /// When the counting of this statement began (1.11 on).
    pub since: Option<Timestamp>,
}
