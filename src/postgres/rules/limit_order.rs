//! An index is walked in the order that the query wants, and nearly all of it is thrown away before the limit is reached.

use super::{Confidence, MeasuredPlan, PlanFinding, rows};
use crate::safe;

const FEWEST_ROWS: f64 = 1_000.0;
/// Rows thrown away for each one kept.
const PER_ROW: f64 = 100.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran().filter(|(_, n)| n.kind.starts_with("Index")) {
        let below_limit = seen.parent(node).is_some_and(|p| p.kind == "Limit");
        let (Some(kept), Some(actual)) = (node.rows_in_all(), node.actual) else { continue };
        let removed = node.removed.by_filter * actual.loops;
        if !below_limit || removed < FEWEST_ROWS || removed < PER_ROW * kept {
            continue;
        }
        let index = node.index.clone().unwrap_or_default();
        let says = safe!("walks {} for its order and throws {} rows away to find {}", index, rows(removed), rows(kept));
        found.push(
            PlanFinding::new("index-for-the-order", seen, Some(id), seen.own_ms(id), Confidence::Likely, says)
                .evidence(safe!("the planner expected the first rows of the order to fit the filter"))
                .next("an index on the filter's columns, followed by those of ORDER BY"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_walk_through_the_order() {
        super::super::tests::fires_on("index-for-the-order", "limit-wrong-index");
        super::super::tests::silent_on("index-for-the-order", &["index-filter", "offset"]);
    }
}
