//! An OR over columns of both sides of a join: no index of either side can serve it.

use super::{Confidence, MeasuredPlan, PlanFinding, rows};
use crate::safe;

const REMOVED_SHARE: f64 = 0.5;
const FEWEST_PAIRS: f64 = 1_000.0;

pub(super) fn check(seen: &MeasuredPlan<'_>) -> Vec<PlanFinding> {
    let mut found = Vec::new();
    for (id, node) in seen.ran() {
        let (Some(filter), Some(kept), Some(actual)) = (node.expression("Join Filter"), node.rows_in_all(), node.actual) else { continue };
        let removed = node.removed.by_join_filter * actual.loops;
        if !across(filter) || removed < FEWEST_PAIRS || removed < REMOVED_SHARE * (kept + removed) {
            continue;
        }
        // The whole join is paid for before the filter says no.
        let says = safe!("an OR over both tables: {} joined rows are made and {} thrown away", rows(kept + removed), rows(removed));
        found.push(
            PlanFinding::new("or-across-join", seen, Some(id), seen.wall_ms(id), Confidence::Likely, says)
                .evidence(safe!("join filter {}", filter))
                .next("a UNION of the two halves, each with its own index"),
        );
    }
    found
}

/// Whether the alternatives of a condition name different tables: `(o.state = 'open') OR (c.region = 3)`.
fn across(condition: &str) -> bool {
    let table = |part: &str| {
        part.split('.').next().and_then(|before| before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().map(str::to_owned))
    };
    let tables: Vec<_> = condition.split(" OR ").filter(|part| part.contains('.')).map(table).collect();
    tables.len() > 1 && tables.windows(2).any(|w| w[0] != w[1])
}

#[cfg(test)]
mod tests {
    use super::across;

    #[test]
    fn fires_on_an_or_over_both_tables() {
        super::super::tests::fires_on("or-across-join", "or-join");
        super::super::tests::silent_on("or-across-join", &["join-filter", "hash-fine"]);
    }

    #[test]
    fn knows_the_tables_of_each_half() {
        assert!(across("((o.state = 'open'::text) OR (c.region = 3))"));
        assert!(!across("((o.state = 'open'::text) OR (o.id = 3))"));
        assert!(!across("(a.joined < b.joined)"));
    }
}
