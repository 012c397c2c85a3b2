//! The screen of `obsctl explain`: the sentence, the tree, the causes with what to try, what was ruled out and what was not seen.

use super::{diff, plan};
use crate::{
    answer::{Answer, Finding, Hint, Severity},
    postgres::{
        advice::{IndexAdvice, Proof},
        analyze::{
            cause::Cause,
            diff::PlanDiff,
            explain::{Judged, Pace},
            words::{label, rows, time},
        },
        collect::ValuesFrom,
        model::PgServer,
        rules::{Confidence, Impact},
    },
    report::{Doc, Line, Look, Report, Style, Where, out::hint_line},
    safe,
    text::Safe,
};
use serde::Serialize;

/// The facts of `obsctl explain`.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Where the plan comes from.
    pub origin: PlanOrigin,
    /// The plan and what it means.
    #[serde(flatten)]
    pub judged: Judged,
    /// The reasons that no plan shows, the worst first. They stand among the answer's findings.
    #[serde(skip)]
    pub reasons: Vec<Finding>,
    /// Indexes that would help.
    pub advice: Vec<IndexAdvice>,
    /// What changed since an earlier plan.
    pub diff: Option<Earlier>,
}

/// An earlier plan of the same statement.
#[derive(Debug, Serialize)]
pub struct Earlier {
    /// Where it comes from.
    pub from: Safe,
    /// What changed since.
    #[serde(flatten)]
    pub diff: PlanDiff,
}

/// Where a plan comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanOrigin {
    /// A file that somebody saved.
    File(Safe),
    /// A server that was asked.
    Server(Box<Run>),
}

/// How a server was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// The server, and our role on it.
    pub server: PgServer,
    /// The statement without its literals, and where it was found; none where the user gave it.
    pub statement: Option<Safe>,
    /// What was said to run, before it did.
    pub runs: Safe,
    /// Why the plan has no times, where it has none.
    pub not_run: Option<Safe>,
    /// Whether it is the plan for any values.
    pub is_generic: bool,
    /// Where the values came from.
    pub values_from: ValuesFrom,
    /// The types of the parameters.
    pub parameter_types: Vec<Safe>,
    /// Whether the plan for any values is another one than that for these.
    pub flips: Option<bool>,
    /// What the user should know.
    pub warnings: Vec<Safe>,
    /// Every command that was sent, in order.
    pub sent: Vec<Safe>,
}

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// All nodes, all causes.
    pub full: bool,
    /// Every command that was sent.
    pub commands: bool,
}

impl Report for Explanation {
    const KIND: &'static str = "postgres.explain";
    const VERSION: u32 = 1;
}

/// Draws it.
pub fn explain(answer: &Answer<Explanation>, place: &Where, look: &Look, shown: Shown) -> Doc {
    let full = shown.full;
    let mut doc = Doc::default();
    let facts = &answer.facts;
    doc.wrapped(Line::new().with(Style::Strong, place.line()).with(Style::Dim, origin(facts)), 2);
    if let PlanOrigin::Server(run) = &facts.origin {
        ran(&mut doc, run);
    }
    settings(&mut doc, &facts.judged);
    doc.gap();
    verdict(&mut doc, facts);
    if let Some(earlier) = &facts.diff {
        diff::diff(&earlier.diff, &earlier.from, full, &mut doc);
    }
    doc.gap();
    plan::tree(&facts.judged, look, full, &mut doc);
    causes(&mut doc, facts, full || look.verbose);
    reasons(&mut doc, facts);
    doc.gap();
    let meaning = &facts.judged.meaning;
    listed(&mut doc, "ruled out", &meaning.ruled_out);
    listed(&mut doc, "not seen", &meaning.not_seen);
    if let PlanOrigin::Server(run) = &facts.origin {
        end(&mut doc, facts, run, shown);
    }
    doc
}

/// What ran, under which limits, and what came of it.
fn ran(doc: &mut Doc, run: &Run) {
    let mut say = |word: &'static str, style: Style, text: Safe| {
        doc.wrapped(Line::new().with(Style::Dim, safe!("{:<12}", word)).with(style, text), 12);
    };
    if let Some(statement) = &run.statement {
        say("statement", Style::Plain, statement.clone());
    }
    say("runs", Style::Plain, run.runs.clone());
    say("screened", Style::Plain, "no volatile or denied function in the statement, its views or its policies".into());
    run.warnings.iter().for_each(|w| say("warning", Style::Warn, w.clone()));
    if let Some(why) = &run.not_run {
        say("not run", Style::Warn, why.clone());
    }
    match (run.is_generic, run.flips) {
        (true, _) => say("parameters", Style::Plain, "without values: this is the plan for any of them".into()),
        (false, Some(true)) => {
            say("parameters", Style::Warn, "the plan for any values (generic) is another one: it depends on the values".into())
        }
        (false, Some(false)) => say("parameters", Style::Plain, "the plan for any values (generic) is the same".into()),
        (false, None) => {}
    }
    if run.values_from == ValuesFrom::Sampled {
        say("values", Style::Warn, "sampled from the statistics: likely ones, never seen together".into());
    }
}

/// What can be done next, and what was sent.
fn end(doc: &mut Doc, facts: &Explanation, run: &Run, shown: Shown) {
    if facts.advice.iter().any(|a| a.statement.is_some()) {
        let next = "the same with --save before.json, and once the index is there with --diff before.json";
        doc.wrapped(Line::new().with(Style::Strong, "NEXT        ").with(Style::Plain, next), 12);
    }
    if shown.commands {
        doc.gap();
        run.sent.iter().for_each(|sql| doc.wrapped(Line::new().with(Style::Dim, "sent  ").with(Style::Plain, sql.clone()), 6));
    }
}

fn origin(facts: &Explanation) -> Safe {
    let run = if facts.judged.meaning.total_ms.is_some() { "" } else { ", never run" };
    match &facts.origin {
        PlanOrigin::File(_) => safe!("  a saved plan{}; nothing is run now", run),
        PlanOrigin::Server(_) => Safe::EMPTY,
    }
}

fn settings(doc: &mut Doc, judged: &Judged) {
    // That one is obsctl's own: it asks for the plan of the given values.
    let told = || judged.plan.settings.iter().filter(|(name, _)| name.as_str() != "plan_cache_mode");
    if told().next().is_some() {
        let list: Vec<Safe> = told().map(|(name, value)| safe!("{} {}", Safe::name(name), value)).collect();
        doc.wrapped(Line::new().with(Style::Dim, "settings    ").with(Style::Plain, Safe::join(&list, " · ")), 12);
    }
}

/// Who is in the way of this very statement: then its plan is not the reason.
fn blocked(facts: &Explanation) -> Option<&Finding> {
    facts.reasons.iter().find(|reason| reason.code == "blocked")
}

fn verdict(doc: &mut Doc, facts: &Explanation) {
    if let Some(blocked) = blocked(facts) {
        let says = safe!("{}.", blocked.says);
        doc.wrapped(Line::new().with(Style::Bad, "BLOCKED  ").with(Style::Strong, says), 9);
        grounds(doc, blocked);
        return;
    }
    let (word, style) = match facts.judged.meaning.pace {
        Pace::Fast => ("FAST     ", Style::Good),
        Pace::Felt => ("TOOK     ", Style::Strong),
        Pace::Slow => ("SLOW     ", Style::Bad),
        Pace::NotRun => ("NOT RUN  ", Style::Warn),
    };
    doc.wrapped(Line::new().with(style, word).with(Style::Strong, sentence(facts)), 9);
}

/// The sentence; where it is known that the index for its first cause is missing, that too.
fn sentence(facts: &Explanation) -> Safe {
    let meaning = &facts.judged.meaning;
    let first = meaning.causes.first().filter(|c| c.impact >= Impact::Medium);
    let advice = first.and_then(|cause| facts.advice.iter().find(|a| cause.nodes.contains(&a.node)));
    match (advice.and_then(IndexAdvice::missing), meaning.says.strip_suffix('.')) {
        (Some(missing), Some(says)) => safe!("{}: {}.", Safe::name(says), missing),
        _ => meaning.says.clone(),
    }
}

/// The causes, numbered; those of little weight only where all is wanted.
fn causes(doc: &mut Doc, facts: &Explanation, all: bool) {
    let causes = &facts.judged.meaning.causes;
    let shown: Vec<&Cause> = causes.iter().filter(|c| all || c.impact >= Impact::Medium).collect();
    for (i, cause) in shown.iter().enumerate() {
        doc.gap();
        let (word, style) = match cause.impact {
            Impact::High => ("HIGH", Style::Bad),
            Impact::Medium => ("MEDIUM", Style::Warn),
            Impact::Low => ("LOW", Style::Dim),
        };
        let sure = match cause.confidence {
            Confidence::Certain => Safe::EMPTY,
            Confidence::Likely => ", likely".into(),
            Confidence::Possible => ", possibly".into(),
        };
        let accounts = cause.accounts_for_ms.map_or(Safe::EMPTY, |ms| safe!(": accounts for {}{}", time(ms), sure));
        let line = Line::new().with(Style::Dim, safe!("{}  ", i + 1)).with(style, word).with(Style::Plain, safe!("  {}", cause.says));
        doc.wrapped(line.with(Style::Dim, accounts), 9);
        // Conditions stand in the tree, right at their node.
        let labels: Vec<Safe> = cause.nodes.iter().filter_map(|n| facts.judged.plan.nodes.get(n.0)).map(label).collect();
        let in_tree = |e: &Safe| {
            labels
                .iter()
                .any(|l| e.strip_prefix(l.as_str()).is_some_and(|rest| rest.starts_with(": filter ") || rest.starts_with(": join filter ")))
        };
        for evidence in cause.evidence.iter().filter(|e| !in_tree(e)) {
            doc.wrapped(Line::new().with(Style::Dim, safe!("   seen  {}", evidence)), 9);
        }
        let advice: Vec<&IndexAdvice> = facts.advice.iter().filter(|a| cause.nodes.contains(&a.node)).collect();
        advice.iter().for_each(|a| index(doc, a));
        for hint in cause.next.iter().filter(|hint| advice.is_empty() || !asks_for_index(hint)) {
            let (word, what) = match hint {
                Hint::Try(what) => ("   try   ", what.clone()),
                other => ("   ", hint_line(other)),
            };
            doc.wrapped(Line::new().with(Style::Dim, word).with(Style::Plain, what), 9);
        }
    }
    let folded = causes.len() - shown.len();
    if folded > 0 {
        doc.line(Line::new().with(Style::Dim, safe!("   {} of less than a tenth of the time: -v shows them", folded)));
    }
}

/// Whether an advice says it better.
fn asks_for_index(hint: &Hint) -> bool {
    matches!(hint, Hint::Try(what) if what.starts_with("an index "))
}

fn index(doc: &mut Doc, advice: &IndexAdvice) {
    let mut price = advice.price.clone();
    let proof = match &advice.proof {
        Proof::Hypopg { before, after } => {
            if let Some(last) = price.last_mut() {
                *last = safe!("{}  [cost, not time]", *last);
            }
            safe!("hypopg: cost {} → {}", rows(*before), rows(*after))
        }
        Proof::Unverified { why } => safe!("none yet, a candidate only: {}", why),
        Proof::Exists { index, why } => safe!("{} is there already: {}", index, why),
    };
    if let Some(statement) = &advice.statement {
        doc.wrapped(Line::new().with(Style::Dim, "   try   ").with(Style::Strong, statement.clone()), 9);
    }
    let parts: Vec<Safe> = std::iter::once(proof).chain(price).collect();
    doc.wrapped(Line::new().with(Style::Dim, "   proof ").with(Style::Plain, Safe::join(&parts, "; ")), 9);
}

/// The reasons that no plan shows.
fn reasons(doc: &mut Doc, facts: &Explanation) {
    let told = blocked(facts);
    for reason in facts.reasons.iter().filter(|reason| told != Some(*reason)) {
        doc.gap();
        let (word, style) = match reason.severity {
            Severity::Failed => ("FAILED", Style::Bad),
            Severity::Warning | Severity::Unknown => ("WARNING", Style::Warn),
            Severity::Info => ("INFO", Style::Dim),
        };
        doc.wrapped(Line::new().with(Style::Dim, "•  ").with(style, word).with(Style::Plain, safe!("  {}", reason.says)), 9);
        grounds(doc, reason);
    }
}

/// What a reason rests on, and what to do.
fn grounds(doc: &mut Doc, reason: &Finding) {
    for evidence in &reason.evidence {
        doc.wrapped(Line::new().with(Style::Dim, safe!("   seen  {}", evidence)), 9);
    }
    for hint in &reason.next {
        doc.wrapped(Line::new().with(Style::Dim, "   ").with(Style::Plain, hint_line(hint)), 10);
    }
}

fn listed(doc: &mut Doc, word: &'static str, list: &[Safe]) {
    if !list.is_empty() {
        doc.wrapped(Line::new().with(Style::Dim, safe!("{:<12}", word)).with(Style::Plain, Safe::join(list, " · ")), 12);
    }
}
