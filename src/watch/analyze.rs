//! From the state of a watch to what it means now. Pure.

use super::{
    history::Mark,
    model::{SubjectFacts, WatchFacts},
    state::{Standing, SubjectState, WatchState},
};
use crate::{
    answer::{Finding, Severity},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;

/// How many of the last probes the strip shows.
const STRIP: usize = 40;

/// What is watched, how it is, and what of it is bad news.
pub fn watch(state: &WatchState, untold: usize, now: Timestamp) -> (WatchFacts, Vec<Finding>) {
    let subjects: Vec<SubjectFacts> = state.subjects.iter().map(|(name, subject)| facts(name, subject)).collect();
    let mut findings = Vec::new();
    if let Some(since) = state.cut_off_since {
        let says = safe!(
            "nothing has been reached for {}: it is more likely this machine than all of them",
            units::duration(now.duration_since(since))
        );
        findings.push(Finding::new("cut-off", Severity::Unknown, says));
    }
    for subject in &subjects {
        match subject.standing {
            Standing::Up => {}
            Standing::Down => {
                let since = subject.since.map(|t| safe!(" for {}", units::duration(now.duration_since(t)))).unwrap_or_default();
                findings.push(Finding::new("subject-down", Severity::Failed, safe!("{} has been down{}", subject.name, since)));
            }
            Standing::New => {
                findings.push(Finding::new("subject-unknown", Severity::Unknown, safe!("{} was not found out yet", subject.name)));
            }
        }
    }
    if subjects.is_empty() {
        findings.push(Finding::new("nothing-watched", Severity::Unknown, "nothing could be watched".into()));
    }
    if untold > 0 {
        findings.push(Finding::new(
            "alerts-untold",
            Severity::Warning,
            safe!("{} taken by nobody yet", units::plural(untold, "alert was", "alerts were")),
        ));
    }
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    (WatchFacts { observed_at: Some(now), subjects, cut_off_since: state.cut_off_since, untold }, findings)
}

fn facts(name: &str, subject: &SubjectState) -> SubjectFacts {
    let strip: String = subject.history.strip(STRIP).map(letter).collect();
    SubjectFacts {
        name: Safe::name(name),
        standing: subject.standing,
        since: subject.since,
        incidents: subject.incident,
        uptime: subject.history.uptime(),
        p50_ms: subject.history.quantile(0.5),
        p95_ms: subject.history.quantile(0.95),
        strip: Safe::name(strip),
    }
}

fn letter(mark: Mark) -> char {
    match mark {
        Mark::Good => '·',
        Mark::Warned => '!',
        Mark::Bad => 'X',
        Mark::Unknown => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::machine::{Observed, Patience, round};

    #[test]
    fn what_is_down_is_bad_news() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().expect("a time");
        let mut state = WatchState::default();
        for mark in [Mark::Good, Mark::Bad, Mark::Bad, Mark::Bad] {
            let probe = |subject: &str, mark| Observed { subject: subject.into(), mark, ms: 12, asked: true, reached: true, quiet: false };
            round(&mut state, &[probe("api", mark), probe("web", Mark::Good)], Patience::default(), now);
        }
        let (facts, findings) = watch(&state, 1, now);
        assert_eq!(findings.iter().map(|f| f.code).collect::<Vec<_>>(), ["subject-down", "alerts-untold"]);
        assert_eq!((facts.subjects[0].strip.as_str(), facts.subjects[0].uptime, facts.subjects[1].uptime), ("·XXX", Some(0.25), Some(1.0)));
    }
}
