//! How much each node weighs in its plan: the time that is its own, or, where nothing was timed, its own part of the planner's cost. For
//! choosing what to show and what to name first; costs are guesses, and never shown as shares of time.

use super::times::Own;
use crate::postgres::model::{Plan, Relationship};

/// The weights of a plan's nodes.
pub struct Weights {
    /// The weight of each node alone.
    pub own: Vec<f64>,
    /// The weight of each node with everything below it.
    pub below: Vec<f64>,
    /// How many nodes stand below each, itself included.
    pub nodes: Vec<usize>,
    /// Whether the weights are milliseconds.
    pub timed: bool,
}

impl Weights {
    /// The weights of a plan.
    pub fn of(plan: &Plan, own: &Own) -> Self {
        let timed = own.total_ms.is_some();
        let alone: Vec<f64> = match timed {
            true => own.nodes.iter().map(|n| n.own_ms.unwrap_or(0.0)).collect(),
            false => costs(plan),
        };
        let (mut below, mut nodes) = (alone.clone(), vec![1; alone.len()]);
        // Children stand behind their parents, so from the end every node is whole when it is added.
        for (i, node) in plan.nodes.iter().enumerate().rev() {
            if let Some(parent) = node.parent.filter(|p| p.0 < i) {
                below[parent.0] += below[i];
                nodes[parent.0] += nodes[i];
            }
        }
        Self { own: alone, below, nodes, timed }
    }

    /// The weight of the whole plan.
    pub fn whole(&self) -> f64 {
        self.below.first().copied().unwrap_or(0.0)
    }
}

/// Each node's own part of the cost, over all the times that it is expected to run.
fn costs(plan: &Plan) -> Vec<f64> {
    let mut loops = vec![1.0; plan.nodes.len()];
    let mut own = vec![0.0; plan.nodes.len()];
    for (i, node) in plan.nodes.iter().enumerate() {
        let times = |child: &crate::postgres::model::PlanNode| match (node.kind.as_str(), child.relationship) {
            // The inner side runs for each row of the outer one; what is kept in memory is not paid for again.
            ("Nested Loop", Relationship::Inner) if !matches!(child.kind.as_str(), "Materialize" | "Memoize") => {
                node.children.first().and_then(|c| plan.nodes.get(c.0)).map_or(1.0, |outer| outer.plan_rows.max(1.0))
            }
            (_, Relationship::SubPlan) => node.plan_rows.max(1.0),
            _ => 1.0,
        };
        let mut children = 0.0;
        for (at, child) in node.children.iter().filter_map(|c| Some((c.0, plan.nodes.get(c.0)?))) {
            let times = times(child);
            loops[at] = loops[i] * times;
            children += child.total_cost * times;
        }
        own[i] = (node.total_cost - children).max(0.0) * loops[i];
    }
    own
}
