//! What the whole of a broker means: tasks in dead hands, tasks that will run twice, tasks that are somewhere else. What only the control
//! bus can prove is suspected, and says how to be certain.

use super::{Looked, seconds};
use crate::{
    answer::{Finding, Hint, Severity},
    celery::model::{DepthFacts, HeldMessage, KnownBy, Sample, TaskMessage},
    config::nearest,
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};

/// A moment in a worker's hands is no sign of anything.
const HELD_FOR: f64 = 10.0;
/// From how many on answers of the control bus are leaked: a few are on their way.
const LEAKED: u64 = 10;
/// A delivered task that runs for most of the visibility timeout will soon run twice.
const NEAR: f64 = 0.8;

pub(super) fn findings(facts: &DepthFacts, looked: &Looked<'_>) -> Vec<Finding> {
    let Some(last) = looked.samples.last() else { return Vec::new() };
    let all = [
        held_by_the_dead(facts, last),
        hoarded(facts, last),
        overdue(facts),
        twice_by_eta(looked, last),
        twice_by_running(facts, last),
        ghosts(facts),
        starvation(facts, looked),
        elsewhere(facts, looked),
        other_prefix(facts, looked),
        other_separator(facts, looked),
        leaked(facts),
        unknown_names(facts),
        nothing_known(facts, last),
        wrong_type(facts),
    ];
    all.into_iter().flatten().collect()
}

fn ask() -> Hint {
    Hint::Run("obsctl queue workers --ask".into())
}

fn shown(s: f64) -> Safe {
    units::duration(SignedDuration::try_from_secs_f64(s).unwrap_or_default())
}

/// A few names, and how many more.
fn few(names: &[Safe]) -> Safe {
    let more = names.len().saturating_sub(3);
    let first = Safe::join(names.iter().take(3), ", ");
    if more > 0 { safe!("{} and {} more", first, more) } else { first }
}

/// Nobody is heard, and nobody has made himself known.
pub(super) fn no_workers(facts: &DepthFacts, last: &Sample) -> Option<Finding> {
    let listened = facts.workers.listened_s?;
    let none = facts.workers.heard.is_empty() && last.inventory.workers.is_empty() && !last.inventory.more;
    (none && facts.waiting > 0).then(|| {
        let says = safe!("no worker was heard in {:.1} s, and none has made itself known (suspected: none runs)", listened);
        Finding::new("no-workers", Severity::Warning, says).next(ask())
    })
}

/// Unacked is normal; with a worker that is known and silent, it is a suspicion.
fn held_by_the_dead(facts: &DepthFacts, last: &Sample) -> Option<Finding> {
    let count = facts.delivered.count.filter(|n| *n > 0)?;
    let silent = &facts.workers.silent;
    if silent.is_empty() {
        return None;
    }
    let waits_for_eta = |held: &HeldMessage| held.message.as_ref().and_then(|m| m.eta).is_some_and(|eta| eta > last.at);
    let oldest = last.delivered.oldest.iter().find(|held| !waits_for_eta(held))?;
    let held = seconds(oldest.since, last.at);
    (held >= HELD_FOR).then(|| {
        let says = safe!(
            "up to {} may be held by a dead worker: {} was not heard (suspected; a solo pool at work is silent too)",
            units::plural(usize::try_from(count).unwrap_or(usize::MAX), "delivered task", "delivered tasks"),
            few(silent)
        );
        let mut finding =
            Finding::new("held-by-dead-worker", Severity::Warning, says).evidence(safe!("the oldest was delivered {} ago", shown(held)));
        if let Some(at) = facts.delivered.redelivery {
            finding = finding.evidence(safe!("given back {}", until(at, last.at)));
        }
        finding.next(ask())
    })
}

/// What a worker fetches ahead, by default: four tasks per slot. With `acks_late` the running one is held as well.
const FETCHED_PER_SLOT: u64 = 5;

/// Far more tasks in the hands of workers than busy slots explain, while others have nothing to do: the list looks empty, and nobody works
/// on them.
fn hoarded(facts: &DepthFacts, last: &Sample) -> Option<Finding> {
    let count = facts.delivered.count?;
    let busy: u64 = facts.workers.heard.iter().filter_map(|worker| worker.active).sum();
    let idle = facts.workers.heard.iter().find(|worker| worker.active == Some(0))?;
    let looked_at = last.delivered.oldest.iter().filter(|held| seconds(held.since, last.at) >= HELD_FOR);
    let (mut read, mut due) = (0u64, 0u64);
    for message in looked_at.filter_map(|held| held.message.as_ref()) {
        read += 1;
        due += u64::from(message.eta.is_none_or(|eta| eta <= last.at));
    }
    // Those with an ETA wait in a worker's memory, and rightly so.
    let held = (count * due).checked_div(read)?;
    if !facts.workers.silent.is_empty() || held <= FETCHED_PER_SLOT * (busy + 1) {
        return None;
    }
    let says = safe!(
        "about {} delivered tasks wait in the hands of busy workers, though {} is idle (suspected: one has fetched too many)",
        units::count(held),
        idle.name
    );
    Some(
        Finding::new("hoarding", Severity::Warning, says)
            .evidence(safe!("{} delivered and not acknowledged, {} running by heartbeats", units::count(count), busy))
            .next(Hint::Run("obsctl queue workers --ask".into()))
            .next(Hint::Set("worker_prefetch_multiplier = 1 for workers of long tasks".into())),
    )
}

fn until(at: Timestamp, now: Timestamp) -> Safe {
    if at > now { safe!("in {}", shown(seconds(now, at))) } else { safe!("due since {}", shown(seconds(at, now))) }
}

fn overdue(facts: &DepthFacts) -> Option<Finding> {
    let count = facts.delivered.overdue.filter(|n| *n > 0)?;
    let assumed = if facts.delivered.timeout_assumed { " (Celery's default, which nobody confirmed)" } else { "" };
    let says = safe!(
        "{} should have been given back long ago: no living worker gives back what is due",
        units::plural(usize::try_from(count).unwrap_or(usize::MAX), "delivered task", "delivered tasks")
    );
    Some(
        Finding::new("redelivery-overdue", Severity::Warning, says)
            .evidence(safe!(
                "delivered longer ago than the visibility timeout of {}{}",
                shown(facts.delivered.visibility_timeout_s),
                assumed
            ))
            .next(ask()),
    )
}

/// A task whose ETA lies beyond the visibility timeout is given to a second worker while the first still holds it (kombu#337).
fn twice_by_eta(looked: &Looked<'_>, last: &Sample) -> Option<Finding> {
    let (timeout, _) = looked.keys.visibility_timeout();
    let beyond = |held: &&HeldMessage| {
        let due = held.since.checked_add(timeout).ok();
        held.message.as_ref().and_then(|m| m.eta).zip(due).is_some_and(|(eta, due)| eta > due)
    };
    let held: Vec<&HeldMessage> = last.delivered.oldest.iter().filter(beyond).collect();
    // In a list too: the first worker that takes it will hold it for longer than it may.
    let waiting = |m: &&TaskMessage| m.eta.is_some_and(|eta| last.at.checked_add(timeout).is_ok_and(|due| eta > due));
    let next = last.queues.values().flat_map(|q| q.buckets.values()).filter_map(|b| match &b.tail {
        crate::celery::model::Tail::Message(message) => Some(&**message),
        _ => None,
    });
    let queued: Vec<&TaskMessage> = next.filter(waiting).collect();
    let task = held.first().and_then(|h| h.message.as_ref()).or(queued.first().copied())?;
    let says = safe!("{} will run twice: its ETA is later than the visibility timeout of {}", task.task, units::duration(timeout));
    Some(
        Finding::new("duplicates-to-come", Severity::Warning, says)
            .evidence(safe!("task {}, {} of {} delivered ones that were looked at", task.id, held.len(), last.delivered.oldest.len()))
            .next(Hint::Set("visibility_timeout of broker_transport_options: longer than the longest ETA or countdown".into())),
    )
}

/// With acks_late a task that runs is among the delivered: near the timeout a second worker will get it too.
fn twice_by_running(facts: &DepthFacts, last: &Sample) -> Option<Finding> {
    let timeout = facts.delivered.visibility_timeout_s;
    let held = last.delivered.oldest.iter().find(|held| held.message.as_ref().and_then(|m| m.eta).is_none_or(|eta| eta <= last.at))?;
    let s = seconds(held.since, last.at);
    if s < timeout * NEAR || s >= timeout || timeout <= 0.0 {
        return None;
    }
    let task = held.message.as_ref().map_or_else(|| "a task".into(), |message| message.task.clone());
    let says = safe!(
        "{} was delivered {} ago and is given to another worker in {}: if it runs still, it runs twice",
        task,
        shown(s),
        shown(timeout - s)
    );
    Some(
        Finding::new("redelivery-near", Severity::Warning, says)
            .evidence(safe!("visibility timeout {}", shown(timeout)))
            .next(Hint::Set("visibility_timeout of broker_transport_options: longer than the longest task".into()))
            .next(ask()),
    )
}

/// Known and silent: dead, wedged, or a solo pool at work. Only the control bus tells.
fn ghosts(facts: &DepthFacts) -> Option<Finding> {
    let silent = &facts.workers.silent;
    (!silent.is_empty()).then(|| {
        let says = safe!(
            "not heard in {:.1} s: {} (dead, wedged, or a solo pool at work)",
            facts.workers.listened_s.unwrap_or_default(),
            few(silent)
        );
        Finding::new("silent-workers", Severity::Info, says).next(ask())
    })
}

/// Bucket 0 is emptied first: while it does not run dry, the others wait for ever.
fn starvation(facts: &DepthFacts, looked: &Looked<'_>) -> Option<Finding> {
    let ([first, ..], Some(last)) = (looked.samples, looked.samples.last()) else { return None };
    if looked.samples.len() < 2 {
        return None;
    }
    facts.queues.iter().find_map(|queue| {
        let name = last.queues.keys().find(|name| Safe::name(name) == queue.name)?;
        let (before, now) = (first.queues.get(name)?, last.queues.get(name)?);
        let moved = |step: u8| Some(before.buckets.get(&step)?.tail.mark()? != now.buckets.get(&step)?.tail.mark()?);
        let high = now.filled().map(|(step, _)| step).find(|step| moved(*step) == Some(true))?;
        let tails = &looked.memory.queues.get(name)?.tails;
        let (low, waiting, s) = now.filled().filter(|(step, _)| *step > high).find_map(|(step, bucket)| {
            let tail = tails.get(&step).filter(|tail| Some(tail.mark.as_str()) == bucket.tail.mark())?;
            let s = seconds(tail.since, last.at);
            (s >= looked.thresholds.stuck_after.as_secs_f64()).then_some((step, bucket.waiting?, s))
        })?;
        let says = safe!(
            "{}: priority {} starves: {} wait behind priority {}, and none of them was taken for {}",
            queue.name,
            low,
            units::count(waiting),
            high,
            shown(s)
        );
        Some(
            Finding::new("priority-starvation", Severity::Warning, says)
                .evidence("Celery on Redis empties the lists of a queue in order: 0 first".into())
                .next(Hint::Run(safe!("obsctl queue peek {}", queue.name)))
                .next(Hint::Set("workers of their own for what must not wait".into())),
        )
    })
}

fn elsewhere(facts: &DepthFacts, looked: &Looked<'_>) -> Option<Finding> {
    let (db, waiting) = looked.elsewhere.first()?;
    (facts.waiting == 0).then(|| {
        let says = safe!("0 tasks here, {} in database {}: is this the wrong database?", units::count(*waiting), *db);
        Finding::new("wrong-database", Severity::Unknown, says)
            .evidence(safe!("the URL names database {}", looked.db))
            .next(Hint::Set(safe!("broker.url: with /{} at its end, if that is where the workers look", *db)))
    })
}

fn other_prefix(facts: &DepthFacts, looked: &Looked<'_>) -> Option<Finding> {
    let prefix = facts.beside.prefixes.first()?;
    let (severity, ours) = match (facts.beside.bound, looked.keys.prefix.is_empty()) {
        (true, _) => (Severity::Info, "another application's"),
        (false, true) => (Severity::Unknown, "and no prefix is configured"),
        (false, false) => (Severity::Unknown, "and nothing stands under the configured one"),
    };
    let says = if prefix.is_empty() {
        safe!("Celery's keys have no prefix here, {}", ours)
    } else {
        safe!("Celery's keys begin with {} here, {}", prefix, ours)
    };
    Some(
        Finding::new("other-prefix", severity, says)
            .next(Hint::Set(safe!("broker.key_prefix: '{}', as the application's global_keyprefix", prefix))),
    )
}

/// A list whose name is another queue's with a digit behind it is that queue's priority, with another separator.
fn other_separator(facts: &DepthFacts, looked: &Looked<'_>) -> Option<Finding> {
    let last = looked.samples.last()?;
    facts.queues.iter().filter(|queue| matches!(queue.known, KnownBy::Content | KnownBy::Remembered)).find_map(|queue| {
        let next = queue.priorities.iter().find_map(|p| p.next.as_ref())?;
        let name = last.queues.keys().find(|name| Safe::name(name) == queue.name)?;
        let rest = name.strip_prefix(next.routing_key.as_str()).filter(|rest| !rest.is_empty())?;
        let sep = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        let says = (sep.len() < rest.len() && !sep.is_empty()).then(|| {
            safe!(
                "{} looks like priority {} of {}, with another separator",
                queue.name,
                Safe::name(rest.trim_start_matches(sep)),
                next.routing_key
            )
        })?;
        Some(
            Finding::new("other-separator", Severity::Warning, says)
                .next(Hint::Set(safe!("broker.sep: \"{}\", as sep in the application's broker_transport_options", Safe::name(sep)))),
        )
    })
}

fn leaked(facts: &DepthFacts) -> Option<Finding> {
    let n = facts.beside.replies;
    (n >= LEAKED).then(|| {
        let says =
            safe!("{} lists of answers of the control bus were left behind (kombu#294): each costs memory for ever", units::count(n));
        Finding::new("leaked-replies", Severity::Info, says).next(Hint::Try(
            "redis-cli --scan --pattern '*.reply.celery.pidbox': those older than any celery inspect may be deleted".into(),
        ))
    })
}

fn unknown_names(facts: &DepthFacts) -> Option<Finding> {
    let unknown = facts.queues.iter().find(|queue| queue.known == KnownBy::Asked && queue.waiting == Some(0))?;
    let others: Vec<String> = facts.beside.others.iter().map(|name| name.to_string()).collect();
    let near = nearest(&unknown.name, others.iter().map(String::as_str));
    let hint = match near {
        Some(name) => safe!("{}: did you mean that queue?", Safe::name(name)),
        None if others.is_empty() => "no other queue is known there".into(),
        None => safe!("queues there: {}", few(&facts.beside.others)),
    };
    Some(
        Finding::new(
            "queue-names",
            Severity::Info,
            safe!("{}: an empty queue does not exist in Redis, and no binding names this one", unknown.name),
        )
        .next(Hint::Try(hint)),
    )
}

fn nothing_known(facts: &DepthFacts, last: &Sample) -> Option<Finding> {
    if !facts.queues.is_empty() || !facts.beside.prefixes.is_empty() {
        return None;
    }
    let keys: u64 = last.server.as_ref().map(|server| server.databases.values().sum()).unwrap_or_default();
    let says = match keys {
        0 => "no queue, and no key at all: has Celery ever used this Redis?",
        _ => "no queue: nothing here looks like Celery's",
    };
    Some(
        Finding::new("no-queues", Severity::Unknown, says.into())
            .next(Hint::Set("broker.url: the one that the workers use".into()))
            .next(Hint::Set("broker.queues: [celery, …], where queues are known to be empty now".into())),
    )
}

fn wrong_type(facts: &DepthFacts) -> Option<Finding> {
    let unknown = facts.delivered.unknown.as_ref()?;
    Some(Finding::new("delivered-unknown", Severity::Unknown, unknown.clone()))
}
