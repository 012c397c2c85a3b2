//! What the facts about workers mean. Pure.

use super::{count, free, visibility_timeout};
use crate::{
    answer::{Finding, Hint, Severity},
    celery::{
        collect::workers::WorkersSeen,
        control::TalkEnd,
        keys::Keys,
        model::{Hold, PodSeen, WorkerFacts, WorkerState, WorkersFacts},
    },
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// So many names stand in a sentence.
const NAMED: usize = 5;

/// All of them, the worst first.
pub(super) fn of(facts: &WorkersFacts, seen: &WorkersSeen, keys: &Keys) -> Vec<Finding> {
    let mut all = Vec::new();
    conversation(facts, seen, &mut all);
    states(facts, &mut all);
    saturation(facts, &mut all);
    hoarding(facts, &mut all);
    orphans(facts, keys, &mut all);
    unconsumed(facts, &mut all);
    duplicates(facts, &mut all);
    if facts.workers.is_empty() {
        all.push(nobody(facts));
    }
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    all
}

fn with(facts: &WorkersFacts, state: WorkerState) -> Vec<&WorkerFacts> {
    facts.workers.iter().filter(|worker| worker.state == state).collect()
}

fn named(workers: &[&WorkerFacts]) -> Safe {
    let names: Vec<Safe> = workers.iter().take(NAMED).map(|w| w.name.clone()).collect();
    let more = workers.len().saturating_sub(NAMED);
    safe!("{}{}", Safe::join(&names, ", "), if more > 0 { safe!(" and {} more", more) } else { Safe::EMPTY })
}

fn ask() -> Hint {
    Hint::Run("obsctl queue workers --ask".into())
}

fn conversation(facts: &WorkersFacts, seen: &WorkersSeen, all: &mut Vec<Finding>) {
    match &seen.talk {
        Some(Err(error)) => {
            let mut finding = Finding::new("bus-not-asked", Severity::Unknown, safe!("the workers could not be asked: {}", error.says()));
            finding.next = error.hints().to_vec();
            all.push(finding);
        }
        Some(Ok(talk)) => {
            if let Some(left) = &talk.left {
                let says = safe!("what was written could not be taken away: {}", Safe::join(&left.keys, ", "));
                all.push(Finding::new("left-behind", Severity::Warning, says).next(Hint::Run(left.command.clone())));
            }
            if let TalkEnd::Broken(why) = &talk.ended {
                all.push(Finding::new("bus-broke", Severity::Unknown, safe!("the conversation with the workers broke off: {}", *why)));
            }
            if !talk.unread.is_empty() {
                let says = safe!("{} could not be read", units::plural(talk.unread.len(), "answer", "answers"));
                let mut finding = Finding::new("unreadable-answers", Severity::Warning, says);
                finding.evidence = talk.unread.iter().take(NAMED).cloned().collect();
                all.push(finding);
            }
        }
        None => {}
    }
    if let Some(error) = &seen.deaf {
        let mut finding = Finding::new("not-listened", Severity::Unknown, safe!("heartbeats could not be heard: {}", error.says()));
        finding.next = error.hints().to_vec();
        all.push(finding);
    }
    if !seen.unread.is_empty() {
        let says = safe!("{} of the inventory could not be read", units::plural(seen.unread.len(), "entry", "entries"));
        all.push(Finding::new("unreadable-inventory", Severity::Warning, says).evidence(seen.unread[0].clone()));
    }
    let errors: Vec<Safe> = facts.workers.iter().flat_map(|w| w.errors.iter().map(|e| safe!("{}: {}", w.name, *e))).collect();
    if !errors.is_empty() {
        let mut finding = Finding::new("worker-error", Severity::Warning, "some workers could not answer everything".into());
        finding.evidence = errors.into_iter().take(NAMED).collect();
        all.push(finding);
    }
}

fn states(facts: &WorkersFacts, all: &mut Vec<Finding>) {
    let say = |n: usize, one: &'static str, many: &'static str| if n == 1 { one } else { many };
    let down = with(facts, WorkerState::Down);
    if !down.is_empty() {
        let says = safe!("{}: {} not running", named(&down), say(down.len(), "its pod is", "their pods are"));
        all.push(pods(Finding::new("worker-down", Severity::Failed, says), &down, facts.observed_at));
    }
    let dead = with(facts, WorkerState::Dead);
    if !dead.is_empty() {
        let says = safe!("{} {} dead: in the inventory, and not connected to the control bus", named(&dead), say(dead.len(), "is", "are"));
        all.push(pods(Finding::new("worker-dead", Severity::Failed, says), &dead, facts.observed_at));
    }
    let ghosts = with(facts, WorkerState::Ghost);
    if !ghosts.is_empty() {
        let says = safe!(
            "{} only {} in the inventory: killed, and {} no more",
            named(&ghosts),
            say(ghosts.len(), "lingers", "linger"),
            say(ghosts.len(), "its pod exists", "their pods exist")
        );
        all.push(Finding::new("worker-ghost", Severity::Info, says));
    }
    let silent = with(facts, WorkerState::Silent);
    if !silent.is_empty() {
        let says = safe!(
            "{} {} connected to the control bus and {} not answer: {}, or a solo pool that runs a task",
            named(&silent),
            say(silent.len(), "is", "are"),
            say(silent.len(), "does", "do"),
            say(silent.len(), "it hangs", "they hang")
        );
        all.push(pods(Finding::new("worker-silent", Severity::Warning, says), &silent, facts.observed_at));
    }
    let either = with(facts, WorkerState::DeadOrSilent);
    if !either.is_empty() {
        let connected = facts.bus.as_ref().map_or(0, |bus| bus.subscribers.saturating_sub(bus.answered));
        let says = safe!(
            "{} do not answer: {} of them connected and silent, the others dead; which is which cannot be told",
            named(&either),
            if connected == 1 { "one is".into() } else { safe!("{} are", connected) }
        );
        all.push(pods(Finding::new("worker-dead-or-silent", Severity::Failed, says), &either, facts.observed_at));
    }
    let unheard = with(facts, WorkerState::NotHeard);
    if let (false, Some(listened)) = (unheard.is_empty(), facts.listened_s) {
        let says = safe!("{} {} not heard in {:.0} s", named(&unheard), say(unheard.len(), "was", "were"), listened);
        all.push(pods(Finding::new("worker-not-heard", Severity::Warning, says), &unheard, facts.observed_at).next(ask()));
    }
}

/// What Kubernetes knows of them, and the log of the first that restarted.
fn pods(mut finding: Finding, of: &[&WorkerFacts], now: Timestamp) -> Finding {
    for pod in of.iter().filter_map(|worker| worker.pod.as_ref()).take(NAMED) {
        finding.evidence.push(pod_says(pod, now));
    }
    if let Some(pod) = of.iter().filter_map(|worker| worker.pod.as_ref()).find(|pod| pod.restarts > 0) {
        finding = finding.next(Hint::Run(safe!("obsctl logs pod/{} -n {} --previous", pod.name, pod.namespace)));
    }
    finding
}

/// `celery-5d9f-h7pp: CrashLoopBackOff, OOMKilled 6m ago, 3 restarts`.
pub(crate) fn pod_says(pod: &PodSeen, now: Timestamp) -> Safe {
    let mut parts = Vec::new();
    parts.extend(pod.reason.clone());
    if pod.deleting {
        parts.push("being deleted".into());
    }
    if let Some(end) = &pod.last_end {
        let ago = end.at.map(|at| safe!(" {} ago", units::duration(now.duration_since(at)))).unwrap_or_default();
        parts.push(safe!("{}{}", end.reason, ago));
    }
    if pod.restarts > 0 {
        parts.push(units::plural(pod.restarts as usize, "restart", "restarts"));
    }
    if parts.is_empty() {
        parts.push(if pod.running { "runs, no restart".into() } else { "does not run".into() });
    }
    safe!("{}: {}", pod.name, Safe::join(&parts, ", "))
}

fn saturation(facts: &WorkersFacts, all: &mut Vec<Finding>) {
    for queue in facts.queues.iter().filter(|q| q.waiting > Some(0)) {
        let consumers: Vec<_> = facts.workers.iter().filter(|w| w.queues.as_ref().is_some_and(|q| q.contains(&queue.name))).collect();
        let saturated = consumers.iter().filter(|w| w.state == WorkerState::Saturated).count();
        if consumers.is_empty() || saturated < consumers.len() {
            continue;
        }
        let slots: u64 = consumers.iter().filter_map(|w| w.stats.as_ref()?.slots).sum();
        let waiting = queue.waiting.unwrap_or_default();
        let says = safe!(
            "all {} of queue {} are busy while {} wait: more workers would help",
            units::plural(slots as usize, "slot", "slots"),
            queue.name,
            units::count(waiting)
        );
        let room = match facts.database {
            Some(room) if room.most.saturating_sub(room.used) < slots => {
                safe!(
                    "but the database has {} of {} connections left: doubling them needs {}",
                    room.most - room.used.min(room.most),
                    room.most,
                    slots
                )
            }
            Some(room) => safe!("the database has {} of {} connections left", room.most.saturating_sub(room.used), room.most),
            None => "whether the database's connections allow it was not seen".into(),
        };
        let depth = Hint::Run(safe!("obsctl queue depth {}", queue.name));
        all.push(Finding::new("saturated", Severity::Warning, says).evidence(room).next(depth));
    }
}

fn hoarding(facts: &WorkersFacts, all: &mut Vec<Finding>) {
    for worker in with(facts, WorkerState::Hoarding) {
        let others: Vec<_> = facts.workers.iter().filter(|w| w.name != worker.name && free(w) > 0).collect();
        let says = safe!(
            "{} holds {} that it has not begun while {} {} free slots: prefetch",
            worker.name,
            units::plural(count(&worker.tasks, Hold::Reserved) as usize, "task", "tasks"),
            named(&others),
            if others.len() == 1 { "has" } else { "have" }
        );
        let prefetch = worker.stats.as_ref().and_then(|s| s.prefetch);
        let mut finding = Finding::new("hoarding", Severity::Warning, says);
        if let Some(n) = prefetch {
            let says = if n == 0 { "it may fetch without a limit".into() } else { safe!("it may fetch {}", n) };
            finding = finding.evidence(says);
        }
        all.push(finding.next(Hint::Set("worker_prefetch_multiplier = 1, and acks_late for long tasks".into())));
    }
}

fn unconsumed(facts: &WorkersFacts, all: &mut Vec<Finding>) {
    for queue in facts.queues.iter().filter(|q| q.consumers == Some(0) && q.waiting > Some(0)) {
        let says = safe!("no worker consumes queue {}, where {} wait", queue.name, units::count(queue.waiting.unwrap_or_default()));
        all.push(Finding::new("queue-unconsumed", Severity::Failed, says).next(Hint::Run(safe!("obsctl queue peek {}", queue.name))));
    }
}

fn orphans(facts: &WorkersFacts, keys: &Keys, all: &mut Vec<Finding>) {
    let Some(orphans) = facts.orphans.as_ref().filter(|orphans| !orphans.is_empty()) else {
        if facts.bus.as_ref().is_some_and(|bus| bus.tasks) && facts.orphans.is_none() && facts.unacked > Some(0) {
            let says =
                safe!("whether tasks are held by a dead worker is unknown: not every worker answered, or not all messages could be read");
            all.push(Finding::new("orphans-unknown", Severity::Info, says));
        }
        return;
    };
    let gone = facts.workers.iter().any(|w| matches!(w.state, WorkerState::Dead | WorkerState::Ghost));
    let tasks = units::plural(orphans.len(), "task", "tasks");
    let (by, severity) = match orphans.iter().all(|orphan| orphan.sure) || gone {
        true => ("held by a dead worker", Severity::Warning),
        // A worker that was restarted under the same name leaves no trace; a rate limit none either.
        false => ("delivered, and in no worker's lists: delayed by a rate limit, or lost with a worker", Severity::Info),
    };
    let wait = |orphan: &super::Orphan| orphan.returns.duration_since(facts.observed_at);
    let returns = orphans.first().map(|first| match wait(first) {
        late if late.is_negative() => safe!("due to be given back for {}", units::duration(-late)),
        wait => safe!("given back in {}", units::duration(wait)),
    });
    let (timeout, how) = visibility_timeout(&facts.workers, keys);
    let mut finding = Finding::new("orphans", severity, safe!("{} {}, {}", tasks, by, returns.unwrap_or_default())).evidence(safe!(
        "visibility timeout {} ({})",
        units::duration(timeout),
        how
    ));
    for orphan in orphans.iter().take(NAMED) {
        let since = orphan.delivered.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M:%S").to_string();
        finding = finding.evidence(safe!("{} {} delivered {}", orphan.task, orphan.id, Safe::name(since)));
    }
    if let Some(first) = orphans.first() {
        finding = finding.next(Hint::Run(safe!("obsctl queue find {}", first.id)));
    }
    all.push(finding);
}

fn duplicates(facts: &WorkersFacts, all: &mut Vec<Finding>) {
    let mut holders: BTreeMap<&Safe, Vec<(&WorkerFacts, Hold)>> = BTreeMap::new();
    for worker in &facts.workers {
        for task in &worker.tasks {
            holders.entry(&task.id).or_default().push((worker, task.state));
        }
    }
    let twice: Vec<_> = holders.into_iter().filter(|(_, by)| by.len() > 1).collect();
    if let Some((id, by)) = twice.first() {
        let running = twice.iter().filter(|(_, by)| by.iter().filter(|(_, hold)| *hold == Hold::Running).count() > 1).count();
        let says = safe!("{} held more than once, {} of them running twice", units::plural(twice.len(), "task is", "tasks are"), running);
        let by: Vec<Safe> = by.iter().map(|(worker, hold)| safe!("{} by {}", hold.says(), worker.name)).collect();
        all.push(
            Finding::new("duplicates", Severity::Warning, says)
                .evidence(safe!("{}: {}", (*id).clone(), Safe::join(&by, ", ")))
                .next(Hint::Set("a visibility_timeout above the longest task and the longest ETA".into())),
        );
    }
}

fn nobody(facts: &WorkersFacts) -> Finding {
    match &facts.bus {
        Some(bus) if bus.subscribers == 0 => Finding::new(
            "no-workers",
            Severity::Failed,
            "no worker is connected, and none is in the inventory: this broker has no workers".into(),
        )
        .next(Hint::Try("another database or key prefix? compare broker.url and broker.key_prefix with the workers'".into())),
        _ => Finding::new("no-workers-seen", Severity::Unknown, "no worker is in the inventory, and none was heard".into())
            .next(ask())
            .next(Hint::Try("another database or key prefix? compare broker.url and broker.key_prefix with the workers'".into())),
    }
}
