//! Fewer parallel workers came than the plan counted on.

use super::{Confidence, Impact, MeasuredPlan, PlanFinding};
use crate::safe;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let Some((planned, launched)) = node.workers.and_then(|w| Some((w.planned, w.launched?))).filter(|(p, l)| l < p) else { continue };
        // With all of them, what is below would have been shared by so many more.
        let ms = seen.wall_ms(id);
        let saved = ms * (1.0 - (launched + 1) as f64 / (planned + 1) as f64);
        let says = safe!("{} of {} parallel workers came", launched, planned);
        found.push(
            PlanFinding::new("workers-missing", seen, Some(id), saved, Confidence::Likely, says)
                .evidence("others used them, or max_parallel_workers allows no more".into())
                .next("max_parallel_workers and max_worker_processes, or fewer parallel statements at a time")
                .at_most(Impact::Medium),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_missing_workers() {
        super::super::tests::fires_on("workers-missing", "workers-short");
        super::super::tests::silent_on("workers-missing", &["parallel", "parallel-merge"]);
    }
}
