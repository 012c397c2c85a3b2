//! The screen of `doctor`: the verdict, a line for each thing that was tried, and what the missing rights are for.

use super::model::{Checkup, DoctorFacts, Fit};
use crate::{
    answer::{Answer, Finding, Hint, Verdict},
    report::{Cell, Doc, Line, Look, Report, Style, Table, Where, out::hint_line},
    safe,
    text::{Safe, units},
};

impl Report for DoctorFacts {
    const KIND: &'static str = "doctor";
    const VERSION: u32 = 1;
}

/// Draws it.
pub fn screen(answer: &Answer<DoctorFacts>, place: &Where, look: &Look) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    let at = facts.observed_at.to_zoned(look.zone.clone()).strftime("%H:%M:%S %Z").to_string();
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  {}", Safe::name(at))));
    doc.wrapped(headline(answer), 9);
    doc.gap();
    let mut rows: Vec<Vec<Cell>> = facts.checkups.iter().map(row).collect();
    if !facts.rights.is_empty() {
        let allowed = facts.rights.iter().filter(|right| right.allowed == Some(true)).count();
        let unsaid = facts.rights.iter().filter(|right| right.allowed.is_none()).count();
        let style = if allowed + unsaid < facts.rights.len() { Style::Warn } else { Style::Good };
        let rest = if unsaid > 0 { safe!("; {} could not be asked", unsaid) } else { Safe::EMPTY };
        let says = safe!("{} of {} that obsctl uses are there{}", allowed, units::plural(facts.rights.len(), "right", "rights"), rest);
        rows.push(vec![
            Cell::left(Style::Plain, "rights"),
            Cell::left(style, if allowed + unsaid < facts.rights.len() { "limited" } else { "ok" }),
            Cell::left(Style::Plain, says),
        ]);
    }
    doc.table(Table { head: Vec::new(), rows });
    for finding in &answer.findings {
        doc.gap();
        let style = match finding.severity.verdict() {
            Verdict::Failed => (Style::Bad, "FAILED   "),
            Verdict::Unknown => (Style::Warn, "UNKNOWN  "),
            Verdict::Warning => (Style::Warn, "WARNING  "),
            Verdict::Ok => (Style::Dim, "         "),
        };
        doc.wrapped(Line::new().with(style.0, style.1).with(Style::Plain, finding.says.clone()), 9);
        details(&mut doc, finding, look);
    }
    let next: Vec<Safe> = answer.findings.iter().flat_map(|f| &f.next).filter(|hint| matches!(hint, Hint::Run(_))).map(hint_line).collect();
    if let Some(first) = next.first() {
        doc.gap();
        doc.wrapped(Line::new().with(Style::Strong, "NEXT  ").with(Style::Plain, first.clone()), 6);
    }
    doc
}

fn headline(answer: &Answer<DoctorFacts>) -> Line {
    let seen = answer.facts.checkups.iter().filter(|c| matches!(c.fit, Fit::Good | Fit::Limited)).count();
    let wanted = answer.facts.checkups.iter().filter(|c| c.fit != Fit::Absent).count();
    let says = safe!("{} of {} can be seen from here", seen, units::plural(wanted, "system", "systems"));
    match answer.verdict() {
        Verdict::Ok => Line::new().with(Style::Good, "OK       ").with(Style::Strong, safe!("{}, and nothing is missing", says)),
        Verdict::Warning => Line::new().with(Style::Warn, "WARNING  ").with(Style::Strong, safe!("{}, not all of each", says)),
        Verdict::Unknown => Line::new().with(Style::Warn, "UNKNOWN  ").with(Style::Strong, says),
        Verdict::Failed => Line::new().with(Style::Bad, "FAILED   ").with(Style::Strong, says),
    }
}

fn row(checkup: &Checkup) -> Vec<Cell> {
    let (style, word) = match checkup.fit {
        Fit::Good => (Style::Good, "ok"),
        Fit::Absent => (Style::Dim, "–"),
        Fit::Limited => (Style::Warn, "limited"),
        Fit::Failed => (Style::Bad, "FAILED"),
    };
    vec![Cell::left(Style::Plain, checkup.name.clone()), Cell::left(style, word), Cell::left(Style::Plain, checkup.says.clone())]
}

fn details(doc: &mut Doc, finding: &Finding, look: &Look) {
    let most = if look.verbose { usize::MAX } else { 6 };
    if finding.code == "rights" {
        for line in finding.evidence.iter().take(most) {
            doc.wrapped(Line::new().with(Style::Dim, safe!("         {}", *line)), 11);
        }
        if finding.evidence.len() > most {
            doc.line(Line::new().with(Style::Dim, safe!("         and {} more (-v)", finding.evidence.len() - most)));
        }
    }
    for hint in finding.next.iter().filter(|hint| !matches!(hint, Hint::Run(_))) {
        doc.wrapped(Line::new().with(Style::Plain, safe!("         {}", hint_line(hint))), 11);
    }
}
