//! An index-only scan that had to look into the table after all, because its blocks are not marked as visible to all.

use super::{Confidence, MeasuredPlan, PlanFinding, label, rows, share};
use crate::safe;

/// pgexplain's threshold.
const SHARE: f64 = 0.1;
const FEWEST: f64 = 1_000.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran().filter(|(_, n)| n.kind == "Index Only Scan") {
        let (Some(fetches), Some(all)) = (node.heap_fetches.map(|n| n as f64), node.rows_in_all()) else { continue };
        if fetches < FEWEST || fetches < SHARE * all {
            continue;
        }
        let says = safe!("{} looked {} rows up in the table ({})", label(node), rows(fetches), share(fetches, all.max(fetches)));
        found.push(
            PlanFinding::new("index-only-scan-reads-table", seen, Some(id), seen.own_ms(id), Confidence::Certain, says)
                .next(safe!("VACUUM {}: its visibility map is behind", node.relation.clone().unwrap_or_else(|| "the table".into()))),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_heap_fetches() {
        super::super::tests::fires_on("index-only-scan-reads-table", "heap-fetches");
        super::super::tests::silent_on("index-only-scan-reads-table", &["append", "foreign"]);
    }
}
