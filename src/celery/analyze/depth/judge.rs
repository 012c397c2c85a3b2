//! Whether a queue is in trouble: the rules, one after the other, each with its words.

use crate::{
    answer::{Finding, Hint, Severity, Verdict},
    celery::model::{AgeSource, KnownBy, QueueDepth, WorkersHeard},
    config::QueueThresholds,
    safe,
    text::{Safe, units},
};
use jiff::SignedDuration;

/// What one queue is called, and why.
#[derive(Debug)]
pub(super) struct Judgement {
    /// The code of its finding.
    pub code: &'static str,
    /// How bad; `Info` is a queue that is well.
    pub severity: Severity,
    /// Why, in a few words.
    pub why: Safe,
}

impl Judgement {
    pub fn verdict(&self) -> Verdict {
        self.severity.verdict()
    }
    fn of(severity: Severity, code: &'static str, why: impl Into<Safe>) -> Self {
        Self { code, severity, why: why.into() }
    }
}

/// The rules. `failed` comes before `unknown`, and that before `warning`.
pub(super) fn judge(queue: &QueueDepth, workers: &WorkersHeard, samples: usize, t: &QueueThresholds) -> Judgement {
    use Severity::{Failed, Info, Unknown, Warning};
    let says = |s: f64| units::duration(SignedDuration::try_from_secs_f64(s).unwrap_or_default());
    let beyond = |s: f64, limit: SignedDuration| s > limit.as_secs_f64();
    let Some(waiting) = queue.waiting else {
        return Judgement::of(Unknown, "queue-uncounted", safe!("could not be counted: {}", queue.why));
    };
    if waiting == 0 {
        return match queue.known {
            KnownBy::Asked => Judgement::of(Unknown, "queue-unknown", "empty, or no such queue: nothing declares it"),
            _ => Judgement::of(Info, "queue-well", "empty"),
        };
    }
    let growing = queue.net_per_s.is_some_and(|net| net > 0.0);
    // An estimate is no proof: it never fails a queue.
    let proven = queue.oldest.as_ref().filter(|age| age.by != AgeSource::Flow).map(|age| age.s);
    let stuck = queue.untaken_s.filter(|s| beyond(*s, t.stuck_after) || *s == t.stuck_after.as_secs_f64());
    if let Some(s) = stuck.filter(|_| workers.all_idle()) {
        return Judgement::of(Failed, "queue-stuck", safe!("nothing was taken from it for {}, though {}", says(s), idle(workers)));
    }
    if let Some(age) = queue.oldest.as_ref().filter(|age| proven.is_some() && beyond(age.s, t.oldest_failed)) {
        let why = match age.by {
            AgeSource::Seen => safe!("same next message as {} ago", says(age.s)),
            _ if growing => "arrives faster than it leaves".into(),
            _ => safe!("its oldest task waits {}", says(age.s)),
        };
        return Judgement::of(Failed, if growing { "queue-grows" } else { "queue-old" }, why);
    }
    if growing && proven.is_some_and(|s| beyond(s, t.growing_oldest_failed)) {
        return Judgement::of(Failed, "queue-grows", "arrives faster than it leaves");
    }
    if let Some(s) = stuck {
        let free = if workers.heard.is_empty() { "no worker was heard" } else { "its workers may be busy" };
        return Judgement::of(Unknown, "queue-still", safe!("nothing was taken from it for {}; {}", says(s), free));
    }
    if queue.oldest.is_none() && samples < 2 && queue.net_per_s.is_none() {
        return Judgement::of(Unknown, "queue-once", "one look does not tell: no age, and nothing to compare with");
    }
    let moved = queue.untaken_s.is_none() && samples > 1;
    // That it was there a moment ago already is no age.
    let no_age = queue.oldest.as_ref().is_none_or(|age| age.by == AgeSource::Seen && !beyond(age.s, t.stuck_after));
    let unread = queue.age_unknown.is_some() && queue.oldest.is_none() && queue.priorities.iter().any(|p| p.unreadable.is_some());
    if let Some(age) = queue.oldest.as_ref().filter(|age| beyond(age.s, t.oldest_warning)) {
        return Judgement::of(Warning, "queue-old", safe!("its oldest task waits {}", says(age.s)));
    }
    if queue.empty_in_s.is_some_and(|s| beyond(s, t.empty_in_warning)) {
        return Judgement::of(Warning, "queue-slow", safe!("at this rate it is empty in {}", says(queue.empty_in_s.unwrap_or_default())));
    }
    if no_age && !moved && workers.listened_s.is_some() && workers.heard.is_empty() {
        return Judgement::of(Warning, "queue-unheard", "it waits, and no worker was heard (suspected: nobody consumes it)");
    }
    if no_age && !moved && workers.all_idle() {
        return Judgement::of(Warning, "queue-unconsumed", safe!("it waits, though {} (suspected: nobody consumes it)", idle(workers)));
    }
    if unread && queue.net_per_s.is_none_or(|net| net >= 0.0) {
        return Judgement::of(Unknown, "queue-unread", "its age is not known, and it does not shrink");
    }
    if no_age && !moved && workers.heard.is_empty() {
        return Judgement::of(
            Unknown,
            "queue-still",
            "nothing was taken meanwhile, its age is not known, and the workers were not listened to",
        );
    }
    let why = match &queue.priorities[..] {
        [only] if only.step != 0 => safe!("all in priority {}", only.step),
        _ if growing => "grows, and its tasks are young".into(),
        _ if no_age && !moved => "waits for busy workers".into(),
        _ => Safe::EMPTY,
    };
    Judgement::of(Info, "queue-well", why)
}

fn idle(workers: &WorkersHeard) -> Safe {
    match &workers.heard[..] {
        [only] => safe!("{} is idle", only.name),
        all => safe!("all {} workers are idle", all.len()),
    }
}

/// One finding per queue that is not well.
pub(super) fn findings(queues: &[QueueDepth], judgements: Vec<Judgement>) -> Vec<Finding> {
    let bad = queues.iter().zip(judgements).filter(|(_, judgement)| judgement.severity != Severity::Info);
    bad.map(|(queue, judgement)| finding(queue, judgement)).collect()
}

fn finding(queue: &QueueDepth, judgement: Judgement) -> Finding {
    let name = &queue.name;
    let wait = queue.oldest.as_ref().map(|age| {
        let word = if age.by.at_least() { "at least " } else { "" };
        safe!("its oldest task waits {}{}", word, units::duration(SignedDuration::try_from_secs_f64(age.s).unwrap_or_default()))
    });
    let net = queue.net_per_s.filter(|net| *net > 0.0);
    let says = match (judgement.code, net, &wait) {
        ("queue-grows", Some(net), Some(wait)) => safe!("{} grows by {:.1} tasks/s; {}", name, net, wait),
        ("queue-old", _, Some(wait)) => safe!("{}: {}", name, wait),
        _ => safe!("{}: {}", name, judgement.why),
    };
    let mut finding = Finding::new(judgement.code, judgement.severity, says);
    if let Some(waiting) = queue.waiting {
        finding = finding.evidence(safe!("{} waiting", units::count(waiting)));
    }
    if let Some(age) = &queue.oldest {
        finding = finding.evidence(safe!("age by: {}", age.by.says()));
    }
    if let Some((task, n)) = queue.composition.first() {
        let all: u64 = queue.composition.iter().map(|(_, n)| n).sum();
        finding = finding.evidence(safe!("{} of the next {} tasks: {}", *n, all, task));
    }
    if queue.waiting.is_some_and(|n| n > 0) {
        finding = finding.next(Hint::Run(safe!("obsctl queue peek {}", name)));
        finding = finding.next(Hint::Run("obsctl queue workers --ask".into()));
    }
    finding
}
