//! What is known of workers without asking them: the bindings that they made, and what they say by themselves.

use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// A queue that hears a routing key of an exchange.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Binding {
    /// The routing key.
    pub routing_key: String,
    /// The pattern of a topic exchange; empty otherwise.
    pub pattern: String,
    /// The queue.
    pub queue: String,
}

/// What a worker said by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heartbeat {
    /// Which worker: `celery@celery-5d9f-m2qk`.
    pub worker: Safe,
    /// What it said.
    pub sign: Sign,
    /// When, by its own clock.
    pub at: Option<Timestamp>,
    /// How many tasks it runs.
    pub active: Option<u64>,
    /// How many it has begun since it started.
    pub processed: Option<u64>,
    /// How often it says so, in seconds.
    pub every_s: Option<f64>,
    /// The load of its machine over the last minute.
    pub load: Option<f64>,
    /// Its process.
    pub pid: Option<u64>,
    /// The version of Celery.
    pub version: Option<Safe>,
}

/// What a worker says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// It lives.
    Beats,
    /// It has come.
    Online,
    /// It goes.
    Offline,
}
