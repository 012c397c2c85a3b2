//! One look into a broker: the lengths of its lists and what stands at their ends. What a queue's answer is made of; never printed itself.

use super::{ServerFacts, TaskMessage};
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// What one look saw. The clock is the server's.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Every queue that is known, by its name.
    pub queues: BTreeMap<String, QueueSample>,
    /// What was delivered and not acknowledged.
    pub delivered: DeliveredSample,
    /// The server, where it was asked.
    pub server: Option<ServerFacts>,
    /// The bindings of the control bus.
    pub inventory: Inventory,
    /// What else lies in the database.
    pub beside: Beside,
}

/// One queue in one look.
#[derive(Clone, Debug, Serialize)]
pub struct QueueSample {
    /// Why it is taken for a queue.
    pub known: KnownBy,
    /// Its lists by priority step.
    pub buckets: BTreeMap<u8, BucketSample>,
    /// Messages that come next, where they are small: the nearest last. For the composition only.
    pub next: Vec<TaskMessage>,
}

impl QueueSample {
    /// Its length. None where not all of its lists could be counted.
    pub fn waiting(&self) -> Option<u64> {
        self.buckets.values().map(|bucket| bucket.waiting).sum()
    }
    /// The lists that hold something, the first to be consumed first.
    pub fn filled(&self) -> impl Iterator<Item = (u8, &BucketSample)> {
        self.buckets.iter().filter(|(_, bucket)| bucket.waiting.is_some_and(|n| n > 0)).map(|(step, bucket)| (*step, bucket))
    }
}

/// Why a list is taken for a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// An argument names it, and nothing else does.
    Asked,
    /// The configuration names it.
    Configured,
    /// A binding names it.
    Bound,
    /// It holds Celery's messages.
    Content,
    /// It did so in an earlier run.
    Remembered,
}

/// One list of a queue.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BucketSample {
    /// Its length. None: refused, or a key of another type.
    pub waiting: Option<u64>,
    /// The bytes of one message, by the server's estimate.
    pub bytes_each: Option<u64>,
    /// The next to run.
    pub tail: Tail,
    /// What the server said in place of its length.
    pub wrong: Option<Safe>,
}

/// The next message to run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tail {
    /// There is none, or it was not asked for.
    #[default]
    None,
    /// It was read.
    Message(Box<TaskMessage>),
    /// It was read and is no task of Celery's; the mark tells one from another.
    Garbage {
        /// A hash of it.
        mark: String,
        /// Why it is none.
        why: Safe,
    },
    /// It was not fetched.
    Unread(Safe),
}

impl Tail {
    /// What tells this message from any other.
    pub fn mark(&self) -> Option<&str> {
        match self {
            Self::Message(message) if !message.tag.is_empty() => Some(&message.tag),
            Self::Message(message) => Some(&message.id),
            Self::Garbage { mark, .. } => Some(mark),
            Self::None | Self::Unread(_) => None,
        }
    }
}

/// What was delivered to workers and not acknowledged.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeliveredSample {
    /// How many. None: it could not be counted.
    pub count: Option<u64>,
    /// Of these, how many have been due for redelivery for so long that a living worker would have done it.
    pub overdue: Option<u64>,
    /// The oldest of them with the time of their delivery; a few.
    pub oldest: Vec<HeldMessage>,
    /// What the server said in place of the count.
    pub wrong: Option<Safe>,
}

/// A message in a worker's hands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldMessage {
    /// Its delivery tag.
    pub tag: Safe,
    /// When it was delivered.
    pub since: Timestamp,
    /// The message, where it was small enough to be fetched.
    pub message: Option<TaskMessage>,
}

/// Which workers have made themselves known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Their names. Killed ones linger.
    pub workers: Vec<Safe>,
    /// Whether there are more than were read.
    pub more: bool,
}

/// What lies beside the queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// Lists of answers of the control bus.
    pub replies: u64,
    /// Lists that are no queues.
    pub lists: u64,
    /// Lists that may be queues and were not looked into: too large, or too many.
    pub unclear: Vec<Safe>,
    /// Other queues, or lists that may be some, where arguments name the queues.
    pub others: Vec<Safe>,
    /// Bindings whose keys begin with another prefix than the configured one.
    pub prefixes: Vec<Safe>,
    /// Whether bindings stand under the configured prefix.
    pub bound: bool,
    /// Pages of the keyspace that were read, and whether that was all of it. None: it was not looked through.
    pub scanned: Option<Scanned>,
}

/// How far the keyspace was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scanned {
    /// Keys that were looked at, about.
    pub keys: u64,
    /// Whether that was all.
    pub whole: bool,
}
