//! A large OFFSET: everything before it is computed and thrown away.

use super::{Confidence, MeasuredPlan, PlanFinding, rows};
use crate::{postgres::model::Relationship, safe};

const FEWEST: f64 = 1_000.0;
/// Rows skipped for each one given.
const PER_ROW: f64 = 10.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran().filter(|(_, n)| n.kind == "Limit") {
        let input = node.children.iter().filter_map(|c| seen.node(*c)).find(|c| c.relationship == Relationship::Outer);
        let (Some(given), Some(made)) = (node.rows_in_all(), input.and_then(|c| c.rows_in_all())) else { continue };
        let skipped = made - given;
        if skipped < FEWEST || skipped < PER_ROW * given {
            continue;
        }
        let says = safe!("OFFSET: {} rows are made and thrown away to give {}", rows(skipped), rows(given));
        found.push(
            PlanFinding::new("large-offset", seen, Some(id), seen.wall_ms(id) * skipped / made.max(1.0), Confidence::Certain, says)
                .next("page by the last key seen: WHERE id > … ORDER BY id LIMIT …; in Django REST a CursorPagination"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn fires_on_a_large_offset() {
        super::super::tests::fires_on("large-offset", "offset");
        super::super::tests::silent_on("large-offset", &["limit-wrong-index"]);
    }
}
