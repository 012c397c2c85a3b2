//! A plan as `EXPLAIN (FORMAT JSON)` describes it, of PostgreSQL 14 to 18 with any options. Figures are the server's; nothing is computed.

use crate::text::Safe;
use serde::Serialize;
use std::collections::BTreeMap;

/// A node's place in [`Plan::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct NodeId(pub usize);

/// A whole plan. Nodes stand in the order of the text form: each before its children.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// All nodes; the first is the root.
    pub nodes: Vec<PlanNode>,
    /// Milliseconds of planning, where measured.
    pub planning_ms: Option<f64>,
    /// Milliseconds of execution, where measured.
    pub execution_ms: Option<f64>,
    /// What planning itself read.
    pub planning_buffers: Option<Buffers>,
    /// Triggers that ran.
    pub triggers: Vec<Trigger>,
    /// Just-in-time compilation.
    pub jit: Option<Jit>,
    /// Milliseconds that serializing the rows took (`SERIALIZE`, 17+).
    pub serialization_ms: Option<f64>,
    /// Settings that differ from their defaults and bear on planning (`SETTINGS`).
    pub settings: BTreeMap<String, Safe>,
    /// What the server said that has no field here, by its own name.
    pub other: BTreeMap<String, Safe>,
}

/// What a node is to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relationship {
    /// The root, which has no parent.
    Root,
    /// The outer, or only, input.
    Outer,
    /// The inner input of a join.
    Inner,
    /// One of several inputs: of an Append, a bitmap combination.
    Member,
    /// The input of a Subquery Scan.
    Subquery,
    /// Evaluated once, before or when it is first needed.
    InitPlan,
    /// Evaluated again and again, from an expression.
    SubPlan,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanNode {
    /// The node above.
    pub parent: Option<NodeId>,
    /// The nodes below, in the server's order.
    pub children: Vec<NodeId>,
    /// How many nodes stand above.
    pub depth: usize,
    /// What it is to the node above.
    pub relationship: Relationship,
    /// `CTE recent`, `InitPlan 1`, `SubPlan 2`.
    pub subplan: Option<Safe>,
    /// `Seq Scan`, `Hash Join`, `Gather Merge`.
    pub kind: String,
    /// `Partial`, `Finalize`, `Simple`: of an Aggregate.
    pub partial_mode: Option<String>,
    /// `Sorted`, `Hashed`, `Plain`, `Mixed`: of an Aggregate or a SetOp.
    pub strategy: Option<String>,
    /// `Inner`, `Left`, `Semi`, `Anti`.
    pub join_type: Option<String>,
    /// `Insert`, `Update`, `Delete`, `Merge`: of a ModifyTable, or of a foreign scan that writes.
    pub operation: Option<String>,
    /// Whether its workers share its work.
    pub parallel_aware: bool,
    /// Whether it was disabled by a setting and taken all the same (18+; older ones show it by their cost).
    pub disabled: bool,
    /// The schema of the relation (`VERBOSE`).
    pub schema: Option<Safe>,
    /// The relation.
    pub relation: Option<Safe>,
    /// Its alias, where it differs.
    pub alias: Option<Safe>,
    /// The index.
    pub index: Option<Safe>,
    /// The direction of an index scan, where it is not forward.
    pub backward: bool,
    /// The common table expression that it scans.
    pub cte: Option<Safe>,
    /// The function that it scans.
    pub function: Option<Safe>,
    /// Conditions and keys, redacted, in the server's order.
    pub expressions: Vec<Expression>,
    /// The planner's cost before its first row.
    pub startup_cost: f64,
    /// The planner's cost in all.
    pub total_cost: f64,
    /// The rows that the planner expected, per loop.
    pub plan_rows: f64,
    /// The bytes of a row that the planner expected.
    pub plan_width: u64,
    /// What was measured, where it was. Zero loops: never executed.
    pub actual: Option<Actual>,
    /// Rows read and thrown away, per loop.
    pub removed: Removed,
    /// Rows that an index-only scan had to look up in the table after all.
    pub heap_fetches: Option<u64>,
    /// How a bitmap scan found its blocks.
    pub heap_blocks: Option<HeapBlocks>,
    /// How often its index was descended (18+).
    pub index_searches: Option<u64>,
    /// How it sorted: the leader first, then each worker.
    pub sorts: Vec<SortUse>,
    /// How it hashed.
    pub hash: Option<HashUse>,
    /// What it and everything below read and wrote; none without `BUFFERS`.
    pub buffers: Option<Buffers>,
    /// How long that took; none without `track_io_timing`.
    pub io: Option<IoTime>,
    /// Its workers, where it starts some.
    pub workers: Option<Workers>,
    /// What each worker did (`VERBOSE`).
    pub by_worker: Vec<PlanWorker>,
    /// What the server said that has no field here, by its own name.
    pub other: BTreeMap<String, Safe>,
}

impl PlanNode {
    /// The expression of this name: `Filter`, `Index Cond`.
    pub fn expression(&self, name: &str) -> Option<&Safe> {
        self.expressions.iter().find(|e| e.name == name).map(|e| &e.text)
    }
    /// Whether the plan was run and this node with it.
    pub fn ran(&self) -> bool {
        self.actual.is_some_and(|a| a.loops > 0.0)
    }
    /// Rows over all loops and processes.
    pub fn rows_in_all(&self) -> Option<f64> {
        self.actual.map(|a| a.rows * a.loops)
    }
}

/// A condition or a key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expression {
    /// `Filter`, `Index Cond`, `Sort Key`.
    pub name: &'static str,
    /// As the server writes it, redacted.
    pub text: Safe,
}

/// What was measured of a node: means over its loops, which are those of all processes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Actual {
    /// Milliseconds before the first row, per loop; none with `TIMING OFF`.
    pub startup_ms: Option<f64>,
    /// Milliseconds in all, per loop.
    pub total_ms: Option<f64>,
    /// Rows per loop: rounded up to 17, with a fraction from 18 on.
    pub rows: f64,
    /// How often it was started, over all processes.
    pub loops: f64,
}

/// Rows read and thrown away, per loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Removed {
    /// By its filter.
    pub by_filter: f64,
    /// By the filter of a join.
    pub by_join_filter: f64,
    /// By checking again what a lossy bitmap or index promised.
    pub by_recheck: f64,
}

/// The blocks of a bitmap heap scan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HeapBlocks {
    /// With the rows known.
    pub exact: u64,
    /// With every row to be checked again, since the bitmap outgrew `work_mem`.
    pub lossy: u64,
}

/// A sort by one process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SortUse {
    /// `quicksort`, `top-N heapsort`, `external merge`.
    pub method: Safe,
    /// Kilobytes.
    pub kilobytes: u64,
    /// Whether on disk.
    pub on_disk: bool,
}

/// A hash table: of a Hash or a hashed Aggregate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HashUse {
    /// In how many pieces; more than one means that the others went to disk.
    pub batches: u64,
    /// How many were planned.
    pub original_batches: Option<u64>,
    /// Kilobytes of memory at the most.
    pub memory_kb: u64,
    /// Kilobytes on disk.
    pub disk_kb: u64,
}

/// Blocks of 8 KiB (or the server's own block size).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlockCounts {
    /// Found in memory.
    pub hit: u64,
    /// Asked of the operating system.
    pub read: u64,
    /// Changed.
    pub dirtied: u64,
    /// Written out.
    pub written: u64,
}

/// What a node and everything below it read and wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Buffers {
    /// Of ordinary relations.
    pub shared: BlockCounts,
    /// Of temporary tables.
    pub local: BlockCounts,
    /// Of sorts and hashes on disk; only `read` and `written`.
    pub temp: BlockCounts,
}

/// Milliseconds of waiting for files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct IoTime {
    /// Reading relations.
    pub read_ms: f64,
    /// Writing relations.
    pub write_ms: f64,
    /// Reading temporary files.
    pub temp_read_ms: f64,
    /// Writing temporary files.
    pub temp_write_ms: f64,
}

/// The workers of a Gather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Workers {
    /// Asked for.
    pub planned: u64,
    /// Got; none without `ANALYZE`.
    pub launched: Option<u64>,
}

/// What one worker did in a node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PlanWorker {
    /// Its number.
    pub number: u64,
    /// What was measured of it.
    pub actual: Option<Actual>,
}

/// A trigger that ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trigger {
    /// Its name, or its constraint's.
    pub name: Safe,
    /// The relation.
    pub relation: Safe,
    /// Milliseconds in all.
    pub ms: f64,
    /// How often it was called.
    pub calls: f64,
}

/// Just-in-time compilation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Jit {
    /// How many functions.
    pub functions: u64,
    /// Milliseconds in all, where measured.
    pub total_ms: Option<f64>,
}
