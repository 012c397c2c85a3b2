//! Records → the request's story: attempts, tasks with their tries, gaps, and how it ended.

use super::{
    Attempt, Ended, Event, Gap, RequestFacts, Task, Traceback, Try,
    events::{What, method_and_path},
    links::{self, Hit, Trace},
    sentence,
};
use crate::{
    answer::{Id, IdKind, Link, LinkProof},
    logs::{
        decode,
        query::{REQUEST_ID_FIELDS, TASK_ID_FIELDS},
    },
    safe,
    text::{Redactor, Safe},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A second line about the same end comes this soon.
const SAME_MS: i64 = 2_000;

/// Tells the story of everything in the trace.
pub fn analyze(trace: &Trace, fields: &[String], asked: &str, ids: &[String], redact: &Redactor) -> RequestFacts {
    let mut groups: Vec<Vec<&Hit>> = Vec::new();
    let mut over = false;
    for hit in &trace.hits {
        match hit.what {
            // Once a request has been answered, the next start under the same ID is another attempt.
            What::RequestStarted if over || groups.is_empty() => {
                groups.push(Vec::new());
                over = false;
            }
            What::RequestFinished { .. } | What::RequestFailed => over = true,
            _ => {}
        }
        // A task's lines belong to the attempt that sent it.
        let owner =
            hit.what.task().and_then(|t| groups.iter().rposition(|g| g.iter().any(|h| h.what.task().is_some_and(|x| x.id == t.id))));
        match owner {
            Some(i) => groups[i].push(hit),
            None if groups.is_empty() => groups.push(vec![hit]),
            None => groups.last_mut().into_iter().for_each(|g| g.push(hit)),
        }
    }
    let request = ids.first().map(String::as_str).unwrap_or(asked);
    RequestFacts {
        asked: Safe::name(asked),
        ids: ids.iter().map(Safe::name).collect(),
        task: None,
        attempts: groups.iter().map(|g| attempt(g, trace, fields, request, redact)).collect(),
    }
}

fn attempt(hits: &[&Hit], trace: &Trace, fields: &[String], request: &str, redact: &Redactor) -> Attempt {
    let time = |h: &Hit| h.record.at.unwrap_or(Timestamp::UNIX_EPOCH);
    let started = hits.iter().map(|h| time(h)).min().unwrap_or(Timestamp::UNIX_EPOCH);
    let ended = hits.iter().map(|h| time(h)).max().unwrap_or(started);
    let (tasks, repeats) = tasks(hits, trace, redact);
    let context = context(hits, redact);
    // What the whole attempt shares is said once, above the timeline, not on every line of it.
    let mut known: Vec<Safe> = context.iter().map(|(name, _)| name.clone()).collect();
    known.extend(REQUEST_ID_FIELDS.iter().chain(&TASK_ID_FIELDS).chain(&["parent_task_id", "task_name"]).map(|f| Safe::from(*f)));
    let mut events = Vec::with_capacity(hits.len());
    for (hit, repeats) in hits.iter().zip(repeats) {
        events.push(event(hit, started, repeats, &tasks, &known, redact));
    }
    let (method, path) = hits.iter().map(|h| method_and_path(&h.entry)).find(|(_, path)| path.is_some()).unwrap_or_default();
    let first_start = hits.iter().find(|h| matches!(h.what, What::RequestStarted)).map(|h| time(h));
    // The outermost answer: the last one, where services call each other under one ID.
    let answer = hits.iter().rev().find_map(|h| match &h.what {
        What::RequestFinished { status, ms } => Some((*status, *ms, time(h))),
        _ => None,
    });
    let failed = hits.iter().rev().find(|h| matches!(h.what, What::RequestFailed));
    let answered_in_ms = match (answer, failed) {
        (Some((_, Some(ms), _)), _) => Some(ms),
        (Some((_, None, at)), _) => first_start.map(|s| between(s, at)),
        (None, Some(failed)) => first_start.map(|s| between(s, time(failed))),
        (None, None) => None,
    };
    let status = answer.and_then(|(status, ..)| status).or_else(|| failed.map(|_| 500));
    let outcome = if status.is_some_and(|s| s >= 500) || failed.is_some() || tasks.iter().any(|t| t.outcome == Ended::Failed) {
        Ended::Failed
    } else if (answer.is_none() && (first_start.is_some() || tasks.is_empty())) || tasks.iter().any(|t| t.outcome == Ended::Unfinished) {
        Ended::Unfinished
    } else {
        Ended::Ok
    };
    let from = Id { kind: IdKind::Request, value: Safe::name(request) };
    let tasks_carry_id = hits.iter().any(|h| {
        matches!(h.what, What::Started(_) | What::Retrying(..) | What::Succeeded(..) | What::Failed(..))
            && links::id_of(&h.entry, fields, request).is_some()
    });
    let links =
        tasks.iter().map(|t| Link { from: from.clone(), to: Id { kind: IdKind::Task, value: t.id.clone() }, proof: t.proof }).collect();
    let mut attempt = Attempt {
        started,
        ended,
        method: method.map(Safe::name),
        path: path.map(|p| redact.safe(p.as_bytes())),
        status,
        answered_in_ms,
        outcome,
        says: Safe::EMPTY,
        context,
        tasks_carry_id,
        largest_gap: gap(&events, &tasks),
        tasks,
        links,
        events,
    };
    attempt.says = sentence::of(&attempt);
    attempt
}

fn between(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.duration_since(from).as_millis()).unwrap_or(i64::MAX)
}

/// The tasks, in order of their first line, and for each hit whether it only says again what another says.
fn tasks(hits: &[&Hit], trace: &Trace, redact: &Redactor) -> (Vec<Task>, Vec<bool>) {
    let mut tasks: Vec<Task> = Vec::new();
    let mut at_of: BTreeMap<String, usize> = BTreeMap::new();
    let mut repeats = Vec::with_capacity(hits.len());
    for hit in hits {
        let Some(named) = hit.what.task() else {
            // An access line behind the application's own end of the request.
            let again = matches!(hit.what, What::RequestFinished { .. }) && hit.entry.shape == crate::logs::model::Shape::Access;
            repeats.push(again);
            continue;
        };
        let index = *at_of.entry(named.id.clone()).or_insert_with(|| {
            tasks.push(Task {
                id: Safe::name(&named.id),
                name: None,
                queue: None,
                proof: trace.proofs.get(&named.id).copied().unwrap_or(LinkProof::Inferred),
                enqueued: None,
                tries: Vec::new(),
                outcome: Ended::Unfinished,
                error: None,
                waited_ms: None,
                backed_off_ms: 0,
                ran_ms: 0,
            });
            tasks.len() - 1
        });
        let task = &mut tasks[index];
        if task.name.is_none() {
            task.name = named.name.as_ref().map(|n| redact.safe(n.as_bytes()));
        }
        if task.queue.is_none() {
            task.queue = named.queue.as_ref().map(Safe::name);
        }
        let at = hit.record.at.unwrap_or(Timestamp::UNIX_EPOCH);
        repeats.push(step(task, &hit.what, at, hit.record.origin.tag(), redact));
    }
    for task in &mut tasks {
        finish(task);
    }
    (tasks, repeats)
}

/// Takes one line into a task's life; true when it only says again what is known.
fn step(task: &mut Task, what: &What, at: Timestamp, by: Safe, redact: &Redactor) -> bool {
    match what {
        What::Enqueued(_) => {
            // A retry is put into the queue again by the worker, before it says that it retries.
            let again = task.enqueued.is_some() || !task.tries.is_empty();
            task.enqueued.get_or_insert(at);
            again
        }
        What::Received(_) => true,
        What::Started(_) => {
            task.tries.push(Try { started: Some(at), ended: None, how: None, by });
            false
        }
        What::Retrying(_, reason) => end(task, at, by, "retrying", Some(reason), None, redact),
        What::Succeeded(_, seconds) => end(task, at, by, "succeeded", None, *seconds, redact),
        What::Failed(_, error) => end(task, at, by, "failed", Some(error), None, redact),
        _ => false,
    }
}

fn end(
    task: &mut Task,
    at: Timestamp,
    by: Safe,
    how: &'static str,
    error: Option<&String>,
    seconds: Option<f64>,
    redact: &Redactor,
) -> bool {
    if let Some(error) = error.filter(|e| !e.is_empty()) {
        task.error = Some(redact.safe(error.as_bytes()));
    }
    match task.tries.last_mut() {
        Some(last) if last.ended.is_none() => {
            last.ended = Some(at);
            last.how = Some(how);
            false
        }
        Some(last) if last.how == Some(how) && last.ended.is_some_and(|e| between(e, at) <= SAME_MS) => true,
        _ => {
            // Only ends are logged: Celery's own lines. Its run time tells when the try began.
            let started = seconds.and_then(|s| at.checked_sub(jiff::SignedDuration::from_millis((s * 1000.0) as i64)).ok());
            task.tries.push(Try { started, ended: Some(at), how: Some(how), by });
            false
        }
    }
}

fn finish(task: &mut Task) {
    task.outcome = match task.tries.last().and_then(|t| t.how) {
        Some("succeeded") => Ended::Ok,
        Some("failed") => Ended::Failed,
        _ => Ended::Unfinished,
    };
    if task.outcome == Ended::Ok {
        task.error = None;
    }
    let first = task.tries.first().and_then(|t| t.started);
    task.waited_ms = task.enqueued.zip(first).map(|(queued, started)| between(queued, started).max(0));
    task.ran_ms = task.tries.iter().filter_map(|t| Some(between(t.started?, t.ended?))).sum();
    task.backed_off_ms = task.tries.windows(2).filter_map(|w| Some(between(w[0].ended?, w[1].started?).max(0))).sum();
}

fn event(hit: &Hit, started: Timestamp, repeats: bool, tasks: &[Task], known: &[Safe], redact: &Redactor) -> Event {
    let at = hit.record.at.unwrap_or(started);
    let origin = &hit.record.origin;
    let traceback = decode::traceback(&hit.record, &hit.entry).and_then(|t| Traceback::fold(&t, redact));
    Event {
        at,
        offset_ms: between(started, at),
        namespace: origin.namespace.clone(),
        by: origin.name.clone(),
        container: origin.container.clone().filter(|_| !origin.alone),
        what: hit.what.word(),
        says: sentence::event(hit, at, tasks, known, traceback.as_ref(), redact),
        level: hit.entry.level,
        traceback,
        repeats,
        line: redact.safe(&hit.record.head),
        more: hit.record.tail.iter().map(|l| redact.safe(l)).collect(),
    }
}

/// Fields whose one value the whole attempt shares, in this order.
const CONTEXT: [&str; 12] = [
    "user_id",
    "order_id",
    "customer_id",
    "organization_id",
    "organisation_id",
    "tenant_id",
    "account_id",
    "ip_address",
    "ip",
    "release",
    "version",
    "environment",
];

fn context(hits: &[&Hit], redact: &Redactor) -> Vec<(Safe, Safe)> {
    let mut context = Vec::new();
    for name in CONTEXT {
        let mut values: Vec<String> = hits.iter().filter_map(|h| h.entry.field(name)).collect();
        values.sort();
        values.dedup();
        if let [one] = values.as_slice() {
            context.push((name.into(), redact.field(name, one)));
        }
    }
    let mut images: Vec<&Safe> = hits.iter().filter_map(|h| h.record.origin.image.as_ref()).collect();
    images.sort();
    images.dedup();
    if let [one] = images.as_slice() {
        context.push(("image".into(), (*one).clone()));
    }
    context
}

/// The longest time without a line, with what it was.
fn gap(events: &[Event], tasks: &[Task]) -> Option<Gap> {
    let (after, ms) = events.windows(2).map(|w| between(w[0].at, w[1].at)).enumerate().max_by_key(|(_, ms)| *ms)?;
    if ms < 1_000 {
        return None;
    }
    let (from, to) = (events[after].at, events[after + 1].at);
    let waiting =
        tasks.iter().find(|t| t.enqueued.is_some_and(|e| e <= from) && t.tries.first().and_then(|x| x.started).is_some_and(|s| s >= to));
    let backing_off =
        tasks.iter().find(|t| t.tries.windows(2).any(|w| w[0].ended.is_some_and(|e| e <= from) && w[1].started.is_some_and(|s| s >= to)));
    let running = tasks.iter().find(|t| t.tries.iter().any(|x| x.started.is_some_and(|s| s <= from) && x.ended.is_some_and(|e| e >= to)));
    let length = crate::text::units::duration(jiff::SignedDuration::from_millis(ms));
    let name = |t: &Task| t.name.clone().unwrap_or_else(|| t.id.clone());
    let says = match (waiting, backing_off, running) {
        (Some(t), ..) => safe!("{} in queue {}", length, t.queue.clone().unwrap_or_else(|| "(unnamed)".into())),
        (_, Some(t), _) => safe!("{} back-off of {}", length, name(t)),
        (_, _, Some(t)) => safe!("{} inside {} without a line", length, name(t)),
        _ => safe!("{} without a line", length),
    };
    Some(Gap { after, ms, says })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::model::{LogOrigin, Record};
    use std::sync::Arc;

    fn outcome(lines: &[&str]) -> Vec<Ended> {
        let mut trace = Trace::default();
        let records = lines.iter().enumerate().map(|(i, line)| Record {
            at: None,
            origin: Arc::new(LogOrigin::default()),
            sequence: i as u64,
            head: line.to_string().into(),
            tail: vec![],
            nearby: false,
        });
        trace.add(records.collect(), &jiff::tz::TimeZone::UTC);
        let fields = ["request_id".to_owned()];
        let facts = analyze(&trace, &fields, "abcdef", &["abcdef".to_owned()], &Redactor::default());
        facts.attempts.iter().map(|a| a.outcome).collect()
    }

    #[test]
    fn a_verdict_needs_a_line_that_says_it() {
        let finished = |code| format!(r#"{{"event": "request_finished", "code": {code}, "request_id": "abcdef"}}"#);
        let said = r#"{"event": "a", "request_id": "abcdef"}"#;
        assert_eq!(outcome(&[said]), [Ended::Unfinished]);
        assert_eq!(outcome(&[said, &finished(200)]), [Ended::Ok]);
        assert_eq!(outcome(&[said, &finished(404)]), [Ended::Ok]);
        assert_eq!(outcome(&[said, &finished(503)]), [Ended::Failed]);
        let again = r#"{"event": "request_started", "request": "GET /", "request_id": "abcdef"}"#;
        assert_eq!(outcome(&[said, &finished(200), again]), [Ended::Ok, Ended::Unfinished]);
    }
}
