//! The screen of `obsctl explain`: the sentence, the tree, the causes with what to try, what was ruled out and what was not seen.

use super::plan;
use crate::{
    answer::{Answer, Hint},
    postgres::{
        analyze::explain::{Judged, Pace},
        rules::{Confidence, Impact},
    },
    postgres::{analyze::cause::Cause, analyze::words::time},
    report::{Doc, Line, Look, Report, Style, Where, out::hint_line},
    safe,
    text::Safe,
};
use serde::Serialize;

/// The facts of `obsctl explain`.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Where the plan comes from.
    pub origin: Origin,
    /// The plan and what it means.
    #[serde(flatten)]
    pub judged: Judged,
}

/// Where a plan comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A file that somebody saved.
    File(Safe),
}

impl Report for Explanation {
    const KIND: &'static str = "postgres.explain";
    const VERSION: u32 = 1;
}

/// Draws it.
pub fn explain(answer: &Answer<Explanation>, place: &Where, look: &Look, full: bool) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, origin(facts)));
    settings(&mut doc, &facts.judged);
    doc.gap();
    verdict(&mut doc, &facts.judged);
    doc.gap();
    plan::tree(&facts.judged, look, full, &mut doc);
    causes(&mut doc, &facts.judged.meaning.causes, full || look.verbose);
    doc.gap();
    let meaning = &facts.judged.meaning;
    listed(&mut doc, "ruled out", &meaning.ruled_out);
    listed(&mut doc, "not seen", &meaning.not_seen);
    doc
}

fn origin(facts: &Explanation) -> Safe {
    let run = if facts.judged.meaning.total_ms.is_some() { "" } else { ", never run" };
    match &facts.origin {
        Origin::File(_) => safe!("  a saved plan{}; nothing is run now", run),
    }
}

fn settings(doc: &mut Doc, judged: &Judged) {
    if !judged.plan.settings.is_empty() {
        let list: Vec<Safe> = judged.plan.settings.iter().map(|(name, value)| safe!("{} {}", Safe::name(name), value)).collect();
        doc.wrapped(Line::new().with(Style::Dim, "settings    ").with(Style::Plain, Safe::join(&list, " · ")), 12);
    }
}

fn verdict(doc: &mut Doc, judged: &Judged) {
    let (word, style) = match judged.meaning.pace {
        Pace::Fast => ("FAST     ", Style::Good),
        Pace::Felt => ("TOOK     ", Style::Strong),
        Pace::Slow => ("SLOW     ", Style::Bad),
        Pace::NotRun => ("NOT RUN  ", Style::Warn),
    };
    doc.wrapped(Line::new().with(style, word).with(Style::Strong, judged.meaning.says.clone()), 9);
}

/// The causes, numbered; those of little weight only where all is wanted.
fn causes(doc: &mut Doc, causes: &[Cause], all: bool) {
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
        cause.evidence.iter().for_each(|e| doc.wrapped(Line::new().with(Style::Dim, safe!("   seen  {}", e)), 9));
        for hint in &cause.next {
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

fn listed(doc: &mut Doc, word: &'static str, list: &[Safe]) {
    if !list.is_empty() {
        doc.wrapped(Line::new().with(Style::Dim, safe!("{:<12}", word)).with(Style::Plain, Safe::join(list, " · ")), 12);
    }
}
