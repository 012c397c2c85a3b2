//! One round: what was seen becomes observations, those become transitions, and those become alerts that are written down.

use super::{
    Args, Watch,
    desk::{Desk, put},
};
use crate::{
    commands::{
        check::CheckRounds,
        health::{Round, Rounds},
    },
    config::RouteName,
    error::{Kind, Result},
    health::{
        analyze::{PASSING, SubjectSeen},
        model::Condition,
    },
    notify::model::{Alert, AlertRoute, AlertState},
    safe,
    session::Session,
    text::{Safe, units},
    watch::{
        history::Mark,
        machine::{self, Observed, Patience, Transition, WayOut},
        state::{Standing, WatchState},
    },
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What is looked at.
pub(super) enum Looks<'a> {
    Health(Box<Rounds>),
    Checks(Box<CheckRounds<'a>>),
}

impl<'a> Looks<'a> {
    /// By the targets: files of checks, else what health asks.
    ///
    /// # Errors
    /// A file is wrong, or this machine trusts nobody.
    pub fn of(args: &Args, session: &'a Session) -> Result<Self> {
        Ok(match CheckRounds::meant(&args.targets) {
            true => Self::Checks(Box::new(CheckRounds::new(&args.targets, session)?)),
            false => Self::Health(Box::new(Rounds::new(args.health())?)),
        })
    }

    pub async fn look(&mut self, session: &Session) -> Round {
        match self {
            Self::Health(rounds) => rounds.look(session).await,
            Self::Checks(rounds) => rounds.look().await,
        }
    }
}

/// What a round gave.
pub(super) struct Told {
    pub way: WayOut,
    pub alerts: Vec<Alert>,
}

/// Judges a round, and writes down the state and what is to be told.
pub(super) async fn judge(watch: &Watch, args: &Args, desk: &Desk, round: &Round, first: bool, session: &Session) -> Told {
    let now = session.now().timestamp();
    let mut seen: BTreeMap<String, SubjectSeen> = round.subjects().into_iter().map(|s| (s.name.to_string(), s)).collect();
    let (known, _) = desk.known();
    missing(&known, &mut seen, round, first);
    let probes: Vec<Observed> = seen.values().map(|subject| observed(subject, watch.quiet(&subject.name, now))).collect();
    let patience = Patience { fail_after: args.fail_after, recover_after: args.recover_after };
    // A look ahead, on a copy: what changed is asked for before the state is written, and only where somebody will be told.
    let fails = machine::round(&mut known.clone(), &probes, patience, now).1.iter().any(|t| t.to == Standing::Down);
    let changed = if fails { round.changes(now, session).await } else { Vec::new() };
    desk.round(|state, outbox| {
        let watched: BTreeSet<String> = state.subjects.keys().filter(|name| !gone(name, &seen, first, round)).cloned().collect();
        let mut transitions = machine::forget(state, &watched);
        let (way, told) = machine::round(state, &probes, patience, now);
        transitions.extend(told);
        let alerts: Vec<Alert> = transitions.iter().map(|t| alert(t, seen.get(&t.subject), round, &changed, now, session)).collect();
        for alert in &alerts {
            let route = round.way_of(&alert.subject).map_or(session.env.watch.route, |(route, _)| route);
            put(outbox, alert, session.env.notify.of(route), now);
        }
        Told { way, alerts }
    })
}

/// Whether a subject is watched no longer: at the start, what is no target any more; later, a single pod that went.
fn gone(name: &str, seen: &BTreeMap<String, SubjectSeen>, first: bool, round: &Round) -> bool {
    round.blind.is_none() && !seen.contains_key(name) && (first || name.starts_with(PASSING))
}

/// What is known and was not seen: not found out where the cluster could not be asked, else gone, which is as bad as it gets.
fn missing(known: &WatchState, seen: &mut BTreeMap<String, SubjectSeen>, round: &Round, first: bool) {
    let unknown = round.blind.as_ref().filter(|error| error.kind() != Kind::NotFound);
    for name in known.subjects.keys() {
        if seen.contains_key(name) || gone(name, seen, first, round) {
            continue;
        }
        let (condition, says) = match unknown {
            Some(error) => (Condition::Unknown, error.says()),
            None => (Condition::Failed, "nothing is left of it: no pod".into()),
        };
        let subject = SubjectSeen { name: Safe::name(name), condition, ms: 0, reached: unknown.is_none(), says, evidence: Vec::new() };
        seen.insert(name.clone(), subject);
    }
}

fn observed(subject: &SubjectSeen, quiet: bool) -> Observed {
    let mark = match subject.condition {
        Condition::Ok | Condition::Skipped => Mark::Good,
        Condition::Degraded => Mark::Warned,
        Condition::Unknown => Mark::Unknown,
        Condition::Failed => Mark::Bad,
    };
    Observed { subject: subject.name.to_string(), mark, ms: subject.ms, reached: subject.reached, quiet }
}

fn alert(transition: &Transition, seen: Option<&SubjectSeen>, round: &Round, changed: &[Safe], now: Timestamp, session: &Session) -> Alert {
    let (route, runbook) = round.way_of(&transition.subject).unwrap_or((session.env.watch.route, None));
    let down = transition.to == Standing::Down;
    let lasted = transition.before.map(|t| safe!(" after {}", units::duration(transition.since.duration_since(t)))).unwrap_or_default();
    let says = match transition.to {
        Standing::Down => seen.map(|s| s.says.clone()).filter(|s| !s.is_empty()).unwrap_or_else(|| "failed".into()),
        Standing::Up => safe!("well{}", lasted),
        Standing::New => "it is watched no longer".into(),
    };
    let since = if down { transition.since } else { transition.before.unwrap_or(transition.since) };
    Alert {
        key: Safe::name(transition.key()),
        state: if down { AlertState::Firing } else { AlertState::Resolved },
        route: match route {
            RouteName::Page => AlertRoute::Page,
            RouteName::Notify => AlertRoute::Notify,
            RouteName::Record => AlertRoute::Record,
        },
        environment: session.env.name.clone().unwrap_or_else(|| "no environment".into()),
        subject: Safe::name(&transition.subject),
        says,
        since,
        until: (!down).then_some(if transition.to == Standing::Up { transition.since } else { now }),
        evidence: seen.filter(|_| down).map(|s| s.evidence.clone()).unwrap_or_default(),
        changed: if down { changed.to_vec() } else { Vec::new() },
        runbook: runbook.or_else(|| session.env.notify.runbook.clone()),
        again: false,
    }
}
