//! The screen of a request: the sentence, the timeline, what could not be seen, the next command.

use crate::{
    answer::{Answer, Coverage, Hint, LinkProof, Missing, Permission, Why},
    kubernetes::access,
    logs::{
        model::Level,
        request::{Attempt, Ended, Event, RequestFacts},
    },
    report::{Cell, Doc, Line, Look, Style, Table, Where, out::hint_line},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;

/// Draws an answer about a request. `tracebacks` unfolds them.
pub fn request(answer: &Answer<RequestFacts>, place: &Where, look: &Look, tracebacks: bool) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    let zone =
        if look.zone == jiff::tz::TimeZone::UTC { "times UTC".into() } else { Safe::name(look.zone.iana_name().unwrap_or("local times")) };
    let ids = match facts.ids.as_slice() {
        [one] if *one != facts.asked => safe!("{} → {}", facts.asked, one),
        [] | [_] => facts.asked.clone(),
        many => safe!("{} → {} IDs", facts.asked, many.len()),
    };
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  {}  ", zone)).with(Style::Plain, ids));
    for finding in answer.findings.iter().filter(|_| facts.attempts.is_empty()) {
        doc.wrapped(Line::new().with(Style::Warn, finding.says.clone()), 2);
        for line in &finding.evidence {
            doc.wrapped(Line::new().with(Style::Dim, safe!("  {}", line)), 4);
        }
    }
    let many = facts.attempts.len() > 1;
    for (i, attempt) in facts.attempts.iter().enumerate() {
        if many {
            doc.gap();
            doc.line(Line::new().with(Style::Strong, safe!("attempt {} of {} under this ID", i + 1, facts.attempts.len())));
        }
        draw_attempt(&mut doc, attempt, look, tracebacks);
    }
    doc.gap();
    coverage(&answer.coverage, &mut doc);
    links(&mut doc, facts);
    unseen(&mut doc, facts);
    next(&mut doc, answer);
    doc
}

fn draw_attempt(doc: &mut Doc, attempt: &Attempt, look: &Look, tracebacks: bool) {
    let (word, style) = match attempt.outcome {
        Ended::Ok => ("OK      ", Style::Good),
        Ended::Failed => ("FAILED  ", Style::Bad),
        Ended::Unfinished => ("OPEN    ", Style::Warn),
    };
    doc.wrapped(Line::new().with(style, word).with(Style::Strong, attempt.says.clone()), 8);
    if !attempt.context.is_empty() {
        let parts: Vec<Safe> = attempt.context.iter().map(|(k, v)| safe!("{} {}", k, v)).collect();
        doc.wrapped(Line::new().with(Style::Dim, "where   ").with(Style::Plain, Safe::join(&parts, "   ")), 8);
    }
    doc.gap();
    let mut table = Table {
        head: vec![
            Cell::right(Style::Dim, "+ms"),
            Cell::left(Style::Dim, if attempt.events.iter().any(|e| e.namespace.is_some()) { "POD" } else { "FILE" }),
            Cell::left(Style::Dim, safe!("EVENT  {}", from(attempt.started, look))),
        ],
        rows: Vec::new(),
    };
    let mut folded = 0usize;
    for (i, event) in attempt.events.iter().enumerate() {
        let shown = look.verbose || !event.repeats;
        if shown {
            table.rows.push(row(event));
            detail(&mut table, event, tracebacks);
        } else {
            folded += 1;
        }
        if let Some(gap) = attempt.largest_gap.as_ref().filter(|g| g.after == i) {
            table.rows.push(vec![
                empty(),
                Cell::left(Style::Dim, "──────────"),
                Cell::left(Style::Warn, safe!("── {} ──────────", gap.says)),
            ]);
        }
    }
    doc.table(table);
    if folded > 0 {
        let (lines, say) = (units::plural(folded, "line", "lines"), if folded == 1 { "says" } else { "say" });
        doc.line(Line::new().with(Style::Dim, safe!("        {} that only {} the same again: -v shows them", lines, say)));
    }
}

fn empty() -> Cell {
    Cell::right(Style::Plain, Safe::EMPTY)
}

fn from(started: Timestamp, look: &Look) -> Safe {
    if started == Timestamp::UNIX_EPOCH {
        return "(these records carry no time)".into();
    }
    Safe::name(started.to_zoned(look.zone.clone()).strftime("from %Y-%m-%d %H:%M:%S%.3f").to_string())
}

fn row(event: &Event) -> Vec<Cell> {
    let style = match (event.what, event.level) {
        ("task_failed" | "request_failed", _) | (_, Some(Level::Error | Level::Critical)) => Style::Bad,
        ("task_retrying", _) | (_, Some(Level::Warning)) => Style::Warn,
        _ => Style::Plain,
    };
    let by = match &event.container {
        Some(container) => safe!("{}/{}", event.by, container),
        None => event.by.clone(),
    };
    // A line that is no known event begins with its own message.
    let says = if event.what == "said" { event.says.clone() } else { safe!("{:<17} {}", event.what, event.says) };
    vec![
        Cell::right(Style::Plain, units::count(u64::try_from(event.offset_ms).unwrap_or(0))),
        Cell::left(Style::Dim, by),
        Cell::left(style, says),
    ]
}

fn detail(table: &mut Table, event: &Event, tracebacks: bool) {
    let mut add = |text: Safe| table.rows.push(vec![empty(), empty(), Cell::left(Style::Dim, safe!("│ {}", text))]);
    match &event.traceback {
        Some(traceback) if tracebacks => traceback.lines.iter().for_each(|l| add(l.clone())),
        Some(traceback) => {
            if !event.says.contains(traceback.exception.as_str()) {
                add(traceback.exception.clone());
            }
            add(traceback.place());
        }
        None => event.more.iter().for_each(|l| add(l.clone())),
    }
}

/// Draws what was searched and what was not.
pub fn coverage(coverage: &Coverage, doc: &mut Doc) {
    let read = units::plural(coverage.searched.len(), "log", "logs");
    let size = units::bytes(coverage.bytes);
    let head = if coverage.complete() {
        safe!("{} read in full, {}", read, size)
    } else {
        safe!("{} read, {}; {} not, or not whole:", read, size, units::plural(coverage.missing.len(), "log", "logs"))
    };
    doc.wrapped(Line::new().with(Style::Strong, "COVERAGE  ").with(Style::Plain, head), 10);
    // Many gaps of one kind are one line: 50 pods that are refused have one cause.
    let mut groups: Vec<(Safe, Vec<&Missing>)> = Vec::new();
    for missing in &coverage.missing {
        let says = missing.why.says();
        match groups.iter_mut().find(|(s, _)| *s == says) {
            Some((_, of)) => of.push(missing),
            None => groups.push((says, vec![missing])),
        }
    }
    for (says, of) in groups {
        let names: Vec<Safe> = of.iter().take(4).map(|m| m.part.name.clone()).collect();
        let more = if of.len() > 4 { safe!(" and {} more", of.len() - 4) } else { Safe::EMPTY };
        doc.wrapped(Line::new().with(Style::Warn, safe!("  {}{}  ", Safe::join(&names, ", "), more)).with(Style::Plain, says), 4);
        if let Some(hint) = of.iter().find_map(|m| m.hint.as_ref()) {
            doc.wrapped(Line::new().with(Style::Dim, safe!("    {}", hint_line(hint))), 11);
        }
    }
    let refused: Vec<Permission> = coverage
        .missing
        .iter()
        .filter_map(|m| match &m.why {
            Why::Refused(permission) => Some(permission.clone()),
            _ => None,
        })
        .collect();
    if !refused.is_empty() {
        doc.line(Line::new().with(Style::Dim, "    the smallest role that would help, for whoever may grant it:"));
        for line in access::role(&refused) {
            doc.line(Line::new().with(Style::Dim, safe!("      {}", line)));
        }
    }
}

fn links(doc: &mut Doc, facts: &RequestFacts) {
    for attempt in &facts.attempts {
        for task in &attempt.tasks {
            let how = match task.proof {
                LinkProof::Certain => "certain (the line that sent it)",
                LinkProof::Header => "by message header (its lines carry the request's ID)",
                LinkProof::Inferred => "named by a line of this request",
            };
            let name = task.name.clone().unwrap_or_default();
            doc.wrapped(Line::new().with(Style::Dim, safe!("  link to task {} {}  {}", task.id.clipped(9), name, how)), 4);
        }
    }
}

/// What the links cannot show.
fn unseen(doc: &mut Doc, facts: &RequestFacts) {
    if facts.attempts.iter().any(|a| !a.tasks_carry_id && !a.events.is_empty()) {
        let says = "  the workers' lines carry no ID of this request: a task that no line ties to it cannot be shown";
        doc.wrapped(Line::new().with(Style::Dim, says), 4);
    }
}

fn next(doc: &mut Doc, answer: &Answer<RequestFacts>) {
    let mut commands: Vec<Safe> = Vec::new();
    for hint in answer.findings.iter().flat_map(|f| &f.next) {
        match hint {
            Hint::Run(command) if !commands.contains(command) => commands.push(command.clone()),
            Hint::Run(_) => {}
            other => doc.wrapped(Line::new().with(Style::Dim, safe!("  {}", hint_line(other))), 9),
        }
    }
    if !commands.is_empty() {
        doc.wrapped(Line::new().with(Style::Strong, "NEXT  ").with(Style::Plain, Safe::join(&commands, "    ")), 6);
    }
}
