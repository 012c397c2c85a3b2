//! What a request's facts mean: how it ended, and what its absence says. Pure.

use super::{Ended, RequestFacts, Task, Trace};
use crate::{
    answer::{Coverage, Finding, Hint, Severity, Why},
    logs::{
        flow::{clock::ClockFault, keep::Seen},
        model::Level,
    },
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, tz::TimeZone};

/// For so many tasks without an end a command is named.
const MOST_OPEN: usize = 2;

/// The findings. `dropped` counts the records that were too many to keep; `rotated` says whether the node's own files were asked for.
pub fn findings(
    facts: &RequestFacts,
    coverage: &Coverage,
    seen: &Seen,
    fields: &[String],
    dropped: u64,
    trace: &Trace,
    rotated: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for attempt in &facts.attempts {
        let (code, severity) = match attempt.outcome {
            Ended::Failed => ("request-failed", Severity::Failed),
            Ended::Unfinished => ("request-open", Severity::Warning),
            Ended::Ok => continue,
        };
        let worst = attempt.events.iter().rev().find(|e| e.traceback.is_some() || e.level >= Some(Level::Error));
        let mut finding = Finding::new(code, severity, attempt.says.clone());
        if let Some(event) = worst {
            finding = finding.evidence(event.says.clone());
            if let Some(namespace) = &event.namespace {
                let since = event.at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                finding = finding.next(Hint::Run(safe!(
                    "obsctl logs pod/{} -n {} --since {} --level error",
                    event.by,
                    namespace,
                    Safe::name(since)
                )));
            }
            if event.traceback.is_some() {
                finding = finding.next(Hint::Run(safe!("obsctl logs -r {} --tracebacks", facts.asked)));
            }
        }
        for task in attempt.tasks.iter().filter(|task| task.outcome == Ended::Unfinished).take(MOST_OPEN) {
            finding.next.extend(of_open(task));
        }
        findings.push(finding);
    }
    if dropped > 0 || trace.left_out > 0 {
        let says = safe!("{} records and {} tasks of this request were left out: too many to keep", units::count(dropped), trace.left_out);
        findings.push(Finding::new("left-out", Severity::Unknown, says));
    }
    if trace.is_empty() {
        findings.push(absent(facts, coverage, seen, fields, rotated));
    }
    findings
}

/// Pods whose own times cannot be trusted, and by how much. The order of an answer is the runtime's, so it is not changed by them.
pub fn clocks(seen: &Seen) -> Vec<Finding> {
    // A difference of minutes is known to the second: the delay of a line is part of it.
    let length = |ms: i64| {
        let ms = ms.abs();
        units::duration(SignedDuration::from_millis(if ms < 10_000 { ms } else { (ms + 500) / 1_000 * 1_000 }))
    };
    let finding = |(pod, fault): (&Safe, ClockFault)| match fault {
        ClockFault::Skewed(ms) if ms > 0 => Finding::new(
            "clock-skew",
            Severity::Info,
            safe!(
                "the clock of {} is {} ahead of its node's: its own times are wrong by that, the order here is the node's",
                pod,
                length(ms)
            ),
        ),
        ClockFault::Skewed(ms) => Finding::new(
            "clock-skew",
            Severity::Info,
            safe!(
                "the clock of {} is {} behind its node's, or every line of it waits that long; the order here is the node's",
                pod,
                length(ms)
            ),
        ),
        ClockFault::OtherZone(ms) => Finding::new(
            "other-zone",
            Severity::Info,
            safe!(
                "{} writes times without a zone that are {} {} of the zone assumed here",
                pod,
                length(ms),
                if ms > 0 { "ahead" } else { "behind" }
            ),
        )
        .next(Hint::Set("timezone: of the app or the environment, in the configuration".into())),
        ClockFault::HeldBack(ms) => Finding::new(
            "held-back",
            Severity::Info,
            safe!(
                "lines of {} reach the node up to {} after they were written: its stdout is buffered, so they stand too late here",
                pod,
                length(ms)
            ),
        )
        .next(Hint::Set("PYTHONUNBUFFERED=1 in the pod".into())),
    };
    seen.clocks().map(finding).collect()
}

/// Where to look for a task whose end no line tells: it waits, it runs, or it is lost. Its queue is asked only where it never started.
fn of_open(task: &Task) -> Vec<Hint> {
    let mut next = vec![Hint::Run(safe!("obsctl queue find {}", task.id))];
    if let (true, Some(queue)) = (task.tries.is_empty(), &task.queue) {
        next.push(Hint::Run(safe!("obsctl queue depth {}", *queue)));
    }
    next
}

/// Nothing was found: three different answers.
fn absent(facts: &RequestFacts, coverage: &Coverage, seen: &Seen, fields: &[String], rotated: bool) -> Finding {
    let names: Vec<Safe> = fields.iter().take(4).map(Safe::name).collect();
    // A search that passes over most lines counts no records.
    let records: Safe =
        if seen.skipped() { safe!("{} of logs", units::bytes(coverage.bytes)) } else { safe!("{} records", units::count(seen.records())) };
    let silent = seen.serve_without_ids();
    if coverage.searched.is_empty() && coverage.missing.is_empty() {
        return Finding::new("nothing-read", Severity::Unknown, safe!("there is nothing to read: no pod is there"));
    }
    if !coverage.nothing_read() && seen.counted() == Some(0) {
        return Finding::new(
            "nothing-read",
            Severity::Unknown,
            safe!("the logs that were read are empty: nothing is known about {}", facts.asked),
        );
    }
    if coverage.nothing_read() {
        return Finding::new("nothing-read", Severity::Unknown, safe!("no log could be read: nothing is known about {}", facts.asked));
    }
    if !silent.is_empty() || !seen.names_ids() {
        // Another app may log IDs: what counts is the one that serves the requests.
        let says = if seen.names_ids() {
            safe!("{} serves requests, and no record of it carries a request ID: it cannot be found there", Safe::join(&silent, ", "))
        } else {
            safe!("these logs carry no request ID: none of their {} has one of its fields", records)
        };
        return Finding::new("no-request-id", Severity::Unknown, says)
            .evidence(safe!(
                "looked for {} and {} more; request_id_fields in the configuration adds others",
                Safe::join(&names, ", "),
                fields.len().saturating_sub(names.len())
            ))
            .next(Hint::Try("--include TEXT --around 5s shows what all pods wrote around a line, by time only".into()));
    }
    let mut finding = if coverage.complete() {
        Finding::new("absent", Severity::Failed, safe!("no record carries the request ID {}: all {} were read", facts.asked, records))
    } else {
        Finding::new(
            "absent-incomplete",
            Severity::Unknown,
            safe!("not found in what could be read ({}); the rest could not be read, so it may exist", records),
        )
    };
    if coverage.missing.iter().any(|m| matches!(m.why, Why::Rotated { .. })) && !rotated {
        finding = finding.next(Hint::Run(safe!("obsctl logs -r {} --rotated", facts.asked)));
    }
    if seen.mildest() >= Some(Level::Warning) {
        finding =
            finding.evidence("only WARNING and above was seen: LOG_LEVEL may hide the request's own lines, absence means little".into());
    }
    finding
}
