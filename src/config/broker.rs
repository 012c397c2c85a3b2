//! A Celery broker as the configuration describes it: its endpoint, the transport options of the application, and when a queue is called
//! bad. Without a word in the file, all of it is what Celery itself assumes.

use super::{
    Endpoint, SecretRef, Sourced,
    build::{Builder, Parts},
    file::{At, Opt, Place, RawBroker, RawThresholds},
};
use crate::{
    safe,
    text::{Safe, units},
};
use jiff::SignedDuration;

/// A Celery broker.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Where it is and how it is reached.
    pub endpoint: Endpoint,
    /// What the application says of it to Celery.
    pub transport: Transport,
    /// When a queue is called bad.
    pub thresholds: QueueThresholds,
}

impl Broker {
    /// At this endpoint, with all else as Celery has it.
    pub fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, transport: Transport::default(), thresholds: QueueThresholds::default() }
    }
}

/// The application's `broker_transport_options`, as far as they decide where things stand.
#[derive(Clone, Debug)]
pub struct Transport {
    /// After how long a message that nobody acknowledged is delivered again. None: the file does not say, and Celery's own is one hour.
    pub visibility_timeout: Option<SignedDuration>,
    /// What stands before every key (`global_keyprefix`).
    pub key_prefix: String,
    /// What stands between a queue and its priority.
    pub sep: String,
    /// The priorities that have a list of their own, ascending.
    pub priority_steps: Vec<u8>,
    /// The hash of messages that were delivered and not acknowledged, without the prefix.
    pub unacked_key: String,
    /// Their times, without the prefix.
    pub unacked_index_key: String,
    /// The queues; empty: to be discovered.
    pub queues: Vec<String>,
    /// The master that sentinels watch.
    pub master_name: Option<String>,
    /// The user of the sentinels.
    pub sentinel_user: Option<Sourced<SecretRef>>,
    /// Its password.
    pub sentinel_password: Option<Sourced<SecretRef>>,
}

impl Transport {
    /// Celery's own visibility timeout.
    pub const VISIBILITY_TIMEOUT: SignedDuration = SignedDuration::from_hours(1);
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            visibility_timeout: None,
            key_prefix: String::new(),
            sep: "\x06\x16".into(),
            priority_steps: vec![0, 3, 6, 9],
            unacked_key: "unacked".into(),
            unacked_index_key: "unacked_index".into(),
            queues: Vec::new(),
            master_name: None,
            sentinel_user: None,
            sentinel_password: None,
        }
    }
}

/// When a queue is called bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueThresholds {
    /// A warning when its oldest task waits longer.
    pub oldest_warning: SignedDuration,
    /// Failed when its oldest task waits longer.
    pub oldest_failed: SignedDuration,
    /// Failed when it grows and its oldest task waits longer.
    pub growing_oldest_failed: SignedDuration,
    /// A warning when emptying it takes longer at this rate.
    pub empty_in_warning: SignedDuration,
    /// Failed when nothing moved for longer, and workers are free.
    pub stuck_after: SignedDuration,
}

impl Default for QueueThresholds {
    fn default() -> Self {
        Self {
            oldest_warning: SignedDuration::from_mins(2),
            oldest_failed: SignedDuration::from_mins(10),
            growing_oldest_failed: SignedDuration::from_mins(5),
            empty_in_warning: SignedDuration::from_mins(10),
            stuck_after: SignedDuration::from_secs(60),
        }
    }
}

impl Builder<'_> {
    /// The broker of a file. None where something is wrong with its address.
    pub(super) fn broker(&mut self, place: Place, raw: &RawBroker, parts: &Parts<'_>) -> Option<Broker> {
        let endpoint = self.endpoint(&"broker".into(), place, parts);
        let transport = self.transport(raw);
        let thresholds = raw.thresholds.0.as_ref().map(|at| self.thresholds(at)).unwrap_or_default();
        Some(Broker { endpoint: endpoint?, transport, thresholds })
    }

    fn transport(&mut self, raw: &RawBroker) -> Transport {
        let usual = Transport::default();
        let key = |of: &'static str| safe!("broker.{}", of);
        let mut said = |of: &'static str, at: &Opt<At<String>>| at.0.as_ref().and_then(|at| self.text(key(of), at)).map(|s| s.value);
        let key_prefix = said("key_prefix", &raw.key_prefix).unwrap_or(usual.key_prefix);
        let sep = said("sep", &raw.sep).unwrap_or(usual.sep);
        let unacked_key = said("unacked_key", &raw.unacked_key).unwrap_or(usual.unacked_key);
        let unacked_index_key = said("unacked_index_key", &raw.unacked_index_key).unwrap_or(usual.unacked_index_key);
        let master_name = said("master_name", &raw.master_name);
        Transport {
            visibility_timeout: self.duration(key("visibility_timeout"), &raw.visibility_timeout),
            priority_steps: self.priority_steps(key("priority_steps"), &raw.priority_steps).unwrap_or(usual.priority_steps),
            queues: self.texts(key("queues"), &raw.queues),
            sentinel_user: raw.sentinel_user.0.as_ref().and_then(|at| self.value(key("sentinel_user"), at, false)),
            sentinel_password: raw.sentinel_password.0.as_ref().and_then(|at| self.value(key("sentinel_password"), at, true)),
            key_prefix,
            sep,
            unacked_key,
            unacked_index_key,
            master_name,
        }
    }

    /// kombu searches them by halves, so any other order sends messages where nobody looks.
    fn priority_steps(&mut self, key: Safe, at: &Opt<At<Vec<u8>>>) -> Option<Vec<u8>> {
        let At { value: steps, place } = at.0.as_ref()?;
        let ascending = steps.windows(2).all(|pair| pair[0] < pair[1]) && steps.last().is_some_and(|last| *last <= 9);
        self.unless(ascending, *place, "priority steps ascend, from 0 to 9 at most: [0, 3, 6, 9]")?;
        let from = self.origin(*place);
        let shown: Vec<Safe> = steps.iter().map(|step| safe!("{}", *step)).collect();
        self.record(key, Safe::join(&shown, ", "), from, Vec::new());
        Some(steps.clone())
    }

    fn thresholds(&mut self, At { value: raw, place }: &At<RawThresholds>) -> QueueThresholds {
        let usual = QueueThresholds::default();
        let mut of = |name: &'static str, at: &Opt<At<String>>, usual: SignedDuration| {
            self.duration(safe!("broker.thresholds.{}", name), at).unwrap_or(usual)
        };
        let set = QueueThresholds {
            oldest_warning: of("oldest_warning", &raw.oldest_warning, usual.oldest_warning),
            oldest_failed: of("oldest_failed", &raw.oldest_failed, usual.oldest_failed),
            growing_oldest_failed: of("growing_oldest_failed", &raw.growing_oldest_failed, usual.growing_oldest_failed),
            empty_in_warning: of("empty_in_warning", &raw.empty_in_warning, usual.empty_in_warning),
            stuck_after: of("stuck_after", &raw.stuck_after, usual.stuck_after),
        };
        if set.oldest_warning > set.oldest_failed {
            let (warning, failed) = (units::duration(set.oldest_warning), units::duration(set.oldest_failed));
            self.refuse::<()>(*place, safe!("oldest_warning ({}) is above oldest_failed ({}): it would never warn", warning, failed));
        }
        set
    }
}
