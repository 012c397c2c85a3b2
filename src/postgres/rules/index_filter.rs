//! An index finds far more rows than the query keeps.

use super::{Confidence, MeasuredPlan, PlanFinding, kept, label, rows};
use crate::{postgres::model::PlanNode, safe, text::Safe};

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
        let (Some(kept), Some(actual)) = (kept(node), node.actual) else { continue };
        let removed = node.removed.by_filter * actual.loops;
        if removed < FEWEST_ROWS || removed < REMOVED_SHARE * (kept.most + removed) {
            continue;
        }
        let says = safe!(
            "{} finds {} rows, the filter keeps {}",
            found_by(seen, node),
            rows(actual.rows * actual.loops + removed),
            kept.of(kept.most + removed)
        );
        let mut finding = PlanFinding::new("index-finds-too-much", seen, Some(id), seen.own_ms(id), Confidence::Likely, says);
        if let Some(filter) = node.expression("Filter") {
            finding = finding.evidence(safe!("{}: filter {}", label(node), filter));
        }
        found.push(finding.next("an index that also has the columns of the filter"));
    }
    found
}

/// The index that found the rows: its own, or, for a bitmap, that of the scan below.
fn found_by(seen: &MeasuredPlan<'_>, node: &PlanNode) -> Safe {
    let below = node.children.iter().filter_map(|c| seen.node(*c)).find_map(|c| c.index.clone());
    node.index.clone().or(below).or_else(|| node.relation.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_an_index_that_finds_too_much() {
        super::super::tests::fires_on("index-finds-too-much", "index-filter");
        super::super::tests::silent_on("index-finds-too-much", &["seq-scan", "nested-loop", "limit-wrong-index"]);
    }
}
