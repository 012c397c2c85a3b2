//! A whole table is read to keep a few of its rows.

use super::{Confidence, MeasuredPlan, PlanFinding, kept, label, rows};
use crate::safe;

/// PEV2 warns from a half on; below nine tenths a full read is often the best plan.
const REMOVED_SHARE: f64 = 0.9;
/// PgHero asks for an index from here on; a smaller table is read as fast as its index.
const FEWEST_ROWS: f64 = 10_000.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran().filter(|(_, n)| matches!(n.kind.as_str(), "Seq Scan" | "Foreign Scan")) {
        let (Some(kept), Some(actual)) = (kept(node), node.actual) else { continue };
        let removed = node.removed.by_filter * actual.loops;
        let read = kept.most + removed;
        if read / actual.loops < FEWEST_ROWS || removed < REMOVED_SHARE * read {
            continue;
        }
        let confidence = if kept.most <= 0.01 * read { Confidence::Certain } else { Confidence::Likely };
        let says = safe!(
            "reads {} rows of {} to keep {}",
            rows(actual.rows * actual.loops + removed),
            node.relation.clone().unwrap_or_default(),
            kept.of(read)
        );
        let mut finding = PlanFinding::new("reads-much-keeps-little", seen, Some(id), seen.own_ms(id), confidence, says);
        if let Some(filter) = node.expression("Filter") {
            finding = finding.evidence(safe!("{}: filter {}", label(node), filter));
        }
        found.push(finding.next("an index that leads with the columns of the filter"));
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_read_for_little() {
        super::super::tests::fires_on("reads-much-keeps-little", "seq-scan");
        super::super::tests::silent_on("reads-much-keeps-little", &["hash-fine", "initplan", "index-filter"]);
    }
}
