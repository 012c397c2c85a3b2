//! The configuration file: its raw form (which is also its JSON Schema), its parsing and its errors. Resolves no value and knows nothing
//! of precedence or trust. An error never shows a value, nor a neighbouring line: a password may stand there.

use super::{
    endpoint::Via,
    explain::explain,
    health::{RawHealth, RawUrl, Short},
    notify::RawNotify,
    reference::RawValue,
    watch::RawWatch,
};
use crate::{
    error::{Error, Kind},
    safe,
    text::Safe,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};
use std::{borrow::Cow, fmt, marker::PhantomData, path::Path};

/// The largest file that is read. Nobody writes more by hand; `--config /dev/zero` ends here.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// What every error of the configuration was doing.
pub(super) const READING: &str = "reading the configuration";

/// A line and a column of the file, both from 1; 0 where the parser could not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Place {
    fn of(at: &Location) -> Self {
        let fit = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: fit(at.line()), column: fit(at.column()) }
    }
    /// `file:line:column`, as editors and terminals understand it.
    pub fn in_file(self, path: &Path) -> Safe {
        safe!("{}:{}:{}", shown(path), self.line, self.column)
    }
    /// The error at this place.
    pub fn error(self, path: &Path, what: &Safe) -> Error {
        Error::new(Kind::Config, READING).what(safe!("{}: {}", self.in_file(path), *what))
    }
}

/// A path as people read it.
pub(super) fn shown(path: &Path) -> Safe {
    Safe::name(path.as_os_str().as_encoded_bytes())
}

/// A value and its place.
#[derive(Clone)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(from)?;
        // Of an alias, the place where the value is written, not where it is used.
        Ok(Self { place: Place::of(&spanned.defined), value: spanned.value })
    }
}

/// A key that may be left out, but not left empty: `namespace:` with nothing behind it would mean another namespace than its writer thinks.
#[derive(Clone)]
pub struct Opt<T>(pub Option<T>);

impl<T> Default for Opt<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Opt<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(from).map(|value| Self(Some(value)))
    }
}

/// Names and what they stand for, in the order of the file.
pub(super) struct Entries<T>(pub Vec<(At<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Entries<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names, each with its settings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(Visit(PhantomData))
    }
}

/// The wrappers have the schema of what they hold.
macro_rules! transparent_schema {
    ($($wrapper:ident),*) => { $(
        impl<T: JsonSchema> JsonSchema for $wrapper<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }
            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }
            fn schema_id() -> Cow<'static, str> {
                T::schema_id()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )* };
}
transparent_schema!(At, Opt);

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$"},
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}

/// The configuration of obsctl: named environments, and which one is meant when none is named.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the configuration: `environments:` and what they hold")]
#[schemars(rename = "obsctl")]
pub(super) struct RawFile {
    /// The environment that is used without -e.
    pub default_environment: Opt<At<String>>,
    /// The environments by name: production, staging.
    pub environments: Entries<RawEnvironment>,
}

/// One production: its cluster, apps, databases and brokers.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of an environment")]
#[schemars(rename = "environment")]
pub(super) struct RawEnvironment {
    /// Where it runs on Kubernetes. Without it, an environment whose apps are files and URLs has no Kubernetes.
    pub kube: Opt<RawKube>,
    /// The apps by name: backend, celery.
    pub apps: Entries<RawApp>,
    /// The PostgreSQL databases by name; `main` is the usual one.
    pub postgres: Entries<At<RawPostgres>>,
    /// The Celery broker.
    pub broker: Opt<At<RawBroker>>,
    /// Where Celery stores results.
    pub results: Opt<At<RawResults>>,
    /// How it is watched.
    pub watch: Opt<RawWatch>,
    /// Who is told when a watch finds trouble.
    pub notify: Opt<RawNotify>,
    /// Further names under which this environment's logs write a request ID.
    pub request_id_fields: Vec<At<String>>,
    /// The zone of log times that name none: Europe/Istanbul, +03:00.
    pub timezone: Opt<At<String>>,
    /// How long a command may take, unless --deadline says otherwise: 30s, 2m.
    pub deadline: Opt<At<String>>,
}

/// A place on Kubernetes. What is left out is the kubeconfig's.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of Kubernetes: context, namespace")]
#[schemars(rename = "kube")]
pub(super) struct RawKube {
    /// A context of the kubeconfig.
    pub context: Opt<At<String>>,
    /// The namespace.
    pub namespace: Opt<At<String>>,
    /// Another kubeconfig file than the usual one.
    pub kubeconfig: Opt<At<String>>,
}

/// A group of pods that do the same, or a list of log files and a URL.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of an app")]
#[schemars(rename = "app")]
pub(super) struct RawApp {
    /// A label selector, as of kubectl -l: app=backend.
    pub selector: Opt<At<String>>,
    /// What owns the pods, in place of a selector: deployment/backend.
    pub workload: Opt<At<String>>,
    /// The container, where a pod has several.
    pub container: Opt<At<String>>,
    /// The port of its HTTP server.
    pub port: Opt<At<u16>>,
    /// The path of its health endpoint (/api/health/), or how it is asked.
    pub health: Opt<At<Short<RawHealth>>>,
    /// Its public URL.
    pub url: Opt<At<String>>,
    /// Further URLs, each asked as it says itself: other regions, single machines behind a balancer.
    pub urls: Vec<At<Short<RawUrl>>>,
    /// Log files, as globs; relative ones start at the folder of this file.
    pub files: Vec<At<String>>,
    /// A command that prints its log, run without a shell: [docker, compose, logs, web]. Under obsctl logs -f it is given --follow.
    pub command: Opt<At<Vec<String>>>,
    /// The zone of log times that name none.
    pub timezone: Opt<At<String>>,
    /// Further names under which this app's logs write a request ID.
    pub request_id_fields: Vec<At<String>>,
}

/// A PostgreSQL database: a URL, or its parts. With neither, it is what the apps' own variables name.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of a database: url, or host, port, user, password, dbname")]
#[schemars(rename = "postgres")]
pub(super) struct RawPostgres {
    /// postgres://user:password@host:port/dbname.
    pub url: Opt<At<RawValue>>,
    /// The host.
    pub host: Opt<At<RawValue>>,
    /// The port.
    pub port: Opt<At<RawValue>>,
    /// The role.
    pub user: Opt<At<RawValue>>,
    /// Its password.
    pub password: Opt<At<RawValue>>,
    /// The database.
    pub dbname: Opt<At<RawValue>>,
    /// The way there.
    pub via: Opt<At<Via>>,
    /// The app whose pod relays the bytes with `via: exec`.
    pub relay: Opt<At<String>>,
    /// The certificate authority that signed the server's certificate, in PEM form; without it, those of this machine.
    pub ca: Opt<At<RawValue>>,
    /// A client certificate, in PEM form.
    pub cert: Opt<At<RawValue>>,
    /// Its private key.
    pub key: Opt<At<RawValue>>,
    /// false: the server's certificate is not verified, and every answer warns of it.
    pub verify: Opt<At<bool>>,
}

/// A Celery broker: a URL, or its parts. With neither, it is what the apps' own variables name.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of a broker: url, or host, port, user, password, db")]
#[schemars(rename = "broker")]
pub(super) struct RawBroker {
    /// redis://:password@host:port/db, as Celery has it.
    pub url: Opt<At<RawValue>>,
    /// The host.
    pub host: Opt<At<RawValue>>,
    /// The port.
    pub port: Opt<At<RawValue>>,
    /// The user.
    pub user: Opt<At<RawValue>>,
    /// Its password.
    pub password: Opt<At<RawValue>>,
    /// The number of the Redis database.
    pub db: Opt<At<RawValue>>,
    /// The way there.
    pub via: Opt<At<Via>>,
    /// The app whose pod relays the bytes with `via: exec`.
    pub relay: Opt<At<String>>,
    /// The certificate authority that signed the server's certificate, in PEM form; without it, those of this machine.
    pub ca: Opt<At<RawValue>>,
    /// A client certificate, in PEM form.
    pub cert: Opt<At<RawValue>>,
    /// Its private key.
    pub key: Opt<At<RawValue>>,
    /// false: the server's certificate is not verified, and every answer warns of it.
    pub verify: Opt<At<bool>>,
    /// The name of the master that sentinels watch, as `master_name` of broker_transport_options.
    pub master_name: Opt<At<String>>,
    /// The user of the sentinels, where they have one of their own.
    pub sentinel_user: Opt<At<RawValue>>,
    /// Its password.
    pub sentinel_password: Opt<At<RawValue>>,
    /// As `visibility_timeout` of broker_transport_options, with its unit: 1h. Celery's own is 1h.
    pub visibility_timeout: Opt<At<String>>,
    /// As `global_keyprefix` of broker_transport_options.
    pub key_prefix: Opt<At<String>>,
    /// As `priority_steps` of broker_transport_options; Celery's own are [0, 3, 6, 9].
    pub priority_steps: Opt<At<Vec<u8>>>,
    /// As `sep` of broker_transport_options.
    pub sep: Opt<At<String>>,
    /// As `unacked_key` of broker_transport_options.
    pub unacked_key: Opt<At<String>>,
    /// As `unacked_index_key` of broker_transport_options.
    pub unacked_index_key: Opt<At<String>>,
    /// The queues; without them they are discovered.
    pub queues: Vec<At<String>>,
    /// When a queue is called bad.
    pub thresholds: Opt<At<RawThresholds>>,
}

/// When a queue is called bad.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "thresholds: oldest_warning, oldest_failed, growing_oldest_failed, empty_in_warning, stuck_after"
)]
#[schemars(rename = "thresholds")]
pub(super) struct RawThresholds {
    /// A warning when the oldest task waits longer: 2m.
    pub oldest_warning: Opt<At<String>>,
    /// Failed when the oldest task waits longer: 10m.
    pub oldest_failed: Opt<At<String>>,
    /// Failed when the queue grows and its oldest task waits longer: 5m.
    pub growing_oldest_failed: Opt<At<String>>,
    /// A warning when emptying the queue takes longer at this rate: 10m.
    pub empty_in_warning: Opt<At<String>>,
    /// Failed when nothing moved for longer, and workers are free: 60s.
    pub stuck_after: Opt<At<String>>,
}

/// Celery's results: in one of the databases, or behind a URL.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "the settings of the results: django_db or url")]
#[schemars(rename = "results")]
pub(super) struct RawResults {
    /// The name under `postgres:` of the database that django-celery-results writes to.
    pub django_db: Opt<At<String>>,
    /// The URL of another result backend.
    pub url: Opt<At<RawValue>>,
    /// The way there.
    pub via: Opt<At<Via>>,
}

/// The JSON Schema of the file, made from the types that read it, so that the two cannot drift apart.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawFile).to_value()
}

/// Reads the raw form. Never panics, whatever the bytes.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<RawFile, Error> {
    read_yaml(bytes, path)
}

/// Reads a file of strict keys, each with its place. An empty file is the default. Never panics, whatever the bytes.
///
/// # Errors
/// `Config`, with `file:line:column` and words that quote nothing of the file.
pub fn read_yaml<T: serde::de::DeserializeOwned + Default>(bytes: &[u8], path: &Path) -> Result<T, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::new(Kind::Config, READING).what(safe!("{}: larger than 1 MiB", shown(path))));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let fit = |n| u32::try_from(n).unwrap_or(u32::MAX);
            let place = Place {
                line: fit(before.matches('\n').count() + 1),
                column: fit(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1),
            };
            return Err(place.error(path, &"not UTF-8".into()));
        }
    };
    // An empty file, or one of comments only, configures nothing; the parser would call it a null.
    if text.trim_start_matches('\u{feff}').lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#')) {
        return Ok(T::default());
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        emit_comments: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| Place::of(&at)).unwrap_or_default();
        place.error(path, &explain(&error))
    })
}
