//! The time and the blocks that are each node's own. A node's figures hold those of the nodes below it, of all processes together, and
//! some nodes are paid for elsewhere than where they stand; this takes that apart:
//!
//! - `time × loops` is a sum over processes, and so is what is left after taking the children away;
//! - below a Gather processes run side by side: its child took as long as the slowest of them, and everything below shrinks by that;
//! - a common table expression is paid for by the scans that pull its rows, an InitPlan by the node that first needs its value, or by the
//!   Gather above that node.
//!
//! What rests on an assumption says so.

use crate::postgres::model::{BlockCounts, Buffers, NodeId, Plan, PlanNode, Relationship};
use serde::Serialize;

/// The own figures of all nodes, in the order of [`Plan::nodes`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Own {
    /// One for each node.
    pub nodes: Vec<OwnFigures>,
    /// Milliseconds of the whole plan; none where it was not run, or without timing.
    pub total_ms: Option<f64>,
}

/// What one node did itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OwnFigures {
    /// Milliseconds of elapsed time that are its own; none where nothing was measured.
    pub own_ms: Option<f64>,
    /// Milliseconds of elapsed time with everything below.
    pub wall_ms: Option<f64>,
    /// Blocks that are its own.
    pub own_buffers: Option<Buffers>,
    /// Why the figures are approximate, where they are.
    pub approximate: Option<Approximation>,
}

/// Why a figure is approximate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Approximation {
    /// The plan does not say what each worker took (no `VERBOSE`): the processes are taken for equally long.
    WorkersUnknown,
    /// Several scans read one common table expression; who pulled which rows is not recorded.
    CteShared,
    /// It is not recorded which of several nodes first needed the value of an InitPlan.
    InitPlanShared,
    /// Times are rounded to a microsecond per loop, and there were so many loops that nothing is left of it.
    Rounding,
    /// The parts took longer than the whole: they ran at the same time.
    Overlap,
}

impl Approximation {
    /// In a few words.
    pub fn says(self) -> &'static str {
        match self {
            Self::WorkersUnknown => "processes taken for equally long (no VERBOSE)",
            Self::CteShared => "several scans share its common table expression",
            Self::InitPlanShared => "several nodes use its InitPlan",
            Self::Rounding => "rounded away over its many loops",
            Self::Overlap => "its parts ran at the same time",
        }
    }
}

/// Computes them. Bounded by the number of nodes and of InitPlans; never negative.
pub fn own(plan: &Plan) -> Own {
    let summed: Vec<Option<f64>> = plan.nodes.iter().map(total).collect();
    let mut nodes: Vec<OwnFigures> = vec![OwnFigures::default(); plan.nodes.len()];
    let mut own: Vec<f64> = plan
        .nodes
        .iter()
        .enumerate()
        .map(|(i, node)| summed[i].unwrap_or(0.0) - children(plan, node, |c| summed[c.0].unwrap_or(0.0)))
        .collect();
    let mut blocks: Vec<Option<Buffers>> = plan.nodes.iter().map(|node| own_blocks(plan, node)).collect();

    for (at, node) in plan.nodes.iter().enumerate() {
        if node.relationship != Relationship::InitPlan {
            continue;
        }
        let payers = match cte_name(node) {
            Some(cte) => cte_scans(plan, cte),
            None => consumers(plan, node, NodeId(at)),
        };
        let shared = match payers.len() {
            0 | 1 => None,
            _ if cte_name(node).is_some() => Some(Approximation::CteShared),
            _ => Some(Approximation::InitPlanShared),
        };
        pay(summed[at].unwrap_or(0.0), &payers, &mut own);
        if let Some(of) = node.buffers {
            pay_blocks(of, &payers, &mut blocks);
        }
        for payer in payers {
            nodes[payer.0].approximate = nodes[payer.0].approximate.or(shared);
        }
    }

    let (scales, guessed) = scales(plan, &summed, &mut own);
    for (i, node) in plan.nodes.iter().enumerate() {
        let figures = &mut nodes[i];
        figures.own_buffers = blocks[i];
        if guessed[i] {
            figures.approximate = Some(Approximation::WorkersUnknown);
        }
        let Some(total) = summed[i] else { continue };
        if own[i] < 0.0 {
            let rounding = rounding(node) + children(plan, node, |c| rounding(&plan.nodes[c.0]));
            figures.approximate.get_or_insert(if -own[i] <= rounding { Approximation::Rounding } else { Approximation::Overlap });
        }
        // Rounded up over its loops a part can seem longer than the whole.
        let whole = node.parent.filter(|_| node.relationship != Relationship::InitPlan).and_then(|p| nodes[p.0].wall_ms);
        // No server writes a negative time, but a file may hold one.
        let wall = (total * scales[i]).min(whole.unwrap_or(f64::INFINITY)).max(0.0);
        nodes[i].wall_ms = Some(wall);
        nodes[i].own_ms = Some((own[i].max(0.0) * scales[i]).min(wall));
    }
    Own { nodes, total_ms: summed.first().copied().flatten() }
}

/// Milliseconds over all loops and processes.
fn total(node: &PlanNode) -> Option<f64> {
    let actual = node.actual?;
    Some(actual.total_ms? * actual.loops)
}

/// Times are rounded to a microsecond per loop.
fn rounding(node: &PlanNode) -> f64 {
    node.actual.map_or(0.0, |a| 0.000_5 * a.loops) + 0.001
}

/// The sum over the nodes whose figures are part of this node's: all below it but InitPlans, which are paid for elsewhere.
fn children(plan: &Plan, node: &PlanNode, of: impl Fn(NodeId) -> f64) -> f64 {
    inner(plan, node).map(of).sum()
}

fn inner<'p>(plan: &'p Plan, node: &'p PlanNode) -> impl Iterator<Item = NodeId> + 'p {
    node.children.iter().copied().filter(|c| plan.nodes[c.0].relationship != Relationship::InitPlan)
}

/// Takes a cost from those who paid it: each gives what it has, in the order of the plan; the last gives the rest, so that nothing is lost.
fn pay(cost: f64, payers: &[NodeId], own: &mut [f64]) {
    let mut left = cost;
    for (i, payer) in payers.iter().enumerate() {
        let share = if i + 1 == payers.len() { left } else { left.min(own[payer.0].max(0.0)) };
        own[payer.0] -= share;
        left -= share;
    }
}

/// The scale of each node from summed to elapsed time, and whether it rests on a guess. The Gather's own time is set on the way.
fn scales(plan: &Plan, summed: &[Option<f64>], own: &mut [f64]) -> (Vec<f64>, Vec<bool>) {
    let mut scales = vec![1.0; plan.nodes.len()];
    let mut guessed = vec![false; plan.nodes.len()];
    for (i, node) in plan.nodes.iter().enumerate() {
        // Parents stand before their children, so the scale above is known.
        let above = node.parent.map_or((1.0, false), |p| (scales[p.0], guessed[p.0]));
        (scales[i], guessed[i]) = above;
        let Some(gather) =
            node.parent.map(|p| (p, &plan.nodes[p.0])).filter(|(_, p)| p.workers.is_some() && node.relationship == Relationship::Outer)
        else {
            continue;
        };
        let Some(all) = summed[i].filter(|all| *all > 0.0) else { continue };
        let (wall, guess) = elapsed(node, gather.1, all);
        own[gather.0.0] += all - wall;
        scales[i] = above.0 * wall / all;
        guessed[i] = above.1 || guess;
    }
    (scales, guessed)
}

/// How long the processes below a Gather took side by side, and whether that is a guess.
fn elapsed(child: &PlanNode, gather: &PlanNode, all: f64) -> (f64, bool) {
    let workers: Vec<f64> = child.by_worker.iter().filter_map(|w| w.actual).filter_map(|a| Some(a.total_ms? * a.loops)).collect();
    let launched = gather.workers.and_then(|w| w.launched).unwrap_or(0);
    if !workers.is_empty() || launched == 0 {
        let leader = all - workers.iter().sum::<f64>();
        return (workers.into_iter().fold(leader, f64::max).clamp(0.0, all), false);
    }
    let loops = |node: &PlanNode| node.actual.map_or(1.0, |a| a.loops).max(1.0);
    // Loops can be those of the workers alone, where the leader does not take part.
    let processes = (loops(child) / loops(gather)).min(launched as f64 + 1.0).max(1.0);
    (all / processes, true)
}

/// The name of the common table expression that this InitPlan is, if it is one.
fn cte_name(node: &PlanNode) -> Option<&str> {
    node.subplan.as_deref()?.strip_prefix("CTE ")
}

fn cte_scans(plan: &Plan, cte: &str) -> Vec<NodeId> {
    let scans = |(_, node): &(usize, &PlanNode)| node.kind == "CTE Scan" && node.cte.as_deref() == Some(cte) && node.ran();
    plan.nodes.iter().enumerate().filter(scans).map(|(i, _)| NodeId(i)).collect()
}

/// The nodes that may have been the first to need an InitPlan's value: those whose expressions name it, or the Gather above one of them,
/// which evaluates what its workers will need before it starts them.
fn consumers(plan: &Plan, init: &PlanNode, at: NodeId) -> Vec<NodeId> {
    let (Some(owner), Some(name)) = (init.parent, init.subplan.as_deref()) else { return Vec::new() };
    let names = outputs(name);
    let mut found = Vec::new();
    for (i, node) in plan.nodes.iter().enumerate() {
        let uses = || node.expressions.iter().any(|e| e.name != "Output" && names.iter().any(|n| mentions(&e.text, n)));
        if node.actual.is_some_and(|a| a.loops > 0.0) && uses() && below(plan, NodeId(i), owner) && !below(plan, NodeId(i), at) {
            let payer = gather_between(plan, NodeId(i), owner).unwrap_or(NodeId(i));
            if !found.contains(&payer) {
                found.push(payer);
            }
        }
    }
    if found.is_empty() {
        // Nothing but an output column needs it: the node that computes the columns is the one that it hangs on.
        found.push(owner);
    }
    found
}

/// How expressions name the values of an InitPlan: `$0` up to 16, `(InitPlan 1)` from 17 on.
fn outputs(name: &str) -> Vec<String> {
    match name.split_once("(returns ") {
        Some((_, list)) => list.trim_end_matches(')').split(',').map(|n| n.trim().to_owned()).collect(),
        None => vec![format!("({name})")],
    }
}

/// Whether a text names it, not only something that begins so: `$1` is not in `$10`.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| !text.as_bytes().get(at + name.len()).is_some_and(u8::is_ascii_digit))
}

/// Whether a node is the other, or stands below it.
fn below(plan: &Plan, node: NodeId, above: NodeId) -> bool {
    ancestors(plan, node).any(|a| a == above)
}

fn gather_between(plan: &Plan, node: NodeId, owner: NodeId) -> Option<NodeId> {
    // The owner itself counts: a Gather can carry the InitPlan that its workers need.
    let mut path = Vec::new();
    for a in ancestors(plan, node).skip(1) {
        path.push(a);
        if a == owner {
            break;
        }
    }
    path.into_iter().find(|a| plan.nodes[a.0].workers.is_some())
}

/// A node, the one above it, and so on.
fn ancestors(plan: &Plan, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
    std::iter::successors(Some(node), |n| plan.nodes.get(n.0).and_then(|n| n.parent))
}

fn own_blocks(plan: &Plan, node: &PlanNode) -> Option<Buffers> {
    let mut own = node.buffers?;
    for below in inner(plan, node).filter_map(|c| plan.nodes[c.0].buffers) {
        own = less(own, below);
    }
    Some(own)
}

fn pay_blocks(cost: Buffers, payers: &[NodeId], blocks: &mut [Option<Buffers>]) {
    let mut left = cost;
    for payer in payers {
        if let Some(has) = blocks[payer.0] {
            blocks[payer.0] = Some(less(has, left));
            left = less(left, has);
        }
    }
}

/// Field by field, never below zero.
fn less(from: Buffers, take: Buffers) -> Buffers {
    let blocks = |a: BlockCounts, b: BlockCounts| BlockCounts {
        hit: a.hit.saturating_sub(b.hit),
        read: a.read.saturating_sub(b.read),
        dirtied: a.dirtied.saturating_sub(b.dirtied),
        written: a.written.saturating_sub(b.written),
    };
    Buffers { shared: blocks(from.shared, take.shared), local: blocks(from.local, take.local), temp: blocks(from.temp, take.temp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::fixtures::{self, plan};

    fn node<'p>(plan: &'p Plan, own: &'p Own, kind: &str) -> &'p OwnFigures {
        let at = plan.nodes.iter().position(|n| n.kind == kind).expect("a node of this kind");
        &own.nodes[at]
    }

    #[test]
    fn own_times_of_real_plans_add_up_to_the_root_and_none_is_negative() {
        for (name, plan) in fixtures::all() {
            let own = own(&plan);
            let Some(total) = own.total_ms else { continue };
            let sum: f64 = own.nodes.iter().filter_map(|n| n.own_ms).sum();
            // Only nodes that say so may break the sum.
            let slack: f64 = plan.nodes.iter().map(rounding).sum::<f64>();
            let doubtful = own.nodes.iter().any(|n| n.approximate == Some(Approximation::Overlap));
            assert!(own.nodes.iter().all(|n| n.own_ms.is_none_or(|ms| ms >= 0.0)), "{name}");
            assert!(doubtful || (sum - total).abs() <= slack, "{name}: {sum} of {total}, slack {slack}");
        }
    }

    #[test]
    fn no_real_plan_has_parts_that_overlap() {
        for (name, plan) in fixtures::all() {
            let own = own(&plan);
            let at = own.nodes.iter().position(|n| n.approximate == Some(Approximation::Overlap));
            assert_eq!(at.map(|i| &plan.nodes[i].kind), None, "{name}");
        }
    }

    #[test]
    fn own_blocks_add_up_to_the_root() {
        for (name, plan) in fixtures::all() {
            let own = own(&plan);
            let Some(root) = plan.nodes[0].buffers else { continue };
            let sum: u64 = own.nodes.iter().filter_map(|n| n.own_buffers).map(|b| b.shared.hit + b.shared.read).sum();
            assert_eq!(sum, root.shared.hit + root.shared.read, "{name}");
        }
    }

    #[test]
    fn below_a_gather_the_slowest_process_counts() {
        // A worker's share is its time × loops; the leader's is what the sum leaves.
        let plan = plan("pg15/parallel");
        let own = own(&plan);
        let (gather, sort) = (&plan.nodes[1], &plan.nodes[2]);
        let workers: Vec<f64> = sort.by_worker.iter().filter_map(|w| w.actual).map(|a| a.total_ms.expect("timed") * a.loops).collect();
        let all = total(sort).expect("timed");
        let slowest = workers.iter().copied().fold(all - workers.iter().sum::<f64>(), f64::max);
        assert_eq!(workers.len(), 2);
        let gathered = own.nodes[1].own_ms.expect("timed");
        assert!((gathered - (total(gather).expect("timed") - slowest)).abs() < 1e-6);
        assert!((own.nodes[2].wall_ms.expect("timed") - slowest).abs() < 1e-6);
    }

    /// The table of `BY-HAND.md`.
    #[test]
    fn every_node_agrees_with_what_was_worked_out_by_hand() {
        let rows = fixtures::notes("BY-HAND.md");
        let mut seen = 0;
        for row in rows.lines().filter(|line| line.starts_with("| pg")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let (at, kind) = cells[1].split_once(' ').expect("a node's place and kind");
            let (plan, at) = (plan(cells[0]), at.parse::<usize>().expect("a place"));
            let own = &own(&plan).nodes[at];
            assert_eq!(plan.nodes[at].kind, kind, "{row}");
            let by_hand: f64 = cells[2].parse().expect("milliseconds");
            assert!((own.own_ms.expect("timed") - by_hand).abs() < 0.001, "{row}: {own:?}");
            let blocks = own.own_buffers.map(|b| b.shared.hit + b.shared.read);
            assert_eq!(blocks, cells[3].parse().ok(), "{row}");
            seen += 1;
        }
        assert_eq!(seen, 30);
    }

    #[test]
    fn a_file_with_a_negative_time_has_no_negative_own_time() {
        let text = r#"[{"Plan": {"Node Type": "Result", "Actual Loops": 1, "Actual Total Time": -1, "Actual Rows": 1}}]"#;
        let plan = crate::postgres::decode::plan::plan(text, &crate::text::Redactor::default()).expect("a plan");
        assert_eq!(own(&plan).nodes[0].own_ms, Some(0.0));
    }

    #[test]
    fn without_the_workers_own_figures_the_time_is_marked() {
        let plan = plan("pg15/parallel.terse");
        assert_eq!(node(&plan, &own(&plan), "Seq Scan").approximate, Some(Approximation::WorkersUnknown));
    }

    #[test]
    fn the_scan_of_a_common_table_expression_pays_for_it() {
        let plan = plan("pg15/cte-once");
        let own = own(&plan);
        let scan = plan.nodes.iter().position(|n| n.kind == "CTE Scan").expect("a scan");
        let cte = plan.nodes.iter().position(|n| n.relationship == Relationship::InitPlan).expect("the expression");
        let expected = total(&plan.nodes[scan]).expect("timed") - total(&plan.nodes[cte]).expect("timed");
        assert!((own.nodes[scan].own_ms.expect("timed") - expected).abs() < 1e-6);
        assert!(own.nodes[cte].own_ms.expect("timed") > 10.0);
    }

    #[test]
    fn an_initplan_below_a_gather_is_paid_for_by_the_gather() {
        let plan = plan("pg15/initplan-gather");
        let own = own(&plan);
        let gather = plan.nodes.iter().position(|n| n.kind == "Gather" && n.parent == Some(NodeId(0))).expect("the outer Gather");
        let init = plan.nodes.iter().position(|n| n.relationship == Relationship::InitPlan).expect("the InitPlan");
        let all = total(&plan.nodes[gather]).expect("timed");
        assert!(own.nodes[gather].own_ms.expect("timed") < all - total(&plan.nodes[init]).expect("timed"));
    }

    #[test]
    fn a_name_is_found_whole() {
        assert!(mentions("(price > $1)", "$1") && !mentions("(price > $10)", "$1"));
        assert!(mentions("(a > (InitPlan 1).col1)", "(InitPlan 1)"));
        assert_eq!(outputs("InitPlan 2 (returns $1,$2)"), ["$1", "$2"]);
        assert_eq!(outputs("InitPlan 2"), ["(InitPlan 2)"]);
    }
}
