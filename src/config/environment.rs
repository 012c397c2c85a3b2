//! The merged, typed environment that a command works on. Holds what was decided, not how.

use super::{AppUrl, Broker, Endpoint, HealthSettings, NotifySettings, Origin, SecretRef, Sourced, WatchSettings};
use crate::text::Safe;
use jiff::{SignedDuration, tz::TimeZone};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A production, or without a file: wherever the kubeconfig points.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its name in the file. None: no file names one, and the kubeconfig's context is all there is.
    pub name: Option<Safe>,
    /// Where it is on Kubernetes. None: it has no Kubernetes.
    pub kube: Option<KubeTarget>,
    /// Its apps.
    pub apps: BTreeMap<String, App>,
    /// Its databases.
    pub postgres: BTreeMap<String, Endpoint>,
    /// Its Celery broker. None: the file says nothing of one, and the apps' own variables may.
    pub broker: Option<Broker>,
    /// Where Celery stores results.
    pub results: Option<Results>,
    /// How it is watched.
    pub watch: WatchSettings,
    /// Who is told when a watch finds trouble.
    pub notify: NotifySettings,
    /// Further names of a request ID in its logs.
    pub request_id_fields: Vec<String>,
    /// The zone of log times that name none.
    pub timezone: Option<TimeZone>,
    /// How long a command may take, unless a flag says otherwise.
    pub deadline: Option<SignedDuration>,
    /// The file it came from.
    pub file: Option<PathBuf>,
    /// Whether that file may run commands, read files, expand variables and send notifications. True without a file.
    pub trusted: bool,
    /// Every value with where it came from, in the order of the file, secrets masked: what `config show` prints.
    pub settings: Vec<Setting>,
    /// What its user should know before trusting the answer: a variable that overrides the named environment.
    pub warnings: Vec<Safe>,
    /// The files of libpq in the user's home.
    pub libpq: LibpqFiles,
}

/// Files that libpq reads by itself: `PGPASSFILE` or `~/.pgpass`, `PGSERVICEFILE` or `~/.pg_service.conf`.
#[derive(Clone, Debug, Default)]
pub struct LibpqFiles {
    /// Passwords by host.
    pub passfile: Option<PathBuf>,
    /// Named services.
    pub servicefile: Option<PathBuf>,
}

impl LibpqFiles {
    pub(super) fn of(vars: &super::Vars) -> Self {
        let file = |variable, name| vars.path(variable).or_else(|| Some(vars.home()?.join(name)));
        Self { passfile: file("PGPASSFILE", ".pgpass"), servicefile: file("PGSERVICEFILE", ".pg_service.conf") }
    }
}

impl Environment {
    /// All values that its endpoints of health are asked with, each once: a URL of an app has what the app has.
    pub fn of_health(&self) -> Vec<&Sourced<SecretRef>> {
        let apps = self.apps.values();
        let all = apps.flat_map(|app| app.health.values().chain(app.urls.iter().flat_map(|u| u.health.values())));
        let mut once: Vec<&Sourced<SecretRef>> = Vec::new();
        for value in all {
            if !once.iter().any(|known| known.from == value.from) {
                once.push(value);
            }
        }
        once
    }

    /// All values that lead to its databases and brokers.
    pub fn addresses(&self) -> impl Iterator<Item = &Sourced<SecretRef>> {
        let results = match &self.results {
            Some(Results::At(endpoint)) => Some(&**endpoint),
            _ => None,
        };
        let sentinel = self.broker.iter().flat_map(|b| b.transport.sentinel_user.iter().chain(&b.transport.sentinel_password));
        let endpoints = self.postgres.values().chain(self.broker.as_ref().map(|b| &b.endpoint)).chain(results);
        endpoints.flat_map(|endpoint| endpoint.values()).chain(sentinel)
    }
}

/// A place on Kubernetes. What is None is the kubeconfig's.
#[derive(Clone, Debug, Default)]
pub struct KubeTarget {
    /// The context.
    pub context: Option<Sourced<String>>,
    /// The namespace.
    pub namespace: Option<Sourced<String>>,
    /// The kubeconfig file, where the configuration names one; `KUBECONFIG` is read by `Vars::kubeconfig`.
    pub kubeconfig: Option<Sourced<PathBuf>>,
}

/// A group of pods, or a list of log files and a URL.
#[derive(Clone, Debug, Default)]
pub struct App {
    /// A label selector.
    pub selector: Option<Sourced<String>>,
    /// What owns its pods: `deployment/backend`.
    pub workload: Option<String>,
    /// The container to read.
    pub container: Option<String>,
    /// The port of its HTTP server.
    pub port: Option<u16>,
    /// How its pods are asked how they are.
    pub health: HealthSettings,
    /// Its public URLs, and how they are asked.
    pub urls: Vec<AppUrl>,
    /// Its log files.
    pub files: Vec<LogGlob>,
    /// A command that prints its log.
    pub command: Vec<String>,
    /// The zone of log times that name none.
    pub timezone: Option<TimeZone>,
    /// Further names of a request ID in its logs.
    pub request_id_fields: Vec<String>,
}

impl App {
    /// Whether its logs are read on this machine.
    pub fn logs_here(&self) -> bool {
        !self.files.is_empty() || !self.command.is_empty()
    }
}

/// A glob of log files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGlob {
    /// Absolute, ready for the `glob` crate; the folder of the file is escaped in it.
    pub pattern: String,
    /// An untrusted file names log files of its own folder only; a link can still lead out of it, so what was found is asked again.
    pub only_within: Option<PathBuf>,
}

impl LogGlob {
    /// Whether a file that the pattern found may be read. To be asked of each: links are followed here, not by the pattern.
    pub fn admits(&self, found: &Path) -> bool {
        match &self.only_within {
            None => true,
            Some(folder) => match (found.canonicalize(), folder.canonicalize()) {
                (Ok(found), Ok(folder)) => found.starts_with(folder),
                _ => false,
            },
        }
    }
}

/// Where Celery stores results.
#[derive(Clone, Debug)]
pub enum Results {
    /// In the database of this name, by django-celery-results.
    DjangoDb(Sourced<String>),
    /// In a system of their own.
    At(Box<Endpoint>),
    /// Where this value says in Celery's own words: `django-db`, a URL.
    Said(Sourced<SecretRef>),
}

/// One value of the environment, ready to be shown.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// Its key, from the environment down: `kube.context`.
    pub key: Safe,
    /// The value, or `<secret, from …>`.
    pub value: Safe,
    /// Where it came from.
    pub from: Origin,
    /// The variables that were expanded in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Safe>,
}
