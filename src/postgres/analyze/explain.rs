//! What a plan means as a whole: one sentence, the causes in the order of the time that they account for, what was ruled out and what
//! cannot be seen. Claims no more than the plan shows.

use super::{
    cause::{Cause, causes, noun},
    times::{self, Own},
    weights::Weights,
    words::{label, rows, share, time},
};
use crate::{
    postgres::{
        model::{Buffers, Plan},
        rules::{self, Confidence, Impact, MeasuredPlan},
    },
    safe,
    text::Safe,
};
use serde::Serialize;

/// PgHero calls a statement slow from a mean of 20 ms on; below, no single run is felt.
const FAST_MS: f64 = 20.0;
/// From here on somebody waits.
const SLOW_MS: f64 = 500.0;
/// From here on it is slow where most of it is for nothing.
const WASTED_MS: f64 = 100.0;
/// check_postgres and PgHero want 99 %; of one statement's blocks a tenth from files is nothing to look at.
const WARM: f64 = 0.9;

/// How the time that it took is felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Nobody feels it, once.
    Fast,
    /// In between.
    Felt,
    /// Somebody waits for it, or most of what it does is for nothing.
    Slow,
    /// Not measured.
    NotRun,
}

/// What a plan means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Meaning {
    /// How its time is felt.
    pub pace: Pace,
    /// Milliseconds of planning and execution, where measured.
    pub total_ms: Option<f64>,
    /// One sentence.
    pub says: Safe,
    /// Why it takes what it takes, the most time first.
    pub causes: Vec<Cause>,
    /// What was looked at and is not the reason.
    pub ruled_out: Vec<Safe>,
    /// What could not be looked at.
    pub not_seen: Vec<Safe>,
}

/// Finds it out.
pub fn meaning(plan: &Plan, own: &Own) -> Meaning {
    let seen = MeasuredPlan { plan, own };
    let causes = causes(&seen, rules::judge(plan, own));
    let ran = plan.nodes.first().is_some_and(|root| root.actual.is_some());
    let total_ms = ran.then(|| seen.whole_ms()).filter(|ms| *ms > 0.0);
    let pace = match total_ms {
        None => Pace::NotRun,
        Some(ms) if ms < FAST_MS => Pace::Fast,
        Some(ms) if ms >= SLOW_MS || (ms >= WASTED_MS && causes.iter().any(|c| c.impact == Impact::High)) => Pace::Slow,
        Some(_) => Pace::Felt,
    };
    let says = match total_ms {
        Some(whole) => sentence(&seen, whole, &causes),
        None if ran => "run, but not timed: rows and blocks only".into(),
        None => expected(plan, own),
    };
    let (ruled_out, not_seen) = if ran { looked_at(&seen, &causes) } else { (Vec::new(), vec![NOT_RUN.into()]) };
    Meaning { pace, total_ms, says, causes, ruled_out, not_seen }
}

const NOT_RUN: &str = "how long anything takes: the plan was not run, and costs are what the planner believes";

/// `1.84 s; 97 % is one full read of item.`
fn sentence(seen: &MeasuredPlan<'_>, whole: f64, causes: &[Cause]) -> Safe {
    let took = time(whole);
    let part = |cause: &Cause| {
        let is = if cause.confidence == Confidence::Possible { "may be" } else { "is" };
        let of = share(cause.accounts_for_ms.unwrap_or(0.0).min(whole), whole);
        safe!("{} {} {}", of, is, noun(cause, seen.plan))
    };
    let matter: Vec<&Cause> = causes.iter().filter(|c| c.impact >= Impact::Medium).collect();
    match matter.as_slice() {
        [] => match heaviest(seen) {
            Some((part, what)) if whole >= FAST_MS => {
                safe!("{}; no rule finds fault with the plan: {} of it is {}.", took, share(part, whole), what)
            }
            _ => safe!("{}; nothing in the plan stands out.", took),
        },
        [one] => safe!("{}; {}.", took, part(one)),
        // Two shares of one time are said together only where they cannot be the same time twice.
        [first, second, ..] => match apart(seen, first, second) {
            true => safe!("{}; {}, {}.", took, part(first), part(second)),
            false => safe!("{}; {}.", took, part(first)),
        },
    }
}

/// Whether two causes are about different parts of a plan.
fn apart(seen: &MeasuredPlan<'_>, a: &Cause, b: &Cause) -> bool {
    let above = |of: &Cause, other: &Cause| {
        of.nodes.iter().filter_map(|n| seen.node(*n)).any(|n| seen.above(n).any(|(id, _)| other.nodes.contains(&id)))
    };
    let same = a.nodes.iter().any(|n| b.nodes.contains(n)) || (a.nodes.is_empty() && b.nodes.is_empty());
    !(same || above(a, b) || above(b, a))
}

/// The node with the most time of its own.
fn heaviest(seen: &MeasuredPlan<'_>) -> Option<(f64, Safe)> {
    let (id, node) = seen.ran().max_by(|a, b| seen.own_ms(a.0).total_cmp(&seen.own_ms(b.0)))?;
    Some((seen.own_ms(id), label(node)))
}

/// The sentence of a plan that was not run.
fn expected(plan: &Plan, own: &Own) -> Safe {
    let Some(root) = plan.nodes.first() else { return "an empty plan".into() };
    let weights = Weights::of(plan, own);
    let most = weights.own.iter().zip(&plan.nodes).max_by(|a, b| a.0.total_cmp(b.0));
    let what = match most.filter(|(weight, _)| plan.nodes.len() > 1 && **weight > 0.0) {
        Some((weight, node)) => safe!(", most of it ({}) for {}", share(*weight, weights.whole()), label(node)),
        None => Safe::EMPTY,
    };
    let noun = if root.plan_rows.round() == 1.0 { "row" } else { "rows" };
    safe!("the planner expects {} {} at a cost of {}{}.", rows(root.plan_rows), noun, rows(root.total_cost), what)
}

/// What was ruled out, and what could not be seen.
fn looked_at(seen: &MeasuredPlan<'_>, causes: &[Cause]) -> (Vec<Safe>, Vec<Safe>) {
    let found = |codes: &[&str]| causes.iter().any(|c| c.codes.iter().any(|code| codes.contains(code)));
    let plan = seen.plan;
    let (mut out, mut unseen): (Vec<Safe>, Vec<Safe>) = (Vec::new(), Vec::new());

    if !found(&["sort-on-disk", "hash-on-disk", "kept-on-disk"]) {
        out.push("disk sort or hash".into());
    }
    if !found(&["rows-misestimated"]) {
        out.push("wrong row estimates".into());
    }
    match plan.nodes.first().and_then(|root| root.buffers) {
        None => unseen.push("what was read (needs BUFFERS)".into()),
        Some(all) => files(seen, all, found(&["waits-for-files"]), &mut out, &mut unseen),
    }
    if let Some(ms) = plan.planning_ms.filter(|_| !found(&["planning-takes-long"])) {
        out.push(safe!("planning ({})", time(ms)));
    }
    if let Some(jit) = plan.jit.filter(|_| !found(&["jit-too-costly"])) {
        match jit.total_ms {
            Some(ms) => out.push(safe!("just-in-time compilation ({})", time(ms))),
            None => unseen.push("the time of just-in-time compilation".into()),
        }
    }
    if !plan.triggers.is_empty() && !found(&["triggers"]) {
        out.push(safe!("triggers ({})", time(plan.triggers.iter().map(|t| t.ms).sum())));
    }
    if plan.nodes.iter().any(|n| n.workers.is_some_and(|w| w.launched.is_some())) && !found(&["workers-missing"]) {
        out.push("missing parallel workers".into());
    }
    if seen.own.total_ms.is_none() {
        unseen.push("each node's time (needs TIMING)".into());
    }
    if plan.serialization_ms.is_none() {
        unseen.push("sending the rows to the client (needs PostgreSQL 17: SERIALIZE)".into());
    }
    (out, unseen)
}

/// Whether what was read came from memory.
fn files(seen: &MeasuredPlan<'_>, all: Buffers, waits: bool, out: &mut Vec<Safe>, unseen: &mut Vec<Safe>) {
    let (hit, read) = (all.shared.hit as f64, all.shared.read as f64);
    let io = seen.plan.nodes.first().and_then(|root| root.io);
    match (hit + read > 0.0, read <= (1.0 - WARM) * (hit + read), io) {
        (false, _, _) => {}
        _ if waits => {}
        (true, true, _) => out.push(safe!("cold cache ({} hit)", share(hit, hit + read))),
        (true, false, Some(io)) => out.push(safe!("cold cache ({} hit, {} of waiting)", share(hit, hit + read), time(io.read_ms))),
        (true, false, None) => {
            unseen.push(safe!("how long files were waited for: {} of the blocks (track_io_timing is off)", share(read, hit + read)));
        }
    }
}

/// A plan with everything that is computed of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The plan.
    pub plan: Plan,
    /// What is each node's own.
    pub own: Own,
    /// What it means.
    pub meaning: Meaning,
}

impl Judged {
    /// Reads a plan's meaning.
    pub fn of(plan: Plan) -> Self {
        let own = times::own(&plan);
        let meaning = meaning(&plan, &own);
        Self { plan, own, meaning }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::fixtures::{self, plan};

    fn says(name: &str) -> String {
        Judged::of(plan(name)).meaning.says.to_string()
    }

    #[test]
    fn a_sentence_names_the_cause() {
        for (name, cause) in [
            ("seq-scan", "one full read of item."),
            ("index-filter", "orders_placed, which finds far more than the filter keeps."),
            ("limit-wrong-index", "a walk through orders_placed for rows that hardly ever fit."),
            ("nested-loop-seq", "customer read from end to end 1 200 times."),
            ("subplan", "SubPlan 1, run 5 000 times."),
            ("sort-disk", "a sort that did not fit into memory."),
            ("hash-spill", "that did not fit into memory."),
            ("offset", "rows that OFFSET throws away"),
            ("triggers", "its triggers."),
        ] {
            for version in ["pg14", "pg15", "pg16", "pg17", "pg18"] {
                let says = says(&format!("{version}/{name}"));
                assert!(says.contains(cause), "{version}/{name}: {says}");
            }
        }
    }

    #[test]
    fn plans_that_are_fine_are_not_called_slow() {
        for (name, plan) in fixtures::all().into_iter().filter(|(name, _)| name.ends_with("-fine")) {
            let meaning = Judged::of(plan).meaning;
            assert_ne!(meaning.pace, Pace::Slow, "{name}: {}", meaning.says);
        }
    }

    #[test]
    fn a_loop_and_the_pairs_it_throws_away_are_one_cause() {
        for plan in fixtures::of_all_versions("nested-loop-seq") {
            let meaning = Judged::of(plan).meaning;
            let codes: Vec<_> = meaning.causes.iter().filter(|c| c.impact == Impact::High).map(|c| c.codes.clone()).collect();
            assert_eq!(codes, [["nested-loop-many-times", "join-compares-all-pairs"]]);
        }
    }

    #[test]
    fn no_node_has_two_causes_and_no_finding_is_lost() {
        for (name, plan) in fixtures::all() {
            let own = times::own(&plan);
            let found = rules::judge(&plan, &own).len();
            let causes = meaning(&plan, &own).causes;
            assert_eq!(causes.iter().map(|c| c.codes.len()).sum::<usize>(), found, "{name}");
            let mut nodes: Vec<_> = causes.iter().flat_map(|c| c.nodes.clone()).collect();
            nodes.sort();
            let all = nodes.len();
            nodes.dedup();
            assert_eq!(nodes.len(), all, "{name}: {causes:?}");
        }
    }

    #[test]
    fn a_plan_that_was_not_run_says_so() {
        let meaning = Judged::of(plan("pg15/seq-scan.plain")).meaning;
        assert_eq!((meaning.pace, meaning.total_ms), (Pace::NotRun, None));
        assert!(meaning.says.contains("for Seq Scan item i"), "{}", meaning.says);
        assert!(meaning.ruled_out.is_empty() && meaning.not_seen.len() == 1);
        let untimed = Judged::of(plan("pg15/parallel-join.untimed")).meaning;
        assert!(untimed.not_seen.iter().any(|s| s.contains("TIMING")), "{untimed:?}");
    }

    #[test]
    fn what_fired_is_never_ruled_out() {
        for (name, plan) in fixtures::all() {
            let meaning = Judged::of(plan).meaning;
            let codes: Vec<_> = meaning.causes.iter().flat_map(|c| c.codes.clone()).collect();
            for (word, code) in [("disk sort", "sort-on-disk"), ("estimates", "rows-misestimated"), ("cold", "waits-for-files")] {
                assert!(!(codes.contains(&code) && meaning.ruled_out.iter().any(|s| s.contains(word))), "{name}");
            }
        }
    }
}
