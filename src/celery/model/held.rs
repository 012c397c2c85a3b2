//! What workers say about themselves when the control bus asks them, and the tasks that they hold.

use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// What is asked of workers. Each is a command of Celery's control bus that changes nothing in the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlMethod {
    /// Whether it answers.
    Ping,
    /// Its pool, its prefetch and what it has done.
    Stats,
    /// The queues that it consumes.
    ActiveQueues,
    /// The tasks that it runs.
    Active,
    /// The tasks that it fetched and does not run yet.
    Reserved,
    /// The tasks that it fetched and holds until their time has come.
    Scheduled,
    /// The tasks that it was told never to run.
    Revoked,
    /// What it knows of these tasks.
    QueryTask(Vec<String>),
}

impl ControlMethod {
    /// Celery's name of it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Stats => "stats",
            Self::ActiveQueues => "active_queues",
            Self::Active => "active",
            Self::Reserved => "reserved",
            Self::Scheduled => "scheduled",
            Self::Revoked => "revoked",
            Self::QueryTask(_) => "query_task",
        }
    }
}

/// What a worker answered to one method.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerSays {
    /// It is there.
    Pong,
    /// Its pool and its prefetch.
    Stats(WorkerStats),
    /// The queues that it consumes.
    Queues(Vec<String>),
    /// Tasks that it holds.
    Tasks(Vec<HeldTask>),
    /// The IDs of tasks that it will not run.
    Revoked(Vec<String>),
    /// It could not tell.
    Error(Safe),
}

/// A worker's own figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorkerStats {
    /// Its main process, on its host.
    pub pid: Option<u64>,
    /// How it runs tasks: `prefork`, `solo`, `thread`, `gevent`.
    pub pool: Option<Safe>,
    /// How many tasks it can run at the same time.
    pub slots: Option<u64>,
    /// How many tasks it may have fetched and not acknowledged; 0 is without a limit. Tasks with an ETA raise it while they wait.
    pub prefetch: Option<u64>,
    /// For how many seconds it has been up.
    pub uptime: Option<u64>,
    /// How many tasks it has run, by name.
    pub total: Vec<(Safe, u64)>,
    /// The visibility timeout that it was told, in seconds.
    pub visibility_timeout: Option<f64>,
}

/// A task in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldTask {
    /// Its ID.
    pub id: Safe,
    /// Its name.
    pub task: Safe,
    /// What the worker does with it.
    pub state: Hold,
    /// Its positional arguments, redacted.
    pub args: Option<Safe>,
    /// Its keyword arguments, redacted.
    pub kwargs: Option<Safe>,
    /// The queue that it came from, as far as its route tells.
    pub queue: Option<Safe>,
    /// When it began to run.
    pub since: Option<Timestamp>,
    /// Not before.
    pub eta: Option<Timestamp>,
    /// Whether the broker was told that it need not keep it.
    pub acknowledged: bool,
    /// The process that runs it, on the worker's host.
    pub pid: Option<u64>,
}

/// What a worker does with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Runs it.
    Running,
    /// Has fetched it; a slot is waited for.
    Reserved,
    /// Has fetched it; its ETA is waited for.
    Scheduled,
    /// Was told never to run it.
    Revoked,
    /// Has seen it, and says no more.
    Known,
}

impl Hold {
    /// As a sentence has it.
    pub fn says(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Reserved => "fetched, waiting for a slot",
            Self::Scheduled => "fetched, waiting for its ETA",
            Self::Revoked => "fetched, and revoked",
            Self::Known => "known",
        }
    }
}

/// Keys of a conversation that could not be taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Which.
    pub keys: Vec<Safe>,
    /// What takes them away.
    pub command: Safe,
}
