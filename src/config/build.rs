//! From the raw file to the typed environment, part by part: what stands beside what, and what is left out. Single values are `value`'s.
//! Reads no file, opens no connection.

use super::{
    Action, Address, AddressParts, App, Broker, Endpoint, Environment, KubeTarget, LibpqFiles, NotifySettings, Origin, Results, SecretRef,
    Setting, Sourced, TlsSettings, Vars, Via, WatchSettings,
    file::{At, Place, RawApp, RawEnvironment, RawKube, RawResults, shown},
    nearest,
    reference::RawValue,
    trust::Source,
};
use crate::{answer::Hint, error::Error, safe, text::Safe};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What flags and variables say of the place on Kubernetes.
#[derive(Default)]
pub(super) struct Picked {
    pub context: Option<Sourced<String>>,
    pub namespace: Option<Sourced<String>>,
    pub kubeconfig: Option<Sourced<PathBuf>>,
}

/// Something wrong at a place of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub place: Place,
    pub what: Safe,
    pub hint: Option<Hint>,
}

impl Problem {
    /// As an error.
    pub fn error(&self, path: &Path) -> Error {
        let error = self.place.error(path, &self.what);
        match &self.hint {
            Some(hint) => error.hint(hint.clone()),
            None => error,
        }
    }
}

/// An endpoint's raw parts, of any system.
#[derive(Default)]
pub(super) struct Parts<'r> {
    pub url: Option<&'r At<RawValue>>,
    pub host: Option<&'r At<RawValue>>,
    pub port: Option<&'r At<RawValue>>,
    pub user: Option<&'r At<RawValue>>,
    pub password: Option<&'r At<RawValue>>,
    pub database: Option<(&'static str, &'r At<RawValue>)>,
    pub via: Option<&'r At<Via>>,
    pub relay: Option<&'r At<String>>,
    pub ca: Option<&'r At<RawValue>>,
    pub cert: Option<&'r At<RawValue>>,
    pub key: Option<&'r At<RawValue>>,
    pub verify: Option<&'r At<bool>>,
    /// The names of the apps, for `relay`.
    pub apps: Vec<&'r str>,
    /// Whether an address that the file does not name can be that of the apps.
    pub may_be_the_apps: bool,
}

/// The parts of a raw endpoint, whose fields have the same names in each.
macro_rules! parts {
    ($raw:expr, $database:ident, $apps:expr) => {
        Parts {
            url: $raw.url.0.as_ref(),
            host: $raw.host.0.as_ref(),
            port: $raw.port.0.as_ref(),
            user: $raw.user.0.as_ref(),
            password: $raw.password.0.as_ref(),
            database: $raw.$database.0.as_ref().map(|d| (stringify!($database), d)),
            via: $raw.via.0.as_ref(),
            relay: $raw.relay.0.as_ref(),
            ca: $raw.ca.0.as_ref(),
            cert: $raw.cert.0.as_ref(),
            key: $raw.key.0.as_ref(),
            verify: $raw.verify.0.as_ref(),
            apps: $apps.clone(),
            may_be_the_apps: false,
        }
    };
}

/// Builds environments and collects what is wrong with them, what they would do and where each value came from.
pub(super) struct Builder<'a> {
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
    has_file: bool,
    pub(super) trusted: bool,
    pub(super) vars: &'a Vars,
    pub(super) problems: Vec<Problem>,
    pub(super) actions: Vec<Action>,
    pub(super) settings: Vec<Setting>,
    pub(super) literal_secrets: Vec<Place>,
}

impl<'a> Builder<'a> {
    /// For a file.
    pub fn new(source: &Source, vars: &'a Vars) -> Self {
        Self {
            path: source.path.clone(),
            folder: source.path.parent().unwrap_or(Path::new("/")).to_owned(),
            has_file: true,
            trusted: source.trusted,
            ..Self::without_file(vars)
        }
    }
    /// For no file at all.
    pub fn without_file(vars: &'a Vars) -> Self {
        Self {
            path: PathBuf::new(),
            folder: PathBuf::new(),
            has_file: false,
            trusted: true,
            vars,
            problems: Vec::new(),
            actions: Vec::new(),
            settings: Vec::new(),
            literal_secrets: Vec::new(),
        }
    }
    /// What was wrong so far, in the order of the file; the list starts anew.
    pub fn problems(&mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| p.place);
        std::mem::take(&mut self.problems)
    }
    /// What the file would do.
    pub fn actions(self) -> Vec<Action> {
        self.actions
    }
    /// Where passwords stand in the file itself.
    pub fn literal_secrets(&self) -> &[Place] {
        &self.literal_secrets
    }
    /// Builds an environment as if nothing else had been given.
    pub fn look_at(&mut self, name: &At<String>, raw: &RawEnvironment) -> Environment {
        let from = self.origin(name.place);
        self.environment(name, raw, from, Picked::default())
    }

    /// The environment of no file: where the kubeconfig points, and the shell's own URLs. Those are reached directly, never through that
    /// cluster: nobody said that the two belong together.
    pub fn ambient(&mut self, picked: Picked) -> Environment {
        let kube = self.kube(None, picked);
        let mut said = |key: &'static str, variable: &'static str| {
            let value = self.vars.get(variable)?;
            let from = Origin::Variable(variable.to_owned());
            self.settings.push(Setting { key: key.into(), value: "<secret>".into(), from: from.clone(), variables: Vec::new() });
            Some(Sourced::new(SecretRef::Variables { names: vec![variable.to_owned()], value: SecretString::from(value) }, from))
        };
        let results = said("results.url", "CELERY_RESULT_BACKEND").map(Results::Said);
        let mut url = |key, variable| Some(Endpoint::at(Address::Url(said(key, variable)?), Via::Direct));
        let postgres = url("postgres.main.url", "DATABASE_URL").map(|e| ("main".to_owned(), e)).into_iter().collect();
        let broker = url("broker.url", "CELERY_BROKER_URL").or_else(|| url("broker.url", "REDIS_URL")).map(Broker::at);
        Environment {
            name: None,
            kube: Some(kube),
            apps: BTreeMap::new(),
            postgres,
            broker,
            results,
            watch: WatchSettings::default(),
            notify: NotifySettings::default(),
            request_id_fields: Vec::new(),
            timezone: None,
            deadline: None,
            file: self.has_file.then(|| self.path.clone()),
            trusted: self.trusted,
            settings: std::mem::take(&mut self.settings),
            warnings: Vec::new(),
            libpq: LibpqFiles::of(self.vars),
        }
    }

    /// One environment of the file, under what flags and variables say.
    pub fn environment(&mut self, name: &At<String>, raw: &RawEnvironment, from: Origin, picked: Picked) -> Environment {
        let shown_name = Safe::name(&name.value);
        if self.named(name) {
            self.record("environment".into(), shown_name.clone(), from, Vec::new());
        }
        let kube_raw = raw.kube.0.as_ref();
        let mut warnings = Vec::new();
        let file_context = kube_raw.and_then(|k| k.context.0.as_ref()).map(|c| c.value.as_str());
        if let (Some(Sourced { value, from: from @ Origin::Variable(_) }), Some(own)) = (&picked.context, file_context)
            && value != own
        {
            warnings.push(safe!(
                "{} names context {}, in place of {} of environment {}",
                from.says(),
                Safe::name(value),
                Safe::name(own),
                shown_name
            ));
        }
        let kube = self.has_kubernetes(raw, &picked).then(|| self.kube(kube_raw, picked));
        let mut apps = BTreeMap::new();
        for (name, raw) in &raw.apps.0 {
            if self.named(name) {
                apps.insert(name.value.clone(), self.app(&name.value, raw));
            }
        }
        let app_names: Vec<&str> = raw.apps.0.iter().map(|(name, _)| name.value.as_str()).collect();
        let mut postgres = BTreeMap::new();
        for (name, At { value: r, place }) in &raw.postgres.0 {
            let parts = Parts { may_be_the_apps: kube.is_some(), ..parts!(r, dbname, app_names) };
            if self.named(name)
                && let Some(endpoint) = self.endpoint(&safe!("postgres.{}", Safe::name(&name.value)), *place, &parts)
            {
                postgres.insert(name.value.clone(), endpoint);
            }
        }
        let broker = raw.broker.0.as_ref().and_then(|At { value: r, place }| {
            let parts = Parts { may_be_the_apps: kube.is_some(), ..parts!(r, db, app_names) };
            self.broker(*place, r, &parts)
        });
        let known: Vec<&str> = raw.postgres.0.iter().map(|(n, _)| n.value.as_str()).collect();
        let results = raw.results.0.as_ref().and_then(|results| self.results(results, &known));
        Environment {
            name: Some(shown_name),
            kube,
            apps,
            postgres,
            broker,
            results,
            watch: self.watch(&raw.watch),
            notify: self.notify(&raw.notify),
            request_id_fields: self.texts("request_id_fields".into(), &raw.request_id_fields),
            timezone: self.zone("timezone".into(), &raw.timezone),
            deadline: self.duration("deadline".into(), &raw.deadline),
            file: Some(self.path.clone()),
            trusted: self.trusted,
            settings: std::mem::take(&mut self.settings),
            warnings,
            libpq: LibpqFiles::of(self.vars),
        }
    }

    /// Apps that are only files and URLs need no cluster, unless a flag names one. A variable does not: it was set for another environment.
    fn has_kubernetes(&self, raw: &RawEnvironment, picked: &Picked) -> bool {
        let by_flag = |p: &Option<Sourced<String>>| matches!(p, Some(Sourced { from: Origin::Flag(_), .. }));
        let local = |a: &RawApp| {
            (!a.files.is_empty() || a.command.0.is_some() || a.url.0.is_some() || !a.urls.is_empty())
                && a.selector.0.is_none()
                && a.workload.0.is_none()
                && a.container.0.is_none()
        };
        let apps = &raw.apps.0;
        raw.kube.0.is_some()
            || by_flag(&picked.context)
            || by_flag(&picked.namespace)
            || apps.is_empty()
            || !apps.iter().all(|(_, a)| local(a))
    }

    fn kube(&mut self, raw: Option<&RawKube>, picked: Picked) -> KubeTarget {
        let context =
            self.kube_value("kube.context", picked.context, raw.and_then(|r| r.context.0.as_ref()), "the kubeconfig's current context");
        let namespace =
            self.kube_value("kube.namespace", picked.namespace, raw.and_then(|r| r.namespace.0.as_ref()), "the context's namespace");
        let kubeconfig = match (picked.kubeconfig, raw.and_then(|r| r.kubeconfig.0.as_ref())) {
            (Some(picked), _) => {
                self.record("kube.kubeconfig".into(), shown(&picked.value), picked.from.clone(), Vec::new());
                Some(picked)
            }
            (None, Some(at)) => self.kubeconfig(at),
            (None, None) => {
                let files: Vec<Safe> = self.vars.kubeconfig().iter().map(|file| shown(file)).collect();
                let from = self.vars.path("KUBECONFIG").map_or(Origin::Default, |_| Origin::Variable("KUBECONFIG".to_owned()));
                self.record("kube.kubeconfig".into(), Safe::join(&files, ", "), from, Vec::new());
                None
            }
        };
        KubeTarget { context, namespace, kubeconfig }
    }

    fn kubeconfig(&mut self, at: &At<String>) -> Option<Sourced<PathBuf>> {
        let (text, variables) = self.plain(at)?;
        // A kubeconfig can name a program that fetches its credentials.
        if !self.may_now(at.place, "uses a kubeconfig, which can run commands", &Safe::name(&text)) {
            return None;
        }
        let path = self.resolve(at.place, &text)?;
        let from = self.origin(at.place);
        self.record("kube.kubeconfig".into(), shown(&path), from.clone(), variables);
        Some(Sourced::new(path, from))
    }

    fn kube_value(
        &mut self,
        key: &'static str,
        picked: Option<Sourced<String>>,
        raw: Option<&At<String>>,
        otherwise: &'static str,
    ) -> Option<Sourced<String>> {
        if let Some(picked) = picked {
            self.record(key.into(), Safe::name(&picked.value), picked.from.clone(), Vec::new());
            return Some(picked);
        }
        match raw {
            Some(at) => self.text(key.into(), at),
            None => {
                self.record(key.into(), otherwise.into(), Origin::Default, Vec::new());
                None
            }
        }
    }

    fn app(&mut self, name: &str, raw: &RawApp) -> App {
        let key = |of: &'static str| safe!("apps.{}.{}", Safe::name(name), of);
        let selector = raw.selector.0.as_ref().and_then(|at| self.text(key("selector"), at));
        let workload = raw.workload.0.as_ref().and_then(|at| {
            let text = self.text(key("workload"), at)?.value;
            let well_formed = text.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'));
            self.unless(well_formed, at.place, "a workload is kind/name: deployment/backend")?;
            Some(text)
        });
        let container = raw.container.0.as_ref().and_then(|at| self.text(key("container"), at)).map(|s| s.value);
        let port = raw.port.0.as_ref().and_then(|at| {
            self.unless(at.value != 0, at.place, "a port is 1 to 65535")?;
            let from = self.origin(at.place);
            self.record(key("port"), safe!("{}", at.value), from, Vec::new());
            Some(at.value)
        });
        let has_pods = raw.selector.0.is_some() || raw.workload.0.is_some() || raw.container.0.is_some();
        let only_urls = !has_pods && (raw.url.0.is_some() || !raw.urls.is_empty());
        let health = self.health(&key("health"), &raw.health, !only_urls);
        App {
            selector,
            workload,
            container,
            port,
            urls: self.urls(&key, &raw.url, &raw.urls, &health),
            health,
            files: raw.files.iter().filter_map(|at| self.log_glob(key("files"), at)).collect(),
            command: raw.command.0.as_ref().and_then(|at| self.log_command(key("command"), at)).unwrap_or_default(),
            timezone: self.zone(key("timezone"), &raw.timezone),
            request_id_fields: self.texts(key("request_id_fields"), &raw.request_id_fields),
        }
    }

    pub(super) fn endpoint(&mut self, key: &Safe, place: Place, parts: &Parts<'_>) -> Option<Endpoint> {
        let of = |part: &'static str| safe!("{}.{}", *key, part);
        let alone =
            parts.host.is_none() && parts.port.is_none() && parts.user.is_none() && parts.password.is_none() && parts.database.is_none();
        let address = match (parts.url, parts.host) {
            (Some(_), _) if !alone => self.refuse(place, "url stands beside parts of an address: one or the other"),
            (Some(url), _) => self.value(of("url"), url, true).map(Address::Url),
            (None, None) if alone && parts.may_be_the_apps => Some(Address::Apps),
            (None, None) => self.refuse(place, "neither url nor host: one of them says where it is"),
            (None, Some(host)) => {
                let host = self.value(of("host"), host, false);
                let port = parts.port.map(|at| self.value(of("port"), at, false));
                let user = parts.user.map(|at| self.value(of("user"), at, false));
                let password = parts.password.map(|at| self.value(of("password"), at, true));
                let database = parts.database.map(|(name, at)| self.value(of(name), at, false));
                // A part that is wrong has become a problem already.
                host.map(|host| {
                    Address::Parts(Box::new(AddressParts {
                        host,
                        port: port.flatten(),
                        user: user.flatten(),
                        password: password.flatten(),
                        database: database.flatten(),
                    }))
                })
            }
        };
        let via = match parts.via {
            Some(via) => {
                let from = self.origin(via.place);
                self.record(of("via"), via.value.name().into(), from, Vec::new());
                via.value
            }
            None => Via::default(),
        };
        let relay = parts.relay.and_then(|at| {
            let name = self.text(of("relay"), at)?.value;
            if parts.apps.contains(&name.as_str()) {
                return Some(name);
            }
            let hint = nearest(&name, parts.apps.iter().copied()).map(|near| Hint::Try(safe!("relay: {}", Safe::name(near))));
            self.problems.push(Problem { place: at.place, what: "relay names none of the apps".into(), hint });
            None
        });
        let tls = self.tls(&of, place, parts);
        Some(Endpoint { address: address?, via, relay, tls })
    }

    fn tls(&mut self, of: &dyn Fn(&'static str) -> Safe, place: Place, parts: &Parts<'_>) -> TlsSettings {
        let ca = parts.ca.and_then(|at| self.pem(of("ca"), at, false));
        let cert = parts.cert.and_then(|at| self.pem(of("cert"), at, false));
        let key = parts.key.and_then(|at| self.pem(of("key"), at, true));
        if parts.cert.is_some() != parts.key.is_some() {
            self.problems.push(Problem { place, what: "cert and key belong together: a client certificate has both".into(), hint: None });
        }
        let verify = parts.verify.and_then(|at| self.verify(of("verify"), at));
        TlsSettings { ca, cert, key, verify }
    }

    fn results(&mut self, raw: &At<RawResults>, databases: &[&str]) -> Option<Results> {
        let At { value: r, place } = raw;
        match (&r.django_db.0, &r.url.0) {
            (Some(name), None) => {
                let text = self.text("results.django_db".into(), name)?;
                if !databases.contains(&text.value.as_str()) {
                    let hint =
                        nearest(&text.value, databases.iter().copied()).map(|near| Hint::Try(safe!("django_db: {}", Safe::name(near))));
                    self.problems.push(Problem { place: name.place, what: "django_db names no database under postgres".into(), hint });
                    return None;
                }
                self.unless(r.via.0.is_none(), *place, "via belongs to the database that django_db names")?;
                Some(Results::DjangoDb(text))
            }
            (None, Some(url)) => {
                let parts = Parts { url: Some(url), via: r.via.0.as_ref(), ..Parts::default() };
                self.endpoint(&"results".into(), *place, &parts).map(|endpoint| Results::At(Box::new(endpoint)))
            }
            _ => self.refuse(*place, "either django_db or url says where results are"),
        }
    }
}
