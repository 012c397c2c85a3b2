//! How long the oldest task of a queue waits. No Celery writes down when a task was published, so each age carries how it is known.

use super::{Looked, seconds};
use crate::{
    celery::model::{Age, AgeSource, QueueSample, Tail},
    store::BrokerMemory,
    text::Safe,
};
use jiff::{SignedDuration, Timestamp};

/// The age of the oldest, or why there is none.
pub(super) fn oldest(
    name: &str,
    queue: &QueueSample,
    now: Timestamp,
    looked: &Looked<'_>,
    outflow: Option<f64>,
) -> (Option<Age>, Option<Safe>) {
    let Some(waiting) = queue.waiting().filter(|n| *n > 0) else { return (None, None) };
    let first = looked.samples.first().map_or(now, |sample| sample.at);
    let seen = |step: u8, mark: Option<&str>| {
        let tail = looked.memory.queues.get(name)?.tails.get(&step)?;
        (Some(tail.mark.as_str()) == mark && tail.since < now).then(|| Age {
            s: seconds(tail.since, now),
            by: AgeSource::Seen,
            since: tail.since,
            earlier_run: tail.since < first,
        })
    };
    // The oldest of a list is next to run, or was given back and is older still.
    let ages = queue.filled().flat_map(|(step, bucket)| {
        let told = match &bucket.tail {
            Tail::Message(message) => {
                let enqueued = message.enqueued.map(|enqueued| (enqueued.at, enqueued.by));
                let late = message.eta.filter(|eta| *eta < now).map(|eta| (eta, AgeSource::Eta));
                // A clock ahead of the server's makes no negative age.
                enqueued.or(late).map(|(since, by)| Age { s: seconds(since, now), by, since, earlier_run: false })
            }
            _ => None,
        };
        let bound = seen(step, bucket.tail.mark());
        match (told, bound) {
            (Some(told), Some(bound)) if told.by.at_least() && bound.s > told.s => Some(bound),
            (Some(told), _) => Some(told),
            (None, bound) => bound,
        }
    });
    let oldest = ages.max_by(|a, b| a.s.total_cmp(&b.s));
    // A bound of two seconds says less than an estimate.
    let weak = oldest.as_ref().is_none_or(|age| age.by == AgeSource::Seen && !age.earlier_run);
    let estimate = outflow.filter(|_| weak).map(|rate| waiting as f64 / rate).and_then(|s| {
        let since = now.checked_sub(SignedDuration::try_from_secs_f64(s).ok()?).ok()?;
        Some(Age { s, by: AgeSource::Flow, since, earlier_run: false })
    });
    match (oldest, estimate) {
        (Some(age), Some(estimate)) if estimate.s > age.s => (Some(estimate), None),
        (Some(age), _) => (Some(age), None),
        (None, Some(estimate)) => (Some(estimate), None),
        (None, None) => (None, Some(unknown(queue))),
    }
}

fn unknown(queue: &QueueSample) -> Safe {
    let tails = || queue.filled().map(|(_, bucket)| &bucket.tail);
    tails()
        .find_map(|tail| match tail {
            Tail::Unread(why) => Some(why.clone()),
            Tail::Garbage { why, .. } => Some(crate::safe!("the next message is none of Celery's: {}", why)),
            Tail::Message(_) | Tail::None => None,
        })
        .unwrap_or_else(|| "its messages do not say when they were published".into())
}

/// For how long nothing was taken from any of its lists, at least.
pub(super) fn untaken(name: &str, queue: &QueueSample, now: Timestamp, memory: &BrokerMemory) -> Option<f64> {
    let tails = &memory.queues.get(name)?.tails;
    let mut shortest: Option<f64> = None;
    for (step, bucket) in queue.filled() {
        let tail = tails.get(&step).filter(|tail| Some(tail.mark.as_str()) == bucket.tail.mark())?;
        let s = seconds(tail.since, now);
        shortest = Some(shortest.map_or(s, |least: f64| least.min(s)));
    }
    shortest.filter(|s| *s > 0.0)
}
