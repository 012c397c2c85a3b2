//! A sort did not fit into memory.

use super::{Confidence, MeasuredPlan, PlanFinding, label};
use crate::{safe, text::units};

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let on_disk: Vec<_> = node.sorts.iter().filter(|s| s.on_disk).collect();
        let Some(most) = on_disk.iter().map(|s| s.kilobytes).max() else { continue };
        let all: u64 = on_disk.iter().map(|s| s.kilobytes).sum();
        let mut finding = PlanFinding::new(
            "sort-on-disk",
            seen,
            Some(id),
            seen.own_ms(id),
            Confidence::Certain,
            safe!("sorts on disk: {} in {}", units::bytes(all << 10), units::plural(on_disk.len(), "process", "processes")),
        );
        if let Some(key) = node.expression("Sort Key") {
            finding = finding.evidence(safe!("{} by {}", label(node), key));
        }
        // In memory a row takes about twice to three times what it takes on disk.
        found.push(
            finding.next(safe!("work_mem of about {} for this statement, or an index in this order", units::bytes((most * 3) << 10))),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_sort_on_disk() {
        super::super::tests::fires_on("sort-on-disk", "sort-disk");
        super::super::tests::silent_on("sort-on-disk", &["parallel-merge", "window"]);
    }
}
