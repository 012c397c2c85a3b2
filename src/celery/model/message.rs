//! A task as the broker holds it: the headers that every Celery since 4.0 writes.

use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// A message of a queue. Its body is not kept: what it holds is shown by Celery's own short representations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskMessage {
    /// The task's ID.
    pub id: Safe,
    /// The task's name: `mail.tasks.send_receipt`.
    pub task: Safe,
    /// Its positional arguments, as Celery represents them (cut at about 1 kB), redacted. None where only the body has them.
    pub args: Option<Safe>,
    /// Its keyword arguments, likewise.
    pub kwargs: Option<Safe>,
    /// How often it was tried before.
    pub retries: u32,
    /// Not before.
    pub eta: Option<Timestamp>,
    /// Not after.
    pub expires: Option<Timestamp>,
    /// Its priority, as it was published.
    pub priority: Option<i64>,
    /// When it was put into the queue, where the message says so.
    pub enqueued: Option<Enqueued>,
    /// The process that published it: `gen17@backend-7f9c-x2lq`.
    pub origin: Option<Safe>,
    /// The host of it, which is the pod.
    pub host: Option<Safe>,
    /// The request that it belongs to, where a header says so.
    pub request: Option<RequestRef>,
    /// The first task of its chain.
    pub root: Option<Safe>,
    /// The task that published it.
    pub parent: Option<Safe>,
    /// Its group or chord.
    pub group: Option<Safe>,
    /// Whether it was delivered before and given back.
    pub redelivered: bool,
    /// The tag of its delivery: unique per message in the broker.
    pub tag: Safe,
    /// Where it was published to; an empty exchange means that the routing key is the queue.
    pub exchange: Safe,
    /// Its routing key.
    pub routing_key: Safe,
    /// The bytes of its body, as encoded in the message.
    pub body_bytes: u64,
    /// How the body is serialized: `application/json`. Pickle is named, and never decoded.
    pub content_type: Option<Safe>,
    /// How the body is compressed.
    pub compression: Option<Safe>,
    /// The version of Celery's task protocol: 1 or 2.
    pub protocol: u8,
}

/// When a message was put into its queue, and how that is known: no Celery writes it by itself (celery#5696).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Enqueued {
    /// When.
    pub at: Timestamp,
    /// By what.
    pub by: AgeSource,
}

/// What says when a message was put into its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgeSource {
    /// The header `sentry-task-enqueued-time`.
    SentryHeader,
    /// `expires` less `expiration`, which Celery computes from it when it publishes.
    Expiration,
    /// The property or header `published_at`, or `timestamp`.
    PublishedAt,
    /// Its `eta` has passed: late by so much.
    Eta,
    /// The same message was the next to run before: at least so long.
    Seen,
    /// Little's law: depth ÷ outflow. An estimate.
    Flow,
}

impl AgeSource {
    /// Whether it waits so long at least, and maybe longer.
    pub fn at_least(self) -> bool {
        matches!(self, Self::Eta | Self::Seen)
    }
    /// In a few words, as a footnote has it.
    pub fn says(self) -> &'static str {
        match self {
            Self::SentryHeader => "header sentry-task-enqueued-time",
            Self::Expiration => "expires less expiration, from its publication",
            Self::PublishedAt => "its own published_at",
            Self::Eta => "late by its eta; it may wait longer",
            Self::Seen => "lower bound: the same message was next",
            Self::Flow => "estimate: depth ÷ what the workers take",
        }
    }
}

/// The request that a task belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestRef {
    /// The request's or trace's ID.
    pub id: Safe,
    /// The header that says so.
    pub header: Safe,
}
