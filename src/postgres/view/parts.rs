//! What the screens of a database have in common: the first line, findings, what was not seen, the next command.

use crate::{
    answer::{Answer, Finding, Hint, Severity},
    postgres::model::DatabaseSeen,
    report::{Doc, Line, Look, Style, Where, out::hint_line},
    safe,
    text::Safe,
};

/// `production  db:5432/shop (tunnel)  replica  as obsctl_ro  PostgreSQL 15.8  read-only`.
pub(super) fn first_line(doc: &mut Doc, place: &Where, server: &DatabaseSeen) {
    let role = if server.replica { "replica" } else { "primary" };
    let about = safe!("  {}  role {}  PostgreSQL {}  read-only", role, server.role, server.version);
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, about));
}

/// The verdict in a sentence: the worst finding's, else that of calm.
pub(super) fn headline<'a, T>(doc: &mut Doc, answer: &'a Answer<T>, calm: Safe) -> Option<&'a Finding> {
    let worst = answer.findings.first().filter(|finding| finding.severity >= Severity::Warning);
    let (word, style) = match worst.map(|finding| finding.severity) {
        None | Some(Severity::Info) => ("OK    ", Style::Good),
        Some(Severity::Warning | Severity::Unknown) => ("WARN  ", Style::Warn),
        Some(Severity::Failed) => ("BAD   ", Style::Bad),
    };
    let says = worst.map_or(calm, |finding| safe!("{}.", finding.says));
    doc.wrapped(Line::new().with(style, word).with(Style::Strong, says), 6);
    worst
}

/// Every finding with what it rests on; the one of the headline without its sentence.
pub(super) fn findings(doc: &mut Doc, all: &[Finding], told: Option<&Finding>, look: &Look) {
    let most = if look.verbose { usize::MAX } else { 5 };
    for finding in all.iter().take(most) {
        if told != Some(finding) {
            let style = match finding.severity {
                Severity::Failed => Style::Bad,
                Severity::Info => Style::Dim,
                Severity::Warning | Severity::Unknown => Style::Warn,
            };
            let word = if finding.severity == Severity::Info { "info  " } else { "also  " };
            doc.wrapped(Line::new().with(style, word).with(Style::Plain, finding.says.clone()), 6);
        }
        for line in &finding.evidence {
            doc.wrapped(Line::new().with(Style::Dim, "      ").with(Style::Dim, line.clone()), 8);
        }
        for hint in finding.next.iter().filter(|hint| !matches!(hint, Hint::Run(_))) {
            doc.wrapped(Line::plain(hint_line(hint)), 6);
        }
    }
    if all.len() > most {
        doc.line(Line::new().with(Style::Dim, safe!("      and {} more findings (-v)", all.len() - most)));
    }
}

/// A statement in few characters: the columns that it selects say the least about it.
pub(super) fn brief(query: &Safe, width: usize) -> Safe {
    const LIST: usize = 24;
    let list = query.split_once(" FROM ").filter(|(list, _)| list.starts_with("SELECT ") && list.chars().count() > LIST);
    let short = list.filter(|(list, _)| !list.contains('(')).map(|(_, rest)| safe!("SELECT … FROM {}", Safe::name(rest)));
    short.as_ref().unwrap_or(query).clipped(width)
}

/// What was not seen, and the next commands.
pub(super) fn ending<T>(doc: &mut Doc, answer: &Answer<T>) {
    for missing in &answer.coverage.missing {
        let hint = missing.hint.as_ref().map(|hint| safe!("  ({})", hint_line(hint))).unwrap_or_default();
        let says = safe!("{}: {}{}", missing.part.name, missing.why.says(), hint);
        doc.wrapped(Line::new().with(Style::Dim, "not seen  ").with(Style::Plain, says), 10);
    }
    let mut commands: Vec<Safe> = Vec::new();
    for hint in answer.findings.iter().flat_map(|finding| &finding.next) {
        if let Hint::Run(command) = hint
            && !commands.contains(command)
        {
            commands.push(command.clone());
        }
    }
    commands.truncate(3);
    if !commands.is_empty() {
        doc.line(Line::new().with(Style::Dim, "NEXT  ").with(Style::Strong, Safe::join(&commands, "    ")));
    }
}
