//! A bitmap outgrew its memory, so whole blocks had to be checked row by row.

use super::{Confidence, MeasuredPlan, PlanFinding, label, rows};
use crate::{safe, text::units};

const LOSSY_SHARE: f64 = 0.1;
const FEWEST_BLOCKS: u64 = 100;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let Some(blocks) = node.heap_blocks.filter(|b| b.lossy >= FEWEST_BLOCKS) else { continue };
        let all = blocks.exact + blocks.lossy;
        if (blocks.lossy as f64) < LOSSY_SHARE * all as f64 {
            continue;
        }
        let again = node.removed.by_recheck * node.actual.map_or(1.0, |a| a.loops);
        let says = safe!(
            "{}: {} of {} blocks only roughly known, {} rows checked for nothing",
            label(node),
            rows(blocks.lossy as f64),
            rows(all as f64),
            rows(again)
        );
        // About 64 bytes of the bitmap for each block.
        found.push(
            PlanFinding::new("bitmap-lossy", seen, Some(id), seen.own_ms(id), Confidence::Certain, says)
                .next(safe!("work_mem of {} or more for this statement", units::bytes((all * 64 * 2).max(128 << 10)))),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_lossy_bitmap() {
        super::super::tests::fires_on("bitmap-lossy", "lossy-bitmap");
        super::super::tests::silent_on("bitmap-lossy", &["misestimate", "subplan"]);
    }
}
