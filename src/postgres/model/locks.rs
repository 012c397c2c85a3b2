//! Who waits for whom.

use super::{Backend, DatabaseSeen};
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// The waits of a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LockFacts {
    /// The server.
    pub server: DatabaseSeen,
    /// Those who wait for nobody and are waited for, each with all that it holds up; the one that holds up the most first.
    pub trees: Vec<LockNode>,
    /// How many sessions wait.
    pub waiting: usize,
}

/// One that holds or waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LockNode {
    /// Who it is.
    pub who: LockOwner,
    /// What it waits for. None: at the root of a tree.
    pub waits: Option<LockWait>,
    /// What it holds of that for which others wait, the strongest first.
    pub holds: Vec<HeldLock>,
    /// Others that hold it up too, beside the one above it.
    pub also_blocked_by: Vec<i32>,
    /// Those that wait for it.
    pub blocks: Vec<LockNode>,
    /// How many wait below it.
    pub held_up: usize,
}

/// A holder of locks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum LockOwner {
    /// A session.
    Session(Box<Backend>),
    /// A session that has gone since it was named.
    Gone {
        /// Its process.
        pid: i32,
    },
    /// Prepared transactions: no session, and nobody who would end them.
    Prepared {
        /// All there are: the server does not say which one is meant.
        transactions: Vec<PreparedTransaction>,
    },
}

impl LockOwner {
    /// The process; 0 for prepared transactions, as the server has it.
    pub fn pid(&self) -> i32 {
        match self {
            Self::Session(backend) => backend.pid,
            Self::Gone { pid } => *pid,
            Self::Prepared { .. } => 0,
        }
    }
}

/// A lock that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockWait {
    /// What is locked: `public.orders_order`, `end of a transaction`.
    pub on: Safe,
    /// `ShareLock`.
    pub mode: Safe,
    /// Since when; the server needs a moment to say so.
    pub since: Option<Timestamp>,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldLock {
    /// What is locked.
    pub on: Safe,
    /// `RowExclusiveLock`.
    pub mode: Safe,
}

/// A transaction that was prepared to be committed in two phases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreparedTransaction {
    /// Its name.
    pub gid: Safe,
    /// When it was prepared.
    pub prepared_at: Timestamp,
    /// By whom.
    pub owner: Safe,
    /// Where.
    pub database: Safe,
}

/// A session that waits, and who holds it up, as the server has it: with repetitions, and workers instead of their leaders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RawWait {
    /// The process that waits.
    pub pid: i32,
    /// Those who hold it up; 0 is a prepared transaction.
    pub blockers: Vec<i32>,
    /// For what. None: it was over before it could be read.
    pub wait: Option<LockWait>,
}
