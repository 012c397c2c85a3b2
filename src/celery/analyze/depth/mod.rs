//! Samples of a broker → how deep its queues are, how long their tasks wait, and whether that is bad.

mod age;
mod findings;
mod judge;
mod memory;
mod server;
#[cfg(test)]
mod tests;

pub use memory::remember;

use crate::{
    answer::Finding,
    celery::{
        keys::Keys,
        model::{BeatSaid, Cost, Delivered, DepthFacts, PriorityDepth, QueueDepth, QueueSample, Sample, Tail, WorkersHeard},
    },
    config::QueueThresholds,
    safe,
    store::BrokerMemory,
    text::Safe,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// After so long, a remembered length says nothing of the rate any more.
const RATE_OF: SignedDuration = SignedDuration::from_mins(10);

/// The seconds between two heartbeats of a worker.
const HEARTBEAT: f64 = 2.0;

/// Everything that was seen.
pub struct Looked<'a> {
    /// The samples of this run, the oldest first; one at least.
    pub samples: &'a [Sample],
    /// What earlier runs remembered.
    pub before: &'a BrokerMemory,
    /// The same, with the samples of this run.
    pub memory: &'a BrokerMemory,
    /// What was heard of the workers; who was silent is found here.
    pub workers: WorkersHeard,
    /// Other databases of the server in which the same queues hold tasks.
    pub elsewhere: &'a [(u64, u64)],
    /// The names of the broker.
    pub keys: &'a Keys,
    /// The number of its database.
    pub db: u64,
    /// When a queue is called bad.
    pub thresholds: &'a QueueThresholds,
    /// What beat did last.
    pub beat: Option<BeatSaid>,
    /// What the answer cost.
    pub cost: Cost,
}

/// The facts and what they mean.
pub fn depth(looked: Looked<'_>) -> Option<(DepthFacts, Vec<Finding>)> {
    let (first, last) = (looked.samples.first()?, looked.samples.last()?);
    let mut workers = looked.workers.clone();
    // Who listens for less than a heartbeat knows of nobody that he is not there.
    if let Some(s) = workers.listened_s.filter(|s| *s < HEARTBEAT) {
        workers.listened_s = None;
        workers.deaf = Some(safe!("listened to for {:.1} s only; they speak every two seconds", s));
    }
    if workers.listened_s.is_some() {
        let silent = |name: &&Safe| !workers.heard.iter().any(|heard| heard.name == **name);
        workers.silent = last.inventory.workers.iter().filter(silent).cloned().collect();
    }
    let one = last.queues.values().filter(|queue| queue.waiting().is_some_and(|n| n > 0)).count() == 1;
    // Which queue a worker's tasks come from it does not say: with one queue there is no question.
    let outflow = one.then(|| workers.heard.iter().filter_map(|worker| worker.per_s).sum::<f64>()).filter(|rate| *rate > 0.0);
    let mut judged = Vec::new();
    for (name, queue) in &last.queues {
        let mut depth = measure(name, queue, first.queues.get(name), &looked, outflow);
        let judgement = judge::judge(&depth, &workers, looked.samples.len(), looked.thresholds);
        (depth.verdict, depth.why) = (judgement.verdict(), judgement.why.clone());
        judged.push((depth, judgement));
    }
    judged.sort_by(|(a, _), (b, _)| (b.verdict, b.waiting, &a.name).cmp(&(a.verdict, a.waiting, &b.name)));
    let (queues, judgements): (Vec<QueueDepth>, Vec<judge::Judgement>) = judged.into_iter().unzip();
    let facts = DepthFacts {
        observed_at: last.at,
        samples: looked.samples.len(),
        apart_s: seconds(first.at, last.at),
        waiting: queues.iter().filter_map(|queue| queue.waiting).sum(),
        queues,
        delivered: delivered(last, looked.keys),
        running: (!workers.heard.is_empty()).then(|| workers.heard.iter().filter_map(|worker| worker.active).sum()),
        workers,
        server: last.server.clone().unwrap_or_default(),
        beside: last.beside.clone(),
        beat: looked.beat.clone(),
        cost: looked.cost,
    };
    let mut all: Vec<Finding> = findings::no_workers(&facts, last).into_iter().collect();
    // Said once for all queues.
    let said = if all.is_empty() { "" } else { "queue-unheard" };
    all.extend(judge::findings(&facts.queues, judgements).into_iter().filter(|finding| finding.code != said));
    all.extend(findings::findings(&facts, &looked));
    all.extend(server::findings(&facts));
    // The worst first; among equals what is said of queues comes before what explains it.
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Some((facts, all))
}

fn measure(name: &str, queue: &QueueSample, earlier: Option<&QueueSample>, looked: &Looked<'_>, outflow: Option<f64>) -> QueueDepth {
    let (now, waiting) = (looked.samples.last().map(|sample| sample.at).unwrap_or_default(), queue.waiting());
    let (net_per_s, compared_with) = match rate(name, queue, earlier, looked) {
        Some((rate, with)) => (Some(rate), Some(with)),
        None => (None, None),
    };
    let (oldest, age_unknown) = age::oldest(name, queue, now, looked, outflow);
    let priorities = queue.filled().map(|(step, bucket)| {
        let (next, unreadable) = match &bucket.tail {
            Tail::Message(message) => (Some((**message).clone()), None),
            Tail::Garbage { why, .. } => (None, Some(why.clone())),
            Tail::Unread(why) => (None, Some(why.clone())),
            Tail::None => (None, None),
        };
        PriorityDepth { step, waiting: bucket.waiting.unwrap_or(0), bytes_each: bucket.bytes_each, next, unreadable }
    });
    QueueDepth {
        name: Safe::name(name),
        known: queue.known,
        waiting,
        priorities: priorities.collect(),
        net_per_s,
        compared_with,
        empty_in_s: waiting.zip(net_per_s).filter(|(n, net)| *n > 0 && *net < 0.0).map(|(n, net)| n as f64 / -net),
        untaken_s: age::untaken(name, queue, now, looked.memory),
        composition: composition(looked.samples.iter().filter_map(|sample| sample.queues.get(name)).find(|q| !q.next.is_empty())),
        oldest,
        age_unknown,
        verdict: crate::answer::Verdict::Ok,
        why: queue.buckets.values().find_map(|bucket| bucket.wrong.clone()).unwrap_or_default(),
    }
}

/// How fast it grows: by the first sample of this run, else by what the last run saw.
fn rate(name: &str, queue: &QueueSample, earlier: Option<&QueueSample>, looked: &Looked<'_>) -> Option<(f64, Timestamp)> {
    let now = looked.samples.last()?.at;
    let waiting = queue.waiting()? as f64;
    let (before, at) = match (looked.samples, earlier) {
        ([first, .., _], Some(earlier)) => (earlier.waiting()?, first.at),
        _ => {
            let remembered = looked.before.queues.get(name)?;
            (now.duration_since(remembered.at) <= RATE_OF).then_some((remembered.waiting, remembered.at))?
        }
    };
    let apart = seconds(at, now);
    (apart >= 0.05).then(|| ((waiting - before as f64) / apart, at))
}

fn composition(queue: Option<&QueueSample>) -> Vec<(Safe, u64)> {
    let mut counts: BTreeMap<&Safe, u64> = BTreeMap::new();
    for message in queue.iter().flat_map(|queue| &queue.next) {
        *counts.entry(&message.task).or_default() += 1;
    }
    let mut counts: Vec<(Safe, u64)> = counts.into_iter().map(|(task, n)| (task.clone(), n)).collect();
    counts.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    counts
}

fn delivered(last: &Sample, keys: &Keys) -> Delivered {
    let (timeout, timeout_assumed) = keys.visibility_timeout();
    let oldest = last.delivered.oldest.first().map(|held| held.since);
    Delivered {
        count: last.delivered.count,
        unknown: last.delivered.wrong.as_ref().map(|wrong| safe!("delivered tasks could not be counted: {}", wrong)),
        oldest,
        redelivery: oldest.and_then(|at| at.checked_add(timeout).ok()),
        visibility_timeout_s: timeout.as_secs_f64(),
        timeout_assumed,
        overdue: last.delivered.overdue,
    }
}

/// Seconds from one time to a later one; never negative, whatever the clocks.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
