//! The names that kombu gives to keys and channels, as its transport options have them, and what a key found in Redis is. Reads nothing.

use crate::{config::Transport, connect::redis::Raw};
use jiff::SignedDuration;

/// What separates a queue from its priority, and the parts of a binding, unless configured.
pub const SEPARATOR: &str = "\u{6}\u{16}";
/// How long a delivered message waits for its acknowledgement before it is given to another worker, unless configured.
pub const VISIBILITY_TIMEOUT: SignedDuration = SignedDuration::from_secs(3600);
/// The buckets of priorities, unless configured.
pub const PRIORITY_STEPS: [u8; 4] = [0, 3, 6, 9];
/// The exchange of the control bus.
pub const PIDBOX: &str = "celery.pidbox";
/// The exchange of its answers.
pub const REPLY_PIDBOX: &str = "reply.celery.pidbox";

/// The names of one broker. Source: kombu/transport/redis.py, 5.3 to 5.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// `global_keyprefix`: stands before every key and channel.
    pub prefix: String,
    /// `sep`: between a queue and its priority, and between the parts of a binding.
    pub sep: String,
    /// `priority_steps`, ascending.
    pub steps: Vec<u8>,
    /// `unacked_key`.
    pub unacked: String,
    /// `unacked_index_key`.
    pub unacked_index: String,
    /// `visibility_timeout`; none where nobody said, and Celery's default is assumed.
    pub visibility_timeout: Option<SignedDuration>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            sep: SEPARATOR.to_owned(),
            steps: PRIORITY_STEPS.to_vec(),
            unacked: "unacked".to_owned(),
            unacked_index: "unacked_index".to_owned(),
            visibility_timeout: None,
        }
    }
}

/// What a key of the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A bucket of a queue, or any other list that could be one.
    Bucket {
        /// The queue.
        queue: String,
        /// The priority step; 0 is the queue's own name.
        step: u8,
    },
    /// The bindings of an exchange.
    Binding {
        /// The exchange.
        exchange: String,
    },
    /// Answers of the control bus, for the client with this ID.
    Reply {
        /// The client's ID.
        oid: String,
    },
    /// The result of a task.
    TaskResult {
        /// The task's ID.
        id: String,
    },
    /// Delivered messages, their index, or the lock of the restore.
    Unacked,
    /// None of kombu's.
    Other,
}

impl From<&Transport> for Keys {
    fn from(transport: &Transport) -> Self {
        let Transport { key_prefix, sep, priority_steps, unacked_key, unacked_index_key, visibility_timeout, .. } = transport.clone();
        Self { prefix: key_prefix, sep, steps: priority_steps, unacked: unacked_key, unacked_index: unacked_index_key, visibility_timeout }
    }
}

impl Keys {
    /// How long a delivered message waits for its acknowledgement, and whether that is only Celery's default.
    pub fn visibility_timeout(&self) -> (SignedDuration, bool) {
        (self.visibility_timeout.unwrap_or(VISIBILITY_TIMEOUT), self.visibility_timeout.is_none())
    }

    /// The list of one priority of a queue.
    pub fn bucket(&self, queue: &str, step: u8) -> Raw {
        match step {
            0 => self.key(queue),
            step => self.key(&format!("{queue}{}{step}", self.sep)),
        }
    }
    /// All lists of a queue, the first to be consumed first.
    pub fn buckets(&self, queue: &str) -> impl Iterator<Item = (u8, Raw)> {
        self.steps.iter().map(move |step| (*step, self.bucket(queue, *step)))
    }
    /// The set of the bindings of an exchange.
    pub fn binding(&self, exchange: &str) -> Raw {
        self.key(&format!("_kombu.binding.{exchange}"))
    }
    /// The inventory of workers: the bindings of the control bus.
    pub fn inventory(&self) -> Raw {
        self.binding(PIDBOX)
    }
    /// Delivered and not acknowledged: tag to message.
    pub fn unacked(&self) -> Raw {
        self.key(&self.unacked)
    }
    /// When each of them was delivered.
    pub fn unacked_index(&self) -> Raw {
        self.key(&self.unacked_index)
    }
    /// The list of answers for the client with this ID.
    pub fn reply(&self, oid: &str) -> Raw {
        self.key(&format!("{oid}.{REPLY_PIDBOX}"))
    }
    /// The result of a task. kombu's prefix is not the result backend's, which has its own.
    pub fn task_result(id: &str) -> Raw {
        format!("celery-task-meta-{id}").into_bytes()
    }
    /// The channel on which workers hear the control bus. Channels carry the prefix and the number of the database.
    pub fn control_channel(&self, db: u64) -> Raw {
        self.key(&format!("/{db}.{PIDBOX}"))
    }
    /// The pattern of the channels on which workers say how they are. Task events, where they are on, have channels of their own: they are
    /// not asked for. A user with few rights needs exactly this pattern (`&/0.celeryev/worker.*`): Redis compares patterns letter by letter.
    pub fn event_channels(&self, db: u64) -> Raw {
        self.key(&format!("/{db}.celeryev/worker.*"))
    }

    /// What a key is. A list that is none of kombu's own reads as a bucket: whether it is a queue only its content and the bindings tell.
    pub fn kind(&self, key: &[u8]) -> KeyKind {
        let Some(name) = std::str::from_utf8(key).ok().and_then(|k| k.strip_prefix(&self.prefix)) else { return KeyKind::Other };
        if let Some(exchange) = name.strip_prefix("_kombu.binding.") {
            return KeyKind::Binding { exchange: exchange.to_owned() };
        }
        if name.starts_with("_kombu.") {
            return KeyKind::Other;
        }
        if let Some(oid) = name.strip_suffix(&format!(".{REPLY_PIDBOX}")) {
            return KeyKind::Reply { oid: oid.to_owned() };
        }
        // A worker's own mailbox is a fanout exchange: a channel, never a list.
        if name.ends_with(".celery.pidbox") {
            return KeyKind::Other;
        }
        if let Some(id) = name.strip_prefix("celery-task-meta-") {
            return KeyKind::TaskResult { id: id.to_owned() };
        }
        if name == self.unacked || name == self.unacked_index || name == "unacked_mutex" {
            return KeyKind::Unacked;
        }
        match name.rsplit_once(&*self.sep) {
            Some((queue, step)) if !queue.is_empty() => match step.parse() {
                Ok(step) => KeyKind::Bucket { queue: queue.to_owned(), step },
                Err(_) => KeyKind::Other,
            },
            _ => KeyKind::Bucket { queue: name.to_owned(), step: 0 },
        }
    }

    fn key(&self, name: &str) -> Raw {
        format!("{}{name}", self.prefix).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_are_each_others_inverse() {
        let plain = Keys::default();
        let prefixed = Keys { prefix: "shop:".into(), sep: ":".into(), ..Keys::default() };
        assert_eq!(plain.bucket("mail", 3), b"mail\x06\x163");
        assert_eq!(prefixed.bucket("mail", 9), b"shop:mail:9");
        assert_eq!(prefixed.control_channel(3), b"shop:/3.celery.pidbox");
        for keys in [plain, prefixed] {
            for (step, key) in keys.buckets("mail") {
                assert_eq!(keys.kind(&key), KeyKind::Bucket { queue: "mail".into(), step });
            }
            assert_eq!(keys.kind(&keys.binding("celery")), KeyKind::Binding { exchange: "celery".into() });
            assert_eq!(keys.kind(&keys.reply("abc")), KeyKind::Reply { oid: "abc".into() });
            assert_eq!(keys.kind(&keys.unacked()), KeyKind::Unacked);
            assert_eq!(keys.kind(&keys.inventory()), KeyKind::Binding { exchange: PIDBOX.into() });
        }
    }

    #[test]
    fn what_is_not_kombus_is_other() {
        let keys = Keys { prefix: "shop:".into(), ..Keys::default() };
        for key in [&b"mail"[..], b"shop:_kombu.binding_deadlines", b"\xff\xfe", b"shop:mail\x06\x16x"] {
            assert_eq!(keys.kind(key), KeyKind::Other, "{key:?}");
        }
    }
}
