//! The answer of `queue find`: where a task is, since when, and what belongs to it.

use super::{Hold, TaskMessage};
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// Everything that was found under an ID.
#[derive(Clone, Debug, Serialize)]
pub struct FindFacts {
    /// What was looked for: the ID of a task or a request, or the beginning of one.
    pub asked: Safe,
    /// When, by the server's clock.
    pub observed_at: Timestamp,
    /// The tasks.
    pub tasks: Vec<FoundTask>,
    /// Tasks that belong to them and were met on the way.
    pub relatives: Vec<Relative>,
    /// What was looked through.
    pub searched: Searched,
}

/// So many tasks, and so many relatives, are kept.
pub const MOST_FOUND: usize = 200;

impl FindFacts {
    /// The entry of a task, new where it had none; none where there are too many.
    pub fn task(&mut self, id: &Safe, by_request: bool) -> Option<&mut FoundTask> {
        let at = match self.tasks.iter().position(|task| task.id == *id) {
            Some(at) => at,
            None if self.tasks.len() >= MOST_FOUND => return None,
            None => {
                self.tasks.push(FoundTask { id: id.clone(), task: None, by_request, places: Vec::new(), message: None, outcome: None });
                self.tasks.len() - 1
            }
        };
        self.tasks.get_mut(at)
    }
}

/// A task that was found.
#[derive(Clone, Debug, Serialize)]
pub struct FoundTask {
    /// Its ID.
    pub id: Safe,
    /// Its name, where anything says it.
    pub task: Option<Safe>,
    /// Whether its request's ID was asked for, not its own.
    pub by_request: bool,
    /// Everywhere it was seen, in the order of a task's life.
    pub places: Vec<TaskPlace>,
    /// Its message, where one was seen.
    pub message: Option<TaskMessage>,
    /// Its stored result.
    pub outcome: Option<TaskOutcome>,
}

/// Where a task is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "at")]
pub enum TaskPlace {
    /// In a list.
    Waiting {
        /// The queue.
        queue: Safe,
        /// The list's priority step.
        step: u8,
        /// How many of this list run before it.
        before: u64,
    },
    /// Given to a worker, and not acknowledged.
    Delivered {
        /// When.
        since: Timestamp,
        /// When it is given to another.
        returns: Timestamp,
    },
    /// In the hands of a worker, which says so itself.
    Held {
        /// Which.
        worker: Safe,
        /// What it does with it.
        hold: Hold,
        /// When it began to run.
        since: Option<Timestamp>,
        /// Not before.
        eta: Option<Timestamp>,
    },
}

/// What became of a task, as its result says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskOutcome {
    /// `SUCCESS`, `FAILURE`, `RETRY`, `REVOKED`, `STARTED`.
    pub state: Safe,
    /// When.
    pub done: Option<Timestamp>,
    /// What it returned or raised, redacted.
    pub result: Option<Safe>,
    /// The traceback, redacted, line by line.
    pub traceback: Vec<Safe>,
    /// The tasks that it published.
    pub children: Vec<Safe>,
    /// Its name, where the result is an extended one.
    pub task: Option<Safe>,
    /// The worker, likewise.
    pub worker: Option<Safe>,
}

/// A task that belongs to one that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Relative {
    /// Its ID.
    pub id: Safe,
    /// Its name.
    pub task: Safe,
    /// How it belongs to it.
    pub kinship: Kinship,
    /// Where it is.
    pub place: TaskPlace,
}

/// How one task belongs to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kinship {
    /// It published it.
    Child,
    /// It is the first of its chain.
    Descendant,
    /// Of the same group or chord.
    Group,
    /// Of the same root.
    Sibling,
}

impl Kinship {
    /// In a word.
    pub fn says(self) -> &'static str {
        match self {
            Self::Child => "child",
            Self::Descendant => "descendant",
            Self::Group => "same group",
            Self::Sibling => "same root",
        }
    }
}

/// What was looked through.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Searched {
    /// Waiting messages.
    pub waiting: u64,
    /// Delivered messages.
    pub delivered: u64,
    /// Messages that are too large to be fetched.
    pub too_large: u64,
    /// Messages that could not be decoded, and may be it.
    pub undecodable: u64,
    /// How many workers answered. None: they were not asked.
    pub workers: Option<u64>,
    /// Whether all workers that are connected answered.
    pub all_workers: bool,
    /// Where stored results were looked at. None: nowhere.
    pub results: Option<Safe>,
    /// Whether that was a guess, so that a result may be somewhere else.
    pub results_guessed: bool,
    /// Where the search ended before its end.
    pub stopped: Option<FindFrom>,
    /// Whether the lists behind the one with the task were left out.
    pub enough: bool,
    /// What else kept it from being whole.
    pub trouble: Vec<Safe>,
}

impl Searched {
    /// Whether a task that is anywhere would have been found.
    pub fn whole(&self) -> bool {
        self.too_large == 0
            && self.undecodable == 0
            && self.all_workers
            && self.results.is_some()
            && !self.results_guessed
            && self.stopped.is_none()
            && !self.enough
            && self.trouble.is_empty()
    }
}

/// A place in the lists from which a search can go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindFrom {
    /// The queue.
    pub queue: String,
    /// The priority step.
    pub step: u8,
    /// The place, from the tail.
    pub place: u64,
}

impl FindFrom {
    /// Reads `QUEUE:STEP:PLACE`. A queue may have colons itself.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ':');
        let (place, step, queue) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned());
        (!queue.is_empty()).then_some(Self { queue, step, place })
    }
    /// `QUEUE:STEP:PLACE`.
    pub fn says(&self) -> Safe {
        crate::safe!("{}:{}:{}", Safe::name(&self.queue), self.step, self.place)
    }
}
