//! Most of a node's time was waiting for blocks from files: the cache was cold, or is too small.

use super::{Confidence, Impact, MeasuredPlan, PlanFinding, label, share};
use crate::{postgres::model::Relationship, safe, text::units};

const SHARE: f64 = 0.5;
const FEWEST_MS: f64 = 1.0;
const BLOCK: u64 = 8_192;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let below: f64 = node
            .children
            .iter()
            .filter_map(|c| seen.node(*c))
            .filter(|c| c.relationship != Relationship::InitPlan)
            .filter_map(|c| c.io)
            .map(|io| io.read_ms)
            .sum();
        let Some(waited) = node.io.map(|io| io.read_ms - below).filter(|ms| *ms >= FEWEST_MS) else { continue };
        let own = seen.own_ms(id);
        if waited < SHARE * own {
            continue;
        }
        let blocks = seen.own.nodes.get(id.0).and_then(|o| o.own_buffers).map_or(0, |b| b.shared.read);
        let says =
            safe!("{} waits for files: {} of its time, for {}", label(node), share(waited.min(own), own), units::bytes(blocks * BLOCK));
        found.push(
            PlanFinding::new("waits-for-files", seen, Some(id), waited.min(own), Confidence::Certain, says)
                .next("run it once more: when the second run is fast, the cache was cold")
                .at_most(Impact::Medium),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::postgres::{analyze::times, decode, fixtures, rules};

    #[test]
    fn fires_on_a_cold_cache() {
        // What a file system holds in memory is read at once, so a real plan's waits are made longer here.
        let text = r#"[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Actual Rows": 10, "Actual Loops": 1, "Actual Total Time": 100.0,
            "Plan Rows": 10, "Shared Hit Blocks": 0, "Shared Read Blocks": 512, "I/O Read Time": 90.0}, "Execution Time": 100.0}]"#;
        let plan = decode::plan::plan(text, &crate::text::Redactor::default()).expect("a plan");
        assert!(rules::judge(&plan, &times::own(&plan)).iter().any(|f| f.code == "waits-for-files"));
        for plan in fixtures::of_all_versions("seq-scan-fine") {
            assert!(rules::judge(&plan, &times::own(&plan)).iter().all(|f| f.code != "waits-for-files"));
        }
    }
}
