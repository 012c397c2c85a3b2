//! What one request did, from the log records that belong to it. Pure: records in, facts out. Which further records are needed is a
//! question that it hands back (`Step::Ask`).

mod analyze;
mod events;
mod findings;
mod links;
mod sentence;
mod story;
mod traceback;

pub use analyze::analyze;
pub use findings::{clocks, findings};
pub use links::{Trace, next};
pub use story::{Story, request_of};
pub use traceback::Traceback;

use super::model::Level;
use crate::{
    answer::{Link, LinkProof},
    report::Report,
    text::Safe,
};
use jiff::Timestamp;
use serde::Serialize;

/// What is known of a request.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestFacts {
    /// What was asked for: an ID or the beginning of one.
    pub asked: Safe,
    /// The whole IDs that begin so.
    pub ids: Vec<Safe>,
    /// The task that was asked for, where the ID is a task's: its request is told, if a line names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Safe>,
    /// What happened under that ID: a client that repeats a request with the same ID makes several.
    pub attempts: Vec<Attempt>,
}

impl Report for RequestFacts {
    const KIND: &'static str = "logs.request";
    const VERSION: u32 = 1;
}

/// Several requests, each as told alone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ManyRequests {
    /// In the order in which they were asked for, or in which they began.
    pub requests: Vec<RequestFacts>,
}

impl Report for ManyRequests {
    const KIND: &'static str = "logs.requests";
    const VERSION: u32 = 1;
}

impl RequestFacts {
    /// Whether all of it has ended: the request was answered, and each of its tasks has come to an end.
    pub fn over(&self) -> bool {
        self.attempts.last().is_some_and(|a| {
            let says = |what| a.events.iter().any(|e| e.what == what);
            let answered = says("request_finished") || says("request_failed") || (!says("request_started") && !a.tasks.is_empty());
            answered && a.tasks.iter().all(|t| t.outcome != Ended::Unfinished)
        })
    }
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As it should.
    Ok,
    /// It failed.
    Failed,
    /// No line says that it ended.
    Unfinished,
}

/// One passage of a request through the system.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// The first line.
    pub started: Timestamp,
    /// The last one.
    pub ended: Timestamp,
    /// `POST`.
    pub method: Option<Safe>,
    /// `/api/orders/checkout/`.
    pub path: Option<Safe>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// How long the answer took, in milliseconds.
    pub answered_in_ms: Option<i64>,
    /// How it ended, its tasks included.
    pub outcome: Ended,
    /// The one sentence.
    pub says: Safe,
    /// What its lines agree on: user, order, organisation, release.
    pub context: Vec<(Safe, Safe)>,
    /// The Celery tasks that it caused.
    pub tasks: Vec<Task>,
    /// How each task is known to belong to it.
    pub links: Vec<Link>,
    /// Whether the tasks' own lines carry the request's ID. Where they do not, a task that no other line ties to it cannot be seen.
    pub tasks_carry_id: bool,
    /// The longest time without a line.
    pub largest_gap: Option<Gap>,
    /// Every line, in order.
    pub events: Vec<Event>,
}

/// A Celery task.
#[derive(Clone, Debug, Serialize)]
pub struct Task {
    /// Its ID.
    pub id: Safe,
    /// `mail.send_receipt`.
    pub name: Option<Safe>,
    /// The queue that it went into.
    pub queue: Option<Safe>,
    /// How its link to the request is known.
    pub proof: LinkProof,
    /// When it was put into the queue.
    pub enqueued: Option<Timestamp>,
    /// Its tries.
    pub tries: Vec<Try>,
    /// How it ended.
    pub outcome: Ended,
    /// The last error.
    pub error: Option<Safe>,
    /// From the queue to its first start, in milliseconds.
    pub waited_ms: Option<i64>,
    /// Between its tries, in milliseconds.
    pub backed_off_ms: i64,
    /// In its tries, in milliseconds.
    pub ran_ms: i64,
}

/// One try of a task.
#[derive(Clone, Debug, Serialize)]
pub struct Try {
    /// When it started; none when only its end was logged.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How: `retrying`, `succeeded`, `failed`.
    pub how: Option<&'static str>,
    /// Where.
    pub by: Safe,
}

/// A time without a line.
#[derive(Clone, Debug, Serialize)]
pub struct Gap {
    /// After the event of this number.
    pub after: usize,
    /// How long, in milliseconds.
    pub ms: i64,
    /// What it was: waiting in a queue, back-off, or unknown.
    pub says: Safe,
}

/// One line of the timeline.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Milliseconds since the attempt's first line.
    pub offset_ms: i64,
    /// The namespace of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Safe>,
    /// The pod or file.
    pub by: Safe,
    /// The container, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Safe>,
    /// What kind of line it is: `request_started`, `task_retrying`, `said`.
    pub what: &'static str,
    /// In a few words.
    pub says: Safe,
    /// How bad the application says it is.
    pub level: Option<Level>,
    /// The traceback, folded.
    pub traceback: Option<Traceback>,
    /// Whether it says again what another line says.
    pub repeats: bool,
    /// The line itself, redacted.
    pub line: Safe,
    /// The lines that belong to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Safe>,
}
