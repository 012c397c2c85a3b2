//! Findings that are one story, told as one: a wrong estimate and the nested loop that was chosen for it; a table that is read for each
//! row of another and the pairs that are thrown away.

use super::words::{kind, label, rows};
use crate::{
    answer::{Finding, Hint, Severity},
    postgres::{
        model::{NodeId, Plan},
        rules::{Confidence, Impact, MeasuredPlan, PlanFinding},
    },
    safe,
    text::Safe,
};
use serde::Serialize;
use std::collections::HashMap;

/// One reason for the time that a statement takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cause {
    /// The code of the finding that leads.
    pub code: &'static str,
    /// The codes of all findings that it is made of.
    pub codes: Vec<&'static str>,
    /// How much it matters.
    pub impact: Impact,
    /// How sure it is.
    pub confidence: Confidence,
    /// Milliseconds that it accounts for.
    pub accounts_for_ms: Option<f64>,
    /// The nodes that it is about, the leading one first.
    pub nodes: Vec<NodeId>,
    /// One sentence.
    pub says: Safe,
    /// What it rests on.
    pub evidence: Vec<Safe>,
    /// What to do next.
    pub next: Vec<Hint>,
}

impl Cause {
    fn of(finding: PlanFinding) -> Self {
        let PlanFinding { code, impact, confidence, accounts_for_ms, node, says, evidence, next } = finding;
        Self { code, codes: vec![code], impact, confidence, accounts_for_ms, nodes: node.into_iter().collect(), says, evidence, next }
    }

    /// The node that it is about.
    pub fn node<'p>(&self, plan: &'p Plan) -> Option<&'p crate::postgres::model::PlanNode> {
        self.nodes.first().and_then(|n| plan.nodes.get(n.0))
    }

    /// The same as every answer's findings are.
    pub fn finding(&self) -> Finding {
        let severity = if self.impact == Impact::High { Severity::Warning } else { Severity::Info };
        Finding { code: self.code, severity, says: self.says.clone(), evidence: self.evidence.clone(), next: self.next.clone() }
    }

    /// Takes in a finding that belongs to it. The one that says more leads.
    fn join(&mut self, other: PlanFinding) {
        let mut other = Self::of(other);
        if rank(other.code) > rank(self.code) {
            std::mem::swap(self, &mut other);
        }
        // Two findings that agree are surer than either.
        let agree = !PLAIN_FACTS.contains(&other.code);
        self.confidence = self.confidence.max(other.confidence).max(if agree { Confidence::Likely } else { Confidence::Possible });
        self.impact = self.impact.max(other.impact);
        // A join's own time is no part of its inner side's; everywhere else one of the figures holds the other.
        let beside = self.code == "nested-loop-many-times" && other.code == "join-compares-all-pairs";
        let together = |a: f64, b: f64| if beside { a + b } else { a.max(b) };
        self.accounts_for_ms = self.accounts_for_ms.into_iter().chain(other.accounts_for_ms).reduce(together);
        self.codes.append(&mut other.codes);
        self.nodes.extend(other.nodes.into_iter().filter(|n| !self.nodes.contains(n)).collect::<Vec<_>>());
        self.evidence.insert(0, other.says);
        self.evidence.extend(other.evidence.into_iter().filter(|e| !self.evidence.contains(e)).collect::<Vec<_>>());
        // A number that is wrong is put right before anything is built on it.
        let at = if other.code == "rows-misestimated" { 0 } else { self.next.len() };
        for hint in other.next.into_iter().rev().filter(|hint| !self.next.contains(hint)).collect::<Vec<_>>() {
            self.next.insert(at, hint);
        }
    }
}

/// Findings that say where time went, and not why.
const PLAIN_FACTS: [&str; 2] = ["waits-for-files", "workers-missing"];

/// Who leads where findings are one story.
fn rank(code: &str) -> u8 {
    match code {
        "waits-for-files" | "workers-missing" => 0,
        "rows-misestimated" => 1,
        "join-compares-all-pairs" => 2,
        _ => 3,
    }
}

/// Joins the findings, the most time first, into causes in that order.
pub fn causes(seen: &MeasuredPlan<'_>, findings: Vec<PlanFinding>) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    // Plans of thousands of partitions have thousands of findings: one is held against those that can be its story only.
    let (mut of_node, mut of_code): (HashMap<NodeId, usize>, HashMap<&str, Vec<usize>>) = (HashMap::new(), HashMap::new());
    for finding in findings {
        let (code, node) = (finding.code, finding.node);
        let same = node.and_then(|node| of_node.get(&node).copied());
        let told = partners(code).iter().filter_map(|partner| of_code.get(partner)).flatten().copied();
        let told = told.filter(|at| causes.get(*at).is_some_and(|cause| belongs(seen, cause, &finding))).min();
        let at = match same.into_iter().chain(told).min() {
            Some(at) => {
                causes[at].join(finding);
                at
            }
            None => {
                causes.push(Cause::of(finding));
                causes.len() - 1
            }
        };
        if let Some(node) = node {
            of_node.entry(node).or_insert(at);
        }
        of_code.entry(code).or_default().push(at);
    }
    let ms = |cause: &Cause| cause.accounts_for_ms.unwrap_or(0.0);
    causes.sort_by(|a, b| (b.impact, ms(b)).partial_cmp(&(a.impact, ms(a))).unwrap_or(std::cmp::Ordering::Equal));
    causes
}

/// Whether a finding is another side of a cause.
fn belongs(seen: &MeasuredPlan<'_>, cause: &Cause, finding: &PlanFinding) -> bool {
    let Some(node) = finding.node else { return false };
    cause.nodes.iter().zip(&cause.codes).any(|(of, code)| {
        *of == node || explains(seen, (code, *of), (finding.code, node)) || explains(seen, (finding.code, node), (code, *of))
    })
}

/// The codes of findings that can be another side of this one, at another node: those that [`explains`] ties together.
fn partners(code: &str) -> &'static [&'static str] {
    match code {
        "rows-misestimated" | "join-compares-all-pairs" | "or-across-join" => &["nested-loop-many-times"],
        "nested-loop-many-times" => {
            &["rows-misestimated", "join-compares-all-pairs", "or-across-join", "reads-much-keeps-little", "index-finds-too-much"]
        }
        "subquery-per-row" => &["reads-much-keeps-little", "index-finds-too-much"],
        "reads-much-keeps-little" | "index-finds-too-much" => &["subquery-per-row", "nested-loop-many-times"],
        _ => &[],
    }
}

/// Whether the first is why the second is what it is, or what it is made of.
fn explains(seen: &MeasuredPlan<'_>, why: (&str, NodeId), what: (&str, NodeId)) -> bool {
    let Some(node) = seen.node(what.1) else { return false };
    let below = |of: NodeId| seen.node(why.1).is_some_and(|n| seen.above(n).any(|(above, _)| above == of));
    match (why.0, what.0) {
        // The inner side is run for each row of the outer one, whose number was wrong.
        ("rows-misestimated", "nested-loop-many-times") => node.parent.is_some_and(below),
        // The pairs are made of the rows of the inner side.
        ("join-compares-all-pairs" | "or-across-join", "nested-loop-many-times") => node.parent == Some(why.1),
        ("reads-much-keeps-little" | "index-finds-too-much", "subquery-per-row" | "nested-loop-many-times") => below(what.1),
        _ => false,
    }
}

/// What it is, as the end of "97 % is …".
pub fn noun(cause: &Cause, plan: &Plan) -> Safe {
    let node = cause.node(plan);
    let relation = || node.and_then(|n| n.relation.clone().or_else(|| n.index.clone())).unwrap_or_else(|| "a table".into());
    let index = || node.and_then(|n| n.index.clone()).unwrap_or_else(relation);
    let what = || node.map_or_else(|| "the plan".into(), label);
    let loops = || rows(node.and_then(|n| n.actual).map_or(0.0, |a| a.loops));
    let again = node.is_some_and(|n| n.kind == "Seq Scan");
    match cause.code {
        "reads-much-keeps-little" => match node.and_then(|n| n.actual).is_some_and(|a| a.loops > 1.0) && !shared(node) {
            true => safe!("{} full reads of {}", loops(), relation()),
            false => safe!("one full read of {}", relation()),
        },
        "index-finds-too-much" => safe!("{}, which finds far more than the filter keeps", index()),
        "index-for-the-order" => safe!("a walk through {} for rows that hardly ever fit", index()),
        "nested-loop-many-times" if again => safe!("{} read from end to end {} times", relation(), loops()),
        "nested-loop-many-times" => safe!("{} looked up one by one, {} times", relation(), loops()),
        "subquery-per-row" => safe!("{}, run {} times", node.and_then(|n| n.subplan.clone()).unwrap_or_default(), loops()),
        "join-compares-all-pairs" => "a join that compares nearly all pairs of rows".into(),
        "or-across-join" => "a join whose OR no index can serve".into(),
        "rows-misestimated" => safe!("what was chosen by a wrong number of rows from {}", relation()),
        "sort-on-disk" => "a sort that did not fit into memory".into(),
        "hash-on-disk" => safe!("a {} that did not fit into memory", node.map_or_else(|| "hash".into(), kind)),
        "kept-on-disk" => safe!("{}, kept on disk", what()),
        "bitmap-lossy" => safe!("a bitmap on {} that did not fit into memory", relation()),
        "index-only-scan-reads-table" => safe!("{}, which reads the table after all", index()),
        "large-offset" => "rows that OFFSET throws away".into(),
        "triggers" => "its triggers".into(),
        "waits-for-files" => safe!("waiting for the files of {}", relation()),
        "workers-missing" => "what missing parallel workers would have shared".into(),
        "jit-too-costly" => "just-in-time compilation".into(),
        "planning-takes-long" => "planning".into(),
        _ => what(),
    }
}

/// Whether a node's loops are processes that share its work.
fn shared(node: Option<&crate::postgres::model::PlanNode>) -> bool {
    node.is_some_and(|n| n.parallel_aware)
}
