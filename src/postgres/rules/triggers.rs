//! Triggers, which no node shows.

use super::{Confidence, MeasuredPlan, PlanFinding, rows, time};
use crate::safe;

const SHARE: f64 = 0.1;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for trigger in seen.plan.triggers.iter().filter(|t| t.ms >= SHARE * seen.whole_ms() && t.calls > 0.0) {
        let says = safe!(
            "trigger {} on {} ran {} times, {} each",
            trigger.name,
            trigger.relation,
            rows(trigger.calls),
            time(trigger.ms / trigger.calls)
        );
        // A constraint's trigger looks for rows that refer to the changed one.
        let next = match trigger.name.contains("fk") || trigger.name.starts_with("RI_") {
            true => "an index on the referring column of the foreign key",
            false => "the trigger's own statements: auto_explain.log_nested_statements shows them",
        };
        found.push(PlanFinding::new("triggers", seen, None, trigger.ms, Confidence::Certain, says).next(next));
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_slow_trigger() {
        super::super::tests::fires_on("triggers", "triggers");
        super::super::tests::silent_on("triggers", &["dml"]);
    }
}
