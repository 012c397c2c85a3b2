//! The screen of a watch: a row for each subject, with its last probes as a strip.

use super::{
    model::{SubjectFacts, WatchFacts},
    state::Standing,
};
use crate::{
    answer::{Answer, Verdict},
    report::{Cell, Doc, Line, Look, Report, Style, Table, Where},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;

impl Report for WatchFacts {
    const KIND: &'static str = "watch";
    const VERSION: u32 = 1;
}

/// Draws it, with the last changes below.
pub fn watch(answer: &Answer<WatchFacts>, place: &Where, changes: impl Iterator<Item = Line>, look: &Look) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    let now = facts.observed_at.unwrap_or_default();
    let time = Safe::name(now.to_zoned(look.zone.clone()).strftime("%H:%M:%S %Z").to_string());
    let head: Vec<Safe> = [place.line(), time].into_iter().filter(|part| !part.is_empty()).collect();
    doc.line(Line::new().with(Style::Strong, Safe::join(&head, "  ")));
    let (word, style) = match answer.verdict() {
        Verdict::Ok => ("OK      ", Style::Good),
        Verdict::Warning => ("WARN    ", Style::Warn),
        Verdict::Unknown => ("UNKNOWN ", Style::Warn),
        Verdict::Failed => ("FAILED  ", Style::Bad),
    };
    let says = answer.findings.first().map_or_else(
        || safe!("{} well", units::plural(facts.subjects.len(), "subject is", "subjects are")),
        |finding| finding.says.clone(),
    );
    doc.wrapped(Line::new().with(style, word).with(Style::Strong, says), 8);
    if !facts.subjects.is_empty() {
        doc.gap();
        doc.table(table(facts, now));
    }
    for finding in answer.findings.iter().skip(1) {
        doc.wrapped(Line::new().with(Style::Plain, finding.says.clone()), 2);
    }
    doc.gap();
    changes.for_each(|line| doc.line(line));
    doc
}

fn table(facts: &WatchFacts, now: Timestamp) -> Table {
    let left = |text: &'static str| Cell::left(Style::Dim, text);
    let right = |text: &'static str| Cell::right(Style::Dim, text);
    let head = vec![left("SUBJECT"), left("IS"), right("FOR"), right("UPTIME"), right("P50"), right("P95"), left("LAST PROBES")];
    Table { head, rows: facts.subjects.iter().map(|subject| row(subject, now)).collect() }
}

fn row(subject: &SubjectFacts, now: Timestamp) -> Vec<Cell> {
    let (word, style) = match subject.standing {
        Standing::Up => ("ok", Style::Good),
        Standing::Down => ("FAILED", Style::Bad),
        Standing::New => ("?", Style::Warn),
    };
    let none = || Safe::from("–");
    let ms = |ms: Option<u32>| ms.map_or_else(none, |ms| units::duration(jiff::SignedDuration::from_millis(ms.into())));
    vec![
        Cell::left(Style::Plain, subject.name.clone()),
        Cell::left(style, word),
        Cell::right(Style::Plain, subject.since.map_or_else(none, |t| units::duration(now.duration_since(t)))),
        Cell::right(Style::Plain, subject.uptime.map_or_else(none, |share| safe!("{:.1} %", share * 100.0))),
        Cell::right(Style::Plain, ms(subject.p50_ms)),
        Cell::right(Style::Plain, ms(subject.p95_ms)),
        Cell::left(style, subject.strip.clone()),
    ]
}
