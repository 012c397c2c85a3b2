//! The screen of a run of checks.

use super::model::{CheckFacts, CheckResult, CheckStatus};
use crate::{
    answer::Answer,
    exit::ExitStatus,
    report::{Cell, Doc, Line, Look, Style, Table, Where, out::hint_line},
    safe,
    text::Safe,
};
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// Checks whose evidence is shown without -v.
const SHOWN: usize = 3;

/// Draws it.
pub fn check(answer: &Answer<CheckFacts>, place: &Where, status: ExitStatus, look: &Look) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    doc.line(head(facts, place, look));
    doc.wrapped(headline(facts), 6);
    doc.gap();
    let bad: Vec<&CheckResult> = facts.checks.iter().filter(|c| look.verbose || c.status != CheckStatus::Ok).collect();
    doc.table(Table { head: Vec::new(), rows: bad.iter().map(|c| row(c)).collect() });
    if !look.verbose {
        good(facts, &mut doc);
    }
    notes(facts, look, &mut doc);
    if !facts.changes.is_empty() {
        doc.gap();
        for (i, change) in facts.changes.iter().enumerate() {
            doc.line(Line::new().with(Style::Dim, if i == 0 { "CHANGED   " } else { "          " }).with(Style::Plain, change.clone()));
        }
    }
    evidence(facts, look, &mut doc);
    let took = SignedDuration::from_millis(i64::try_from(facts.took_ms).unwrap_or(i64::MAX));
    doc.gap();
    doc.line(Line::new().with(Style::Strong, facts.counts.says(took)).with(Style::Dim, safe!("   [exit {}]", status.code())));
    doc
}

fn head(facts: &CheckFacts, place: &Where, look: &Look) -> Line {
    let clock = Safe::name(facts.observed_at.to_zoned(look.zone.clone()).strftime("%H:%M:%S %Z").to_string());
    let what = match &facts.files[..] {
        [] => safe!("built-in runbook, {} (your own: obsctl check init)", checks(facts)),
        files => safe!("{}, {}", Safe::join(files.iter().take(3), ", "), checks(facts)),
    };
    let parts: Vec<Safe> = [place.line(), clock, what].into_iter().filter(|part| !part.is_empty()).collect();
    Line::new().with(Style::Strong, Safe::join(&parts, "  "))
}

fn checks(facts: &CheckFacts) -> Safe {
    crate::text::units::plural(facts.counts.checks, "check", "checks")
}

/// What is wrong, in one line: the root where there is one, else the worst.
fn headline(facts: &CheckFacts) -> Line {
    let worst = facts.checks.first().filter(|c| c.status > CheckStatus::Skipped);
    let root = facts.causes.iter().find(|cause| worst.is_some_and(|w| w.name == cause.check));
    match (root, worst) {
        (Some(cause), _) => {
            let skipped = crate::text::units::plural(cause.skipped.len(), "check", "checks");
            Line::new().with(Style::Bad, "CAUSE ").with(Style::Strong, safe!("{}: {}; {} skipped for it", cause.check, cause.says, skipped))
        }
        (None, Some(worst)) => {
            let (word, style) = word(worst);
            let more = facts.counts.failed.saturating_sub(1);
            let more = if worst.status == CheckStatus::Failed && more > 0 { safe!("; {} more failed", more) } else { Safe::EMPTY };
            Line::new().with(style, safe!("{:<6}", word)).with(Style::Strong, safe!("{}: {}{}", worst.name, worst.says, more))
        }
        (None, None) => Line::new().with(Style::Good, "OK    ").with(Style::Strong, "all is as it should be"),
    }
}

fn word(result: &CheckResult) -> (&'static str, Style) {
    match result.status {
        CheckStatus::Ok => ("ok", Style::Good),
        CheckStatus::Skipped => ("skip", Style::Dim),
        CheckStatus::Warning => ("WARN", Style::Warn),
        CheckStatus::Unknown => ("?", Style::Warn),
        CheckStatus::Failed => ("FAIL", Style::Bad),
    }
}

fn row(result: &CheckResult) -> Vec<Cell> {
    let (word, style) = word(result);
    let why = result.unanswered.map(|why| safe!(" [{}]", why.word())).unwrap_or_default();
    let want = if result.want.is_empty() || result.status == CheckStatus::Skipped { Safe::EMPTY } else { safe!("   want {}", result.want) };
    let route = if result.status > CheckStatus::Skipped { safe!("   {}", result.route.word()) } else { Safe::EMPTY };
    vec![
        Cell::left(style, word),
        Cell::left(Style::Dim, result.system),
        Cell::left(Style::Plain, result.name.clone()),
        Cell::left(Style::Plain, safe!("{}{}{}{}", result.says, why, want, route)),
    ]
}

/// Those that are well, in one line.
fn good(facts: &CheckFacts, doc: &mut Doc) {
    let mut by_system: BTreeMap<&str, usize> = BTreeMap::new();
    for check in facts.checks.iter().filter(|c| c.status == CheckStatus::Ok) {
        *by_system.entry(check.system).or_default() += 1;
    }
    if by_system.is_empty() {
        return;
    }
    let parts: Vec<Safe> = by_system.iter().map(|(system, n)| safe!("{} {}", Safe::name(system), *n)).collect();
    let more = if facts.counts.ok == facts.counts.checks { "" } else { " more" };
    let text = safe!("  {}{}   {}", facts.counts.ok, more, Safe::join(&parts, "  "));
    doc.line(Line::new().with(Style::Good, "ok").with(Style::Plain, text).with(Style::Dim, "   (-v lists them)"));
}

fn notes(facts: &CheckFacts, look: &Look, doc: &mut Doc) {
    for check in facts.checks.iter().filter(|c| c.note.is_some() && (look.verbose || c.status != CheckStatus::Ok || c.since.is_some())) {
        let note = check.note.clone().unwrap_or_default();
        doc.wrapped(Line::new().with(Style::Dim, safe!("{}  {}", check.name, note)), 2);
    }
}

/// What the worst ones rest on, and what to do next.
fn evidence(facts: &CheckFacts, look: &Look, doc: &mut Doc) {
    let bad = facts.checks.iter().filter(|c| c.status > CheckStatus::Skipped);
    let most = if look.verbose { usize::MAX } else { SHOWN };
    for check in bad.take(most).filter(|c| !c.evidence.is_empty() || !c.next.is_empty() || c.runbook.is_some()) {
        doc.gap();
        doc.line(Line::new().with(Style::Strong, check.name.clone()).with(Style::Dim, check.place.as_ref().map(|p| safe!("  {}", p.says())).unwrap_or_default()));
        for line in &check.evidence {
            doc.wrapped(Line::new().with(Style::Plain, safe!("  {}", *line)), 4);
        }
        for runbook in &check.runbook {
            doc.line(Line::new().with(Style::Dim, safe!("  runbook {}", *runbook)));
        }
        for hint in check.next.iter().take(2) {
            doc.line(Line::new().with(Style::Dim, safe!("  {}", hint_line(hint))));
        }
    }
}
