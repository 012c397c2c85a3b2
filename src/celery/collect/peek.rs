//! The consumed end of one queue, read within a few hundred kilobytes whatever its messages weigh.

use super::{
    clock,
    lists::{Element, LARGEST, Walker},
    workers::bound_queues,
};
use crate::{
    celery::{
        decode::envelope::envelope,
        keys::Keys,
        model::{PeekBucket, PeekFacts, PeekSample, PeekedTask},
    },
    connect::redis::{Read, Redis, Reply},
    error::Result,
    safe,
    text::{Redactor, Safe, units},
};
use std::collections::BTreeMap;

/// So many messages tell what a queue is made of.
const SAMPLE: u64 = 200;
/// About so many bytes are read in one round trip.
const BYTES: u64 = 256 << 10;

/// What is there: the queue, or the queues that are, where there is none of that name.
#[derive(Clone, Debug)]
pub enum Peeked {
    /// The queue.
    Queue(Box<PeekFacts>),
    /// Nothing of that name was ever declared.
    Unknown {
        /// The queues that are bound.
        there_are: Vec<Safe>,
    },
}

/// Looks at the first `limit` of a queue. `declared`: the configuration names it.
///
/// # Errors
/// As `Redis::ask`.
pub async fn peek(redis: &Redis, keys: &Keys, queue: &str, limit: u64, declared: bool, redact: &Redactor) -> Result<Peeked> {
    let mut reads = vec![Read::Time];
    for (_, key) in keys.buckets(queue) {
        reads.extend([Read::Llen(key.clone()), Read::MemoryUsage(key, 5)]);
    }
    let replies = redis.ask(&reads).await?;
    let sizes = replies.get(1..).unwrap_or_default().chunks(2);
    let buckets: Vec<PeekBucket> = keys.steps.iter().zip(sizes).map(|(step, pair)| bucket(*step, pair)).collect();
    let waiting = buckets.iter().map(|bucket| bucket.waiting).sum();
    if waiting == 0 && !declared && buckets.iter().all(|bucket| bucket.wrong.is_none()) {
        let bound = bound_queues(redis, keys).await?;
        if !bound.contains(queue) {
            return Ok(Peeked::Unknown { there_are: bound.iter().map(Safe::name).collect() });
        }
    }
    let mut facts = PeekFacts {
        queue: Safe::name(queue),
        observed_at: replies.first().and_then(clock).unwrap_or_default(),
        waiting,
        buckets,
        next: Vec::new(),
        sample: PeekSample::default(),
    };
    let mut tally = Tallies::default();
    for i in 0..facts.buckets.len() {
        let bucket = facts.buckets[i].clone();
        if bucket.waiting == 0 || facts.sample.read >= limit.max(SAMPLE) {
            continue;
        }
        if let Some(each) = bucket.bytes_each.filter(|each| *each > LARGEST) {
            facts.sample.too_large += bucket.waiting;
            let why = safe!("not read: about {} each", units::bytes(each));
            let room = limit.saturating_sub(facts.next.len() as u64).min(bucket.waiting);
            facts.next.extend((0..room).map(|place| PeekedTask { place, step: bucket.step, message: None, why: Some(why.clone()) }));
            continue;
        }
        let mut walker = Walker::new(redis, keys.bucket(queue, bucket.step), 0, bucket.bytes_each.unwrap_or(1024), BYTES);
        while let Some(piece) = walker.next().await? {
            for (place, element) in piece {
                if facts.sample.read + facts.sample.too_large >= limit.max(SAMPLE) {
                    break;
                }
                one(&mut facts, &mut tally, bucket.step, place, &element, limit, redact);
            }
            if facts.sample.read + facts.sample.too_large >= limit.max(SAMPLE) {
                break;
            }
        }
    }
    (facts.sample.tasks, facts.sample.hosts) = (ranked(tally.tasks), ranked(tally.hosts));
    Ok(Peeked::Queue(Box::new(facts)))
}

fn bucket(step: u8, pair: &[Reply]) -> PeekBucket {
    let waiting = pair.first().and_then(Reply::count).unwrap_or_default();
    let bytes = pair.get(1).and_then(Reply::count);
    let refused = pair.first().and_then(Reply::refused);
    PeekBucket {
        step,
        waiting,
        bytes_each: bytes.filter(|_| waiting > 0).map(|bytes| bytes / waiting),
        wrong: refused.map(|refusal| safe!("{} {}", refusal.code, refusal.says)),
    }
}

#[derive(Default)]
struct Tallies {
    tasks: BTreeMap<Safe, u64>,
    hosts: BTreeMap<Safe, u64>,
}

fn one(facts: &mut PeekFacts, tally: &mut Tallies, step: u8, place: u64, element: &Element, limit: u64, redact: &Redactor) {
    let wanted = (facts.next.len() as u64) < limit;
    let (message, why) = match element {
        Element::TooLarge => {
            facts.sample.too_large += 1;
            (None, Some(safe!("not read: larger than {}", units::bytes(LARGEST))))
        }
        Element::Read(raw) => {
            facts.sample.read += 1;
            match envelope(raw, redact) {
                Ok(message) => {
                    *tally.tasks.entry(message.task.clone()).or_default() += 1;
                    if let Some(host) = &message.host {
                        *tally.hosts.entry(host.clone()).or_default() += 1;
                    }
                    facts.sample.redelivered += u64::from(message.redelivered);
                    facts.sample.future += u64::from(message.eta.is_some_and(|eta| eta > facts.observed_at));
                    (Some(message), None)
                }
                Err(undecodable) => {
                    facts.sample.undecodable += 1;
                    (None, Some(undecodable.0))
                }
            }
        }
    };
    if wanted {
        facts.next.push(PeekedTask { place, step, message, why });
    }
}

fn ranked(tally: BTreeMap<Safe, u64>) -> Vec<(Safe, u64)> {
    let mut ranked: Vec<_> = tally.into_iter().collect();
    ranked.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    ranked.truncate(20);
    ranked
}
