//! Something else than a sort or a hash was kept on disk: a common table expression, a materialized input.

use super::{Confidence, MeasuredPlan, PlanFinding, label};
use crate::{safe, text::units};

/// 4 MiB: below that it hardly costs.
const FEWEST_BLOCKS: u64 = 512;
const BLOCK: u64 = 8_192;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let Some(temp) = seen.own.nodes.get(id.0).and_then(|o| o.own_buffers).map(|b| b.temp) else { continue };
        // Sorts and hashes say it better themselves; a join pages what its Hash put there.
        let told = !node.sorts.is_empty() || node.hash.is_some() || node.kind == "Hash Join" || node.kind == "Aggregate";
        if told || temp.written < FEWEST_BLOCKS {
            continue;
        }
        let says = safe!(
            "{} is kept on disk: {} written, {} read",
            label(node),
            units::bytes(temp.written * BLOCK),
            units::bytes(temp.read * BLOCK)
        );
        found.push(
            PlanFinding::new("kept-on-disk", seen, Some(id), seen.own_ms(id), Confidence::Certain, says)
                .next("NOT MATERIALIZED for a common table expression that is read once; else more work_mem"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_an_expression_kept_on_disk() {
        super::super::tests::fires_on("kept-on-disk", "temp-cte");
        super::super::tests::silent_on("kept-on-disk", &["sort-disk", "hash-spill", "recursive"]);
    }
}
