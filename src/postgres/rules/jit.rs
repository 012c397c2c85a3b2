//! Just-in-time compilation took longer than it can have saved.

use super::{Confidence, Impact, MeasuredPlan, PlanFinding, share};
use crate::safe;

const SHARE: f64 = 0.1;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let whole = seen.whole_ms();
    let Some((jit, ms)) = seen.plan.jit.and_then(|jit| Some((jit, jit.total_ms?))).filter(|(_, ms)| *ms >= SHARE * whole) else {
        return Vec::new();
    };
    let says = safe!("compiling {} functions took {} of the time", jit.functions, share(ms, whole));
    vec![
        PlanFinding::new("jit-too-costly", seen, None, ms, Confidence::Certain, says)
            .next("jit = off for this role or statement, or a higher jit_above_cost")
            .at_most(Impact::Medium),
    ]
}

#[cfg(test)]
mod tests {
    use crate::postgres::fixtures;

    #[test]
    fn fires_where_compiling_takes_long() {
        // Only Debian's server can compile: the packages of the others come without it.
        assert!(super::super::tests::fires("jit-too-costly", &fixtures::plan("pg15/jit")));
        super::super::tests::silent_on("jit-too-costly", &["parallel", "seq-scan-fine"]);
    }
}
