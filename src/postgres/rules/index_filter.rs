//! An index finds far more rows than the query keeps.

use super::{Confidence, MeasuredPlan, PlanFinding, label, rows, share};
use crate::safe;

const REMOVED_SHARE: f64 = 0.9;
const FEWEST_ROWS: f64 = 1_000.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let scan = |kind: &str| matches!(kind, "Index Scan" | "Index Only Scan" | "Bitmap Heap Scan");
    let mut found = Vec::new();
    for (id, node) in seen.ran().filter(|(_, n)| scan(&n.kind)) {
        // Below a Limit it is the order that the index was taken for: another rule.
        if seen.parent(node).is_some_and(|p| p.kind == "Limit") {
            continue;
        }
        let (Some(kept), Some(actual)) = (node.rows_in_all(), node.actual) else { continue };
        let removed = node.removed.by_filter * actual.loops;
        if removed < FEWEST_ROWS || removed < REMOVED_SHARE * (kept + removed) {
            continue;
        }
        let says = safe!(
            "{} finds {} rows, the filter keeps {} ({})",
            node.index.clone().or_else(|| node.relation.clone()).unwrap_or_default(),
            rows(kept + removed),
            rows(kept),
            share(kept, kept + removed)
        );
        let mut finding = PlanFinding::new("index-finds-too-much", seen, Some(id), seen.own_ms(id), Confidence::Likely, says);
        if let Some(filter) = node.expression("Filter") {
            finding = finding.evidence(safe!("{}: filter {}", label(node), filter));
        }
        found.push(finding.next("an index that also has the columns of the filter"));
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_an_index_that_finds_too_much() {
        super::super::tests::fires_on("index-finds-too-much", "index-filter");
        super::super::tests::silent_on("index-finds-too-much", &["seq-scan", "nested-loop", "limit-wrong-index"]);
    }
}
