//! Whether a rollout brought an error, and what to run to see more of it.

use super::{ErrorPlace, ErrorSample, Novelty};
use crate::{
    answer::Hint,
    kubernetes::rollout::RolloutState,
    logs::{analyze::cause::ErrorCause, flow::keep::Seen, model::LogOrigin},
    safe,
    text::Safe,
};
use jiff::{Timestamp, tz::TimeZone};

/// A shorter beginning of a request ID is not asked for.
const SHORTEST_ID: usize = 6;

/// Its request as a whole; where it names none, its neighbourhood in its own log.
pub(super) fn next(cause: &ErrorCause, sample: &ErrorSample, files: &Safe) -> Hint {
    let id = sample.request_id.as_ref().filter(|id| id.len() >= SHORTEST_ID).map(|id| quoted(id));
    let since = sample.at.map(|at| Safe::name(at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
    let which = match cause {
        ErrorCause::Exception { exception, .. } => safe!("-i {}", quoted(exception)),
        ErrorCause::Message { .. } => "--level error".into(),
    };
    let logs = if files.is_empty() { "obsctl logs".into() } else { safe!("obsctl logs {}", *files) };
    Hint::Run(match (&sample.origin.namespace, id, since) {
        (Some(namespace), Some(id), _) => safe!("obsctl logs -r {} -n {}", id, namespace),
        (Some(namespace), None, Some(since)) => {
            safe!("obsctl logs pod/{} -n {} --since {} {}", sample.origin.name, namespace, since, which)
        }
        (Some(namespace), None, None) => safe!("obsctl logs pod/{} -n {} {}", sample.origin.name, namespace, which),
        (None, Some(id), _) => safe!("{} -r {}", logs, id),
        (None, None, Some(since)) => safe!("{} --since {} {}", logs, since, which),
        (None, None, None) => safe!("{} {}", logs, which),
    })
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> Safe {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Safe::name(word);
    }
    safe!("'{}'", Safe::name(word.replace('\'', "'\\''")))
}

/// The Deployment that a pod's name is of: `backend` of `backend-7f9c-x2lq`.
fn deployment<'a>(origin: &LogOrigin, rollouts: &'a [RolloutState]) -> impl Iterator<Item = &'a RolloutState> {
    let name = origin.name.rsplitn(3, '-').nth(2).unwrap_or_default().to_owned();
    let namespace = origin.namespace.clone();
    rollouts.iter().filter(move |r| r.deployment == name && namespace.as_ref().is_none_or(|n| **n == *r.namespace))
}

/// Whether there was an earlier revision: the first one brings everything.
fn follows(rollout: &RolloutState, all: &[RolloutState]) -> bool {
    let same = |r: &RolloutState| r.deployment == rollout.deployment && r.namespace == rollout.namespace;
    all.iter().any(|r| same(r) && r.begun < rollout.begun)
}

/// Whether the last rollout before its first occurrence brought it. Only where the same Deployment's logs reach back before that rollout
/// can its absence there be known; of a rollout before what was asked for nothing is said.
pub(super) fn of(
    first: Option<Timestamp>,
    since: Option<Timestamp>,
    places: &[ErrorPlace],
    seen: &Seen,
    rollouts: &[RolloutState],
) -> (Novelty, Option<RolloutState>) {
    let Some(first) = first else { return (Novelty::Old, None) };
    let of = places.iter().flat_map(|p| deployment(&p.origin, rollouts)).filter(|r| r.begun <= first && follows(r, rollouts));
    let last = of.max_by_key(|r| r.begun).filter(|r| since.is_none_or(|since| r.begun >= since));
    let Some(last) = last else { return (Novelty::Old, None) };
    let prefix = format!("{}-", last.deployment);
    let reaches = seen.oldest_of(|pod| pod.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.matches('-').count() == 1));
    match reaches {
        Some(oldest) if oldest < last.begun => (Novelty::New, Some(last.clone())),
        _ => (Novelty::Unknown, Some(last.clone())),
    }
}
