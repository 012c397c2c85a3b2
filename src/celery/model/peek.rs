//! The answer of `queue peek`: what runs next, and what a queue is made of.

use super::TaskMessage;
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// What stands at the consumed end of a queue.
#[derive(Clone, Debug, Serialize)]
pub struct PeekFacts {
    /// The queue.
    pub queue: Safe,
    /// When, by the server's clock.
    pub observed_at: Timestamp,
    /// How many tasks wait.
    pub waiting: u64,
    /// Its lists, the first to be consumed first.
    pub buckets: Vec<PeekBucket>,
    /// The tasks, the next to run first.
    pub next: Vec<PeekedTask>,
    /// What those that were read are made of.
    pub sample: PeekSample,
}

/// One list of a queue.
#[derive(Clone, Debug, Serialize)]
pub struct PeekBucket {
    /// Its priority step; 0 is consumed first.
    pub step: u8,
    /// How many tasks wait in it.
    pub waiting: u64,
    /// The bytes of one, by the server's estimate.
    pub bytes_each: Option<u64>,
    /// What the server said in place of its length.
    pub wrong: Option<Safe>,
}

/// One place in a queue.
#[derive(Clone, Debug, Serialize)]
pub struct PeekedTask {
    /// How many of its bucket run before it.
    pub place: u64,
    /// The bucket's priority step.
    pub step: u8,
    /// The task. None: it was not fetched, or is none.
    pub message: Option<TaskMessage>,
    /// Why it is not shown.
    pub why: Option<Safe>,
}

/// What a queue is made of, as far as it was read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PeekSample {
    /// How many messages were read.
    pub read: u64,
    /// How many of them are no task that could be decoded.
    pub undecodable: u64,
    /// How many were not fetched since they are too large.
    pub too_large: u64,
    /// How many were delivered before and given back.
    pub redelivered: u64,
    /// How many wait for a time to come.
    pub future: u64,
    /// The names of the tasks, the most frequent first.
    pub tasks: Vec<(Safe, u64)>,
    /// Where they were published, the most frequent first.
    pub hosts: Vec<(Safe, u64)>,
}
