//! Whether the Redis of a broker keeps what it is given.

use crate::{
    answer::{Finding, Hint, Severity},
    celery::model::{DepthFacts, ServerRole},
    safe,
    text::units,
};

/// Fuller than this is near the end.
const NEARLY_FULL: f64 = 0.9;

pub(super) fn findings(facts: &DepthFacts) -> Vec<Finding> {
    let server = &facts.server;
    let mut found = Vec::new();
    let full = server.full();
    if let Some(policy) = server.eviction.as_ref().filter(|policy| policy.starts_with("allkeys")) {
        let nearly = full.is_some_and(|full| full > NEARLY_FULL);
        let limited = server.memory_limit.is_some();
        let severity = match (nearly, limited) {
            (true, _) => Severity::Failed,
            (false, true) => Severity::Warning,
            // Without a limit nothing is evicted, until somebody sets one.
            (false, false) => Severity::Info,
        };
        let evicted = server.evicted.filter(|n| *n > 0).map(|n| safe!("{} keys were evicted since it started", units::count(n)));
        found.push(
            Finding::new("redis-eviction", severity, safe!("Redis may evict queued tasks: its policy is {}", policy))
                .evidence(evicted.unwrap_or_else(|| "no key was evicted yet".into()))
                .next(Hint::Set("maxmemory-policy noeviction: then a full Redis refuses new tasks, and loses none".into())),
        );
    } else if let Some(full) = full.filter(|full| *full > NEARLY_FULL) {
        let severity = if full >= 1.0 { Severity::Failed } else { Severity::Warning };
        let says = safe!("Redis' memory is {:.0} % full: at its limit it refuses new tasks", (full * 100.0).floor());
        found.push(Finding::new("redis-memory", severity, says).next(Hint::Set("maxmemory: more, or fewer keys beside the queues".into())));
    }
    if server.snapshot_ok == Some(false) {
        let says = "Redis could not write its last snapshot: unless stop-writes-on-bgsave-error is no, it refuses new tasks";
        found.push(
            Finding::new("redis-snapshot", Severity::Failed, says.into())
                .next(Hint::Try("its log says why: disk full, or no memory to fork".into())),
        );
    }
    if server.log_ok == Some(false) {
        let says = "Redis could not write its append-only file: it refuses new tasks";
        found.push(
            Finding::new("redis-log", Severity::Failed, says.into())
                .next(Hint::Try("its log says why: the disk is full, most often".into())),
        );
    }
    if server.role == Some(ServerRole::Replica) {
        let lag = if server.link_up == Some(false) { "; it has lost its primary, so they stand still" } else { "" };
        found.push(
            Finding::new("redis-replica", Severity::Warning, safe!("this Redis is a replica: its numbers may lag{}", lag))
                .next(Hint::Set("broker.url: the primary, which the workers use".into())),
        );
    }
    found
}
