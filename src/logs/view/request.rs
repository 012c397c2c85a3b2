//! The screen of a request: the sentence, the timeline, what could not be seen, the next command.

use crate::{
    answer::{Answer, Coverage, Finding, Hint, LinkProof, Missing, Permission, Severity, Why},
    kubernetes::access,
    logs::{
        model::Level,
        request::{Attempt, Ended, Event, ManyRequests, RequestFacts},
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
    doc.line(head(place, look).with(Style::Plain, ids(facts)));
    story(&mut doc, facts, &answer.findings, look, tracebacks);
    doc.gap();
    coverage(&answer.coverage, &mut doc);
    unsteady(&answer.findings, &mut doc);
    links(&mut doc, facts);
    unseen(&mut doc, facts);
    next(&mut doc, &answer.findings);
    doc
}

/// Draws several, one below the other; `of_each` are their findings.
pub fn requests(answer: &Answer<ManyRequests>, of_each: &[Vec<Finding>], place: &Where, look: &Look, tracebacks: bool) -> Doc {
    let mut doc = Doc::default();
    let requests = &answer.facts.requests;
    doc.line(head(place, look).with(Style::Plain, units::plural(requests.len(), "request", "requests")));
    for (facts, findings) in requests.iter().zip(of_each) {
        doc.gap();
        doc.line(Line::new().with(Style::Strong, "REQUEST  ").with(Style::Plain, ids(facts)));
        story(&mut doc, facts, findings, look, tracebacks);
    }
    doc.gap();
    coverage(&answer.coverage, &mut doc);
    unsteady(&answer.findings, &mut doc);
    requests.iter().for_each(|facts| links(&mut doc, facts));
    if let Some(facts) = requests.iter().find(|f| f.attempts.iter().any(|a| !a.tasks_carry_id && !a.events.is_empty())) {
        unseen(&mut doc, facts);
    }
    next(&mut doc, &answer.findings);
    doc
}

fn head(place: &Where, look: &Look) -> Line {
    let zone =
        if look.zone == jiff::tz::TimeZone::UTC { "times UTC".into() } else { Safe::name(look.zone.iana_name().unwrap_or("local times")) };
    Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  {}  ", zone))
}

fn ids(facts: &RequestFacts) -> Safe {
    let task = match &facts.task {
        Some(task) => safe!("{} → task {}", facts.asked, task),
        None => facts.asked.clone(),
    };
    match facts.ids.as_slice() {
        [one] if *one != facts.asked => safe!("{} → {}", task, one),
        [] | [_] => task,
        many => safe!("{} → {} IDs", facts.asked, many.len()),
    }
}

/// The sentence and the timeline.
fn story(doc: &mut Doc, facts: &RequestFacts, findings: &[Finding], look: &Look, tracebacks: bool) {
    for finding in findings.iter().filter(|f| facts.attempts.is_empty() && f.severity != Severity::Info) {
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
        draw_attempt(doc, attempt, look, tracebacks);
    }
}

/// What is worth knowing beside the answer: pods whose clock is wrong, lines that were held back.
pub fn unsteady(findings: &[Finding], doc: &mut Doc) {
    for finding in findings.iter().filter(|f| f.severity == Severity::Info) {
        doc.wrapped(Line::new().with(Style::Warn, safe!("  {}", finding.says)), 4);
    }
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
    let mut hinted: Vec<&Hint> = Vec::new();
    for (says, of) in groups {
        let names: Vec<Safe> = of.iter().take(4).map(|m| m.part.name.clone()).collect();
        let more = if of.len() > 4 { safe!(" and {} more", of.len() - 4) } else { Safe::EMPTY };
        doc.wrapped(Line::new().with(Style::Warn, safe!("  {}{}  ", Safe::join(&names, ", "), more)).with(Style::Plain, says), 4);
        if let Some(hint) = of.iter().find_map(|m| m.hint.as_ref()).filter(|h| !hinted.contains(h)) {
            hinted.push(hint);
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

fn next(doc: &mut Doc, findings: &[Finding]) {
    let mut commands: Vec<Safe> = Vec::new();
    for hint in findings.iter().flat_map(|f| &f.next) {
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
