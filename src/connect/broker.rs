//! A Celery broker, ready to be dialled: its URL resolved, its way chosen, its TLS set up, and the master asked for again at each dial
//! where sentinels watch it. Asks the broker nothing of Celery.

use super::{
    discover::{self, Found, Said},
    kube::Cluster,
    redis::{Dial, Dialled, Login, Redis},
    route::{self, RelayHint, Route},
    secret::{Secrets, needs_cluster},
    sentinel::{self, Identity},
    stream::Duplex,
    tls::Tls,
};
use crate::{
    answer::{Hint, Provenance},
    config::{
        Address, App, Broker, BrokerAddress, BrokerUrl, Endpoint, Environment, Origin, QueueThresholds, Results, SecretRef, Sourced,
        Transport, Via, host_port,
    },
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A broker that can be dialled.
pub struct BrokerLink {
    /// What the application says of it to Celery.
    pub transport: Transport,
    /// When a queue is called bad.
    pub thresholds: QueueThresholds,
    /// Where its address came from: a line of the file, `discovered: pod backend-1 variable CELERY_BROKER_URL`.
    pub from: Origin,
    /// What its user should know: unverified TLS, apps that disagree.
    pub warnings: Vec<Safe>,
    line: Arc<Vec<Arc<Line>>>,
    redact: Redactor,
}

/// Where Celery stores results.
pub enum ResultBackend {
    /// Nothing says it. Many applications say it in their code.
    Unsaid,
    /// In a Redis, not yet dialled.
    Redis(Box<BrokerLink>),
    /// In the environment's database of this name, by django-celery-results.
    Django(String),
    /// In a kind of store that is not read: `rpc`, `db+postgresql`, `s3`.
    Elsewhere(Safe),
}

/// One broker of the list, and how it is dialled.
struct Line {
    url: BrokerUrl,
    via: Via,
    tls: Option<Tls>,
    cluster: Option<Arc<Cluster>>,
    hint: RelayHint,
    sentinel: Identity,
    /// A tunnel to a Service is the only way that its passwords may go.
    guarded: bool,
    redact: Redactor,
    /// The ways that were chosen, by host: choosing asks the cluster, so it is done once.
    routes: tokio::sync::Mutex<BTreeMap<(String, u16), Route>>,
    last: Mutex<Option<Route>>,
}

/// What an environment's links need: made once, used for the broker and the databases.
pub struct Surroundings<'a> {
    /// The environment.
    pub env: &'a Environment,
    /// Its references; has the cluster where that is needed.
    pub secrets: &'a Secrets,
    /// Its cluster, where it has one.
    pub cluster: Option<Arc<Cluster>>,
    /// Hides secrets.
    pub redact: Redactor,
}

/// Whether an endpoint leads, or may lead, through the cluster.
pub fn may_need_cluster(endpoint: &Endpoint) -> bool {
    endpoint.via != Via::Direct || matches!(endpoint.address, Address::Apps) || endpoint.values().iter().any(|v| needs_cluster(&v.value))
}

/// Whether there is no other way than through the cluster: it is asked for, or what says where it is lies there.
pub fn must_have_cluster(endpoint: &Endpoint) -> bool {
    matches!(endpoint.via, Via::Tunnel | Via::Exec)
        || matches!(endpoint.address, Address::Apps)
        || endpoint.values().iter().any(|v| needs_cluster(&v.value))
}

impl Surroundings<'_> {
    /// Who relays, and how names are read.
    ///
    /// # Errors
    /// As the cluster's, for an app whose workload has to be looked up.
    pub(super) async fn hint(&self, endpoint: &Endpoint) -> Result<RelayHint> {
        let for_pods = match &endpoint.address {
            Address::Apps => true,
            Address::Url(url) => needs_cluster(&url.value),
            Address::Parts(parts) => needs_cluster(&parts.host.value),
        };
        let namespace = self.secrets.namespace();
        let mut pods = Vec::new();
        if self.cluster.is_some() && endpoint.via != Via::Direct {
            pods = discover::pods_of(&self.env.apps, endpoint.relay.as_deref(), self.secrets).await?;
            if let Some(workload) = related(&endpoint.address).filter(|_| endpoint.relay.is_none()) {
                let app = BTreeMap::from([(workload.clone(), App { workload: Some(workload), ..App::default() })]);
                pods.splice(0..0, discover::pods_of(&app, None, self.secrets).await?);
            }
            if pods.is_empty() {
                pods.push(route::RelayPods { name: "a pod of the namespace".into(), selector: String::new(), container: None });
            }
        }
        Ok(RelayHint { pods, for_pods, namespace })
    }

    /// Whether a password of the cluster would go to a host that another object, or the file, names. Only a file that its user trusts
    /// may do that with any host; another one may with a Service, which is the cluster's own word.
    pub(super) fn is_guarded(&self, address: &Address, passwords: &[&Option<Sourced<SecretRef>>]) -> bool {
        let of = |value: &SecretRef| match value {
            SecretRef::Secret { name, .. } => Some(("secret", name.clone())),
            SecretRef::ConfigMap { name, .. } => Some(("configmap", name.clone())),
            SecretRef::Workload { kind, name, .. } => Some(("workload", format!("{kind}/{name}"))),
            _ => None,
        };
        let (host, own) = match address {
            Address::Url(url) => (of(&url.value), None),
            Address::Parts(parts) => (of(&parts.host.value), parts.password.as_ref()),
            Address::Apps => return false,
        };
        let mut from = passwords.iter().filter_map(|p| p.as_ref()).chain(own).filter_map(|p| of(&p.value));
        !self.env.trusted && from.any(|from| Some(from) != host)
    }

    pub(super) async fn plain(&self, value: &Option<Sourced<SecretRef>>) -> Result<Option<SecretString>> {
        match value {
            Some(value) => self.secrets.resolve(value).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The workload that a reference names.
fn related(address: &Address) -> Option<String> {
    address.values().into_iter().find_map(|value| match &value.value {
        SecretRef::Workload { kind, name, .. } => Some(format!("{kind}/{name}")),
        _ => None,
    })
}

impl BrokerLink {
    /// Resolves a broker. Opens no connection to it.
    ///
    /// # Errors
    /// `Config` for a URL that is none of a Redis, a reference that cannot be resolved or may not be used; else as the cluster's.
    pub async fn resolve(broker: &Broker, around: &Surroundings<'_>) -> Result<Self> {
        let Broker { endpoint, .. } = broker;
        let hint = around.hint(endpoint).await?;
        let mut warnings = Vec::new();
        let (urls, from) = match &endpoint.address {
            Address::Url(url) => (BrokerUrl::parse(around.secrets.resolve(url).await?.expose_secret())?, url.from.clone()),
            Address::Parts(parts) => {
                let host = around.secrets.resolve(&parts.host).await?;
                let port = around.plain(&parts.port).await?;
                let user = around.plain(&parts.user).await?;
                let password = around.plain(&parts.password).await?;
                let db = around.plain(&parts.database).await?;
                (vec![of_parts(&host, port, user, password, db)?], parts.host.from.clone())
            }
            Address::Apps => {
                // Without apps in the configuration the pods of the hint are all of the namespace, or a workload nobody named.
                let apps = if around.env.apps.is_empty() { &[][..] } else { &hint.pods };
                let found = discover::find("broker", discover::BROKER_URLS, &discover::REDIS, around.secrets, apps).await?;
                warnings.extend(found.warnings);
                let urls = match found.said {
                    Said::Url(url) => BrokerUrl::parse(url.expose_secret())?,
                    Said::Parts { host, port, user, password, database } => vec![of_parts(&host, port, user, password, database)?],
                };
                (urls, Origin::Discovered(found.at))
            }
        };
        Self::to(broker.clone(), hint, urls, from, warnings, around).await
    }

    /// A broker at these URLs.
    async fn to(
        broker: Broker,
        hint: RelayHint,
        urls: Vec<BrokerUrl>,
        from: Origin,
        mut warnings: Vec<Safe>,
        around: &Surroundings<'_>,
    ) -> Result<Self> {
        let Broker { endpoint, transport, thresholds } = broker;
        let user = around.plain(&transport.sentinel_user).await?.map(|user| user.expose_secret().to_owned());
        let sentinel = Identity { user, password: around.plain(&transport.sentinel_password).await? };
        let guarded = around.is_guarded(&endpoint.address, &[&transport.sentinel_password]);
        let mut line = Vec::new();
        for mut url in urls {
            if let BrokerAddress::Sentinel { master, .. } = &mut url.address {
                *master = transport.master_name.clone().or(master.take());
                if master.is_none() {
                    return Err(Error::new(Kind::Config, "resolving the broker")
                        .what("sentinels watch several masters, and nothing names the broker's")
                        .hint(Hint::Set("broker: {master_name: …}, as in broker_transport_options".into())));
                }
            }
            warnings.extend(url.warnings.iter().cloned());
            let tls = match (&url.tls, endpoint.tls.says_anything()) {
                (None, false) => None,
                (said, _) => Some(Tls::new(&endpoint.tls, said.as_ref(), around.secrets, around.env.trusted, &mut warnings).await?),
            };
            line.push(Arc::new(Line {
                url,
                via: endpoint.via,
                tls,
                cluster: around.cluster.clone(),
                hint: hint.clone(),
                sentinel: sentinel.clone(),
                guarded,
                redact: around.redact.clone(),
                routes: tokio::sync::Mutex::default(),
                last: Mutex::default(),
            }));
        }
        Ok(Self { transport, thresholds, from, warnings, line: Arc::new(line), redact: around.redact.clone() })
    }

    /// Where it is, as its URL says: `redis:6379/0`. Never a password.
    pub fn at(&self) -> Safe {
        let all: Vec<Safe> = self.line.iter().map(|line| line.url.says()).collect();
        Safe::join(&all, ", else ")
    }

    /// How it was reached at the last dial: `direct`, `tunnel to pod redis-0`. None before the first.
    pub fn route(&self) -> Option<Safe> {
        self.line.iter().find_map(|line| line.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Route::says))
    }

    /// The cluster that it is reached through. None: straight from here.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.line
            .iter()
            .find(|line| line.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(Route::is_inside))?
            .cluster
            .as_ref()
    }

    /// Who we are to it.
    pub fn login(&self) -> Login {
        let url = self.line.first().map(|line| &line.url);
        Login {
            user: url.and_then(|u| u.user.clone()),
            password: url.and_then(|u| u.password.clone()),
            db: url.map(|u| u64::from(u.db)).unwrap_or_default(),
        }
    }

    /// Connects, to the first broker of the list that answers, as Celery does.
    ///
    /// # Errors
    /// As `Redis::open`, of the last one.
    pub async fn open(&self) -> Result<Redis> {
        let mut failed = None;
        for line in self.line.iter() {
            let login = Login { user: line.url.user.clone(), password: line.url.password.clone(), db: u64::from(line.url.db) };
            match Redis::open(line.clone().dialler(), login, self.redact.clone()).await {
                Ok(redis) => return Ok(redis),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| Error::new(Kind::Bug, "connecting to the broker").what("there is none in the list")))
    }

    /// Where what this connection says comes from, with the way there.
    pub async fn provenance(&self, redis: &Redis) -> Provenance {
        Provenance { through: self.route().filter(|route| route.as_str() != "direct"), ..redis.provenance().await }
    }

    /// Opens further streams to the first broker of the list.
    pub fn dialler(&self) -> Option<Dial> {
        self.line.first().map(|line| line.clone().dialler())
    }
}

fn of_parts(
    host: &SecretString,
    port: Option<SecretString>,
    user: Option<SecretString>,
    password: Option<SecretString>,
    db: Option<SecretString>,
) -> Result<BrokerUrl> {
    let plain = |value: &Option<SecretString>| value.as_ref().map(|v| v.expose_secret().to_owned());
    BrokerUrl::of_parts(host.expose_secret(), plain(&port).as_deref(), plain(&user), password, plain(&db).as_deref())
}

impl ResultBackend {
    /// Where the results of an environment are.
    ///
    /// # Errors
    /// As `BrokerLink::resolve`; `Denied` where a variable may say it, and what it stands in may not be read.
    pub async fn resolve(around: &Surroundings<'_>) -> Result<Self> {
        match &around.env.results {
            Some(Results::DjangoDb(name)) => Ok(Self::Django(name.value.clone())),
            Some(Results::At(endpoint)) => {
                BrokerLink::resolve(&Broker::at((**endpoint).clone()), around).await.map(|link| Self::Redis(Box::new(link)))
            }
            Some(Results::Said(value)) => {
                let said = around.secrets.resolve(value).await?;
                let endpoint = Endpoint::at(Address::Url(value.clone()), Via::Direct);
                Self::read(&said, endpoint, value.from.clone(), Vec::new(), around).await
            }
            None if around.cluster.is_some() => {
                let endpoint = Endpoint::at(Address::Apps, Via::Auto);
                let hint = around.hint(&endpoint).await?;
                let apps = if around.env.apps.is_empty() { &[][..] } else { &hint.pods };
                match discover::result_backend(around.secrets, apps).await? {
                    Some(Found { said: Said::Url(said), at, warnings }) => {
                        Self::read(&said, endpoint, Origin::Discovered(at), warnings, around).await
                    }
                    _ => Ok(Self::Unsaid),
                }
            }
            None => Ok(Self::Unsaid),
        }
    }

    async fn read(said: &SecretString, endpoint: Endpoint, from: Origin, warnings: Vec<Safe>, around: &Surroundings<'_>) -> Result<Self> {
        let said = said.expose_secret().trim();
        let scheme = said.split_once(':').map_or(said, |(scheme, _)| scheme);
        match scheme {
            "django-db" => Ok(Self::Django("main".to_owned())),
            "redis" | "rediss" | "sentinel" | "redis+socket" | "unix" => {
                let hint = around.hint(&endpoint).await?;
                let link = BrokerLink::to(Broker::at(endpoint), hint, BrokerUrl::parse(said)?, from, warnings, around).await?;
                Ok(Self::Redis(Box::new(link)))
            }
            other => Ok(Self::Elsewhere(Safe::name(other))),
        }
    }
}

impl Line {
    fn dialler(self: Arc<Self>) -> Dial {
        Arc::new(move || {
            let line = self.clone();
            Box::pin(async move { line.dial().await })
        })
    }

    async fn dial(&self) -> Result<Dialled> {
        match &self.url.address {
            BrokerAddress::Tcp { host, port } => self.server(host, *port).await,
            BrokerAddress::Unix { path } => {
                if self.hint.for_pods || self.via == Via::Exec || self.via == Via::Tunnel {
                    return Err(Error::new(Kind::Config, "connecting to the broker")
                        .what(safe!("it is a socket in the application's own pod ({}), where nothing outside leads", self.url.says()))
                        .hint(Hint::Set("broker: url of the same Redis over TCP".into())));
                }
                let stream = route::dial_unix(path).await?;
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Route::Direct);
                Ok(Dialled { stream, at: Safe::name(path.as_os_str().as_encoded_bytes()) })
            }
            BrokerAddress::Sentinel { nodes, master } => self.by_sentinel(nodes, master.as_deref().unwrap_or_default()).await,
        }
    }

    async fn server(&self, host: &str, port: u16) -> Result<Dialled> {
        Ok(Dialled { stream: self.stream(host, port).await?, at: host_port(host, port) })
    }

    async fn stream(&self, host: &str, port: u16) -> Result<Box<dyn Duplex>> {
        let route = {
            let mut routes = self.routes.lock().await;
            match routes.get(&(host.to_owned(), port)) {
                Some(route) => route.clone(),
                None => {
                    let route = route::choose(self.via, host, port, self.cluster.as_ref(), &self.hint).await?;
                    if self.guarded && !matches!(route, Route::Tunnel(_)) {
                        return Err(Error::new(Kind::Config, "sending the broker's password")
                            .what(safe!("{} is no Service, and what names it is not what holds the password", Safe::name(host)))
                            .hint(Hint::Run("obsctl config trust".into())));
                    }
                    routes.insert((host.to_owned(), port), route.clone());
                    route
                }
            }
        };
        let stream = route.dial(host, port).await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(route);
        match &self.tls {
            Some(tls) => tls.over(stream, host).await,
            None => Ok(stream),
        }
    }

    /// The first sentinel that knows decides; a server that says itself that it is no master is not believed to be one.
    async fn by_sentinel(&self, nodes: &[(String, u16)], name: &str) -> Result<Dialled> {
        let who = Identity { user: self.url.user.clone(), password: self.url.password.clone() };
        let mut failed = None;
        for (host, port) in nodes {
            let asked = async {
                let mut stream = self.stream(host, *port).await?;
                sentinel::master(&mut stream, &self.sentinel, name, &self.redact).await
            };
            let (master, port) = match asked.await {
                Ok(Some(found)) => found,
                Ok(None) => {
                    failed = Some(
                        Error::new(Kind::NotFound, safe!("asking sentinel {} for the master", host_port(host, *port)))
                            .what(safe!("it watches none of the name {}", Safe::name(name)))
                            .hint(Hint::Set("broker: {master_name: …}, as in broker_transport_options".into())),
                    );
                    continue;
                }
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            let mut probe = self.stream(&master, port).await?;
            match sentinel::role(&mut probe, &who, &self.redact).await? {
                Some(role) if role != "master" => {
                    failed = Some(
                        Error::new(Kind::Unreachable, safe!("connecting to the master {}", Safe::name(name)))
                            .what(safe!(
                                "{} is called the master and says that it is a replica: a failover is under way",
                                host_port(&master, port)
                            ))
                            .hint(Hint::Try("again in a few seconds".into())),
                    );
                }
                _ => return self.server(&master, port).await,
            }
        }
        Err(failed.unwrap_or_else(|| Error::new(Kind::Config, "resolving the broker").what("no sentinel is named")))
    }
}
