//! The screen of a run of checks.

use super::{
    evaluate,
    history::CheckHistory,
    kinds::BlindSpot,
    model::{CheckCounts, CheckFacts, CheckResult, CheckStatus, Unanswered},
    spec::CheckSpec,
};
use crate::{
    answer::Answer,
    exit::ExitStatus,
    report::{Cell, Doc, Line, Look, Style, Table, Where, out::hint_line},
    safe,
    text::Safe,
};
use jiff::{SignedDuration, Timestamp};
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
    let rows = folded(bad, look);
    doc.table(Table { head: Vec::new(), rows: rows.iter().map(|(c, also)| row(c, also)).collect() });
    if !look.verbose {
        good(facts, &mut doc);
    }
    notes(facts, &mut doc);
    if !facts.changes.is_empty() {
        doc.gap();
        for (i, change) in facts.changes.iter().enumerate() {
            doc.line(Line::new().with(Style::Dim, if i == 0 { "CHANGED   " } else { "          " }).with(Style::Plain, change.clone()));
        }
    }
    compared(facts, &mut doc);
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

/// Checks that say the very same, as when the cluster cannot be asked or two names lead to one server: once, with the names of the others.
fn folded<'a>(checks: Vec<&'a CheckResult>, look: &Look) -> Vec<(&'a CheckResult, Vec<&'a CheckResult>)> {
    let mut rows: Vec<(&CheckResult, Vec<&CheckResult>)> = Vec::new();
    for check in checks {
        let same = |of: &CheckResult| {
            let system = of.system == check.system || matches!(check.status, CheckStatus::Unknown | CheckStatus::Skipped);
            system && of.status == check.status && of.unanswered == check.unanswered && of.says == check.says
        };
        let said = rows.iter_mut().find(|(of, _)| !look.verbose && check.status != CheckStatus::Ok && same(of));
        match said {
            Some((_, also)) => also.push(check),
            None => rows.push((check, Vec::new())),
        }
    }
    rows
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

fn row(result: &CheckResult, also: &[&CheckResult]) -> Vec<Cell> {
    let (word, style) = word(result);
    let why = result.unanswered.map(|why| safe!(" [{}]", why.word())).unwrap_or_default();
    let want = if result.want.is_empty() || result.status == CheckStatus::Skipped { Safe::EMPTY } else { safe!("   want {}", result.want) };
    let route = if result.status > CheckStatus::Skipped { safe!("   {}", result.route.word()) } else { Safe::EMPTY };
    vec![
        Cell::left(style, word),
        Cell::left(Style::Dim, result.system),
        Cell::left(Style::Plain, result.name.clone()),
        Cell::left(Style::Plain, safe!("{}{}{}{}{}", result.says, why, want, route, also_named(also))),
    ]
}

fn also_named(also: &[&CheckResult]) -> Safe {
    let names: Vec<Safe> = also.iter().map(|c| c.name.clone()).collect();
    if names.is_empty() { Safe::EMPTY } else { safe!("   the same: {}", Safe::join(&names, ", ")) }
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

fn notes(facts: &CheckFacts, doc: &mut Doc) {
    for check in facts.checks.iter().filter(|c| c.note.is_some()) {
        let note = check.note.clone().unwrap_or_default();
        doc.wrapped(Line::new().with(Style::Dim, safe!("{}  {}", check.name, note)), 2);
    }
}

/// What is worse than when it was kept.
fn compared(facts: &CheckFacts, doc: &mut Doc) {
    let Some(found) = &facts.compared else { return };
    doc.gap();
    let with = Safe::name(found.with.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    doc.line(Line::new().with(Style::Strong, safe!("against {}", with)));
    let lists = [
        ("NEW", &found.new, Style::Bad),
        ("worse", &found.worsened, Style::Warn),
        ("still", &found.still, Style::Dim),
        ("fixed", &found.fixed, Style::Good),
        ("gone", &found.gone, Style::Warn),
    ];
    for (word, names, style) in lists.into_iter().filter(|(_, names, _)| !names.is_empty()) {
        doc.wrapped(Line::new().with(style, safe!("  {:<6}", word)).with(Style::Plain, Safe::join(names, ", ")), 8);
    }
    for worse in found.worse.iter().take(12) {
        let crossed = if worse.crossed { ", across its threshold" } else { "" };
        doc.line(
            Line::new()
                .with(Style::Dim, "  figure")
                .with(Style::Plain, safe!(" {}: {} {} → {}{}", worse.check, worse.figure, worse.before, worse.now, crossed)),
        );
    }
    if found.new.is_empty() && found.worsened.is_empty() {
        doc.line(Line::new().with(Style::Good, "  nothing is worse"));
    }
}

/// What the worst ones rest on, and what to do next.
fn evidence(facts: &CheckFacts, look: &Look, doc: &mut Doc) {
    let bad = folded(facts.checks.iter().filter(|c| c.status > CheckStatus::Skipped).collect(), look);
    let most = if look.verbose { usize::MAX } else { SHOWN };
    for check in
        bad.into_iter().map(|(check, _)| check).take(most).filter(|c| !c.evidence.is_empty() || !c.next.is_empty() || c.runbook.is_some())
    {
        doc.gap();
        doc.line(
            Line::new()
                .with(Style::Strong, check.name.clone())
                .with(Style::Dim, check.place.as_ref().map(|p| safe!("  {}", p.says())).unwrap_or_default()),
        );
        for line in &check.evidence {
            doc.wrapped(Line::new().with(Style::Plain, safe!("  {}", *line)), 4);
        }
        if let Some(runbook) = &check.runbook {
            doc.line(Line::new().with(Style::Dim, safe!("  runbook {}", *runbook)));
        }
        for hint in check.next.iter().take(2) {
            doc.line(Line::new().with(Style::Dim, safe!("  {}", hint_line(hint))));
        }
    }
}

/// What `--dry-run` says: each check, unasked.
pub fn planned(specs: &[CheckSpec]) -> CheckFacts {
    let mut history = CheckHistory::default();
    let spot = BlindSpot {
        why: Unanswered::Stopped,
        says: "not asked".into(),
        next: Vec::new(),
        status: CheckStatus::Unknown,
        cluster_away: false,
        took_ms: 0,
    };
    let checks: Vec<CheckResult> =
        specs.iter().map(|spec| evaluate::judge(spec, &Err(spot.clone()), &mut history, Timestamp::default())).collect();
    CheckFacts { counts: CheckCounts::of(&checks), checks, ..CheckFacts::default() }
}

/// The checks that would be asked.
pub fn plan(specs: &[CheckSpec], place: &Where) -> Doc {
    let mut doc = Doc::default();
    doc.line(
        Line::new()
            .with(Style::Strong, place.line())
            .with(Style::Dim, safe!("  {}, nothing is asked", crate::text::units::plural(specs.len(), "check", "checks"))),
    );
    doc.table(Table { head: Vec::new(), rows: specs.iter().map(planned_row).collect() });
    doc
}

fn planned_row(spec: &CheckSpec) -> Vec<Cell> {
    let needs: Vec<Safe> = spec.needs.iter().map(Safe::name).collect();
    let needs = if needs.is_empty() { Safe::EMPTY } else { safe!("   needs {}", Safe::join(&needs, ", ")) };
    let lasts = spec.lasts.map(|d| safe!("   for {}", crate::text::units::duration(d))).unwrap_or_default();
    vec![
        Cell::left(Style::Dim, spec.kind.word()),
        Cell::left(Style::Plain, Safe::name(&spec.name)),
        Cell::left(Style::Plain, safe!("want {}{}{}   {}", spec.wants(), lasts, needs, spec.route.word())),
    ]
}

/// `--explain`: of each check what it saw, what it compared, and how.
pub fn explained(answer: &Answer<CheckFacts>, place: &Where, status: ExitStatus, look: &Look) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    doc.line(head(facts, place, look));
    doc.wrapped(headline(facts), 6);
    for check in &facts.checks {
        doc.gap();
        let (word, style) = word(check);
        let at = check.place.as_ref().map(|p| safe!("  {}", p.says())).unwrap_or_default();
        doc.line(
            Line::new()
                .with(style, safe!("{:<5}", word))
                .with(Style::Strong, safe!("{} ({})", check.name, check.system))
                .with(Style::Dim, at),
        );
        let line = |doc: &mut Doc, label: &'static str, text: Safe| {
            if !text.is_empty() {
                doc.wrapped(Line::new().with(Style::Dim, safe!("      {:<9}", label)).with(Style::Plain, text), 15);
            }
        };
        line(&mut doc, "says", check.says.clone());
        line(&mut doc, "why", check.unanswered.map(|w| w.word().into()).unwrap_or_default());
        line(&mut doc, "wants", check.want.clone());
        for bound in &check.bounds {
            line(&mut doc, if bound.fails { "compares" } else { "warns" }, bound.says.clone());
        }
        let measured: Vec<Safe> = check.figures.iter().take(12).map(|f| safe!("{} {}", f.named(), f.shown().clipped(60))).collect();
        line(&mut doc, "measured", Safe::join(&measured, ", "));
        line(&mut doc, "note", check.note.clone().unwrap_or_default());
        check.evidence.iter().for_each(|e| line(&mut doc, "evidence", e.clone()));
        check.next.iter().take(3).for_each(|hint| line(&mut doc, "next", hint_line(hint)));
        line(&mut doc, "runbook", check.runbook.clone().unwrap_or_default());
    }
    let took = SignedDuration::from_millis(i64::try_from(facts.took_ms).unwrap_or(i64::MAX));
    doc.gap();
    doc.line(Line::new().with(Style::Strong, facts.counts.says(took)).with(Style::Dim, safe!("   [exit {}]", status.code())));
    doc
}
