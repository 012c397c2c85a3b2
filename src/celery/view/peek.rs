//! The screen of `queue peek`.

use super::{findings, headline};
use crate::{
    answer::Answer,
    celery::model::{AgeSource, PeekFacts, PeekedTask, TaskMessage},
    report::{Cell, Doc, Line, Look, Report, Style, Table, Where},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;

impl Report for PeekFacts {
    const KIND: &'static str = "queue.peek";
    const VERSION: u32 = 1;
}

/// So much of an ID tells one task from another, and is enough for `queue find`.
const SHORT: usize = 9;

/// Draws it.
pub fn peek(answer: &Answer<PeekFacts>, place: &Where, look: &Look) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, "  read-only"));
    headline(&mut doc, answer, sentence(facts));
    let made_of = composition(facts);
    if !made_of.is_empty() {
        doc.wrapped(Line::new().with(Style::Dim, "made of  ").with(Style::Plain, made_of), 9);
    }
    let mut sources = Vec::new();
    if !facts.next.is_empty() {
        doc.gap();
        doc.table(table(facts, look, &mut sources));
        for (i, source) in sources.iter().enumerate() {
            doc.line(Line::new().with(Style::Dim, safe!("[{}] {}", i + 1, source.says())));
        }
    }
    doc.gap();
    findings(&mut doc, answer, &["next"]);
    doc
}

fn sentence(facts: &PeekFacts) -> Safe {
    if facts.waiting == 0 {
        return safe!("queue {} is empty", facts.queue);
    }
    let buckets: Vec<Safe> = facts
        .buckets
        .iter()
        .filter(|bucket| bucket.waiting > 0)
        .map(|bucket| safe!("{} in priority {}", units::count(bucket.waiting), bucket.step))
        .collect();
    let split = if facts.buckets.iter().filter(|b| b.waiting > 0).any(|b| b.step > 0) {
        safe!(": {}", Safe::join(&buckets, ", "))
    } else {
        Safe::EMPTY
    };
    safe!("queue {}: {} wait{}; the next to run first", facts.queue, units::count(facts.waiting), split)
}

/// `83 % of the next 200 are shop.sync_user; 91 % published by backend-7f9c-x2lq`.
fn composition(facts: &PeekFacts) -> Safe {
    let sample = &facts.sample;
    let tasks = sample.read.saturating_sub(sample.undecodable);
    if tasks < 2 {
        return Safe::EMPTY;
    }
    let share = |n: u64| n * 100 / tasks;
    let few = |all: &[(Safe, u64)]| -> Vec<Safe> { all.iter().take(3).map(|(name, n)| safe!("{} % {}", share(*n), *name)).collect() };
    let mut parts = vec![safe!("of the next {}: {}", units::count(tasks), Safe::join(&few(&sample.tasks), ", "))];
    if !sample.hosts.is_empty() {
        parts.push(safe!("published by {}", Safe::join(&few(&sample.hosts), ", ")));
    }
    for (n, says) in [(sample.future, "wait for their ETA"), (sample.redelivered, "were delivered before")] {
        if n > 0 {
            parts.push(safe!("{} {}", n, says));
        }
    }
    Safe::join(&parts, "; ")
}

fn table(facts: &PeekFacts, look: &Look, sources: &mut Vec<AgeSource>) -> Table {
    let priorities = facts.buckets.iter().any(|bucket| bucket.step > 0 && bucket.waiting > 0);
    let mut head = vec![Cell::right(Style::Dim, "#")];
    if priorities {
        head.push(Cell::right(Style::Dim, "PRIO"));
    }
    head.extend([
        Cell::left(Style::Dim, "TASK"),
        Cell::left(Style::Dim, "ID"),
        Cell::right(Style::Dim, "TRY"),
        Cell::left(Style::Dim, "WAITS"),
        Cell::left(Style::Dim, "ARGUMENTS, REQUEST, PUBLISHER"),
    ]);
    let rows = facts.next.iter().enumerate().map(|(i, task)| row(i, task, priorities, facts.observed_at, look, sources)).collect();
    Table { head, rows }
}

fn row(i: usize, task: &PeekedTask, priorities: bool, now: Timestamp, look: &Look, sources: &mut Vec<AgeSource>) -> Vec<Cell> {
    let mut cells = vec![Cell::right(Style::Dim, safe!("{}", i + 1))];
    if priorities {
        cells.push(Cell::right(Style::Dim, safe!("{}", task.step)));
    }
    let Some(message) = &task.message else {
        let blank = || Cell::left(Style::Plain, Safe::EMPTY);
        let why = task.why.clone().unwrap_or_default();
        cells.extend([Cell::left(Style::Warn, "?"), blank(), blank(), blank(), Cell::left(Style::Warn, why)]);
        return cells;
    };
    let id = if look.verbose { message.id.clone() } else { short(&message.id) };
    cells.extend([
        Cell::left(Style::Plain, message.task.clone()),
        Cell::left(Style::Dim, id),
        Cell::right(Style::Plain, safe!("{}", message.retries + 1)),
        Cell::left(Style::Plain, waits(message, now, sources)),
        Cell::left(Style::Plain, more(message, look)),
    ]);
    cells
}

fn short(id: &Safe) -> Safe {
    id.clipped(SHORT)
}

/// How long it has waited, or what it waits for, with a footnote on how that is known.
fn waits(message: &TaskMessage, now: Timestamp, sources: &mut Vec<AgeSource>) -> Safe {
    let mut noted = |source: AgeSource, says: Safe| {
        let i = sources.iter().position(|s| *s == source).unwrap_or_else(|| {
            sources.push(source);
            sources.len() - 1
        });
        safe!("{} [{}]", says, i + 1)
    };
    match (message.eta, message.enqueued) {
        (Some(eta), _) if eta > now => safe!("ETA in {}", units::duration(eta.duration_since(now))),
        (_, Some(enqueued)) => noted(enqueued.by, units::duration(now.duration_since(enqueued.at))),
        (Some(eta), None) => noted(AgeSource::Eta, units::duration(now.duration_since(eta))),
        (None, None) => "?".into(),
    }
}

fn more(message: &TaskMessage, look: &Look) -> Safe {
    let mut parts = Vec::new();
    let limit = if look.verbose { usize::MAX } else { 80 };
    let pickled = message.content_type.as_ref().is_some_and(|t| t.contains("pickle") || t.contains("python-serialize"));
    parts.extend(message.args.as_ref().filter(|args| !matches!(args.as_str(), "()" | "[]")).map(|args| args.clipped(limit)));
    parts.extend(message.kwargs.as_ref().filter(|kwargs| kwargs.as_str() != "{}").map(|kwargs| kwargs.clipped(limit)));
    if pickled {
        parts.push("body pickled, not decoded".into());
    }
    if let Some(compression) = &message.compression {
        parts.push(safe!("body {}", *compression));
    }
    if message.redelivered {
        parts.push("delivered before".into());
    }
    parts.extend(message.request.as_ref().map(|request| safe!("request {}", request.id)));
    parts.extend(message.host.as_ref().map(|host| safe!("from {}", *host)));
    Safe::join(&parts, "  ")
}
