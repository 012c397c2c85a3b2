//! The screen of the errors: the sentence, then each kind with its timeline, its places, one sample and the next command.

use crate::{
    answer::{Answer, Hint},
    logs::analyze::{
        cause::ErrorCause,
        errors::{COLUMNS, ErrorFacts, ErrorKind, Novelty},
    },
    report::{Doc, Line, Look, Style, Where, out::hint_line, sparkline},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;

/// What the flags say about the look.
#[derive(Clone, Copy, Debug)]
pub struct ErrorStyle {
    /// So many kinds are shown; none: all.
    pub limit: Option<usize>,
    /// `--tracebacks`: the samples whole.
    pub tracebacks: bool,
}

/// So many places of a kind are named.
const PLACES: usize = 3;

/// Draws the errors.
pub fn errors(answer: &Answer<ErrorFacts>, place: &Where, look: &Look, style: ErrorStyle) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    let clock = Clock::of(facts, look);
    let since = facts.since.map(|since| safe!("  since {}", clock.whole(since))).unwrap_or_default();
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, since));
    doc.wrapped(verdict(answer, &clock), 2);
    if let Some((from, to)) = facts.shown.filter(|(from, to)| from < to && !facts.kinds.is_empty()) {
        let column = to.duration_since(from) / i32::try_from(COLUMNS).unwrap_or(1);
        let says = safe!("timelines {} → {}, a column is {}", clock.short(from), clock.short(to), units::duration(column));
        doc.line(Line::new().with(Style::Dim, says));
    }
    let shown = style.limit.unwrap_or(usize::MAX);
    for (i, kind) in facts.kinds.iter().take(shown).enumerate() {
        doc.gap();
        draw(&mut doc, i + 1, kind, &clock, style.tracebacks);
    }
    remarks(&mut doc, facts, shown);
    if !answer.coverage.complete() {
        doc.gap();
        super::coverage(&answer.coverage, &mut doc);
    }
    doc
}

fn verdict(answer: &Answer<ErrorFacts>, clock: &Clock<'_>) -> Line {
    let facts = &answer.facts;
    let read =
        safe!("{} of {}", super::searched(facts.records, &answer.coverage), units::plural(answer.coverage.searched.len(), "log", "logs"));
    if answer.coverage.nothing_read() {
        return Line::new().with(Style::Warn, "nothing could be read: nothing is known about errors");
    }
    if answer.coverage.searched.is_empty() {
        return Line::new().with(Style::Warn, "there is nothing to read: no pod is there");
    }
    if facts.kinds.is_empty() {
        let (style, how) = if answer.coverage.complete() { (Style::Good, "") } else { (Style::Warn, " in what could be read") };
        return Line::new().with(style, safe!("no errors{}", how)).with(Style::Plain, safe!(": {}", read));
    }
    let count = |n: u64, one, many| units::plural(usize::try_from(n).unwrap_or(usize::MAX), one, many);
    let head = safe!("{} of {}", count(facts.occurrences, "error", "errors"), units::plural(facts.kinds.len(), "kind", "kinds"));
    let mut line = Line::new().with(Style::Bad, head).with(Style::Plain, safe!(" in {}", read));
    let new = facts.brought().count();
    if let Some(rollout) = facts.brought().find_map(|k| k.rollout.as_ref()) {
        let of = units::plural(new, "kind is", "kinds are");
        line.push(Style::Warn, &safe!("; {} new since the rollout of {}", of, clock.short(rollout.begun)));
    }
    line
}

fn draw(doc: &mut Doc, number: usize, kind: &ErrorKind, clock: &Clock<'_>, tracebacks: bool) {
    let sample = &kind.sample;
    let mut head = Line::new().with(Style::Dim, safe!("{:<3}", number)).with(Style::Bad, kind.title().clone());
    match &kind.cause {
        ErrorCause::Exception { place, .. } => {
            let at = sample.frame.as_ref().or(place.as_ref());
            head.push(Style::Strong, &at.map(|at| safe!("  {}", at)).unwrap_or_default());
        }
        ErrorCause::Message { logger, .. } => {
            head.push(Style::Dim, &logger.as_ref().map(|l| safe!("  {}", l)).unwrap_or_default());
        }
    }
    doc.wrapped(head, 3);
    let times = match (kind.first, kind.last) {
        (Some(first), Some(last)) if first == last => clock.short(first),
        (Some(first), Some(last)) => safe!("{} → {}", clock.short(first), clock.short(last)),
        _ => "without a time".into(),
    };
    let again = if kind.repeats > 0 { safe!("  (+ {} of the same failures)", lines(kind.repeats)) } else { Safe::EMPTY };
    doc.line(
        Line::new()
            .with(Style::Strong, safe!("   {} ×  ", units::count(kind.count)))
            .with(Style::Plain, sparkline(&kind.timeline))
            .with(Style::Plain, safe!("  {}", times))
            .with(Style::Dim, again),
    );
    if let Some(rollout) = &kind.rollout {
        let of = safe!("the rollout of {} of deploy/{} ({})", clock.short(rollout.begun), Safe::name(&rollout.deployment), rollout.says);
        let line = match kind.novelty {
            Novelty::New => Line::new().with(Style::Warn, safe!("   NEW since {}", of)),
            _ => Line::new().with(Style::Dim, safe!("   first seen after {}; that app's logs from before it are gone", of)),
        };
        doc.wrapped(line, 5);
    }
    let mut places: Vec<Safe> = kind.places.iter().take(PLACES).map(|p| at(p.origin.tag(), p.release.as_ref(), p.count)).collect();
    if kind.places.len() > PLACES {
        places.push(safe!("and {} more", kind.places.len() - PLACES));
    }
    doc.wrapped(Line::new().with(Style::Dim, "   by    ").with(Style::Plain, Safe::join(&places, "   ")), 9);
    let mut says: Vec<Safe> = Vec::new();
    if matches!(kind.cause, ErrorCause::Exception { .. }) && sample.says != *kind.title() {
        says.push(sample.says.clone());
    }
    says.extend(sample.message.clone().filter(|m| m != kind.title()));
    if matches!(kind.cause, ErrorCause::Message { .. }) && sample.says != *kind.title() {
        says.push(sample.says.clone());
    }
    if !says.is_empty() {
        doc.wrapped(Line::new().with(Style::Dim, "   says  ").with(Style::Plain, Safe::join(&says, "  ·  ").clipped(400)), 9);
    }
    if tracebacks {
        doc.line(Line::new().with(Style::Dim, safe!("   │ {}", sample.line)));
        sample.more.iter().for_each(|l| doc.line(Line::new().with(Style::Dim, safe!("   │ {}", l))));
    }
    match &kind.next {
        Hint::Run(command) => doc.wrapped(Line::new().with(Style::Strong, "   NEXT  ").with(Style::Plain, command.clone()), 9),
        other => doc.wrapped(Line::new().with(Style::Dim, safe!("   {}", hint_line(other))), 9),
    }
}

fn at(tag: Safe, release: Option<&Safe>, count: u64) -> Safe {
    let release = release.map(|r| safe!(" ({})", r)).unwrap_or_default();
    safe!("{}{} {} ×", tag, release, units::count(count))
}

fn lines(count: u64) -> Safe {
    units::plural(usize::try_from(count).unwrap_or(usize::MAX), "line", "lines")
}

fn remarks(doc: &mut Doc, facts: &ErrorFacts, shown: usize) {
    let mut says: Vec<Safe> = Vec::new();
    if facts.kinds.len() > shown {
        let rest: u64 = facts.kinds.iter().skip(shown).map(|k| k.count).sum();
        let more = units::plural(facts.kinds.len() - shown, "more kind", "more kinds");
        says.push(safe!("{}, {} ×: --limit 0 shows all", more, units::count(rest)));
    }
    if facts.left_out > 0 {
        says.push(safe!("{} × further kinds: too many to tell apart", units::count(facts.left_out)));
    }
    if facts.ahead > 0 {
        says.push(safe!("{} × with a time that is yet to come: a clock is wrong; they are in no timeline", units::count(facts.ahead)));
    }
    if facts.undated > 0 {
        says.push(safe!("{} × without a time: in no timeline", units::count(facts.undated)));
    }
    if !says.is_empty() {
        doc.gap();
    }
    says.into_iter().for_each(|s| doc.wrapped(Line::new().with(Style::Dim, s), 2));
}

/// How times are written here: within a day the clock is enough.
struct Clock<'a> {
    look: &'a Look,
    form: &'static str,
}

impl<'a> Clock<'a> {
    fn of(facts: &ErrorFacts, look: &'a Look) -> Self {
        let from = facts.since.or(facts.first).unwrap_or(facts.observed_at);
        let to = if facts.since.is_some() { facts.observed_at } else { facts.last.unwrap_or(facts.observed_at) };
        let day = |t: Timestamp| t.to_zoned(look.zone.clone()).date();
        let form = if to.duration_since(from).as_hours() < 24 && day(to) == day(facts.observed_at) { "%H:%M:%S" } else { "%m-%d %H:%M:%S" };
        Self { look, form }
    }

    fn short(&self, at: Timestamp) -> Safe {
        Safe::name(at.to_zoned(self.look.zone.clone()).strftime(self.form).to_string())
    }

    fn whole(&self, at: Timestamp) -> Safe {
        Safe::name(at.to_zoned(self.look.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
    }
}
