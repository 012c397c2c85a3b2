//! What an expert would say of a plan: one rule, one file, with a plan that fires it and the plans on which it is silent. A rule says how
//! much time its finding accounts for; the list is ranked by that. Rules see the plan alone: what a server is busy with is told elsewhere.

mod deep_offset;
mod disk_wait;
mod hash_spill;
mod heap_fetches;
mod index_filter;
mod jit;
mod join_filter;
mod limit_order;
mod lossy_bitmap;
mod misestimate;
mod nested_loop;
mod or_across_join;
mod planning;
mod seq_scan;
mod sort_disk;
mod subplan;
mod temp_blocks;
mod triggers;
mod workers;

use super::{
    analyze::{
        times::Own,
        words::{kept, label, rows, share, time},
    },
    model::{NodeId, Plan, PlanNode},
};
use crate::{answer::Hint, text::Safe};
use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// Worth knowing.
    Low,
    /// A tenth of the time or more.
    Medium,
    /// Most of the time, and it is felt.
    High,
}

/// How sure a rule is of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// It may be something else.
    Possible,
    /// It usually is.
    Likely,
    /// The plan itself says so.
    Certain,
}

/// One thing that a plan shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanFinding {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// How much it matters.
    pub impact: Impact,
    /// How sure it is.
    pub confidence: Confidence,
    /// Milliseconds that it accounts for; none where the plan was not run.
    pub accounts_for_ms: Option<f64>,
    /// The node.
    pub node: Option<NodeId>,
    /// One sentence.
    pub says: Safe,
    /// What it rests on.
    pub evidence: Vec<Safe>,
    /// What to do next.
    pub next: Vec<Hint>,
}

impl PlanFinding {
    /// A finding of a node, for so many milliseconds.
    fn new(code: &'static str, seen: &MeasuredPlan<'_>, node: Option<NodeId>, ms: f64, confidence: Confidence, says: Safe) -> Self {
        let impact = seen.impact(ms);
        Self { code, impact, confidence, accounts_for_ms: Some(ms), node, says, evidence: Vec::new(), next: Vec::new() }
    }
    fn evidence(mut self, line: Safe) -> Self {
        self.evidence.push(line);
        self
    }
    fn next(mut self, what: impl Into<Safe>) -> Self {
        self.next.push(Hint::Try(what.into()));
        self
    }
    fn at_most(mut self, impact: Impact) -> Self {
        self.impact = self.impact.min(impact);
        self
    }
}

/// A share from which a finding is felt, of the whole time.
const HIGH_SHARE: f64 = 0.4;
const MEDIUM_SHARE: f64 = 0.1;
/// PgHero calls a statement slow from a mean of 20 ms on; what accounts for less is never high.
const FELT_MS: f64 = 20.0;

/// A plan as the rules see it.
pub struct MeasuredPlan<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// What is each node's own.
    pub own: &'p Own,
}

impl<'p> MeasuredPlan<'p> {
    /// The nodes that ran, with their places.
    pub fn ran(&self) -> impl Iterator<Item = (NodeId, &'p PlanNode)> {
        self.plan.nodes.iter().enumerate().filter(|(_, n)| n.ran()).map(|(i, n)| (NodeId(i), n))
    }
    /// The node at a place.
    pub fn node(&self, id: NodeId) -> Option<&'p PlanNode> {
        self.plan.nodes.get(id.0)
    }
    /// The node above.
    pub fn parent(&self, node: &PlanNode) -> Option<&'p PlanNode> {
        node.parent.and_then(|p| self.node(p))
    }
    /// The nodes above, the nearest first.
    pub fn above(&self, node: &PlanNode) -> impl Iterator<Item = (NodeId, &'p PlanNode)> {
        std::iter::successors(node.parent, |n| self.node(*n).and_then(|n| n.parent)).filter_map(|id| Some((id, self.node(id)?)))
    }
    /// Milliseconds that are the node's own.
    pub fn own_ms(&self, id: NodeId) -> f64 {
        self.own.nodes.get(id.0).and_then(|n| n.own_ms).unwrap_or(0.0)
    }
    /// Milliseconds of the node with everything below.
    pub fn wall_ms(&self, id: NodeId) -> f64 {
        self.own.nodes.get(id.0).and_then(|n| n.wall_ms).unwrap_or(0.0)
    }
    /// Milliseconds of planning and execution together.
    pub fn whole_ms(&self) -> f64 {
        self.plan.execution_ms.or(self.own.total_ms).unwrap_or(0.0) + self.plan.planning_ms.unwrap_or(0.0)
    }
    fn impact(&self, ms: f64) -> Impact {
        let share = ms / self.whole_ms().max(0.001);
        match () {
            () if share >= HIGH_SHARE && ms >= FELT_MS => Impact::High,
            () if share >= MEDIUM_SHARE => Impact::Medium,
            () => Impact::Low,
        }
    }
}

/// A rule.
type Rule = fn(&MeasuredPlan<'_>) -> Vec<PlanFinding>;

/// All of them.
const RULES: [Rule; 19] = [
    seq_scan::check,
    index_filter::check,
    limit_order::check,
    nested_loop::check,
    subplan::check,
    join_filter::check,
    or_across_join::check,
    misestimate::check,
    sort_disk::check,
    hash_spill::check,
    temp_blocks::check,
    lossy_bitmap::check,
    heap_fetches::check,
    deep_offset::check,
    triggers::check,
    disk_wait::check,
    workers::check,
    jit::check,
    planning::check,
];

/// Everything that the rules find, the most time first.
pub fn judge(plan: &Plan, own: &Own) -> Vec<PlanFinding> {
    let seen = MeasuredPlan { plan, own };
    let mut found: Vec<PlanFinding> = RULES.iter().flat_map(|rule| rule(&seen)).collect();
    found.sort_by(|a, b| (b.impact, ms(b)).partial_cmp(&(a.impact, ms(a))).unwrap_or(std::cmp::Ordering::Equal));
    found
}

fn ms(finding: &PlanFinding) -> f64 {
    finding.accounts_for_ms.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{analyze::times, fixtures};

    /// Whether the rule of this code fires on a plan.
    pub(super) fn fires(code: &str, plan: &Plan) -> bool {
        judge(plan, &times::own(plan)).iter().any(|f| f.code == code)
    }

    /// Fires on this plan of every version, and on none of the plans that are fine.
    pub(super) fn fires_on(code: &str, name: &str) {
        for (version, plan) in ["14", "15", "16", "17", "18"].iter().zip(fixtures::of_all_versions(name)) {
            assert!(fires(code, &plan), "{code} is silent on pg{version}/{name}");
        }
        silent_on(code, &FINE);
    }

    /// Silent on these plans of every version.
    pub(super) fn silent_on(code: &str, names: &[&str]) {
        for name in names {
            for (version, plan) in ["14", "15", "16", "17", "18"].iter().zip(fixtures::of_all_versions(name)) {
                assert!(!fires(code, &plan), "{code} fires on pg{version}/{name}");
            }
        }
    }

    /// Plans with nothing wrong.
    const FINE: [&str; 10] = [
        "seq-scan-fine",
        "index-fine",
        "small-fine",
        "join-fine",
        "sort-fine",
        "hash-fine",
        "index-only-fine",
        "bitmap-fine",
        "limit-fine",
        "window",
    ];

    #[test]
    fn plans_that_are_fine_have_no_high_finding() {
        for name in FINE.iter().chain(&["parallel", "parallel-merge", "partitions", "append", "recursive", "memoize", "dml"]) {
            for plan in fixtures::of_all_versions(name) {
                let found = judge(&plan, &times::own(&plan));
                assert!(found.iter().all(|f| f.impact < Impact::High), "{name}: {found:?}");
            }
        }
    }

    #[test]
    fn the_most_time_comes_first() {
        for (name, plan) in fixtures::all() {
            let found = judge(&plan, &times::own(&plan));
            assert!(found.windows(2).all(|w| (w[0].impact, ms(&w[0])) >= (w[1].impact, ms(&w[1]))), "{name}");
            let whole = MeasuredPlan { plan: &plan, own: &times::own(&plan) }.whole_ms();
            assert!(found.iter().all(|f| ms(f) <= whole * 1.01 + 0.1), "{name}: {found:?} of {whole}");
        }
    }

    #[test]
    fn a_plan_that_was_not_run_has_no_findings_of_time() {
        assert_eq!(judge(&fixtures::plan("pg15/seq-scan.plain"), &times::own(&fixtures::plan("pg15/seq-scan.plain"))), []);
    }
}
