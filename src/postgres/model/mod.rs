//! Plans and sessions in PostgreSQL's own terms. Serialize only: this is public JSON.

mod plan;
mod server;
mod table;

pub use plan::{
    Actual, BlockCounts, Buffers, Expression, HashUse, HeapBlocks, IoTime, Jit, NodeId, Plan, PlanNode, PlanWorker, Relationship, Removed,
    SortUse, Trigger, Workers,
};
pub use server::PgServer;
pub use table::{ColumnFacts, IndexFacts, TableFacts};
