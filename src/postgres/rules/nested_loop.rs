//! The inner side of a nested loop is run again for very many rows.

use super::{Confidence, MeasuredPlan, PlanFinding, label, rows, time};
use crate::{postgres::model::Relationship, safe};

/// pgexplain's threshold.
const LOOPS: f64 = 1_000.0;
const SHARE: f64 = 0.2;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran().filter(|(_, n)| n.relationship == Relationship::Inner) {
        let Some(join) = seen.parent(node).filter(|p| p.kind == "Nested Loop") else { continue };
        let loops = node.actual.map_or(0.0, |a| a.loops);
        let ms = seen.wall_ms(id);
        if loops < LOOPS || ms < SHARE * seen.whole_ms() {
            continue;
        }
        let again = node.kind == "Seq Scan";
        let says = match again {
            true => safe!("reads all of {} again for each of {} rows", node.relation.clone().unwrap_or_default(), rows(loops)),
            false => safe!("looks up {} one by one: {} times, {} each", label(node), rows(loops), time(ms / loops)),
        };
        let confidence = if again { Confidence::Certain } else { Confidence::Possible };
        let mut finding = PlanFinding::new("nested-loop-many-times", seen, Some(id), ms, confidence, says);
        if let Some(filter) = join.expression("Join Filter").or_else(|| node.expression("Index Cond")) {
            finding = finding.evidence(safe!("joined on {}", filter));
        }
        found.push(match again {
            true => finding.next("an index on the joined column of the inner table"),
            false => finding.next("see whether the planner expected fewer rows: a hash join reads the inner side once"),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_table_read_again_and_again() {
        super::super::tests::fires_on("nested-loop-many-times", "nested-loop-seq");
        super::super::tests::silent_on("nested-loop-many-times", &["seq-scan", "many-loops", "never-executed", "foreign"]);
    }
}
