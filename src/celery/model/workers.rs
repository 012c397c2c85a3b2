//! The answer of `queue workers`: which workers there are, what is known of each and how.

use super::{HeldTask, WorkerStats};
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// Everything that is known of the workers of a broker.
#[derive(Clone, Debug, Serialize)]
pub struct WorkersFacts {
    /// When, by the server's clock.
    pub observed_at: Timestamp,
    /// For how many seconds heartbeats were listened to. None: they were not.
    pub listened_s: Option<f64>,
    /// What the control bus said. None: it was not asked.
    pub bus: Option<BusFacts>,
    /// The workers, by name.
    pub workers: Vec<WorkerFacts>,
    /// The queues, by name.
    pub queues: Vec<QueueUse>,
    /// How many messages are delivered and not acknowledged.
    pub unacked: Option<u64>,
    /// Delivered tasks that no worker holds. None: unknown.
    pub orphans: Option<Vec<Orphan>>,
    /// What room the database has for more workers. None: not seen.
    pub database: Option<DatabaseRoom>,
}

/// What the control bus said.
#[derive(Clone, Debug, Serialize)]
pub struct BusFacts {
    /// How many workers are connected to it.
    pub subscribers: u64,
    /// How many of them answered.
    pub answered: u64,
    /// From the question to the last answer, in milliseconds.
    pub took_ms: u64,
    /// Whether all answered everything.
    pub complete: bool,
    /// Whether they were asked for the tasks that they hold beside those that they run.
    pub tasks: bool,
}

/// What is known of one worker.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerFacts {
    /// Its name: `celery@celery-5d9f-m2qk`.
    pub name: Safe,
    /// What to think of it.
    pub state: WorkerState,
    /// Whether it stands in the inventory. A killed worker stays in it.
    pub in_inventory: bool,
    /// Whether a heartbeat of it was heard.
    pub heard: bool,
    /// How many tasks it runs.
    pub running: Option<u64>,
    /// How many it has begun per second, between two heartbeats.
    pub per_second: Option<f64>,
    /// What it says of itself.
    pub stats: Option<WorkerStats>,
    /// The queues that it consumes.
    pub queues: Option<Vec<Safe>>,
    /// The tasks that it holds, as far as they were asked for.
    pub tasks: Vec<HeldTask>,
    /// What it could not tell.
    pub errors: Vec<Safe>,
    /// Its pod.
    pub pod: Option<PodSeen>,
}

/// What to think of a worker. Only the control bus makes it certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// In the inventory, and not connected to the control bus.
    Dead,
    /// Not connected to the control bus either, and its pod exists no more: only its entry is left.
    Ghost,
    /// One of several that did not answer, of which some are connected and some are not.
    DeadOrSilent,
    /// Its pod does not run.
    Down,
    /// Connected, and no answer: it hangs, or it is a solo pool that runs a task.
    Silent,
    /// No heartbeat was heard.
    NotHeard,
    /// All its slots are busy while a queue of it has waiting tasks.
    Saturated,
    /// It has fetched tasks that idle workers could run.
    Hoarding,
    /// It beats or answers.
    Alive,
}

impl WorkerState {
    /// In a word or two, as the table has it.
    pub fn says(self) -> &'static str {
        match self {
            Self::Dead => "DEAD",
            Self::Ghost => "ghost",
            Self::DeadOrSilent => "dead or silent",
            Self::Down => "POD DOWN",
            Self::Silent => "silent",
            Self::NotHeard => "not heard",
            Self::Saturated => "saturated",
            Self::Hoarding => "hoarding",
            Self::Alive => "ok",
        }
    }
}

/// A queue and who uses it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueueUse {
    /// Its name.
    pub name: Safe,
    /// How many tasks wait in it. None: it could not be counted.
    pub waiting: Option<u64>,
    /// How many workers consume it. None: unknown.
    pub consumers: Option<u64>,
}

/// A delivered task that no worker holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Orphan {
    /// Its ID.
    pub id: Safe,
    /// Its name.
    pub task: Safe,
    /// Where it was published to.
    pub routing_key: Safe,
    /// When it was delivered.
    pub delivered: Timestamp,
    /// When it is given back.
    pub returns: Timestamp,
    /// Whether no worker that answered and consumes its queue was up when it was delivered. Else a rate limit may delay it: such tasks are
    /// in no worker's lists.
    pub sure: bool,
}

/// The pod of a worker, as Kubernetes has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PodSeen {
    /// Its name.
    pub name: Safe,
    /// Its namespace.
    pub namespace: Safe,
    /// Whether its containers run.
    pub running: bool,
    /// Whether they are ready.
    pub ready: bool,
    /// What it waits for, or why it is where it is: `CrashLoopBackOff`, `Evicted`.
    pub reason: Option<Safe>,
    /// How often its containers were restarted.
    pub restarts: u32,
    /// How the last one of them ended.
    pub last_end: Option<PodEnd>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The memory that the container of its last end may have: `512Mi`.
    pub memory_limit: Option<Safe>,
}

impl PodSeen {
    /// Whether there is nothing to say of it: it runs, and always did.
    pub fn is_quiet(&self) -> bool {
        self.running && self.ready && !self.deleting && self.restarts == 0 && self.reason.is_none() && self.last_end.is_none()
    }

    /// Whether a worker of this name lives in it: behind the `@` stands its host, which is the pod.
    pub fn is_of(&self, worker: &str) -> bool {
        worker.rsplit_once('@').map_or(worker, |(_, host)| host) == self.name.as_str()
    }
}

/// How a container of a pod ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PodEnd {
    /// `OOMKilled`, `Error`.
    pub reason: Safe,
    /// When.
    pub at: Option<Timestamp>,
}

/// How many connections a database has, and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseRoom {
    /// How many are open.
    pub used: u64,
    /// `max_connections`.
    pub most: u64,
}
