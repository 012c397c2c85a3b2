//! A join makes very many pairs and throws nearly all of them away.

use super::{Confidence, MeasuredPlan, PlanFinding, label, rows, share};
use crate::safe;

const REMOVED_SHARE: f64 = 0.9;
const FEWEST_PAIRS: f64 = 10_000.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let (Some(kept), Some(actual)) = (node.rows_in_all(), node.actual) else { continue };
        let removed = node.removed.by_join_filter * actual.loops;
        if removed < FEWEST_PAIRS || removed < REMOVED_SHARE * (kept + removed) {
            continue;
        }
        let says = safe!("compares {} pairs to keep {} ({})", rows(kept + removed), rows(kept), share(kept, kept + removed));
        let mut finding = PlanFinding::new("join-compares-all-pairs", seen, Some(id), seen.own_ms(id), Confidence::Likely, says);
        if let Some(filter) = node.expression("Join Filter") {
            finding = finding.evidence(safe!("{}: join filter {}", label(node), filter));
        }
        // An equality could have been hashed or merged; anything else leaves the planner no choice.
        let equality = node.expression("Join Filter").is_some_and(|filter| filter.contains(" = ") && !filter.contains(" OR "));
        found.push(finding.next(match equality {
            true => "see what kept the planner from a hash join: columns of different types, enable_hashjoin",
            false => "a join condition that an index or a hash can serve: column = column",
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_pairs_thrown_away() {
        super::super::tests::fires_on("join-compares-all-pairs", "join-filter");
        super::super::tests::silent_on("join-compares-all-pairs", &["parallel-join", "memoize"]);
    }
}
