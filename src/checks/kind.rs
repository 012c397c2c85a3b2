//! What a check asks, as data, and which figures each kind can compare.

use super::model::Unit;
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// A figure that a kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureKind {
    /// Its name.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// What it is, for people.
    pub says: &'static str,
}

const fn figure(name: &'static str, unit: Unit, says: &'static str) -> FigureKind {
    FigureKind { name, unit, says }
}

/// What a check asks. Equal questions are asked once.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckKind {
    /// Health endpoints, on every pod.
    Health(HealthAsk),
    /// Queues; none: all of them.
    Queue(Vec<String>),
    /// The workers of the queues.
    Workers,
    /// The scheduler.
    Beat,
    /// The Redis behind the queues.
    Redis,
    /// A database's sessions, locks, connections and lag.
    Postgres(String),
    /// One statement that reads.
    Sql(SqlAsk),
    /// Log lines.
    Logs(LogsAsk),
    /// Pods and workloads.
    Kubernetes(ClusterAsk),
    /// One question over HTTP.
    Http(HttpAsk),
    /// One connection: `host:port`.
    Tcp(ReachAsk),
    /// One TLS handshake: `host:port`.
    Tls(ReachAsk),
    /// A question to Prometheus.
    Promql(PromqlAsk),
    /// A program.
    Command(Vec<String>),
}

/// Which health endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthAsk {
    /// Apps, `deploy/x`, URLs; none: all.
    pub targets: Vec<String>,
    /// The path.
    pub path: Option<String>,
}

/// What a number that comes from elsewhere counts, and by what it is multiplied to be in our units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    /// Our unit.
    pub unit: Unit,
    /// The factor: 0.001 for milliseconds.
    pub scale: f64,
}

impl Default for Gauge {
    fn default() -> Self {
        Self { unit: Unit::Number, scale: 1.0 }
    }
}

/// A statement and what it gives.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlAsk {
    /// The database, by its name in the configuration.
    pub database: String,
    /// The statement.
    pub statement: String,
    /// What its first column counts.
    pub unit: Gauge,
}

/// Which log lines, and what of them.
#[derive(Clone, Debug, PartialEq)]
pub struct LogsAsk {
    /// Apps, workloads, files; none: all.
    pub targets: Vec<String>,
    /// How far back.
    pub since: SignedDuration,
    /// At least this bad.
    pub level: Option<String>,
    /// A regular expression that the line matches.
    pub matches: Option<String>,
    /// Fields and their values.
    pub fields: BTreeMap<String, String>,
    /// A field whose number is looked at.
    pub value: Option<String>,
    /// What that number counts.
    pub unit: Gauge,
    /// A field by whose value the numbers are told apart.
    pub by: Option<String>,
    /// The errors against the hour before, and tracebacks that are new.
    pub compared: bool,
}

/// Which pods, and how far back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterAsk {
    /// An app of the configuration or a workload; none: the whole namespace.
    pub targets: Vec<String>,
    /// How far back restarts, events and jobs count.
    pub since: SignedDuration,
    /// Only events with this reason.
    pub reason: Option<String>,
}

/// One question over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpAsk {
    /// The URL.
    pub url: String,
    /// Headers beside our own.
    pub headers: BTreeMap<String, String>,
    /// Whether something is to answer at all.
    pub reachable: bool,
    /// How long it may take.
    pub timeout: SignedDuration,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachAsk {
    /// `host:port`.
    pub address: String,
    /// Whether something is to answer at all.
    pub reachable: bool,
    /// How long it may take.
    pub timeout: SignedDuration,
}

/// A question to Prometheus.
#[derive(Clone, Debug, PartialEq)]
pub struct PromqlAsk {
    /// Where it is.
    pub url: String,
    /// The question.
    pub query: String,
    /// What its values count.
    pub unit: Gauge,
    /// How long it may take.
    pub timeout: SignedDuration,
}

use Unit::{Bytes, Count, Flag, Number, PerSecond, Seconds, Share, Text};

const HEALTH: &[FigureKind] = &[
    figure("condition", Text, "ok, degraded, unknown or failed, of each target"),
    figure("time", Seconds, "how long each target took to answer"),
    figure("status", Count, "the HTTP status of each target"),
    figure("version", Text, "the version that each pod says it runs"),
    figure("certificate", Seconds, "how long each certificate is still good"),
];
const QUEUE: &[FigureKind] = &[
    figure("oldest", Seconds, "how long the oldest task waits"),
    figure("waiting", Count, "tasks that wait"),
    figure("growth", PerSecond, "tasks per second by which it grows"),
    figure("empty_in", Seconds, "in how long it is empty, at this rate"),
    figure("delivered", Count, "tasks that workers hold and have not acknowledged"),
];
const WORKERS: &[FigureKind] = &[
    figure("heard", Count, "workers whose heartbeat was heard"),
    figure("silent", Count, "workers that are known and were not heard"),
    figure("running", Count, "tasks that run now"),
];
const BEAT: &[FigureKind] =
    &[figure("late", Flag, "whether the schedule is behind"), figure("said", Text, "what is known of its last run, in words")];
const REDIS: &[FigureKind] = &[
    figure("reachable", Flag, "whether it answers"),
    figure("memory", Share, "how full its memory is, of its limit"),
    figure("used", Bytes, "the bytes that its data takes"),
    figure("evicted", Count, "keys that it has evicted since it started"),
];
const POSTGRES: &[FigureKind] = &[
    figure("reachable", Flag, "whether it answers"),
    figure("connections", Share, "connections in use, of those that there are"),
    figure("longest_transaction", Seconds, "how long the oldest transaction is open"),
    figure("longest_statement", Seconds, "how long the longest statement has been running"),
    figure("blocked", Count, "sessions that wait for a lock"),
    figure("lag", Seconds, "how far a replica is behind"),
    figure("slow", Seconds, "the mean of the statement that is slowest on average"),
];
const SQL: &[FigureKind] = &[
    figure("value", Number, "the first column of the first row; its type is the check's `unit`"),
    figure("rows", Count, "rows that came"),
];
const LOGS: &[FigureKind] = &[
    figure("count", Count, "lines that match"),
    figure("rate", PerSecond, "lines that match, per second"),
    figure("growth", Number, "how many times the rate of the hour before"),
    figure("p50", Number, "the median of the field `value`; its type is the check's `unit`"),
    figure("p95", Number, "what 95 in 100 of the values are at most"),
    figure("max", Number, "the greatest of the values"),
];
const KUBERNETES: &[FigureKind] = &[
    figure("ready", Share, "ready pods, of those that there should be, of each workload"),
    figure("unready", Count, "pods that should be ready and are not, of each workload"),
    figure("restarts", Count, "restarts of each pod in the window"),
    figure("oom", Count, "containers that were killed at their memory limit in the window"),
    figure("image", Text, "the image of each pod"),
    figure("version", Text, "the tag of the image of each pod"),
    figure("releases", Count, "different images of each workload"),
    figure("rollout", Text, "done, under way or stuck, of each deployment"),
    figure("failed_jobs", Count, "jobs that failed in the window"),
    figure("events", Count, "warning events in the window"),
];
const HTTP: &[FigureKind] = &[
    figure("reachable", Flag, "whether it answers"),
    figure("status", Count, "the HTTP status"),
    figure("time", Seconds, "how long it took"),
    figure("body", Text, "the whole body"),
    figure("size", Bytes, "the size of the body"),
    figure("certificate", Seconds, "how long the certificate is still good"),
];
const TCP: &[FigureKind] =
    &[figure("reachable", Flag, "whether it accepts a connection"), figure("time", Seconds, "how long connecting took")];
const TLS: &[FigureKind] = &[
    figure("reachable", Flag, "whether it greets"),
    figure("time", Seconds, "how long connecting and greeting took"),
    figure("certificate", Seconds, "how long the certificate is still good"),
    figure("verified", Flag, "whether the certificate is good for this name, and signed by somebody we trust"),
    figure("issuer", Text, "who signed it"),
];
const PROMQL: &[FigureKind] =
    &[figure("value", Number, "the value of each series; its type is the check's `unit`"), figure("series", Count, "series that came")];
const COMMAND: &[FigureKind] = &[
    figure("status", Count, "its exit status"),
    figure("time", Seconds, "how long it took"),
    figure("stdout", Text, "what it printed"),
    figure("value", Number, "what it printed, as a number"),
];

impl CheckKind {
    /// Its word: the key that names it in a file.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Health(_) => "health",
            Self::Queue(_) => "queue",
            Self::Workers => "workers",
            Self::Beat => "beat",
            Self::Redis => "redis",
            Self::Postgres(_) => "postgres",
            Self::Sql(_) => "sql",
            Self::Logs(_) => "logs",
            Self::Kubernetes(_) => "kubernetes",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Promql(_) => "promql",
            Self::Command(_) => "command",
        }
    }

    /// The figures that it can compare; the first is meant where a threshold names none.
    pub fn figures(&self) -> &'static [FigureKind] {
        match self {
            Self::Health(_) => HEALTH,
            Self::Queue(_) => QUEUE,
            Self::Workers => WORKERS,
            Self::Beat => BEAT,
            Self::Redis => REDIS,
            Self::Postgres(_) => POSTGRES,
            Self::Sql(_) => SQL,
            Self::Logs(_) => LOGS,
            Self::Kubernetes(_) => KUBERNETES,
            Self::Http(_) => HTTP,
            Self::Tcp(_) => TCP,
            Self::Tls(_) => TLS,
            Self::Promql(_) => PROMQL,
            Self::Command(_) => COMMAND,
        }
    }

    /// The figure of this name, with the unit that the check gives it.
    pub fn figure(&self, name: &str) -> Option<FigureKind> {
        let found = self.figures().iter().find(|f| f.name == name).copied()?;
        let unit = match (self, found.name) {
            (Self::Sql(ask), "value") => ask.unit.unit,
            (Self::Promql(ask), "value") => ask.unit.unit,
            (Self::Logs(ask), "p50" | "p95" | "max") => ask.unit.unit,
            _ => found.unit,
        };
        Some(FigureKind { unit, ..found })
    }

    /// Whether a threshold may also name a JSONPath (`$.a`) or a header (`header NAME`).
    pub fn reads_bodies(&self) -> bool {
        matches!(self, Self::Http(_))
    }

    /// What a check of this kind wants where it has no threshold. None: it has to have one.
    pub fn own_want(&self) -> Option<&'static str> {
        Some(match self {
            Self::Health(_) => "ok on every target",
            Self::Queue(_) => "it moves, and its oldest task is young",
            Self::Workers => "every known worker is heard",
            Self::Beat => "the schedule runs",
            Self::Redis => "it answers, and keeps what it is given",
            Self::Postgres(_) => "no long transaction, nobody blocked, connections left, no lag",
            Self::Kubernetes(_) => "every pod ready, none killed, no rollout stuck",
            Self::Http(ask) if !ask.reachable => "it cannot be reached",
            Self::Http(_) => "status 200 to 399",
            Self::Tcp(ask) | Self::Tls(ask) if !ask.reachable => "it cannot be reached",
            Self::Tcp(_) => "it accepts a connection",
            Self::Tls(_) => "a certificate that is good for 14 days more",
            Self::Command(_) => "exit status 0",
            Self::Logs(ask) if ask.compared => "no more errors than in the hour before, and no new ones",
            Self::Sql(_) | Self::Logs(_) | Self::Promql(_) => return None,
        })
    }

    /// The only subjects that matter of those that were seen; none: all.
    pub fn subjects(&self) -> &[String] {
        match self {
            Self::Queue(names) => names,
            _ => &[],
        }
    }
}
