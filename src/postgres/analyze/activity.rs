//! What is wrong with a server's sessions: too many of them, transactions that idle, statements that run long. Thresholds are those of
//! PgHero and check_postgres.

use crate::{
    answer::{Finding, Hint, Severity},
    postgres::model::{ActivityFacts, Backend, BackendState},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};

/// PgHero: a statement that runs longer is long.
const LONG: SignedDuration = SignedDuration::from_secs(60);
/// check_postgres' second threshold for statements.
const TOO_LONG: SignedDuration = SignedDuration::from_mins(5);
/// A transaction that idles longer is somebody's mistake; check_postgres' second threshold for it.
const IDLES: SignedDuration = SignedDuration::from_secs(60);
/// The second of them.
const IDLES_TOO_LONG: SignedDuration = SignedDuration::from_mins(5);
/// check_postgres: parts of max_connections, in percent.
const FULL_WARNING: u32 = 90;
/// The second of them.
const FULL_FAILED: u32 = 95;
/// PgHero's count of sessions that idle in a transaction.
const MANY_IDLE: usize = 100;

/// Connections in use, of those that anybody may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saturation {
    /// In use by clients.
    pub used: u32,
    /// How many there are for roles that are no superusers.
    pub of: u32,
}

impl Saturation {
    /// Of a server.
    pub fn of(facts: &ActivityFacts) -> Self {
        Self { used: facts.connections, of: facts.server.max_connections.saturating_sub(facts.server.reserved_connections).max(1) }
    }
    /// In percent.
    pub fn percent(self) -> u32 {
        u32::try_from(u64::from(self.used) * 100 / u64::from(self.of)).unwrap_or(u32::MAX)
    }
    /// How bad that is.
    pub fn severity(self) -> Option<Severity> {
        match self.percent() {
            FULL_FAILED.. => Some(Severity::Failed),
            FULL_WARNING.. => Some(Severity::Warning),
            _ => None,
        }
    }
    /// `57 of 57 connections are in use (100 %)`.
    pub fn says(self) -> Safe {
        safe!("{} of {} connections are in use ({} %)", self.used, self.of, self.percent())
    }
}

/// How long a session does what it does.
pub fn age(backend: &Backend, now: Timestamp) -> Option<SignedDuration> {
    let since = match backend.state {
        BackendState::Active => backend.statement_at,
        _ => backend.state_at,
    };
    since.map(|since| now.duration_since(since).max(SignedDuration::ZERO))
}

/// What sessions mean, the worst first.
pub fn findings(facts: &ActivityFacts) -> Vec<Finding> {
    let now = facts.server.observed_at;
    let mut found = Vec::new();
    let saturation = Saturation::of(facts);
    if let Some(severity) = saturation.severity() {
        let idle = facts.backends.iter().filter(|b| b.is_client() && b.state == BackendState::Idle).count();
        let hint = "a pooler (PgBouncer), or CONN_MAX_AGE and fewer processes: more connections make a busy server slower";
        let finding = Finding::new("connections-nearly-used-up", severity, saturation.says());
        found.push(finding.evidence(safe!("{} of them idle", idle)).next(Hint::Try(hint.into())));
    }
    for backend in facts.backends.iter().filter(|b| b.is_client()) {
        found.extend(of_session(backend, now));
    }
    let idling = facts.backends.iter().filter(|b| b.state.idles_in_transaction()).count();
    if idling >= MANY_IDLE {
        found.push(Finding::new("many-idle-in-transaction", Severity::Warning, safe!("{} sessions idle in a transaction", idling)));
    }
    let waiting = facts.backends.iter().filter(|b| b.wait.as_ref().is_some_and(|w| w.class.as_str() == "Lock")).count();
    if waiting > 0 {
        let says = safe!("{} for a lock", units::plural(waiting, "session waits", "sessions wait"));
        found.push(Finding::new("waits-for-lock", Severity::Warning, says).next(Hint::Run("obsctl db locks".into())));
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn of_session(backend: &Backend, now: Timestamp) -> Option<Finding> {
    let age = age(backend, now)?;
    let whose: Vec<Safe> = backend.application.iter().chain(&backend.role).cloned().collect();
    let whose = if whose.is_empty() { Safe::EMPTY } else { safe!(" ({})", Safe::join(&whose, ", ")) };
    let who = safe!("session {}{}", backend.pid, whose);
    let query = |finding: Finding, words: &'static str| match &backend.query {
        Some(query) => finding.evidence(safe!("{} {}", words, query.clipped(160))),
        None => finding,
    };
    if backend.state.idles_in_transaction() && age >= IDLES {
        let severity = if age >= IDLES_TOO_LONG { Severity::Failed } else { Severity::Warning };
        let says = safe!("{} idles in a transaction for {}: it keeps its locks and its snapshot", who, units::duration(age));
        let hint = "idle_in_transaction_session_timeout for its role; and ATOMIC_REQUESTS or a slow call inside atomic() in its code";
        return Some(query(Finding::new("idle-in-transaction", severity, says), "its last statement:").next(Hint::Try(hint.into())));
    }
    if backend.state == BackendState::Active && age >= LONG {
        let severity = if age >= TOO_LONG { Severity::Failed } else { Severity::Warning };
        let waits = backend.wait.as_ref().map(|w| safe!(", waiting for {} {}", w.class, w.event)).unwrap_or_default();
        let says = safe!("{} runs one statement for {}{}", who, units::duration(age), waits);
        return Some(query(Finding::new("long-running-statement", severity, says), "it runs"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::fixtures::{backend, server};

    fn facts(backends: Vec<Backend>) -> ActivityFacts {
        let connections = u32::try_from(backends.len() + 1).expect("few");
        ActivityFacts { server: server(), backends, connections }
    }

    fn codes(facts: &ActivityFacts) -> Vec<(&'static str, Severity)> {
        findings(facts).iter().map(|f| (f.code, f.severity)).collect()
    }

    #[test]
    fn a_calm_server_has_no_findings() {
        let mut short = backend(1);
        short.state = BackendState::Active;
        short.statement_at = Some("2026-11-21T20:09:30Z".parse().expect("a time"));
        assert_eq!(codes(&facts(vec![short, Backend { state: BackendState::Idle, ..backend(2) }])), []);
    }

    #[test]
    fn what_idles_in_a_transaction_or_runs_long_is_said() {
        let mut idle = backend(1);
        idle.state = BackendState::IdleInTransaction;
        let mut long = backend(2);
        long.state = BackendState::Active;
        long.statement_at = Some("2026-11-21T20:08:00Z".parse().expect("a time"));
        let found = codes(&facts(vec![idle, long]));
        assert_eq!(found, [("idle-in-transaction", Severity::Failed), ("long-running-statement", Severity::Warning)]);
    }

    #[test]
    fn connections_are_counted_without_those_of_superusers() {
        let full = facts((0..35).map(|n| Backend { state: BackendState::Idle, ..backend(n) }).collect());
        assert_eq!(Saturation::of(&full), Saturation { used: 36, of: 37 });
        assert_eq!(codes(&full), [("connections-nearly-used-up", Severity::Failed)]);
    }
}
