//! Two plans of one statement held against each other: by what they took, what they read, and node by node. Nodes are matched by what they
//! do for which tables, not by their place: a join that reads the same tables in another order is the same join.

use super::{
    explain::Judged,
    words::{kind, label, rows, share, time},
};
use crate::{
    postgres::model::{Buffers, NodeId, Plan, PlanNode},
    safe,
    text::{Safe, units},
};
use serde::Serialize;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Runs of one plan differ by so much by themselves.
const NOISE: f64 = 0.1;
const BLOCK: u64 = 8_192;

/// What changed from one plan to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanDiff {
    /// Which way.
    pub trend: Trend,
    /// One sentence.
    pub says: Safe,
    /// The whole plan before.
    pub before: Totals,
    /// The whole plan now.
    pub after: Totals,
    /// Whether the two do the same for the same tables in the same way.
    pub same_shape: bool,
    /// What got worse first, then what got better; nodes that did not change are left out.
    pub changes: Vec<NodeChange>,
}

/// Which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// It takes less.
    Better,
    /// As much as before, within what runs differ by.
    Same,
    /// It takes more.
    Worse,
}

/// The figures of a whole plan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// Milliseconds, where measured.
    pub ms: Option<f64>,
    /// The planner's cost.
    pub cost: f64,
    /// Rows given.
    pub rows: Option<f64>,
    /// Bytes read, from memory or files.
    pub read_bytes: Option<u64>,
    /// Bytes written to temporary files.
    pub temp_bytes: Option<u64>,
}

/// One node, before and now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeChange {
    /// Before; none where it is new.
    pub before: Option<NodeFigures>,
    /// Now; none where it is gone.
    pub after: Option<NodeFigures>,
}

/// The figures of one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeFigures {
    /// Its place in its plan.
    pub node: NodeId,
    /// What it is.
    pub says: Safe,
    /// Milliseconds that are its own.
    pub own_ms: Option<f64>,
    /// Rows over all loops.
    pub rows: Option<f64>,
    /// Bytes that it read itself.
    pub read_bytes: Option<u64>,
}

impl NodeChange {
    /// Milliseconds that it takes more now.
    pub fn delta_ms(&self) -> f64 {
        let ms = |side: &Option<NodeFigures>| side.as_ref().and_then(|f| f.own_ms).unwrap_or(0.0);
        ms(&self.after) - ms(&self.before)
    }

    /// Bytes that it reads more now.
    pub fn delta_bytes(&self) -> i128 {
        let bytes = |side: &Option<NodeFigures>| i128::from(side.as_ref().and_then(|f| f.read_bytes).unwrap_or(0));
        bytes(&self.after) - bytes(&self.before)
    }

    /// Whether the same is done in another way.
    fn other_way(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => before.says != after.says,
            _ => true,
        }
    }
}

/// Compares them.
pub fn diff(before: &Judged, after: &Judged) -> PlanDiff {
    let (old, new) = (totals(before), totals(after));
    let timed = old.ms.is_some() && new.ms.is_some();
    let mut changes = matched(before, after);
    let same_shape = !changes.iter().any(NodeChange::other_way);
    let whole = old.ms.unwrap_or(0.0).max(new.ms.unwrap_or(0.0));
    changes
        .retain(|c| c.other_way() || (timed && c.delta_ms().abs() >= 0.01 * whole) || c.delta_bytes().unsigned_abs() >= u128::from(BLOCK));
    changes.sort_by(|a, b| b.delta_ms().total_cmp(&a.delta_ms()).then(b.delta_bytes().cmp(&a.delta_bytes())));
    let (was, is) = if timed { (old.ms.unwrap_or(0.0), new.ms.unwrap_or(0.0)) } else { (old.cost, new.cost) };
    let trend = match is / was.max(f64::MIN_POSITIVE) {
        _ if was == is => Trend::Same,
        ratio if ratio > 1.0 + NOISE => Trend::Worse,
        ratio if ratio < 1.0 / (1.0 + NOISE) => Trend::Better,
        _ => Trend::Same,
    };
    let says = sentence(trend, timed, &old, &new, same_shape);
    PlanDiff { trend, says, before: old, after: new, same_shape, changes }
}

fn sentence(trend: Trend, timed: bool, old: &Totals, new: &Totals, same_shape: bool) -> Safe {
    let (was, is) = if timed { (old.ms.unwrap_or(0.0), new.ms.unwrap_or(0.0)) } else { (old.cost, new.cost) };
    let said = |n: f64| if timed { time(n) } else { safe!("cost {}", rows(n)) };
    let (most, least) = (was.max(is), was.min(is).max(f64::MIN_POSITIVE));
    let times = if most / least >= 1.95 {
        safe!(" ({:.0} times)", most / least)
    } else {
        safe!(" ({})", share(most - least, was.max(f64::MIN_POSITIVE)))
    };
    let how = match trend {
        Trend::Same => Safe::EMPTY,
        Trend::Better | Trend::Worse => times,
    };
    let read = match (old.read_bytes, new.read_bytes) {
        (Some(was), Some(is)) if was != is => safe!("; reads {} → {}", units::bytes(was), units::bytes(is)),
        (Some(_), Some(is)) => safe!("; reads {} as before", units::bytes(is)),
        _ => Safe::EMPTY,
    };
    let given = match (old.rows, new.rows) {
        (Some(was), Some(is)) if was != is => safe!("; gives {} rows → {}: not the same answer", rows(was), rows(is)),
        _ => Safe::EMPTY,
    };
    let shape = if same_shape { "; the same plan" } else { "; another plan" };
    let guess = if timed { "" } else { " (what the planner believes: one of the two was not run)" };
    safe!("{} → {}{}{}{}{}{}.", said(was), said(is), how, read, given, shape, guess)
}

fn totals(judged: &Judged) -> Totals {
    let root = judged.plan.nodes.first();
    let buffers = root.and_then(|r| r.buffers);
    Totals {
        ms: judged.meaning.total_ms,
        cost: root.map_or(0.0, |r| r.total_cost),
        rows: root.and_then(PlanNode::rows_in_all),
        read_bytes: buffers.map(read_bytes),
        temp_bytes: buffers.map(|b| b.temp.written * BLOCK),
    }
}

fn read_bytes(buffers: Buffers) -> u64 {
    [buffers.shared, buffers.local].map(|c| c.hit + c.read).iter().sum::<u64>() * BLOCK
}

/// The nodes of both, each with its match: what they do, for which tables; among several alike the first with the first.
fn matched(before: &Judged, after: &Judged) -> Vec<NodeChange> {
    let mut waiting: HashMap<Identity, Vec<NodeId>> = HashMap::new();
    for (i, identity) in identities(&before.plan).into_iter().enumerate().rev() {
        waiting.entry(identity).or_default().push(NodeId(i));
    }
    let mut changes = Vec::new();
    for (i, identity) in identities(&after.plan).into_iter().enumerate() {
        let old = waiting.get_mut(&identity).and_then(Vec::pop);
        changes.push(NodeChange { before: old.and_then(|id| figures(before, id)), after: figures(after, NodeId(i)) });
    }
    let mut gone: Vec<NodeId> = waiting.into_values().flatten().collect();
    gone.sort();
    changes.extend(gone.into_iter().map(|id| NodeChange { before: figures(before, id), after: None }));
    changes
}

fn figures(judged: &Judged, id: NodeId) -> Option<NodeFigures> {
    let (node, own) = (judged.plan.nodes.get(id.0)?, judged.own.nodes.get(id.0)?);
    let says = if node.relation.is_none() && node.index.is_none() { kind(node) } else { label(node) };
    Some(NodeFigures { node: id, says, own_ms: own.own_ms, rows: node.rows_in_all(), read_bytes: own.own_buffers.map(read_bytes) })
}

/// What a node does, and for which tables: the sum over the scans below it, in which their order does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    does: &'static str,
    own: u64,
    tables: u64,
}

fn identities(plan: &Plan) -> Vec<Identity> {
    let mut found: Vec<Identity> = plan.nodes.iter().map(|node| Identity { does: does(node), own: hash(&own(node)), tables: 0 }).collect();
    for (i, node) in plan.nodes.iter().enumerate().rev() {
        if scans(node) {
            found[i].tables = found[i].tables.wrapping_add(hash(&(&node.relation, &node.alias, &node.cte, &node.function)));
        }
        if let Some(parent) = node.parent.filter(|p| p.0 < i) {
            found[parent.0].tables = found[parent.0].tables.wrapping_add(found[i].tables);
        }
    }
    found
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Bitmaps name their index only; the heap scan above names the table.
fn scans(node: &PlanNode) -> bool {
    node.relation.is_some() || node.cte.is_some() || node.function.is_some()
}

/// What tells it apart from others for the same tables.
fn own(node: &PlanNode) -> Option<&str> {
    match node.kind.as_str() {
        "Bitmap Index Scan" => node.index.as_deref(),
        _ => node.subplan.as_deref().filter(|name| name.starts_with("CTE ")),
    }
}

/// What a node does, whichever way it is done.
fn does(node: &PlanNode) -> &'static str {
    match node.kind.as_str() {
        "Nested Loop" | "Hash Join" | "Merge Join" => "join",
        "Sort" | "Incremental Sort" => "sort",
        "Aggregate" | "Group" | "Unique" => match node.partial_mode.as_deref() {
            Some("Partial") => "part of an aggregate",
            _ => "aggregate",
        },
        "Gather" | "Gather Merge" => "gather",
        "Append" | "Merge Append" => "append",
        "Hash" => "hash",
        "Materialize" | "Memoize" => "keep",
        "Limit" => "limit",
        "Bitmap Index Scan" => "bitmap",
        _ if scans(node) => "scan",
        "Result" => "result",
        "WindowAgg" => "window",
        _ => "else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::fixtures::{self, plan};

    fn of(before: &str, after: &str) -> PlanDiff {
        diff(&Judged::of(plan(before)), &Judged::of(plan(after)))
    }

    #[test]
    fn a_plan_is_like_itself() {
        for (name, plan) in fixtures::all() {
            let judged = Judged::of(plan);
            let same = diff(&judged, &judged);
            assert_eq!((same.trend, same.same_shape, same.changes), (Trend::Same, true, Vec::new()), "{name}");
        }
    }

    #[test]
    fn versions_of_one_statement_match_node_by_node() {
        let change = of("pg14/seq-scan", "pg18/seq-scan");
        assert!(change.same_shape, "{change:?}");
        assert!(change.changes.iter().all(|c| c.before.is_some() && c.after.is_some()));
    }

    #[test]
    fn what_got_worse_comes_first() {
        let change = of("pg15/index-fine", "pg15/index-filter");
        assert_eq!(change.trend, Trend::Worse);
        assert!(change.says.contains("another plan"), "{}", change.says);
        assert!(change.changes.windows(2).all(|w| w[0].delta_ms() >= w[1].delta_ms()));
        assert_eq!(of("pg15/index-filter", "pg15/index-fine").trend, Trend::Better);
    }

    #[test]
    fn a_plan_that_was_not_run_is_compared_by_its_cost() {
        let change = of("pg15/seq-scan.plain", "pg15/seq-scan");
        assert!(change.says.contains("cost") && change.says.contains("was not run"), "{}", change.says);
    }
}
