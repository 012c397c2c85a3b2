//! A subquery is run again for every row.

use super::{Confidence, MeasuredPlan, PlanFinding, rows, time};
use crate::{postgres::model::Relationship, safe};

const LOOPS: f64 = 1_000.0;
const SHARE: f64 = 0.1;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran().filter(|(_, n)| n.relationship == Relationship::SubPlan) {
        let loops = node.actual.map_or(0.0, |a| a.loops);
        let ms = seen.wall_ms(id);
        if loops < LOOPS || ms < SHARE * seen.whole_ms() {
            continue;
        }
        let name = node.subplan.clone().unwrap_or_default();
        let says = safe!("{} is run {} times, once per row: {} each", name, rows(loops), time(ms / loops));
        found.push(
            PlanFinding::new("subquery-per-row", seen, Some(id), ms, Confidence::Likely, says)
                .next("a join, or a subquery in FROM, which is read once; in Django an annotation instead of a Subquery"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_subquery_per_row() {
        super::super::tests::fires_on("subquery-per-row", "subplan");
        super::super::tests::silent_on("subquery-per-row", &["subplan-hashed", "initplan"]);
    }
}
