//! The planner expected far fewer or far more rows than came, so that what it chose above rests on a wrong number.

use super::{Confidence, Impact, MeasuredPlan, PlanFinding, label, rows};
use crate::{
    postgres::model::{PlanNode, Relationship},
    safe,
};

/// PEV2's and pgexplain's first step.
const FACTOR: f64 = 10.0;
const FEWEST_ROWS: f64 = 100.0;
/// From here on a nested loop chosen for it is the likely cause of what it costs.
const FAR: f64 = 100.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let Some((expected, came)) = wrong(node).filter(|_| !cut_short(seen, node)) else { continue };
        // Only where it begins: above it everything is wrong because of it.
        if node.children.iter().filter_map(|c| seen.node(*c)).any(|c| c.relationship != Relationship::InitPlan && wrong(c).is_some()) {
            continue;
        }
        // A number that nothing was chosen by does no harm.
        let Some((join, _)) =
            seen.above(node).find(|(_, n)| matches!(n.kind.as_str(), "Nested Loop" | "Hash Join" | "Merge Join" | "Hash"))
        else {
            continue;
        };
        let few = came > expected;
        let says = safe!("{}: {} rows expected, {} came", label(node), rows(expected), rows(came));
        let ms = seen.wall_ms(join);
        let (factor, confidence) = (came.max(expected) / came.min(expected).max(1.0), Confidence::Possible);
        let finding = PlanFinding::new("rows-misestimated", seen, Some(id), ms, confidence, says)
            .evidence(safe!("wrong by a factor of {}, per loop", rows(factor)))
            .next(safe!(
                "ANALYZE {}; for columns that depend on each other CREATE STATISTICS",
                node.relation.clone().unwrap_or_else(|| "the tables below".into())
            ));
        let nested = seen.node(join).is_some_and(|n| n.kind == "Nested Loop");
        found.push(if few && nested && factor >= FAR { finding } else { finding.at_most(Impact::Medium) });
    }
    found
}

/// The expected and the real number of rows per loop, where they are far apart.
fn wrong(node: &PlanNode) -> Option<(f64, f64)> {
    let actual = node.actual.filter(|a| a.loops > 0.0)?;
    // Up to 17 the mean is rounded: 0 over many loops may be anything below a half.
    if actual.rows < 1.0 && actual.loops > 1.0 {
        return None;
    }
    let (expected, came) = (node.plan_rows, actual.rows);
    let apart = (expected - came).abs() >= FEWEST_ROWS && expected.max(came) >= FACTOR * expected.min(came).max(1.0);
    apart.then_some((expected, came))
}

/// Whether something above stopped asking before the node had given all it has.
fn cut_short(seen: &MeasuredPlan<'_>, node: &PlanNode) -> bool {
    let stops = |n: &PlanNode| n.kind == "Limit" || matches!(n.join_type.as_deref(), Some("Semi" | "Anti")) || n.kind == "Merge Join";
    seen.above(node).any(|(_, n)| stops(n))
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_where_the_planner_was_far_off() {
        super::super::tests::fires_on("rows-misestimated", "misestimate");
        super::super::tests::silent_on("rows-misestimated", &["limit-fine", "offset", "parallel-join", "memoize", "or-join"]);
    }
}
