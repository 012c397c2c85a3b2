//! Planning took as long as running.

use super::{Confidence, MeasuredPlan, PlanFinding, share, time};
use crate::safe;

const SHARE: f64 = 0.4;
const FEWEST_MS: f64 = 1.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let whole = seen.whole_ms();
    let measured = seen.plan.execution_ms.and(seen.plan.planning_ms);
    let Some(ms) = measured.filter(|ms| *ms >= FEWEST_MS && *ms >= SHARE * whole) else { return Vec::new() };
    let says = safe!("planning took {}, {} of the whole", time(ms), share(ms, whole));
    vec![
        PlanFinding::new("planning-takes-long", seen, None, ms, Confidence::Certain, says)
            .next("many joins or partitions make many plans to choose from; a prepared statement plans once"),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_where_planning_takes_most() {
        super::super::tests::fires_on("planning-takes-long", "planning");
        super::super::tests::silent_on("planning-takes-long", &["parallel-join", "partitions"]);
    }
}
