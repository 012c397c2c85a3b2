//! The form of a file of checks, which is also its JSON Schema. Knows nothing of what the values mean.

use crate::config::{At, Opt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// One text or several; `true` and `all` are none in particular.
#[derive(Clone, Default)]
pub(super) struct Texts(pub Vec<At<String>>, pub Option<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one text, or a list of texts")
            }
            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(Vec::new(), Some(text.to_owned())))
            }
            fn visit_bool<E>(self, yes: bool) -> Result<Texts, E> {
                Ok(Texts(Vec::new(), Some(if yes { "all" } else { "false" }.to_owned())))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Texts, E> {
                Ok(Texts(Vec::new(), Some(n.to_string())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element::<At<String>>()? {
                    all.push(one);
                }
                Ok(Texts(all, None))
            }
        }
        from.deserialize_any(Visit)
    }
}

impl JsonSchema for Texts {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "texts".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string"}, {"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]})
    }
}

/// Checks: what is asserted over everything that obsctl can see.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a file of checks: `checks:` and a list of them")]
#[schemars(rename = "obsctl-checks")]
pub(super) struct RawChecks {
    /// Further files, from the folder of this one.
    pub include: Opt<At<Texts>>,
    /// What holds for each check of this file that does not say otherwise.
    pub defaults: Opt<RawDefaults>,
    /// The checks.
    pub checks: Vec<At<RawCheck>>,
}

/// What holds for each check of a file.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "defaults: for, route, runbook, needs, on_no_data, tags, timeout, since")]
#[schemars(rename = "defaults")]
pub(super) struct RawDefaults {
    /// For how long it must be bad before it counts: 5m.
    #[serde(rename = "for")]
    pub lasts: Opt<At<String>>,
    /// Who is to hear of it: page, notify or record.
    pub route: Opt<At<RawRoute>>,
    /// Where it is written what to do.
    pub runbook: Opt<At<String>>,
    /// Names of checks without which these say nothing.
    pub needs: Opt<At<Texts>>,
    /// What a check is where there is nothing to compare: unknown (the default), fail, warn or ok.
    pub on_no_data: Opt<At<RawOnNoData>>,
    /// Tags, for --only.
    pub tags: Opt<At<Texts>>,
    /// How long one question may take: 10s.
    pub timeout: Opt<At<String>>,
    /// How far back logs, restarts and events count: 10m.
    pub since: Opt<At<String>>,
}

/// Who is to hear of it.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "route")]
pub(super) enum RawRoute {
    /// Somebody is woken.
    Page,
    /// Somebody reads it at work.
    Notify,
    /// It is kept.
    Record,
}

/// What a check is where there is nothing to compare.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "on_no_data")]
pub(super) enum RawOnNoData {
    /// Not found out.
    Unknown,
    /// A failure.
    Fail,
    /// A warning.
    Warn,
    /// As it should be.
    Ok,
}

/// What a number counts.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "unit")]
pub(super) enum RawUnit {
    /// Anything.
    Number,
    /// Things.
    Count,
    /// Seconds; thresholds are durations.
    Seconds,
    /// Milliseconds; thresholds are durations.
    Ms,
    /// Bytes; thresholds are sizes.
    Bytes,
    /// 0 to 100; thresholds are shares.
    Percent,
    /// 0 to 1; thresholds are shares.
    Share,
    /// Per second.
    PerSecond,
    /// Words.
    Text,
}

/// One check: one of health, queue, workers, beat, redis, postgres, sql, logs, kubernetes, http, tcp, tls, promql and command, and when that
/// is bad. Without thresholds the verdict is that of obsctl's own command.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a check: what it asks (queue: mail), and when that is bad (fail: oldest > 5m)")]
#[schemars(rename = "check")]
pub(super) struct RawCheck {
    /// Its name, unique in all files; without it, what it asks.
    pub name: Opt<At<String>>,
    /// Health endpoints on every pod: an app, deploy/x, a URL, several, or all.
    pub health: Opt<At<Texts>>,
    /// Queues, or all.
    pub queue: Opt<At<Texts>>,
    /// true: the workers.
    pub workers: Opt<At<bool>>,
    /// true: the scheduler.
    pub beat: Opt<At<bool>>,
    /// true: the Redis behind the queues.
    pub redis: Opt<At<bool>>,
    /// A database, by its name in the configuration.
    pub postgres: Opt<At<String>>,
    /// A SELECT; its first column is `value`. Runs in a read-only transaction, after what it calls was screened.
    pub sql: Opt<At<String>>,
    /// Logs of an app, a workload, files, several, or all.
    pub logs: Opt<At<Texts>>,
    /// Pods of an app or a workload, several, or all.
    pub kubernetes: Opt<At<Texts>>,
    /// A URL.
    pub http: Opt<At<String>>,
    /// host:port.
    pub tcp: Opt<At<String>>,
    /// host:port.
    pub tls: Opt<At<String>>,
    /// A question to Prometheus.
    pub promql: Opt<At<String>>,
    /// A program and its arguments.
    pub command: Opt<At<Vec<String>>>,

    /// What is a warning: `oldest > 2m`, or several of which one is enough.
    pub warn: Opt<At<Texts>>,
    /// What is a failure.
    pub fail: Opt<At<Texts>>,
    /// What has to hold, on every subject: `version == ${TAG}`. All of them.
    pub want: Opt<At<Texts>>,
    /// For how long it must be so before it counts: 5m.
    #[serde(rename = "for")]
    pub lasts: Opt<At<String>>,
    /// Who is to hear of it: page, notify or record.
    pub route: Opt<At<RawRoute>>,
    /// Where it is written what to do.
    pub runbook: Opt<At<String>>,
    /// Names of checks without which this one says nothing.
    pub needs: Opt<At<Texts>>,
    /// What it is where there is nothing to compare.
    pub on_no_data: Opt<At<RawOnNoData>>,
    /// Tags, for --only.
    pub tags: Opt<At<Texts>>,
    /// How long one question may take (http, tcp, tls, promql): 10s.
    pub timeout: Opt<At<String>>,

    /// Of sql: the database; without it, main.
    pub database: Opt<At<String>>,
    /// Of sql, promql and logs with `value`: what the number counts.
    pub unit: Opt<At<RawUnit>>,
    /// Of logs and kubernetes: how far back. Without it 10m and 30m.
    pub since: Opt<At<String>>,
    /// Of logs: at least this bad: error.
    pub level: Opt<At<String>>,
    /// Of logs: a regular expression that the line matches.
    #[serde(rename = "match")]
    pub matches: Opt<At<String>>,
    /// Of logs: fields and their values.
    pub fields: Opt<At<BTreeMap<String, String>>>,
    /// Of logs: a field whose number is looked at: duration_ms.
    pub value: Opt<At<String>>,
    /// Of logs: a field by whose value the numbers are told apart: path.
    pub by: Opt<At<String>>,
    /// Of kubernetes: only events with this reason.
    pub reason: Opt<At<String>>,
    /// Of health: the path.
    pub path: Opt<At<String>>,
    /// Of http: headers beside our own.
    pub headers: Opt<At<BTreeMap<String, String>>>,
    /// Of http, tcp and tls: false where nothing may answer.
    pub reachable: Opt<At<bool>>,
    /// Of promql: where Prometheus is.
    pub url: Opt<At<String>>,
}
