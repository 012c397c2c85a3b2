//! Plans and sessions in PostgreSQL's own terms. Serialize only: this is public JSON.

mod activity;
mod circumstances;
mod database;
mod locks;
mod plan;
mod server;
mod statements;
mod table;

use crate::report::Report;

pub use activity::{ActivityFacts, Backend, BackendState, WaitEvent};
pub use circumstances::{Circumstances, LookedAt, ReplicaState, TableStats};
pub use database::{DatabaseSeen, StatementsExtension, quoted};
pub use locks::{HeldLock, LockFacts, LockNode, LockOwner, LockWait, PreparedTransaction, RawWait};
pub use plan::{
    Actual, BlockCounts, Buffers, Expression, HashUse, HeapBlocks, IoTime, Jit, NodeId, Plan, PlanNode, PlanWorker, Relationship, Removed,
    SortUse, Trigger, Workers,
};
pub use server::PgServer;
pub use statements::{
    RankedStatement, StatementFacts, StatementKey, StatementOrder, StatementReading, StatementSpan, StatementStats, StatementTotal,
};
pub use table::{ColumnFacts, IndexFacts, TableFacts};

impl Report for StatementFacts {
    const KIND: &'static str = "db.slow";
    const VERSION: u32 = 1;
}

impl Report for ActivityFacts {
    const KIND: &'static str = "db.activity";
    const VERSION: u32 = 1;
}

impl Report for LockFacts {
    const KIND: &'static str = "db.locks";
    const VERSION: u32 = 1;
}
