//! What a command is handed: the environment, the clock, the stop signal, the redactor, and links to live systems that open at first use.
//! Decides nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock; everything else gets the time from here, and waits for the deadline here"
)]

use crate::{
    answer::Hint,
    config::{Address, Broker, Endpoint, Environment, Results, SecretRef, Sourced, Via},
    connect::{
        broker::{BrokerLink, ResultBackend, Surroundings, may_need_cluster, must_have_cluster},
        http::Proxies,
        kube::{Cluster, KubeAsk},
        postgres::PostgresLink,
        secret::{Secrets, needs_cluster},
    },
    error::{Error, Kind, Result},
    exit::Outcome,
    report::Where,
    safe,
    text::{Redactor, Safe},
};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use secrecy::SecretString;
use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// How long what references gave is not read again after it was.
const REFRESH: Duration = Duration::from_secs(5);

/// Why a command was told to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    why: Arc<AtomicU8>,
    limit: Arc<watch::Sender<Option<Instant>>>,
}

impl Stop {
    /// Stops everything; the first reason stays.
    pub fn stop(&self, why: Outcome) {
        let code = match why {
            Outcome::Interrupted => 1,
            Outcome::Terminated => 2,
            Outcome::Deadline => 3,
            Outcome::Answered(_) => 0,
        };
        let _ = self.why.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        self.token.cancel();
    }
    /// Limits how long it may take from now on. Who says it first is heard: the command line, then whatever else knows a limit.
    pub fn within(&self, limit: Duration) {
        let until = Instant::now().checked_add(limit);
        self.limit.send_if_modified(|known| {
            let is_first = known.is_none();
            *known = known.or(until);
            is_first
        });
    }
    /// Waits until the time is over, where there is a limit.
    pub async fn over(&self) {
        match self.limit.subscribe().wait_for(Option::is_some).await.ok().and_then(|until| *until) {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
    /// What the command waits on.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }
    /// Why it was stopped, if it was.
    pub fn reason(&self) -> Option<Outcome> {
        match self.why.load(Ordering::SeqCst) {
            1 => Some(Outcome::Interrupted),
            2 => Some(Outcome::Terminated),
            3 => Some(Outcome::Deadline),
            _ => None,
        }
    }
    /// The same in words: what is not there and why.
    pub fn says(&self) -> Safe {
        if self.reason() == Some(Outcome::Deadline) { "the deadline passed".into() } else { "stopped".into() }
    }
}

/// Everything that a command works with.
pub struct Session {
    /// The environment.
    pub env: Environment,
    /// Hides secrets.
    pub redact: Redactor,
    /// Ctrl-C, SIGTERM, the deadline.
    pub stop: Stop,
    /// The zone in which times are shown and read.
    pub zone: TimeZone,
    /// The proxies for what is asked over HTTP.
    pub proxies: Arc<Proxies>,
    /// The folder for what is remembered from one run to the next. None: there is no home.
    pub state: Option<PathBuf>,
    ask: Option<KubeAsk>,
    cluster: Mutex<Option<Arc<Cluster>>>,
    secrets: OnceLock<Secrets>,
    broker: Mutex<Option<Arc<BrokerLink>>>,
    refreshed: Mutex<Option<Instant>>,
}

impl Session {
    /// A session. `ask` is none where the environment has no Kubernetes.
    pub fn new(env: Environment, ask: Option<KubeAsk>, redact: Redactor, stop: Stop, zone: TimeZone) -> Self {
        Self {
            env,
            redact,
            stop,
            zone,
            proxies: Arc::default(),
            state: None,
            ask,
            cluster: Mutex::default(),
            secrets: OnceLock::new(),
            broker: Mutex::default(),
            refreshed: Mutex::default(),
        }
    }

    /// The same, remembering in this folder.
    pub fn remembering_in(mut self, folder: Option<PathBuf>) -> Self {
        self.state = folder;
        self
    }

    /// The same, going through these proxies.
    pub fn with_proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = Arc::new(proxies);
        self
    }

    /// Now, in the zone of the session.
    pub fn now(&self) -> Zoned {
        Timestamp::now().to_zoned(self.zone.clone())
    }

    /// Waits for something that does not look out for a stop itself: dropping it ends it.
    ///
    /// # Errors
    /// `Cancelled` when the command is stopped before; else its own.
    pub async fn unless_stopped<T>(&self, doing: Safe, work: impl Future<Output = Result<T>>) -> Result<T> {
        let stop = self.stop.token();
        tokio::select! {
            done = work => done,
            () = stop.cancelled() => Err(Error::new(Kind::Cancelled, doing).what("stopped")),
        }
    }

    /// The cluster, connected at first use.
    ///
    /// # Errors
    /// `Config` where the environment has no Kubernetes; else as `Cluster::connect`.
    pub async fn cluster(&self) -> Result<Arc<Cluster>> {
        let Some(ask) = &self.ask else {
            return Err(Error::new(Kind::Config, "connecting to Kubernetes").what("this environment has none: its apps are files and URLs"));
        };
        let stop = self.stop.token();
        let connect = async {
            let mut held = self.cluster.lock().await;
            match &*held {
                Some(cluster) => Ok(cluster.clone()),
                None => Ok(held.insert(Cluster::connect(ask, self.redact.clone()).await.map(Arc::new)?).clone()),
            }
        };
        tokio::select! {
            cluster = connect => cluster,
            () = stop.cancelled() => Err(Error::new(Kind::Cancelled, "connecting to Kubernetes").what("stopped")),
        }
    }

    /// Makes the next `cluster` connect anew: who runs for days outlives the tokens that a credential plugin gives.
    pub async fn forget_cluster(&self) {
        *self.cluster.lock().await = None;
        // What leads through the old one has its credentials too.
        *self.broker.lock().await = None;
    }

    /// A server refused what a reference gave. Whoever runs for days outlives passwords too: what was read is forgotten, so that what was
    /// rotated is found. Not more often than every few seconds, since a reference may be a program; says whether it is worth asking again.
    pub async fn refresh(&self) -> bool {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at.elapsed() < REFRESH) {
            return false;
        }
        *refreshed = Some(Instant::now());
        self.forget_cluster().await;
        if let Some(secrets) = self.secrets.get() {
            secrets.forget().await;
        }
        true
    }

    /// The environment's broker, resolved at first use: from the configuration, else from the variables of its apps. Not yet dialled.
    ///
    /// # Errors
    /// `Config` where nothing says where it is; else as `BrokerLink::resolve`.
    pub async fn broker(&self) -> Result<Arc<BrokerLink>> {
        let stop = self.stop.token();
        let resolve = async {
            let mut held = self.broker.lock().await;
            if let Some(link) = &*held {
                return Ok(link.clone());
            }
            let broker = match (&self.env.broker, &self.ask) {
                (Some(broker), _) => broker.clone(),
                (None, Some(_)) => Broker::at(Endpoint::at(Address::Apps, Via::Auto)),
                (None, None) => {
                    return Err(Error::new(Kind::Config, "looking for the broker")
                        .what("the configuration names none, and there is no cluster to look in")
                        .hint(Hint::Set("broker: {url: …}".into())));
                }
            };
            let cluster = self.cluster_for(&broker.endpoint).await?;
            let secrets = self.secrets(cluster.as_ref());
            let around = Surroundings { env: &self.env, secrets, cluster, redact: self.redact.clone() };
            Ok(held.insert(BrokerLink::resolve(&broker, &around).await.map(Arc::new)?).clone())
        };
        tokio::select! {
            broker = resolve => broker,
            () = stop.cancelled() => Err(Error::new(Kind::Cancelled, "looking for the broker").what("stopped")),
        }
    }

    /// Where Celery stores results: as the configuration says, else the variables of the apps. Not yet dialled.
    ///
    /// # Errors
    /// As `ResultBackend::resolve`.
    pub async fn results(&self) -> Result<ResultBackend> {
        let stop = self.stop.token();
        let resolve = async {
            let cluster = match &self.env.results {
                Some(Results::At(endpoint)) => self.cluster_for(endpoint).await?,
                Some(_) => None,
                // The shell's own broker belongs to no cluster: nobody said so.
                None if self.env.name.is_none() && self.env.broker.is_some() => None,
                None => match self.cluster_for(&Endpoint::at(Address::Apps, Via::Auto)).await {
                    Err(error) if error.kind() == Kind::Config => None,
                    cluster => cluster?,
                },
            };
            let secrets = self.secrets(cluster.as_ref());
            ResultBackend::resolve(&Surroundings { env: &self.env, secrets, cluster, redact: self.redact.clone() }).await
        };
        tokio::select! {
            link = resolve => link,
            () = stop.cancelled() => Err(Error::new(Kind::Cancelled, "looking for the results").what("stopped")),
        }
    }

    /// A database of the environment: `main` is what the configuration names so, else what the variables of its apps say. Not yet connected.
    ///
    /// # Errors
    /// `Config` where nothing says where it is; else as `PostgresLink::resolve`.
    pub async fn postgres(&self, name: &str) -> Result<PostgresLink> {
        let stop = self.stop.token();
        let doing = safe!("looking for the database {}", Safe::name(name));
        let endpoint = match self.env.postgres.get(name) {
            Some(endpoint) => endpoint.clone(),
            None if self.env.postgres.is_empty() && self.ask.is_some() && name == "main" => Endpoint::at(Address::Apps, Via::Auto),
            None => {
                let known: Vec<Safe> = self.env.postgres.keys().map(Safe::name).collect();
                let what = if known.is_empty() { "none is configured".into() } else { safe!("there are {}", Safe::join(&known, ", ")) };
                return Err(Error::new(Kind::Config, doing)
                    .what(what)
                    .hint(Hint::Set(safe!("postgres: {{{}: {{url: …}}}}", Safe::name(name)))));
            }
        };
        let resolve = async {
            let cluster = self.cluster_for(&endpoint).await?;
            let secrets = self.secrets(cluster.as_ref());
            let around = Surroundings { env: &self.env, secrets, cluster, redact: self.redact.clone() };
            PostgresLink::resolve(&endpoint, &around).await.map(|link| link.until(self.stop.token()))
        };
        tokio::select! {
            link = resolve => link,
            () = stop.cancelled() => Err(Error::new(Kind::Cancelled, doing.clone()).what("stopped")),
        }
    }

    /// The value of one reference of the configuration.
    ///
    /// # Errors
    /// As `Secrets::resolve`.
    pub async fn resolve(&self, value: &Sourced<SecretRef>) -> Result<SecretString> {
        let cluster = if needs_cluster(&value.value) { Some(self.cluster().await?) } else { None };
        self.secrets(cluster.as_ref()).resolve(value).await
    }

    /// The cluster, where the way to an endpoint leads, or may lead, through it.
    async fn cluster_for(&self, endpoint: &Endpoint) -> Result<Option<Arc<Cluster>>> {
        if self.ask.is_none() || !may_need_cluster(endpoint) {
            return Ok(None);
        }
        match self.cluster().await {
            Ok(cluster) => Ok(Some(cluster)),
            // An address that stands here needs no cluster; a Service's name then fails to resolve, with the hint of the other ways.
            Err(error) if error.kind() == Kind::Config && !must_have_cluster(endpoint) => {
                tracing::debug!("no cluster to look for a Service in: {error}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The references of the environment, which lead into the cluster once one is needed.
    fn secrets(&self, cluster: Option<&Arc<Cluster>>) -> &Secrets {
        let secrets = self.secrets.get_or_init(|| Secrets::new(self.redact.clone()));
        if let Some(cluster) = cluster {
            secrets.attach(cluster.clone(), cluster.namespace.clone());
        }
        secrets
    }

    /// The first line of an answer from a cluster.
    pub fn at_cluster(&self, cluster: &Cluster, namespace: Safe) -> Where {
        Where {
            environment: self.env.name.clone(),
            context: cluster.context.clone(),
            namespace: Some(namespace),
            server: cluster.context.is_none().then(|| cluster.server.clone()),
            files: None,
            system: None,
        }
    }

    /// The first line of an answer from files.
    pub fn at_files(&self, files: Safe) -> Where {
        Where { environment: self.env.name.clone(), files: Some(files), ..Where::default() }
    }
}
