//! The third round trip: the message that runs next of each list, where it is small, and those that were delivered longest ago. What is
//! large by the server's estimate is not asked for, and what turns out larger than the budget is not read.

use super::{Collector, lengths::Lengths};
use crate::{
    celery::{
        decode::envelope,
        model::{BucketSample, KnownBy, QueueSample, Tail},
    },
    connect::redis::{Raw, Read, Reply},
    error::Result,
    safe,
    text::{Redactor, Safe, units},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What messages of one sample may take, whatever is asked.
const ENDS_AT_MOST: u64 = 56 << 10;
/// How much of it is asked for by estimate: estimates err.
const ENDS_PLANNED: u64 = 40 << 10;
/// A message larger than this is not fetched.
const MESSAGE_AT_MOST: u64 = 8 << 10;
/// Where the server does not say how large messages are.
const MESSAGE_USUAL: u64 = 2 << 10;
/// How many of the next messages show what a queue is made of.
const SAMPLE: i64 = 10;

/// One question and where its answer belongs.
enum Place {
    Length(String, u8),
    Tail(String, u8),
    Next(String),
    Held,
}

impl Collector<'_> {
    pub(super) async fn ask_ends(&mut self, lengths: &mut Lengths) -> Result<()> {
        let mut plan: Vec<(Place, Read)> = Vec::new();
        for queue in &lengths.bound {
            for (step, key) in self.keys.buckets(queue) {
                plan.push((Place::Length(queue.clone(), step), Read::Llen(key)));
            }
        }
        let mut left = ENDS_PLANNED;
        self.plan_tails(&mut lengths.queues, &mut left, &mut plan);
        self.plan_held(lengths, &mut left, &mut plan);
        if self.samples == 0 {
            self.plan_composition(&lengths.queues, &mut left, &mut plan);
        }
        let (places, reads): (Vec<Place>, Vec<Read>) = plan.into_iter().unzip();
        let replies = match self.ask(&reads, ENDS_AT_MOST).await? {
            Some(replies) => replies,
            None => {
                let why: Safe = safe!("some message that is next to run is larger than {}: none is fetched", units::bytes(ENDS_AT_MOST));
                for place in places {
                    let Place::Tail(name, step) = place else { continue };
                    let bucket = lengths.queues.get_mut(&name).and_then(|queue| queue.buckets.get_mut(&step));
                    bucket.into_iter().for_each(|bucket| bucket.tail = Tail::Unread(why.clone()));
                }
                return Ok(());
            }
        };
        let redact = self.redis.redactor().clone();
        for (place, reply) in places.into_iter().zip(replies) {
            self.put(lengths, place, &reply, &redact);
        }
        Ok(())
    }

    fn put(&mut self, lengths: &mut Lengths, place: Place, reply: &Reply, redact: &Redactor) {
        if let Some(refusal) = reply.refused().filter(|refusal| refusal.code.as_str() == "NOPERM").cloned() {
            match place {
                Place::Length(..) => self.refused("lengths of queues", "LLEN", &refusal),
                Place::Tail(..) => self.refused("messages next to run", "LINDEX", &refusal),
                Place::Next(..) => self.refused("the next messages", "LRANGE", &refusal),
                Place::Held => self.refused("delivered messages", "HMGET", &refusal),
            }
        }
        match place {
            Place::Length(name, step) => {
                let queue = lengths.queues.entry(name).or_insert_with(|| QueueSample {
                    known: KnownBy::Bound,
                    buckets: BTreeMap::new(),
                    next: Vec::new(),
                });
                let wrong = reply.refused().map(|refusal| safe!("{} {}", refusal.code, refusal.says));
                queue.buckets.insert(step, BucketSample { waiting: reply.count(), wrong, ..BucketSample::default() });
            }
            Place::Tail(name, step) => {
                let bucket = lengths.queues.get_mut(&name).and_then(|queue| queue.buckets.get_mut(&step));
                if let Some(bucket) = bucket {
                    bucket.tail = tail(reply, redact);
                }
            }
            Place::Next(name) => {
                if let Some(queue) = lengths.queues.get_mut(&name) {
                    queue.next =
                        reply.list().iter().filter_map(Reply::bytes).filter_map(|raw| envelope::envelope(raw, redact).ok()).collect();
                }
            }
            Place::Held => {
                for (held, reply) in lengths.delivered.oldest.iter_mut().zip(reply.list()) {
                    held.message = reply.bytes().and_then(|raw| envelope::unacked(raw, redact).ok());
                }
            }
        }
    }

    /// The end of each list that holds something: what is consumed first comes first, should the budget not reach for all.
    fn plan_tails(&self, queues: &mut BTreeMap<String, QueueSample>, left: &mut u64, plan: &mut Vec<(Place, Read)>) {
        let mut filled: Vec<(u8, u64, String)> = queues
            .iter()
            .flat_map(|(name, queue)| queue.filled().map(move |(step, bucket)| (step, bucket.waiting.unwrap_or(0), name.clone())))
            .collect();
        filled.sort_by(|a, b| (a.0, b.1, &a.2).cmp(&(b.0, a.1, &b.2)));
        for (step, _, name) in filled {
            let Some(bucket) = queues.get_mut(&name).and_then(|queue| queue.buckets.get_mut(&step)) else { continue };
            let size = bucket.bytes_each.unwrap_or(MESSAGE_USUAL);
            if size > MESSAGE_AT_MOST {
                bucket.tail = Tail::Unread(safe!("messages of about {} are not fetched", units::bytes(size)));
            } else if size > *left {
                bucket.tail = Tail::Unread(safe!("more than {} of messages is not fetched for one look", units::bytes(ENDS_PLANNED)));
            } else {
                *left -= size;
                plan.push((Place::Tail(name.clone(), step), Read::Lindex(self.keys.bucket(&name, step), -1)));
            }
        }
    }

    fn plan_held(&self, lengths: &Lengths, left: &mut u64, plan: &mut Vec<(Place, Read)>) {
        let tags: Vec<Raw> = lengths.delivered.oldest.iter().map(|held| held.tag.as_bytes().to_vec()).collect();
        let size = lengths.held_bytes.unwrap_or(MESSAGE_USUAL);
        let all = size.saturating_mul(tags.len() as u64);
        if !tags.is_empty() && size <= MESSAGE_AT_MOST && all <= *left {
            *left -= all;
            plan.push((Place::Held, Read::Hmget(self.keys.unacked(), tags)));
        }
    }

    fn plan_composition(&self, queues: &BTreeMap<String, QueueSample>, left: &mut u64, plan: &mut Vec<(Place, Read)>) {
        let mut fullest: Vec<_> = queues
            .iter()
            .filter(|(name, _)| self.names.queues.contains_key(*name))
            .filter_map(|(name, queue)| queue.filled().next().map(|(step, bucket)| (name, step, bucket)))
            .collect();
        fullest.sort_by_key(|(.., bucket)| std::cmp::Reverse(bucket.waiting));
        for (name, step, bucket) in fullest {
            let count = bucket.waiting.unwrap_or(0).min(SAMPLE.unsigned_abs());
            let size = bucket.bytes_each.unwrap_or(MESSAGE_USUAL);
            let all = size.saturating_mul(count);
            if size <= MESSAGE_AT_MOST && all <= *left {
                *left -= all;
                plan.push((Place::Next(name.clone()), Read::Lrange(self.keys.bucket(name, step), -SAMPLE, -1)));
            }
        }
    }
}

fn tail(reply: &Reply, redact: &Redactor) -> Tail {
    let Some(raw) = reply.bytes() else { return Tail::None };
    match envelope::envelope(raw, redact) {
        Ok(message) => Tail::Message(Box::new(message)),
        Err(why) => {
            let mark = Sha256::digest(raw).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            Tail::Garbage { mark, why: why.0 }
        }
    }
}
