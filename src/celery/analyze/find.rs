//! What was found under an ID, in sentences: where it is, since when, what happens next; or an honest "nowhere". Pure.

use crate::{
    answer::{Finding, Hint, Severity},
    celery::model::{FindFacts, FoundTask, Hold, TaskPlace},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;

/// The findings, one per task first.
pub fn find(facts: &FindFacts) -> Vec<Finding> {
    let mut all: Vec<Finding> = facts.tasks.iter().map(|task| one(task, facts)).collect();
    if facts.tasks.is_empty() {
        all.push(nowhere(facts));
    }
    if let Some(from) = &facts.searched.stopped {
        let says = safe!("the search stopped after {} waiting messages", units::count(facts.searched.waiting));
        let next = Hint::Run(safe!("{} --from {}", safe!("obsctl queue find {}", facts.asked), from.says()));
        let severity = if facts.tasks.is_empty() { Severity::Unknown } else { Severity::Info };
        all.push(Finding::new("stopped", severity, says).next(next));
    }
    all
}

fn one(task: &FoundTask, facts: &FindFacts) -> Finding {
    let now = facts.observed_at;
    let name = task.task.clone().map(|name| safe!("{} {}", name, task.id)).unwrap_or_else(|| task.id.clone());
    let held = task.places.iter().any(|place| matches!(place, TaskPlace::Held { .. }));
    let mut says: Vec<Safe> =
        task.places.iter().filter(|place| !(held && matches!(place, TaskPlace::Delivered { .. }))).map(|p| at(p, now)).collect();
    if let Some(outcome) = &task.outcome {
        let when = outcome.done.map(|at| safe!(" {} ago", units::duration(now.duration_since(at)))).unwrap_or_default();
        let by = outcome.worker.as_ref().map(|worker| safe!(" on {}", *worker)).unwrap_or_default();
        says.push(safe!("{}{}{}", outcome.state, when, by));
    }
    let says = if says.is_empty() { safe!("{} is known, and nowhere now", name) } else { safe!("{}: {}", name, Safe::join(&says, "; ")) };
    let mut finding = Finding::new("found", Severity::Info, says);
    if let Some(next) = next(task, facts) {
        finding = finding.evidence(next);
    }
    let doubled = task.places.iter().filter(|place| !matches!(place, TaskPlace::Delivered { .. })).count() > 1;
    if doubled {
        finding = finding.evidence("it is in several places: delivered again while its first worker still had it".into());
    }
    let stuck = task.places.iter().find_map(|place| if let TaskPlace::Waiting { queue, .. } = place { Some(queue) } else { None });
    if let Some(queue) = stuck {
        finding = finding.next(Hint::Run(safe!("obsctl queue depth {}", *queue)));
    }
    if let Some(request) = task.message.as_ref().and_then(|message| message.request.as_ref()) {
        finding = finding.next(Hint::Run(safe!("obsctl logs --request-id {}", request.id)));
    }
    if !held
        && facts.searched.workers.is_none()
        && task.outcome.is_none()
        && task.places.iter().any(|place| matches!(place, TaskPlace::Delivered { .. }))
    {
        finding = finding.next(Hint::Run(safe!("obsctl queue find {} --ask", task.id)));
    }
    finding
}

/// Where it is and since when.
pub(crate) fn at(place: &TaskPlace, now: Timestamp) -> Safe {
    match place {
        TaskPlace::Waiting { queue, step, before } => match before {
            0 => safe!("waits in queue {}, next to run of priority {}", *queue, *step),
            n => safe!("waits in queue {}, {} of priority {} before it", *queue, units::count(*n), *step),
        },
        TaskPlace::Delivered { since, .. } => {
            safe!("delivered to a worker {} ago, not acknowledged", units::duration(now.duration_since(*since)))
        }
        TaskPlace::Held { worker, hold, since, eta } => {
            let since = since.map(|at| safe!(" for {}", units::duration(now.duration_since(at)))).unwrap_or_default();
            let eta = eta.map(|at| safe!(", due in {}", units::duration(at.duration_since(now)))).unwrap_or_default();
            safe!("{}{} on {}{}", hold.says(), since, *worker, eta)
        }
    }
}

/// What happens next, unless somebody does something.
fn next(task: &FoundTask, facts: &FindFacts) -> Option<Safe> {
    let now = facts.observed_at;
    let held = task.places.iter().find_map(|place| if let TaskPlace::Held { hold, .. } = place { Some(*hold) } else { None });
    let delivered =
        task.places.iter().find_map(|place| if let TaskPlace::Delivered { returns, .. } = place { Some(*returns) } else { None });
    let back = |returns: Timestamp| match returns.duration_since(now) {
        late if late.is_negative() => safe!("due for redelivery for {}", units::duration(-late)),
        wait => safe!("given to another worker in {}", units::duration(wait)),
    };
    match (held, delivered) {
        (Some(Hold::Running), Some(returns)) => {
            Some(safe!("next: its worker acknowledges it when it ends (acks_late); until then it is {}", back(returns)))
        }
        (Some(Hold::Running), None) => Some("next: it ends; it was acknowledged before it began, and is lost if its worker dies".into()),
        (Some(Hold::Revoked), _) => Some("next: nothing; its worker drops it when its turn comes".into()),
        (Some(Hold::Scheduled), Some(returns)) => {
            Some(safe!("next: it runs when its ETA has come; without an acknowledgement it is {}", back(returns)))
        }
        (Some(_), _) => Some("next: it runs when a slot of that worker is free".into()),
        (None, Some(returns)) if facts.searched.all_workers => {
            Some(safe!("no worker lists it: its worker has died, or a rate limit delays it; next: it is {}", back(returns)))
        }
        (None, Some(returns)) => Some(safe!("next: its worker runs it, or has died: then it is {}", back(returns))),
        (None, None) => {
            let eta = task.message.as_ref().and_then(|message| message.eta).filter(|eta| *eta > now)?;
            Some(safe!("next: a worker takes it, and holds it until its ETA in {}", units::duration(eta.duration_since(now))))
        }
    }
}

fn nowhere(facts: &FindFacts) -> Finding {
    let searched = &facts.searched;
    if searched.whole() {
        let says = safe!(
            "{} is nowhere: never published to this broker, or acknowledged early and lost with its worker, or ended so long ago that its result has expired",
            facts.asked
        );
        return Finding::new("nowhere", Severity::Failed, says)
            .evidence("a request ID is found only in the headers of waiting and delivered tasks".into())
            .next(Hint::Run(safe!("obsctl logs --request-id {}", facts.asked)));
    }
    let mut finding =
        Finding::new("not-found", Severity::Unknown, safe!("{} was not found, and not everything could be searched", facts.asked));
    if searched.workers.is_none() {
        finding = finding
            .evidence("the workers were not asked: a running task is in no key, unless it is acknowledged late".into())
            .next(Hint::Run(safe!("obsctl queue find {} --ask", facts.asked)));
    } else if !searched.all_workers {
        finding = finding.evidence("not every worker answered".into());
    }
    if searched.results.is_none() {
        finding = finding.evidence("stored results were not looked at".into());
    }
    if searched.results_guessed {
        finding = finding
            .evidence("nothing says where results are stored (CELERY_RESULT_BACKEND of the apps, results: in the configuration): only the broker's own Redis was looked at".into())
            .next(Hint::Set("results: {url: …}, or {django_db: main}".into()));
    }
    for (n, says) in [(searched.too_large, "too large to be read"), (searched.undecodable, "in a form that is not decoded")] {
        if n > 0 {
            finding = finding.evidence(safe!("{} {}", units::plural(n as usize, "message is", "messages are"), says));
        }
    }
    finding.evidence.extend(searched.trouble.iter().cloned());
    finding
}
