//! What the planner says when it is asked: with an index that exists only for it (hypopg), or without the full read that it chose.

use crate::{
    postgres::{analyze::words::rows, model::Plan},
    safe,
    text::Safe,
};

/// dexter's measure: below this cost a statement is not worth an index, and less than half saved is no proof.
const FEWEST_COST: f64 = 100.0;
const SAVED: f64 = 0.5;
/// One more column has to save this much again.
const COLUMN_SAVES: f64 = 0.9;

/// What was tried.
#[derive(Clone, Debug, PartialEq)]
pub enum Trial {
    /// Hypothetical indexes, with more and more columns.
    Hypothetical(Vec<Hypothetical>),
    /// The statement with `enable_seqscan = off`, where an index is there.
    WithoutSeqScan(Forced),
    /// hypopg is not installed.
    NotInstalled,
}

/// One hypothetical index.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothetical {
    /// How many of the candidate's columns it has.
    pub columns: usize,
    /// The cost before.
    pub before: f64,
    /// The cost with it.
    pub after: f64,
    /// Whether the plan reads it.
    pub used: bool,
    /// Its size, as hypopg reckons.
    pub bytes: u64,
}

/// The plan that the planner would not have chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Forced {
    /// The cost of what it chose.
    pub chosen: f64,
    /// The cost without full reads.
    pub forced: f64,
    /// Whether that plan reads the index in question.
    pub used: bool,
}

impl Forced {
    /// Compares what was chosen with what would be without full reads.
    pub fn of(chosen: &Plan, forced: &Plan, index: &Safe) -> Self {
        let cost = |plan: &Plan| plan.nodes.first().map_or(0.0, |n| n.total_cost);
        Self { chosen: cost(chosen), forced: cost(forced), used: forced.nodes.iter().any(|n| n.index.as_ref() == Some(index)) }
    }
}

impl Hypothetical {
    /// Compares two plans of one statement. hypopg names its indexes `<13574>btree_item_product_id`.
    pub fn of(columns: usize, before: &Plan, after: &Plan, bytes: u64) -> Self {
        let cost = |plan: &Plan| plan.nodes.first().map_or(0.0, |n| n.total_cost);
        let used = after.nodes.iter().filter_map(|n| n.index.as_ref()).any(|index| index.starts_with('<'));
        Self { columns, before: cost(before), after: cost(after), used, bytes }
    }
}

/// The one worth building: saves enough, with no more columns than pay for themselves.
pub(super) fn chosen(tried: &[Hypothetical]) -> Option<&Hypothetical> {
    let mut best: Option<&Hypothetical> = None;
    for one in tried.iter().filter(|t| t.used && t.before >= FEWEST_COST && t.after <= SAVED * t.before) {
        if best.is_none_or(|b| one.after <= COLUMN_SAVES * b.after) {
            best = Some(one);
        }
    }
    best
}

/// Why an index that is there was not taken.
pub(super) fn not_taken(trial: Option<&Trial>) -> Safe {
    match trial {
        Some(Trial::WithoutSeqScan(forced)) if forced.used => safe!(
            "the planner expects it to cost more: {} instead of {}; see the statistics and random_page_cost",
            rows(forced.forced),
            rows(forced.chosen)
        ),
        Some(Trial::WithoutSeqScan(_)) => "it cannot serve this condition: another type, collation or operator".into(),
        _ => "the planner did not take it: SET enable_seqscan = off shows what it would cost".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_column_has_to_pay_for_itself() {
        let tried = |columns, after| Hypothetical { columns, before: 1_000.0, after, used: true, bytes: 1 };
        let columns = |list: &[Hypothetical]| chosen(list).map(|t| t.columns);
        assert_eq!(columns(&[tried(1, 100.0), tried(2, 95.0)]), Some(1));
        assert_eq!(columns(&[tried(1, 100.0), tried(2, 10.0)]), Some(2));
        assert_eq!(columns(&[tried(1, 800.0), tried(2, 10.0)]), Some(2));
        assert_eq!(columns(&[Hypothetical { used: false, ..tried(1, 1.0) }]), None);
    }
}
