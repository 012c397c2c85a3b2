//! Databases: what `obsctl db activity` and `db locks` found, and how far a replica is behind, as a sighting.

use super::{MissingFigure, Sighting};
use crate::{
    answer::{Finding, Hint},
    checks::model::{Figure, Unanswered, Unit},
    error::Error,
    postgres::{
        analyze::{self, activity::Saturation},
        model::{ActivityFacts, BackendState, LockFacts, LookedAt, ReplicaState},
    },
    text::{Safe, units},
};

/// What was looked at in one database.
pub struct DatabaseLooks<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Its sessions.
    pub activity: &'a ActivityFacts,
    /// Who waits for whom.
    pub locks: Option<Result<LockFacts, Error>>,
    /// How far it is behind; the inner none: it is a primary.
    pub replica: Option<Result<Option<LookedAt<ReplicaState>>, Error>>,
    /// The mean of the slowest statement in seconds, and the statement.
    pub slow: Option<Result<Option<(f64, Safe)>, Error>>,
    /// What of the slowest statements is bad, where they were asked for.
    pub slow_findings: Vec<Finding>,
}

/// Of what was looked at.
pub fn sighting(looks: DatabaseLooks<'_>) -> Sighting {
    let mut seen = Sighting::default();
    let facts = looks.activity;
    let now = facts.server.observed_at;
    let saturation = Saturation::of(facts);
    let share = f64::from(saturation.used) / f64::from(saturation.of.max(1));
    seen.figures.push(Figure::flag("reachable", Safe::EMPTY, true));
    seen.figures.push(Figure::number("connections", Safe::EMPTY, Unit::Share, share));
    let clients = || facts.backends.iter().filter(|b| b.is_client());
    let oldest = |since: &dyn Fn(&crate::postgres::model::Backend) -> Option<jiff::Timestamp>| {
        clients().filter_map(since).map(|at| now.duration_since(at).as_secs_f64()).fold(0.0, f64::max)
    };
    let hidden = clients().filter(|b| b.state == BackendState::Hidden).count();
    if hidden > 0 && !facts.server.sees_all {
        let sessions = units::plural(hidden, "session", "sessions");
        let says = crate::safe!("what {} of other roles do is not shown to {}", sessions, facts.server.role);
        for figure in ["longest_transaction", "longest_statement"] {
            let hint = Some(Hint::Try(facts.server.grant()));
            seen.missing.push(MissingFigure { figure, why: Unanswered::NoPermission, says: says.clone(), hint, partly: true });
        }
    }
    let transaction = oldest(&|b| b.transaction_at);
    let statement = oldest(&|b| b.statement_at.filter(|_| b.state == BackendState::Active));
    seen.figures.push(Figure::number("longest_transaction", Safe::EMPTY, Unit::Seconds, transaction));
    seen.figures.push(Figure::number("longest_statement", Safe::EMPTY, Unit::Seconds, statement));
    let longest = clients().filter(|b| b.transaction_at.is_some()).min_by_key(|b| b.transaction_at);
    seen.evidence.extend(longest.and_then(|b| b.query.as_ref()).map(|q| crate::safe!("oldest transaction: {}", q.clipped(160))));
    for finding in analyze::activity::findings(facts) {
        seen.found(None, of_database(finding, looks.name));
    }
    match looks.locks {
        Some(Ok(locks)) => {
            seen.figures.push(Figure::count("blocked", Safe::EMPTY, locks.waiting as u64));
            for finding in analyze::locks::findings(&locks) {
                let finding = finding.next(Hint::Run("obsctl db locks".into()));
                seen.found(None, of_database(finding, looks.name));
            }
        }
        Some(Err(error)) => seen.missing.push(missing("blocked", &error)),
        None => {}
    }
    match looks.replica {
        Some(Ok(None)) => seen.figures.push(Figure::number("lag", Safe::EMPTY, Unit::Seconds, 0.0)),
        Some(Ok(Some(LookedAt::Seen(state)))) => {
            let lag = if state.caught_up { Some(0.0) } else { state.replayed_s_ago };
            seen.figures.extend(lag.map(|s| Figure::number("lag", Safe::EMPTY, Unit::Seconds, s)));
            for finding in analyze::reasons::replica(&state) {
                seen.found(None, of_database(finding, looks.name));
            }
        }
        Some(Ok(Some(LookedAt::NotSeen(says)))) => {
            seen.missing.push(MissingFigure { figure: "lag", why: Unanswered::NoPermission, says, hint: None, partly: false });
        }
        Some(Err(error)) => seen.missing.push(missing("lag", &error)),
        None => {}
    }
    match looks.slow {
        Some(Ok(Some((mean_s, statement)))) => {
            seen.figures.push(Figure::number("slow", Safe::EMPTY, Unit::Seconds, mean_s));
            seen.evidence.push(crate::safe!("slowest: {}", statement.clipped(160)));
        }
        Some(Ok(None)) | None => {}
        Some(Err(error)) => seen.missing.push(missing("slow", &error)),
    }
    for finding in looks.slow_findings {
        seen.found(None, of_database(finding, looks.name));
    }
    seen
}

fn missing(figure: &'static str, error: &Error) -> MissingFigure {
    let spot = super::BlindSpot::of(error);
    MissingFigure { figure, why: spot.why, says: spot.says, hint: spot.next.into_iter().next(), partly: false }
}

/// The next commands ask the database that this one asked.
fn of_database(mut finding: Finding, name: &str) -> Finding {
    for hint in &mut finding.next {
        if let Hint::Run(command) = hint
            && name != "main"
        {
            *command = crate::safe!("{} -d {}", *command, Safe::name(name));
        }
    }
    finding
}
