//! The words: one sentence for the attempt, a few for each event. Says only what the lines say.

use super::{Attempt, Ended, Task, Traceback, events::What, links::Hit};
use crate::{
    safe,
    text::{Redactor, Safe, units},
};
use jiff::{SignedDuration, Timestamp};

fn length(ms: i64) -> Safe {
    units::duration(SignedDuration::from_millis(ms))
}

fn name(task: &Task) -> Safe {
    task.name.clone().unwrap_or_else(|| safe!("task {}", task.id))
}

/// What it was, how it ended, how long it took, where the time went.
pub(super) fn of(attempt: &Attempt) -> Safe {
    let who = match (&attempt.method, &attempt.path) {
        (Some(method), Some(path)) => safe!("{} {}", method, path),
        (None, Some(path)) => path.clone(),
        _ if attempt.events.iter().all(|e| e.what.starts_with("task_")) => "no line of its request was found".into(),
        _ => "the request".into(),
    };
    let took = attempt.answered_in_ms.map(|ms| safe!(" in {}", length(ms))).unwrap_or_default();
    let answered = match attempt.status {
        Some(status) => safe!("{} answered {}{}", who, status, took),
        None if attempt.tasks.is_empty() || attempt.events.iter().any(|e| e.what == "request_started") => {
            safe!("{}: no line says that it was answered", who)
        }
        None => who,
    };
    let error = attempt.events.iter().rev().find_map(|e| e.traceback.as_ref().filter(|_| e.what == "request_failed"));
    let answered = match error {
        Some(traceback) => safe!("{}: {}", answered, traceback.exception),
        None => answered,
    };
    safe!("{}{}{}", answered, tasks(attempt), time(attempt))
}

fn tasks(attempt: &Attempt) -> Safe {
    let of = |outcome| attempt.tasks.iter().filter(move |t| t.outcome == outcome).collect::<Vec<_>>();
    let (failed, unfinished) = (of(Ended::Failed), of(Ended::Unfinished));
    let tries = |t: &Task| if t.tries.len() > 1 { safe!(" after {} tries", t.tries.len()) } else { Safe::EMPTY };
    match (failed.as_slice(), unfinished.as_slice(), attempt.tasks.len()) {
        (_, _, 0) => Safe::EMPTY,
        ([one], _, 1) => safe!("; its task {} then failed{}", name(one), tries(one)),
        ([one], [], n) => safe!("; of its {} tasks {} failed{}", n, name(one), tries(one)),
        ([], [], 1) => safe!("; its task {} succeeded", name(&attempt.tasks[0])),
        ([], [], n) => safe!("; its {} tasks succeeded", n),
        ([], [one], n) => safe!("; {} {} has not ended", if n == 1 { "its task" } else { "of its tasks" }, name(one)),
        (failed, unfinished, n) => {
            let names: Vec<Safe> = failed.iter().map(|t| name(t)).collect();
            let open = if unfinished.is_empty() {
                Safe::EMPTY
            } else {
                safe!("{}{} not ended", if names.is_empty() { "" } else { ", " }, unfinished.len())
            };
            let lost = if names.is_empty() { Safe::EMPTY } else { safe!("{} failed ({})", names.len(), Safe::join(&names, ", ")) };
            safe!("; of its {} tasks {}{}", n, lost, open)
        }
    }
}

/// Where the time of the decisive task went: the failed one, else the last to end.
fn time(attempt: &Attempt) -> Safe {
    let total = attempt.ended.duration_since(attempt.started);
    let decisive = attempt
        .tasks
        .iter()
        .find(|t| t.outcome == Ended::Failed)
        .or_else(|| attempt.tasks.iter().max_by_key(|t| t.tries.last().and_then(|x| x.ended)));
    let Some(task) = decisive.filter(|_| total.as_millis() >= 1_000) else { return ".".into() };
    let share = |ms: i64| units::percent(SignedDuration::from_millis(ms), total);
    let mut parts = Vec::new();
    if let Some(waited) = task.waited_ms.filter(|ms| *ms >= 100) {
        let queue = task.queue.as_ref().map(|q| safe!(" {}", q)).unwrap_or_default();
        parts.push(safe!("{} waiting in queue{} ({} %)", length(waited), queue, share(waited)));
    }
    if task.backed_off_ms >= 100 {
        parts.push(safe!("{} back-off ({} %)", length(task.backed_off_ms), share(task.backed_off_ms)));
    }
    if task.ran_ms >= 100 {
        parts.push(safe!("{} running", length(task.ran_ms)));
    }
    let total = units::duration(total);
    if parts.is_empty() { safe!(". {} in all.", total) } else { safe!(". {} in all: {}.", total, Safe::join(&parts, ", ")) }
}

/// An event in a few words.
pub(super) fn event(hit: &Hit, at: Timestamp, tasks: &[Task], known: &[Safe], traceback: Option<&Traceback>, redact: &Redactor) -> Safe {
    let Hit { what, entry, .. } = hit;
    let text = |t: &str| redact.safe(t.as_bytes());
    let task = what.task().and_then(|r| tasks.iter().find(|t| *t.id == *r.id));
    let label = task.map(|t| safe!("{} {}", name(t), t.id.clipped(9))).unwrap_or_default();
    let nth = task.and_then(|t| {
        let i = t.tries.iter().position(|x| x.started == Some(at) || x.ended == Some(at))?;
        (t.tries.len() > 1).then(|| safe!("  try {} of {}", i + 1, t.tries.len()))
    });
    let nth = nth.unwrap_or_default();
    match what {
        What::RequestStarted => {
            let (method, path) = super::events::method_and_path(entry);
            safe!("{} {}", text(&method.unwrap_or_default()), text(&path.unwrap_or_default()))
        }
        What::RequestFinished { status, ms } => {
            let status = status.map(|s| safe!("{}", s)).unwrap_or_default();
            let took = ms.map(|ms| safe!("  in {}", length(ms))).unwrap_or_default();
            safe!("{}{}", status, took)
        }
        What::RequestFailed | What::Failed(..) if traceback.is_some() => {
            let exception = traceback.map(|t| t.exception.clone()).unwrap_or_default();
            if label.is_empty() { exception } else { safe!("{}{}  {}", label, nth, exception) }
        }
        What::RequestFailed => text(&entry.any_field(["error", "reason"]).unwrap_or_default()),
        What::Enqueued(_) => safe!("{}{}", label, task.and_then(|t| t.queue.as_ref()).map(|q| safe!(" → queue {}", q)).unwrap_or_default()),
        What::Received(_) | What::Started(_) => safe!("{}{}", label, nth),
        What::Retrying(_, reason) => safe!("{}{}  {}", label, nth, text(reason)),
        What::Failed(_, error) => safe!("{}{}  {}", label, nth, text(error)),
        What::Succeeded(_, seconds) => {
            let took = seconds.map(|s| safe!("  in {}", length((s * 1000.0) as i64))).unwrap_or_default();
            safe!("{}{}{}", label, nth, took)
        }
        What::Said(_) => crate::logs::view::says(entry, known, redact),
    }
}
