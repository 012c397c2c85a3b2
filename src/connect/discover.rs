//! Where the application itself says that its broker and its database are: the variables of its own containers, as a URL or in parts.
//! Reads specifications and the objects that they name; nothing is guessed from the names of Services.

use super::{
    kube::{Ask, encode},
    route::RelayPods,
    secret::Secrets,
    service, variables,
};
use crate::{
    answer::Hint,
    config::App,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use k8s_openapi::api::core::v1::{Container, Pod};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

/// The variables that hold a whole URL, the most telling first.
pub(super) const BROKER_URLS: &[&str] = &["CELERY_BROKER_URL", "BROKER_URL", "CELERY_BROKER", "REDIS_URL"];
/// Those that say where Celery stores results, as a URL or as `django-db`.
const RESULT_BACKENDS: &[&str] = &["CELERY_RESULT_BACKEND", "CELERY_RESULT_BACKEND_URL", "RESULT_BACKEND"];
/// The same for a database.
pub(super) const DATABASE_URLS: &[&str] = &["DATABASE_URL", "POSTGRES_URL", "POSTGRESQL_URL"];

/// Variables that together say where something is; each part has several usual names.
pub(super) struct Parts {
    pub host: &'static [&'static str],
    pub port: &'static [&'static str],
    pub user: &'static [&'static str],
    pub password: &'static [&'static str],
    pub database: &'static [&'static str],
}

/// A Redis in parts.
pub(super) const REDIS: Parts = Parts {
    host: &["CELERY_BROKER_HOST", "REDIS_HOST", "REDIS_HOSTNAME"],
    port: &["CELERY_BROKER_PORT", "REDIS_PORT"],
    user: &["REDIS_USER", "REDIS_USERNAME"],
    password: &["CELERY_BROKER_PASSWORD", "REDIS_PASSWORD"],
    database: &["CELERY_BROKER_DB", "REDIS_DB"],
};
/// A PostgreSQL in parts.
pub(super) const POSTGRES: Parts = Parts {
    host: &["POSTGRES_HOST", "PGHOST", "DB_HOST", "DATABASE_HOST", "SQL_HOST"],
    port: &["POSTGRES_PORT", "PGPORT", "DB_PORT", "DATABASE_PORT", "SQL_PORT"],
    user: &["POSTGRES_USER", "PGUSER", "DB_USER", "DATABASE_USER", "SQL_USER"],
    password: &["POSTGRES_PASSWORD", "PGPASSWORD", "DB_PASSWORD", "DB_PASS", "DATABASE_PASSWORD", "SQL_PASSWORD"],
    database: &["POSTGRES_DB", "PGDATABASE", "DB_NAME", "DATABASE_NAME", "SQL_DATABASE"],
};

/// What the application says.
pub(super) enum Said {
    Url(SecretString),
    Parts {
        host: SecretString,
        port: Option<SecretString>,
        user: Option<SecretString>,
        password: Option<SecretString>,
        database: Option<SecretString>,
    },
}

/// What was found, and where.
pub(super) struct Found {
    pub said: Said,
    /// `pod backend-1 variable CELERY_BROKER_URL`.
    pub at: Safe,
    /// What its user should know: apps that do not agree.
    pub warnings: Vec<Safe>,
}

/// A container that may know.
struct Candidate {
    pod: String,
    container: Container,
}

/// Asks the containers of the apps; without apps, those of the namespace.
///
/// # Errors
/// `NotFound` where no variable says it; `Denied` where a variable may, and what it stands in may not be read.
pub(super) async fn find(what: &'static str, urls: &[&'static str], parts: &Parts, secrets: &Secrets, apps: &[RelayPods]) -> Result<Found> {
    let candidates = candidates(secrets, apps).await?;
    let mut looked = Looked { secrets, candidates: &candidates, refused: None };
    // `CELERY_BROKER=redis` names a kind, not a place.
    if let Some(found) = looked.agreed(urls, |value| value.contains("://")).await? {
        return Ok(found);
    }
    for candidate in &candidates {
        // A Secret that was refused as a whole may hold the rest, a password above all.
        if let Some((name, host)) = looked.at(candidate, parts.host).await? {
            let mut part = async |names| Ok::<_, Error>(looked.at(candidate, names).await?.map(|(_, value)| value));
            let said = Said::Parts {
                host,
                port: part(parts.port).await?,
                user: part(parts.user).await?,
                password: part(parts.password).await?,
                database: part(parts.database).await?,
            };
            let at = safe!("pod {} variables {}, …", Safe::name(&candidate.pod), name);
            if let (Said::Parts { password: None, .. }, Some(refused)) = (&said, looked.refused.take()) {
                return Err(refused);
            }
            return Ok(Found { said, at, warnings: Vec::new() });
        }
    }
    Err(looked.refused.unwrap_or_else(|| {
        let names: Vec<Safe> = urls.iter().chain(parts.host.iter().take(2)).map(|n| Safe::from(*n)).collect();
        Error::new(Kind::NotFound, safe!("looking for the {} in the variables of the apps", what))
            .what(safe!("none of {} stands in a running pod of namespace {}", Safe::join(&names, ", "), Safe::name(secrets.namespace())))
            .hint(Hint::Set(safe!("{}: {{url: {{secret: NAME, key: KEY}}}} in the configuration", what)))
    }))
}

/// Where Celery stores results, in its own words. None: no variable says it.
///
/// # Errors
/// `Denied` where a variable may say it, and what it stands in may not be read.
pub(super) async fn result_backend(secrets: &Secrets, apps: &[RelayPods]) -> Result<Option<Found>> {
    let candidates = candidates(secrets, apps).await?;
    let mut looked = Looked { secrets, candidates: &candidates, refused: None };
    match looked.agreed(RESULT_BACKENDS, |_| true).await? {
        None => looked.refused.map_or(Ok(None), Err),
        found => Ok(found),
    }
}

/// Containers that are being looked into, and the first refusal among the objects that may hold what they lack.
struct Looked<'a> {
    secrets: &'a Secrets,
    candidates: &'a [Candidate],
    refused: Option<Error>,
}

impl Looked<'_> {
    /// The first of these variables that a container gets with a value.
    async fn at(&mut self, candidate: &Candidate, names: &[&'static str]) -> Result<Option<(&'static str, SecretString)>> {
        for name in names {
            if !variables::may_have(&candidate.container, name) {
                continue;
            }
            match variables::lookup(self.secrets, &candidate.container, name).await {
                Ok(Some(value)) if !value.expose_secret().trim().is_empty() => {
                    return Ok(Some((*name, SecretString::from(value.expose_secret().trim().to_owned()))));
                }
                Ok(_) => {}
                // It is there by name: another variable in its place would be a guess.
                Err(error) if variables::is_named(&candidate.container, name) => return Err(error),
                Err(error) => {
                    self.refused.get_or_insert(error);
                }
            }
        }
        Ok(None)
    }

    /// The first variable that any container has with such a value; a warning where others have it with another.
    async fn agreed(&mut self, variables: &[&'static str], is_one: fn(&str) -> bool) -> Result<Option<Found>> {
        for variable in variables {
            let mut all: Vec<(&Candidate, SecretString)> = Vec::new();
            for candidate in self.candidates {
                if let Some((_, value)) = self.at(candidate, &[*variable]).await?.filter(|(_, value)| is_one(value.expose_secret())) {
                    all.push((candidate, value));
                }
            }
            let mut all = all.into_iter();
            if let Some((first, value)) = all.next() {
                let differs = all.find(|(_, other)| other.expose_secret() != value.expose_secret());
                let warnings = differs.map(|(other, _)| {
                    safe!(
                        "{} of pod {} has another value: the one of pod {} is used",
                        *variable,
                        Safe::name(&other.pod),
                        Safe::name(&first.pod)
                    )
                });
                let at = safe!("pod {} variable {}", Safe::name(&first.pod), *variable);
                return Ok(Some(Found { said: Said::Url(value), at, warnings: warnings.into_iter().collect() }));
            }
        }
        Ok(None)
    }
}

/// The containers of running pods, each kind once: those of Celery first, which use the broker themselves.
async fn candidates(secrets: &Secrets, apps: &[RelayPods]) -> Result<Vec<Candidate>> {
    let everywhere = [RelayPods { name: "any pod".into(), selector: String::new(), container: None }];
    let groups = if apps.is_empty() { &everywhere } else { apps };
    let mut kinds: BTreeMap<String, Candidate> = BTreeMap::new();
    for RelayPods { selector, container: only, .. } in groups {
        let namespace = secrets.namespace();
        let path = format!("/api/v1/namespaces/{}/pods?labelSelector={}", encode(&namespace), encode(selector));
        let ask = Ask::new("looking at the variables of the apps".into(), path, "list", "pods", Some(&namespace));
        let pods: Vec<Pod> = secrets.cluster()?.list(&ask).await?;
        for pod in pods.into_iter().filter(|pod| service::ready(pod) || is_running(pod)) {
            let (Some(name), Some(spec)) = (pod.metadata.name, pod.spec) else { continue };
            for container in spec.containers {
                if only.as_ref().is_some_and(|only| *only != container.name) {
                    continue;
                }
                let words = container.command.iter().chain(&container.args).flatten();
                let celery = if words.clone().any(|word| word.contains("celery")) { 0 } else { 1 };
                let text = |part: serde_json::Result<String>| part.unwrap_or_default();
                let kind = [
                    format!("{celery}{}", container.name),
                    text(serde_json::to_string(&container.env)),
                    text(serde_json::to_string(&container.env_from)),
                ];
                kinds.entry(kind.join("\n")).or_insert(Candidate { pod: name.clone(), container });
            }
        }
    }
    Ok(kinds.into_values().collect())
}

fn is_running(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running")
}

/// The pods of the configured apps, the named one first. A workload's selector is read from it.
///
/// # Errors
/// As `Cluster::get` for a workload.
pub async fn pods_of(apps: &BTreeMap<String, App>, first: Option<&str>, secrets: &Secrets) -> Result<Vec<RelayPods>> {
    let mut all = Vec::new();
    for (name, app) in apps.iter().filter(|(name, _)| first.is_none_or(|first| first == name.as_str())) {
        let selector = match (&app.selector, &app.workload) {
            (Some(selector), _) => selector.value.clone(),
            (None, Some(workload)) => {
                let Some((kind, workload)) = workload.split_once('/') else { continue };
                let raw = variables::workload(secrets, kind, workload).await?;
                let labels = raw.pointer("/spec/selector/matchLabels").and_then(serde_json::Value::as_object).cloned().unwrap_or_default();
                let labels = labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
                labels.collect::<Vec<_>>().join(",")
            }
            (None, None) => continue,
        };
        if !selector.is_empty() {
            all.push(RelayPods { name: Safe::name(name), selector, container: app.container.clone() });
        }
    }
    Ok(all)
}
