//! The built-in runbook: what is worth asking of any environment of Django and Celery. No thresholds of its own: a check names the findings
//! of the analyses that it is about. The order is that of cause and effect, so that the first failure is the likeliest root.

use super::{
    kind::{CheckKind, ClusterAsk, Gauge, HealthAsk, LogsAsk},
    model::CheckRoute,
    spec::{CheckSpec, JudgedBy, OnNoData},
};
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// What an environment has.
#[derive(Clone, Debug, Default)]
pub struct Estate {
    /// Kubernetes.
    pub cluster: bool,
    /// A Celery broker, or apps whose variables may name one.
    pub broker: bool,
    /// Its databases by name; the first is the application's.
    pub databases: Vec<String>,
    /// Something that answers over HTTP.
    pub endpoints: bool,
    /// Logs that can be read.
    pub logs: bool,
}

/// How far back restarts and evictions count.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(30);

/// Findings about the Redis itself.
pub const REDIS: &[&str] = &["redis-eviction", "redis-memory", "redis-snapshot", "redis-log", "redis-replica"];
/// Findings about workers.
const WORKERS: &[&str] =
    &["silent-workers", "no-workers", "held-by-dead-worker", "hoarding", "redelivery-overdue", "redelivery-near", "duplicates-to-come"];
/// Findings about beat.
pub const BEAT: &[&str] = &["beat-late"];
const RESTARTS: &[&str] = &["pod-restarted", "pod-crash-loops", "pod-oom-killed"];
const ROLLOUT: &[&str] = &["rollout-stuck"];
const RELEASE: &[&str] = &["releases-differ"];
const EVENTS: &[&str] = &["pod-evicted", "node-in-trouble", "job-failed", "pod-not-placed"];
const NOT_PODS: &[&str] = &[
    "pod-restarted",
    "pod-crash-loops",
    "pod-oom-killed",
    "rollout-stuck",
    "releases-differ",
    "pod-evicted",
    "node-in-trouble",
    "job-failed",
    "pod-not-placed",
];
const CERTIFICATES: &[&str] = &["certificate-ends", "certificate-unverified", "certificate-refused"];
/// Said by the checks of pods, certificates and releases already.
const NOT_HEALTH: &[&str] = &[
    "certificate-ends",
    "certificate-unverified",
    "certificate-refused",
    "pod-not-ready",
    "versions-differ",
    "rollout-stuck",
    "metrics-open",
    "liveness-checks-dependencies",
];
const NOT_QUEUE: &[&str] = &[
    "redis-eviction",
    "redis-memory",
    "redis-snapshot",
    "redis-log",
    "redis-replica",
    "silent-workers",
    "no-workers",
    "held-by-dead-worker",
    "hoarding",
    "redelivery-overdue",
    "redelivery-near",
    "duplicates-to-come",
    "beat-late",
];
const CONNECTIONS: &[&str] = &["connections-nearly-used-up"];
const SESSIONS: &[&str] = &["idle-in-transaction", "long-running-statement", "many-idle-in-transaction"];
const BLOCKED: &[&str] = &["blocked-by-lock"];
const LAG: &[&str] = &["replica-paused", "replica-lags", "replica-receives-nothing", "recovery-conflicts"];

/// The findings that a check of a kind is about: those of a broker are found together, and each is somebody's.
pub fn judged_by(kind: &CheckKind) -> JudgedBy {
    match kind {
        CheckKind::Redis => JudgedBy::Codes(REDIS),
        CheckKind::Workers => JudgedBy::Codes(WORKERS),
        CheckKind::Beat => JudgedBy::Codes(BEAT),
        CheckKind::Queue(_) => JudgedBy::Others(NOT_QUEUE),
        _ => JudgedBy::All,
    }
}

/// The checks for what there is.
pub fn runbook(has: &Estate) -> Vec<CheckSpec> {
    let mut all = Vec::new();
    if has.cluster {
        let pods = || CheckKind::Kubernetes(ClusterAsk { targets: Vec::new(), since: WINDOW, reason: None });
        let check = |name: &str, judged_by, route, aim| CheckSpec { judged_by, route, aim: Some(aim), ..CheckSpec::new(name, pods()) };
        all.push(check("events", JudgedBy::Codes(EVENTS), CheckRoute::Notify, "no eviction, no failed job, no node in trouble"));
        all.push(check("restarts", JudgedBy::Codes(RESTARTS), CheckRoute::Page, "no OOM kill, fewer than 3 restarts in 30m"));
        all.push(check("rollout", JudgedBy::Codes(ROLLOUT), CheckRoute::Page, "none is stuck"));
        all.push(check("pods", JudgedBy::Others(NOT_PODS), CheckRoute::Page, "all of them ready"));
        all.push(check("release", JudgedBy::Codes(RELEASE), CheckRoute::Notify, "one everywhere"));
    }
    if has.broker {
        let check = |name: &str, kind, route, needs: &[&str]| {
            let needs = needs.iter().map(|n| (*n).to_owned()).collect();
            CheckSpec { route, needs, ..CheckSpec::new(name, kind) }
        };
        all.push(check("redis", CheckKind::Redis, CheckRoute::Page, &[]));
        all.push(check("workers", CheckKind::Workers, CheckRoute::Page, &["redis"]));
        let beat = check("beat", CheckKind::Beat, CheckRoute::Page, &["redis"]);
        // Without stored schedules there is another beat, or none.
        all.push(CheckSpec { on_no_data: OnNoData::Ok, ..beat });
        all.push(check("queues", CheckKind::Queue(Vec::new()), CheckRoute::Page, &["redis"]));
    }
    for (i, database) in has.databases.iter().enumerate() {
        let name = |what: &str| if i == 0 { what.to_owned() } else { format!("{database} {what}") };
        let first = name("postgres");
        let check = |what: &str, judged_by, route, aim| {
            let kind = CheckKind::Postgres(database.clone());
            CheckSpec { judged_by, route, aim: Some(aim), needs: vec![first.clone()], ..CheckSpec::new(name(what), kind) }
        };
        all.push(CheckSpec { needs: Vec::new(), ..check("postgres", JudgedBy::Answering, CheckRoute::Page, "it answers") });
        all.push(check("blocked", JudgedBy::Codes(BLOCKED), CheckRoute::Page, "nobody waits long for a lock"));
        all.push(check("sessions", JudgedBy::Codes(SESSIONS), CheckRoute::Notify, "no long statement, no transaction that idles"));
        all.push(check("connections", JudgedBy::Codes(CONNECTIONS), CheckRoute::Page, "fewer than 90 % in use"));
        all.push(check("lag", JudgedBy::Codes(LAG), CheckRoute::Notify, "a replica less than 30 s behind"));
    }
    if has.endpoints {
        let health = || CheckKind::Health(HealthAsk::default());
        let mut check =
            CheckSpec { judged_by: JudgedBy::Others(NOT_HEALTH), route: CheckRoute::Page, ..CheckSpec::new("health", health()) };
        all.push(check.clone());
        check.name = "certificates".into();
        all.push(CheckSpec {
            judged_by: JudgedBy::Codes(CERTIFICATES),
            aim: Some("good for 14 days more"),
            route: CheckRoute::Notify,
            on_no_data: OnNoData::Ok,
            ..check
        });
    }
    if has.logs {
        let logs = LogsAsk {
            targets: Vec::new(),
            since: SignedDuration::from_mins(10),
            level: Some("error".into()),
            matches: None,
            fields: BTreeMap::new(),
            value: None,
            unit: Gauge::default(),
            by: None,
            compared: true,
        };
        all.push(CheckSpec { route: CheckRoute::Notify, ..CheckSpec::new("errors", CheckKind::Logs(logs)) });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_what_there_is_and_needs_what_it_asks() {
        let all = Estate { cluster: true, broker: true, databases: vec!["main".into(), "replica".into()], endpoints: true, logs: true };
        let specs = runbook(&all);
        let names: std::collections::BTreeSet<&str> = specs.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names.len(), specs.len());
        assert!(specs.iter().flat_map(|s| &s.needs).all(|need| names.contains(need.as_str())));
        assert!(specs.iter().all(|s| s.kind.own_want().is_some()));
        assert!(runbook(&Estate::default()).is_empty());
    }
}
