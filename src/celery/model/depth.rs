//! How deep the queues are: the facts of `obsctl queue depth`.

use super::{AgeSource, Beside, KnownBy, ServerFacts, TaskMessage};
use crate::{answer::Verdict, report::Report, text::Safe};
use jiff::Timestamp;
use serde::Serialize;

/// Where the tasks of a broker are.
#[derive(Clone, Debug, Serialize)]
pub struct DepthFacts {
    /// The time of the last look, by the server's clock.
    pub observed_at: Timestamp,
    /// How many looks.
    pub samples: usize,
    /// The seconds between the first look and the last.
    pub apart_s: f64,
    /// The queues, the worst first.
    pub queues: Vec<QueueDepth>,
    /// What waits in all of them.
    pub waiting: u64,
    /// What was delivered and not acknowledged.
    pub delivered: Delivered,
    /// What the workers that were heard say that they run. None: nobody was heard.
    pub running: Option<u64>,
    /// The workers.
    pub workers: WorkersHeard,
    /// The server.
    pub server: ServerFacts,
    /// What lies beside the queues.
    pub beside: Beside,
    /// When beat last ran its entries, where that was looked at.
    pub beat: Option<BeatSaid>,
    /// What asking cost.
    pub cost: Cost,
}

impl Report for DepthFacts {
    const KIND: &'static str = "queue.depth";
    const VERSION: u32 = 1;
}

/// One queue.
#[derive(Clone, Debug, Serialize)]
pub struct QueueDepth {
    /// Its name.
    pub name: Safe,
    /// Why it is taken for a queue.
    pub known: KnownBy,
    /// Tasks that wait in all its lists. None: they could not be counted.
    pub waiting: Option<u64>,
    /// Its lists, the first to be consumed first; only those that hold something.
    pub priorities: Vec<PriorityDepth>,
    /// How much it grew per second. None: one look, and none remembered.
    pub net_per_s: Option<f64>,
    /// The earlier time with which it was compared.
    pub compared_with: Option<Timestamp>,
    /// How long its oldest task waits.
    pub oldest: Option<Age>,
    /// Why there is no age, where one was looked for.
    pub age_unknown: Option<Safe>,
    /// In how many seconds it is empty, at this rate. None: it does not shrink.
    pub empty_in_s: Option<f64>,
    /// For how many seconds nothing was taken from it, at least. None: something was, or it is empty.
    pub untaken_s: Option<f64>,
    /// The next tasks by name, most frequent first, with their numbers in a small sample.
    pub composition: Vec<(Safe, u64)>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why.
    pub why: Safe,
}

/// One list of a queue.
#[derive(Clone, Debug, Serialize)]
pub struct PriorityDepth {
    /// The priority step.
    pub step: u8,
    /// Its length.
    pub waiting: u64,
    /// The bytes of one message, by the server's estimate.
    pub bytes_each: Option<u64>,
    /// The next to run of it.
    pub next: Option<TaskMessage>,
    /// What is wrong with the next.
    pub unreadable: Option<Safe>,
}

/// How long a task waits, and how that is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Age {
    /// Seconds.
    pub s: f64,
    /// By what.
    pub by: AgeSource,
    /// Since when.
    pub since: Timestamp,
    /// Whether `since` was seen by an earlier run on this machine.
    pub earlier_run: bool,
}

/// What was delivered to workers and not acknowledged.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Delivered {
    /// How many. None: it could not be counted.
    pub count: Option<u64>,
    /// Why not.
    pub unknown: Option<Safe>,
    /// Since when the oldest of them is in a worker's hands.
    pub oldest: Option<Timestamp>,
    /// When that is given to another worker, unless it is acknowledged.
    pub redelivery: Option<Timestamp>,
    /// After how many seconds that happens.
    pub visibility_timeout_s: f64,
    /// Whether nobody configured that, and Celery's default is assumed.
    pub timeout_assumed: bool,
    /// How many should have been given back long ago.
    pub overdue: Option<u64>,
}

/// What was heard of the workers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WorkersHeard {
    /// For how many seconds their channel was listened to. None: it was not, or could not be.
    pub listened_s: Option<f64>,
    /// Why not.
    pub deaf: Option<Safe>,
    /// Who was heard.
    pub heard: Vec<WorkerHeard>,
    /// Who is in the inventory and was not heard: dead, or a solo pool at work.
    pub silent: Vec<Safe>,
    /// Messages of the channel that could not be read.
    pub undecodable: u64,
}

impl WorkersHeard {
    /// Whether all workers that are known were heard, and none of them runs anything. Which queues a worker consumes it does not say, and
    /// how many slots it has neither: that one of several is idle tells nothing of a queue.
    pub fn all_idle(&self) -> bool {
        self.listened_s.is_some()
            && !self.heard.is_empty()
            && self.silent.is_empty()
            && self.heard.iter().all(|worker| worker.active == Some(0))
    }
}

/// A worker that was heard.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerHeard {
    /// Its name.
    pub name: Safe,
    /// How many tasks it runs; the most of what it said meanwhile.
    pub active: Option<u64>,
    /// How many it has begun since it started.
    pub processed: Option<u64>,
    /// How many per second, between two of its heartbeats.
    pub per_s: Option<f64>,
    /// The load of its machine.
    pub load: Option<f64>,
    /// The version of Celery.
    pub version: Option<Safe>,
}

/// What beat has done last, said by whoever looked: a table, or a line of its log.
#[derive(Clone, Debug, Serialize)]
pub struct BeatSaid {
    /// The sentence: `last run due 02:58:00, ran 02:58:00`.
    pub says: Safe,
    /// Whether it is late.
    pub late: bool,
}

/// What the answer cost the server.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    /// Questions that waited for an answer, the greetings too.
    pub round_trips: u64,
    /// Bytes that it sent to us.
    pub received: u64,
}
