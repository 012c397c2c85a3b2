//! Sessions, as pg_stat_activity shows them.

use super::DatabaseSeen;
use crate::{postgres::statement::shown::Asker, text::Safe};
use jiff::Timestamp;
use serde::Serialize;

/// What a server is busy with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActivityFacts {
    /// The server.
    pub server: DatabaseSeen,
    /// Its sessions: clients first, the oldest transaction first.
    pub backends: Vec<Backend>,
    /// How many connections of clients there are, hidden ones too.
    pub connections: u32,
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendState {
    /// Runs a statement.
    Active,
    /// Has a transaction open and runs nothing: holds its locks meanwhile.
    IdleInTransaction,
    /// The same after an error.
    IdleInFailedTransaction,
    /// Waits for its client.
    Idle,
    /// A fast-path call, a new connection, or tracking is off.
    Other,
    /// The server does not say: the session is another role's.
    Hidden,
}

impl BackendState {
    /// In a few words.
    pub fn says(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::IdleInTransaction => "idle in transaction",
            Self::IdleInFailedTransaction => "idle in failed transaction",
            Self::Idle => "idle",
            Self::Other => "other",
            Self::Hidden => "not shown to us",
        }
    }
    /// Whether a transaction is open while nothing runs.
    pub fn idles_in_transaction(self) -> bool {
        matches!(self, Self::IdleInTransaction | Self::IdleInFailedTransaction)
    }
}

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backend {
    /// Its process.
    pub pid: i32,
    /// The process that it helps: it is a worker of a parallel query.
    pub leader: Option<i32>,
    /// `client backend`, `autovacuum worker`, `walsender`.
    pub kind: Safe,
    /// The role.
    pub role: Option<Safe>,
    /// The database.
    pub database: Option<Safe>,
    /// What it calls itself.
    pub application: Option<Safe>,
    /// Where its client is.
    pub client: Option<Safe>,
    /// What it does.
    pub state: BackendState,
    /// When it connected.
    pub connected_at: Option<Timestamp>,
    /// When its transaction began.
    pub transaction_at: Option<Timestamp>,
    /// When its statement began, or the last one if none runs.
    pub statement_at: Option<Timestamp>,
    /// Since when it does what it does.
    pub state_at: Option<Timestamp>,
    /// What it waits for: `Lock transactionid`. None: it computes, or is idle.
    pub wait: Option<WaitEvent>,
    /// How many transactions old the oldest row version is that it keeps from being cleaned up.
    pub xmin_age: Option<i64>,
    /// The statement's ID in pg_stat_statements.
    pub query_id: Option<i64>,
    /// Its statement, or the last one if none runs; without literals.
    pub query: Option<Safe>,
    /// Who asks, if a comment in the statement says so.
    pub asker: Option<Asker>,
}

impl Backend {
    /// Whether a client of ours is at its other end.
    pub fn is_client(&self) -> bool {
        self.kind.as_str() == "client backend"
    }
}

/// What a session waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitEvent {
    /// `Lock`, `IO`, `Client`.
    pub class: Safe,
    /// `transactionid`, `DataFileRead`.
    pub event: Safe,
}
