//! What surrounds a statement: the reasons for slowness that no plan shows, as the server counts them.

use super::{ActivityFacts, DatabaseSeen, LockFacts};
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// A part of the circumstances: seen, or why not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LookedAt<T> {
    /// What is there.
    Seen(T),
    /// Why it could not be looked at, in a few words.
    NotSeen(Safe),
}

/// What was looked at around a statement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Circumstances {
    /// The server.
    pub server: DatabaseSeen,
    /// Sessions.
    pub activity: LookedAt<ActivityFacts>,
    /// Who waits for whom.
    pub locks: LookedAt<LockFacts>,
    /// The tables that the statement reads.
    pub tables: LookedAt<Vec<TableStats>>,
    /// How it stands with the primary. None: it is the primary.
    pub replica: Option<LookedAt<ReplicaState>>,
}

/// How a table's statistics and its cache stand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableStats {
    /// `public.shop_orderitem`.
    pub name: Safe,
    /// Rows that the planner believes in.
    pub planned_rows: f64,
    /// Rows alive, as the statistics collector counts them.
    pub live_rows: i64,
    /// Dead row versions.
    pub dead_rows: i64,
    /// Rows changed since the last ANALYZE.
    pub changed_since_analyze: i64,
    /// After how many changed rows autovacuum analyzes it, by its settings.
    pub analyze_after: f64,
    /// The last ANALYZE, by hand or not. None: never since the counters were reset.
    pub analyzed_at: Option<Timestamp>,
    /// Blocks found in shared memory, of table and indexes, since the counters were reset.
    pub hit: i64,
    /// Blocks read from outside it.
    pub read: i64,
}

/// How far a replica is behind, and whom it cancels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReplicaState {
    /// Whether it has replayed everything that it received.
    pub caught_up: bool,
    /// Seconds since the last replayed transaction was committed: lag only where it has not caught up.
    pub replayed_s_ago: Option<f64>,
    /// Whether somebody has paused replay.
    pub paused: bool,
    /// Whether it receives from its primary.
    pub receiving: Option<bool>,
    /// Statements that recovery has cancelled in this database since the counters were reset.
    pub cancelled: i64,
}
