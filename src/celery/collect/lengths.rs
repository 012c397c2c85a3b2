//! The second round trip: how long every list is and how large its messages are, and what was delivered. No content of any message.

use super::Collector;
use crate::{
    celery::{
        decode::{self, epoch},
        model::{BucketSample, DeliveredSample, HeldMessage, KnownBy, QueueSample},
    },
    connect::redis::{Raw, Read, Reply},
    error::{Error, Kind, Result},
    text::Safe,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// What the lengths may take: some 6 bytes each.
const LENGTHS_AT_MOST: u64 = 256 << 10;
/// From how many messages of a list the server estimates their size.
const SIZED_BY: u32 = 5;
/// How many of the oldest delivered messages are looked at.
const HELD: i64 = 10;
/// kombu looks every 100 s or so for what is due; what is overdue for longer has nobody who looks.
pub const SWEEP: SignedDuration = SignedDuration::from_secs(180);

/// What the lengths say, to be completed by the ends.
pub(super) struct Lengths {
    pub at: Timestamp,
    pub queues: BTreeMap<String, QueueSample>,
    pub delivered: DeliveredSample,
    /// The bytes of a delivered message, about.
    pub held_bytes: Option<u64>,
    /// Queues that a binding names and whose lengths are not known yet.
    pub bound: Vec<String>,
}

impl Collector<'_> {
    pub(super) async fn ask_lengths(&mut self) -> Result<Lengths> {
        let queues: Vec<String> = self.names.queues.keys().chain(&self.names.candidates).cloned().collect();
        let lists: Vec<(usize, u8, Raw)> =
            queues.iter().enumerate().flat_map(|(i, queue)| self.keys.buckets(queue).map(move |(step, key)| (i, step, key))).collect();
        // A list that the whole keyspace did not show was empty a moment ago, so has no size worth a question.
        let sized: Vec<Raw> = lists
            .iter()
            .map(|(.., key)| key.clone())
            .filter(|key| self.samples > 0 || self.names.filled.as_ref().is_none_or(|filled| filled.contains(key)))
            .collect();
        let exchanges = std::mem::take(&mut self.names.exchanges);
        let (timeout, _) = self.keys.visibility_timeout();
        let overdue = self.now().and_then(|now| now.checked_sub(timeout).ok()?.checked_sub(SWEEP).ok());
        let mut reads = vec![Read::Time];
        reads.extend(lists.iter().map(|(.., key)| Read::Llen(key.clone())));
        reads.extend(sized.iter().map(|key| Read::MemoryUsage(key.clone(), SIZED_BY)));
        reads.extend(exchanges.iter().map(|key| Read::Sscan(key.clone(), 0, 1000)));
        reads.extend([
            Read::Hlen(self.keys.unacked()),
            Read::MemoryUsage(self.keys.unacked(), SIZED_BY),
            Read::Zrange(self.keys.unacked_index(), 0, HELD - 1),
        ]);
        reads.extend(overdue.map(|at| {
            let seconds = format!("{:.3}", at.as_microsecond() as f64 / 1e6);
            Read::Zcount(self.keys.unacked_index(), "-inf".to_owned(), seconds)
        }));
        let Some(replies) = self.ask(&reads, LENGTHS_AT_MOST).await? else {
            let error =
                Error::new(Kind::Protocol, "counting queues").what("the lengths alone are more than 256 KiB: these are too many queues");
            return Err(error.to(self.redis.provenance().await));
        };
        let mut replies = replies.into_iter();
        let at = self.set_clock(replies.next().as_ref()).or_else(|| self.now());
        let Some(at) = at else {
            // Without the clock of the server no age can be told, and every user of it may ask.
            let error = Error::new(Kind::Denied, "asking Redis for its time").what("its user may not run TIME");
            return Err(error.hint(crate::answer::Hint::Try("ACL SETUSER … +time".into())).to(self.redis.provenance().await));
        };
        let mut found: Vec<QueueSample> =
            queues.iter().map(|_| QueueSample { known: KnownBy::Content, buckets: BTreeMap::new(), next: Vec::new() }).collect();
        for (i, step, _) in &lists {
            let reply = replies.next().unwrap_or(Reply::Nil);
            let wrong = self.wrong(&reply, "lengths of queues", "LLEN");
            if let Some(queue) = found.get_mut(*i) {
                queue.buckets.insert(*step, BucketSample { waiting: reply.count(), wrong, ..BucketSample::default() });
            }
        }
        let mut sizes: BTreeMap<Raw, u64> = BTreeMap::new();
        for key in sized {
            let reply = replies.next().unwrap_or(Reply::Nil);
            self.wrong(&reply, "sizes of messages", "MEMORY USAGE");
            sizes.extend(reply.count().map(|bytes| (key, bytes)));
        }
        for (i, step, key) in &lists {
            let bucket = found.get_mut(*i).and_then(|queue| queue.buckets.get_mut(step));
            if let (Some(bucket), Some(bytes)) = (bucket, sizes.get(key)) {
                bucket.bytes_each = bucket.waiting.filter(|n| *n > 0).map(|n| bytes.div_ceil(n));
            }
        }
        let mut queues: BTreeMap<String, QueueSample> = queues.into_iter().zip(found).collect();
        let bound = self.read_bindings(replies.by_ref().take(exchanges.len()).collect(), &mut queues);
        let (count, bytes) = (replies.next().unwrap_or(Reply::Nil), replies.next().unwrap_or(Reply::Nil));
        let wrong = self.wrong(&count, "delivered tasks", "HLEN");
        let held = replies.next().unwrap_or(Reply::Nil);
        self.wrong(&held, "times of delivery", "ZRANGE");
        let due = replies.next();
        let since = |(tag, score): (&[u8], f64)| Some(HeldMessage { tag: Safe::name(tag), since: epoch(score)?, message: None });
        let delivered = DeliveredSample {
            count: count.count(),
            overdue: due.as_ref().and_then(Reply::count),
            oldest: held.scored().filter_map(since).collect(),
            wrong,
        };
        let held_bytes = count.count().filter(|n| *n > 0).and_then(|n| Some(bytes.count()?.div_ceil(n)));
        Ok(Lengths { at, queues, delivered, held_bytes, bound })
    }

    /// Why a command has no number, noted where it is a matter of rights.
    fn wrong(&mut self, reply: &Reply, what: &'static str, command: &'static str) -> Option<Safe> {
        let refusal = reply.refused()?.clone();
        if refusal.code.as_str() == "WRONGTYPE" {
            return Some("a key of another type stands there".into());
        }
        self.refused(what, command, &refusal);
        Some(crate::safe!("{} {}", refusal.code, refusal.says))
    }

    /// Queues that bindings name: those already counted are queues now, the others are handed out.
    fn read_bindings(&mut self, replies: Vec<Reply>, counted: &mut BTreeMap<String, QueueSample>) -> Vec<String> {
        let mut new = Vec::new();
        for reply in &replies {
            self.wrong(reply, "bindings", "SSCAN");
            let members = reply.scan().map(|(_, members)| members).unwrap_or_default();
            for raw in members.iter().filter_map(Reply::bytes) {
                let Ok(binding) = decode::binding::binding(raw, &self.keys.sep) else { continue };
                // A reply queue of a client or a mailbox is no queue of tasks.
                if binding.queue.ends_with(".pidbox") {
                    continue;
                }
                if self.asked() && !self.names.queues.contains_key(&binding.queue) {
                    self.names.note(&binding.queue);
                    continue;
                }
                if !counted.contains_key(&binding.queue) && !new.contains(&binding.queue) {
                    new.push(binding.queue.clone());
                }
                let known = self.names.queues.entry(binding.queue).or_insert(KnownBy::Bound);
                if *known != KnownBy::Configured {
                    *known = KnownBy::Bound;
                }
            }
        }
        new
    }
}
