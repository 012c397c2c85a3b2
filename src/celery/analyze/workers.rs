//! What was seen of workers → what to think of each, and what that means for the tasks. Certain only where every worker that is connected
//! to the control bus answered; else the words are "heard" and "not heard".

mod findings;

pub(crate) use findings::{pod_says, state_of_pod};

use crate::{
    answer::Finding,
    celery::{
        collect::workers::WorkersSeen,
        control::{Talk, TalkEnd},
        keys::Keys,
        model::{BusFacts, DatabaseRoom, HeldTask, Hold, Orphan, PodSeen, QueueUse, WorkerFacts, WorkerSays, WorkerState, WorkersFacts},
    },
    text::Safe,
};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};

/// What others know of the workers. None: it was not or could not be asked.
#[derive(Clone, Debug, Default)]
pub struct WorkersAround {
    /// All pods of the namespace.
    pub pods: Option<Vec<PodSeen>>,
    /// The connections of the database.
    pub database: Option<DatabaseRoom>,
}

/// Joins what was seen, and judges it.
pub fn workers(seen: &WorkersSeen, keys: &Keys, around: WorkersAround) -> (WorkersFacts, Vec<Finding>) {
    let talk = seen.talk.as_ref().and_then(|talk| talk.as_ref().ok());
    let mut workers = gather(seen, talk, &around);
    let bus = talk.map(|talk| bus(talk, &workers));
    let queues = queues(seen, &workers, bus.as_ref());
    judge(&mut workers, &queues, bus.as_ref(), around.pods.is_some());
    let facts = WorkersFacts {
        observed_at: seen.at,
        listened_s: seen.listened.map(|d| d.as_secs_f64()),
        orphans: orphans(seen, &workers, &queues, bus.as_ref(), keys),
        bus,
        workers,
        queues,
        unacked: seen.unacked_count,
        database: around.database,
    };
    let findings = findings::of(&facts, seen, keys);
    (facts, findings)
}

/// One entry per worker, with everything that any source says of it.
fn gather(seen: &WorkersSeen, talk: Option<&Talk>, around: &WorkersAround) -> Vec<WorkerFacts> {
    let mut workers: BTreeMap<Safe, WorkerFacts> = BTreeMap::new();
    let pod_of = |name: &Safe| around.pods.iter().flatten().find(|pod| pod.is_of(name)).cloned();
    let new = |name: &Safe| WorkerFacts {
        name: name.clone(),
        state: WorkerState::NotHeard,
        in_inventory: seen.inventory.contains(name),
        heard: false,
        running: None,
        per_second: None,
        stats: None,
        queues: None,
        tasks: Vec::new(),
        errors: Vec::new(),
        pod: pod_of(name),
    };
    for name in &seen.inventory {
        workers.insert(name.clone(), new(name));
    }
    for (i, beat) in seen.beats.iter().enumerate() {
        if beat.sign == crate::celery::model::Sign::Offline {
            continue;
        }
        let worker = workers.entry(beat.worker.clone()).or_insert_with(|| new(&beat.worker));
        worker.heard = true;
        worker.running = beat.active.or(worker.running);
        let before = seen.beats.iter().take(i).find(|other| other.worker == beat.worker);
        if let Some((n, m, from, to)) = before.and_then(|b| Some((b.processed?, beat.processed?, b.at?, beat.at?))) {
            let seconds = to.duration_since(from).as_secs_f64();
            worker.per_second = (seconds > 0.0).then(|| m.saturating_sub(n) as f64 / seconds);
        }
    }
    for reply in talk.into_iter().flat_map(|talk| &talk.replies) {
        let name = Safe::name(&reply.worker);
        let worker = workers.entry(name.clone()).or_insert_with(|| new(&name));
        match &reply.says {
            WorkerSays::Pong | WorkerSays::Revoked(_) => {}
            WorkerSays::Stats(stats) => worker.stats = Some(stats.clone()),
            WorkerSays::Queues(queues) => worker.queues = Some(queues.iter().map(Safe::name).collect()),
            WorkerSays::Tasks(tasks) => worker.tasks.extend(tasks.iter().cloned()),
            WorkerSays::Error(error) => worker.errors.push(error.clone()),
        }
    }
    let mut workers: Vec<WorkerFacts> = workers.into_values().collect();
    for worker in workers.iter_mut().filter(|w| w.stats.is_some()) {
        worker.running = Some(count(&worker.tasks, Hold::Running));
    }
    workers
}

pub(super) fn count(tasks: &[HeldTask], state: Hold) -> u64 {
    tasks.iter().filter(|task| task.state == state).count() as u64
}

/// Whether a worker answered anything.
fn answered(worker: &WorkerFacts) -> bool {
    worker.stats.is_some() || worker.queues.is_some() || !worker.errors.is_empty()
}

fn bus(talk: &Talk, workers: &[WorkerFacts]) -> BusFacts {
    // Two workers of one name answer twice under it.
    let most_of_one = talk.replies.iter().filter(|r| matches!(r.says, WorkerSays::Stats(_))).count();
    let answered = workers.iter().filter(|w| answered(w)).count().max(most_of_one) as u64;
    BusFacts {
        subscribers: talk.subscribers,
        answered,
        took_ms: u64::try_from(talk.took.as_millis()).unwrap_or(u64::MAX),
        complete: talk.ended == TalkEnd::Answered && talk.unread.is_empty() && answered >= talk.subscribers,
        tasks: talk.tasks,
    }
}

fn queues(seen: &WorkersSeen, workers: &[WorkerFacts], bus: Option<&BusFacts>) -> Vec<QueueUse> {
    let complete = bus.is_some_and(|bus| bus.complete);
    let of = |(name, waiting): &(String, Option<u64>)| {
        let name = Safe::name(name);
        let consumers = workers.iter().filter(|w| w.queues.as_ref().is_some_and(|q| q.contains(&name))).count() as u64;
        // One that did not answer may consume anything.
        QueueUse { consumers: (complete || consumers > 0).then_some(consumers), waiting: *waiting, name }
    };
    seen.queues.iter().map(of).collect()
}

fn judge(workers: &mut [WorkerFacts], queues: &[QueueUse], bus: Option<&BusFacts>, pods_known: bool) {
    let absent = workers.iter().filter(|w| w.in_inventory && !answered(w)).count() as u64;
    let silent = bus.map(|bus| bus.subscribers.saturating_sub(bus.answered));
    let heard_absent = workers.iter().filter(|w| w.heard && !answered(w)).count() as u64;
    let waiting: BTreeSet<Safe> = queues.iter().filter(|q| q.waiting > Some(0)).map(|q| q.name.clone()).collect();
    let idle: Vec<(Safe, BTreeSet<Safe>)> = workers
        .iter()
        .filter(|w| answered(w) && free(w) > 0 && count(&w.tasks, Hold::Reserved) == 0)
        .map(|w| (w.name.clone(), w.queues.iter().flatten().cloned().collect()))
        .collect();
    for worker in workers {
        let down = worker.pod.as_ref().is_some_and(|pod| !pod.running);
        worker.state = match silent {
            // The bus was not asked, or could not be.
            None if down => WorkerState::Down,
            None if worker.heard => WorkerState::Alive,
            None => WorkerState::NotHeard,
            Some(_) if answered(worker) => at_work(worker, &waiting, &idle),
            Some(0) if pods_known && worker.pod.is_none() => WorkerState::Ghost,
            Some(0) => WorkerState::Dead,
            Some(_) if worker.heard => WorkerState::Silent,
            Some(_) if down => WorkerState::Dead,
            // All the others that are connected were heard.
            Some(n) if heard_absent >= n => WorkerState::Dead,
            Some(n) if n >= absent => WorkerState::Silent,
            Some(_) => WorkerState::DeadOrSilent,
        };
    }
}

/// How many slots are free.
pub(super) fn free(worker: &WorkerFacts) -> u64 {
    let slots = worker.stats.as_ref().and_then(|s| s.slots).unwrap_or_default();
    slots.saturating_sub(worker.running.unwrap_or_default())
}

fn at_work(worker: &WorkerFacts, waiting: &BTreeSet<Safe>, idle: &[(Safe, BTreeSet<Safe>)]) -> WorkerState {
    let mine = || worker.queues.iter().flatten();
    let slots = worker.stats.as_ref().and_then(|s| s.slots).unwrap_or_default();
    let busy = slots > 0 && free(worker) == 0;
    let reserved = count(&worker.tasks, Hold::Reserved);
    // Some are always fetched beforehand; it is hoarding when more wait here than it can run next, while others could.
    let shared = idle.iter().any(|(name, queues)| *name != worker.name && mine().any(|q| queues.contains(q)));
    if busy && reserved > slots && shared {
        WorkerState::Hoarding
    } else if busy && mine().any(|queue| waiting.contains(queue)) {
        WorkerState::Saturated
    } else {
        WorkerState::Alive
    }
}

/// Delivered tasks that were there before and after all workers were asked, and that none of them lists.
fn orphans(seen: &WorkersSeen, workers: &[WorkerFacts], queues: &[QueueUse], bus: Option<&BusFacts>, keys: &Keys) -> Option<Vec<Orphan>> {
    if !bus.is_some_and(|bus| bus.complete && bus.tasks) || workers.iter().any(|w| !w.errors.is_empty()) {
        return None;
    }
    let held: BTreeSet<&Safe> = workers.iter().flat_map(|w| &w.tasks).map(|task| &task.id).collect();
    let (timeout, _) = visibility_timeout(workers, keys);
    let up = |w: &WorkerFacts| seen.at.checked_sub(SignedDuration::from_secs(i64::try_from(w.stats.as_ref()?.uptime? + 1).ok()?)).ok();
    // One that does not say how long it has been up may always have been.
    let began: Vec<(&WorkerFacts, jiff::Timestamp)> =
        workers.iter().filter(|w| answered(w)).map(|w| (w, up(w).unwrap_or_default())).collect();
    // Only who consumes its queue can have it; where the routing key names no queue, anybody.
    let may_have = |w: &WorkerFacts, key: &Safe| {
        !queues.iter().any(|queue| queue.name == *key) || w.queues.as_ref().is_none_or(|queues| queues.contains(key))
    };
    let orphan = |one: &crate::celery::collect::workers::StillDelivered| {
        Some(Orphan {
            id: one.id.clone(),
            task: one.task.clone(),
            routing_key: one.routing_key.clone(),
            delivered: one.at,
            returns: one.at.checked_add(timeout).ok()?,
            sure: began.iter().all(|(w, began)| one.at < *began || !may_have(w, &one.routing_key)),
        })
    };
    let mut orphans: Vec<Orphan> = seen.unacked.as_ref()?.iter().filter(|one| !held.contains(&one.id)).filter_map(orphan).collect();
    orphans.sort_by_key(|orphan| orphan.returns);
    Some(orphans)
}

/// How long a delivered message waits for its acknowledgement, and how that is known: the configuration, the workers, or Celery's default.
pub(super) fn visibility_timeout(workers: &[WorkerFacts], keys: &Keys) -> (SignedDuration, &'static str) {
    let said = workers.iter().find_map(|w| w.stats.as_ref()?.visibility_timeout);
    match (keys.visibility_timeout(), said) {
        ((configured, false), _) => (configured, "configured"),
        (_, Some(seconds)) => {
            (SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::from_hours(1)), "as the workers have it")
        }
        ((default, true), None) if workers.iter().any(|w| w.stats.is_some()) => {
            (default, "Celery's default, and the workers have no other")
        }
        ((default, true), None) => (default, "Celery's default, unconfirmed"),
    }
}
