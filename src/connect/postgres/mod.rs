//! One PostgreSQL database: a session that only reads, over whatever way leads there. Each question is a transaction of its own, READ ONLY,
//! with short timeouts, and works behind a pooler in transaction mode. Knows no catalog.

mod burst;
mod fault;
mod files;
mod leave;

pub use burst::{BurstAsk, BurstFault, TREE};
pub use leave::farewell;

use super::{
    broker::Surroundings,
    discover::{self, Said},
    kube::Cluster,
    route::{self, RelayHint, Route},
    stream::Duplex,
    tls::Tls,
};
use crate::{
    answer::{Hint, Provenance},
    config::{Address, Endpoint, Origin, PostgresUrl, SslMode, UrlTls, Verify, Via, WantedHost, host_port},
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use burst::{Heard, Log};
use leave::Leave;
use secrecy::{ExposeSecret, SecretString};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_postgres::{
    Client, Config, Row,
    config::SslMode as WireSsl,
    tls::MakeTlsConnect,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

/// How long a connection may take until the server knows who we are.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take before we stop waiting; the server's own timeout is shorter.
const ANSWER: Duration = Duration::from_secs(15);
/// What every question is asked under. SET LOCAL ends with the transaction, so a pooled connection goes back as it came.
const UNDER: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '1s'; \
    SET LOCAL idle_in_transaction_session_timeout = '15s'";

/// A database that can be connected to.
pub struct PostgresLink {
    /// Where its address came from.
    pub from: Origin,
    /// What its user should know: unverified TLS.
    pub warnings: Vec<Safe>,
    way: Arc<Way>,
    stop: CancellationToken,
}

/// How a database is dialled: for its session, and again for each cancel request.
struct Way {
    url: PostgresUrl,
    via: Via,
    tls: Tls,
    hint: RelayHint,
    guarded: bool,
    cluster: Option<Arc<Cluster>>,
    redact: Redactor,
    passfile: Option<PathBuf>,
}

impl PostgresLink {
    /// Resolves a database. Opens no connection to it.
    ///
    /// # Errors
    /// `Config` for a URL that is none of PostgreSQL, a reference that cannot be resolved or may not be used; else as the cluster's.
    pub async fn resolve(endpoint: &Endpoint, around: &Surroundings<'_>) -> Result<Self> {
        let hint = around.hint(endpoint).await?;
        let mut warnings = Vec::new();
        let plain = |value: &Option<SecretString>| value.as_ref().map(|v| v.expose_secret().to_owned());
        let (url, from) = match &endpoint.address {
            Address::Url(url) => (PostgresUrl::parse(around.secrets.resolve(url).await?.expose_secret())?, url.from.clone()),
            Address::Parts(parts) => {
                let host = around.secrets.resolve(&parts.host).await?;
                let port = around.plain(&parts.port).await?;
                let user = around.plain(&parts.user).await?;
                let password = around.plain(&parts.password).await?;
                let database = around.plain(&parts.database).await?;
                let url = PostgresUrl::of_parts(host.expose_secret(), plain(&port).as_deref(), plain(&user), password, plain(&database))?;
                (url, parts.host.from.clone())
            }
            Address::Apps => {
                let apps = if around.env.apps.is_empty() { &[][..] } else { &hint.pods };
                let found = discover::find("database", discover::DATABASE_URLS, &discover::POSTGRES, around.secrets, apps).await?;
                warnings.extend(found.warnings);
                let url = match found.said {
                    Said::Url(url) => PostgresUrl::parse(url.expose_secret())?,
                    Said::Parts { host, port, user, password, database } => {
                        PostgresUrl::of_parts(host.expose_secret(), plain(&port).as_deref(), plain(&user), password, plain(&database))?
                    }
                };
                (url, Origin::Discovered(found.at))
            }
        };
        let libpq = &around.env.libpq;
        let mut url = match url.service.clone() {
            Some(name) => files::service(&name, url, libpq.servicefile.as_deref().filter(|_| around.env.trusted))?,
            None => url,
        };
        // An untrusted file could name any host: a password of the user's own must not go there.
        let passfile = url.passfile.clone().or_else(|| libpq.passfile.clone()).filter(|_| around.env.trusted);
        // Anything said of TLS asks for it, and for its verification.
        if endpoint.tls.says_anything() {
            url.ssl = if endpoint.tls.verify == Some(false) { SslMode::Require } else { SslMode::VerifyFull };
        }
        let verify = match url.ssl {
            SslMode::VerifyFull => Verify::Full,
            SslMode::VerifyCa => Verify::Chain,
            // libpq verifies the signature as soon as it has an authority.
            SslMode::Require if url.ca.is_some() => Verify::Chain,
            SslMode::Disable | SslMode::Prefer | SslMode::Require => Verify::Nothing,
        };
        if url.ssl == SslMode::Require && verify == Verify::Nothing && endpoint.tls.verify.is_none() {
            warnings.push("the server's certificate is not verified: that is what sslmode=require means; verify-full verifies it".into());
        }
        let said = UrlTls { verify, ca: url.ca.clone(), cert: url.cert.clone(), key: url.key.clone() };
        let tls = Tls::new(&endpoint.tls, Some(&said), around.secrets, around.env.trusted, &mut warnings).await?;
        let guarded = around.is_guarded(&endpoint.address, &[]);
        let (cluster, redact) = (around.cluster.clone(), around.redact.clone());
        let way = Arc::new(Way { url, via: endpoint.via, tls, hint, guarded, cluster, redact, passfile });
        Ok(Self { from, warnings, way, stop: CancellationToken::new() })
    }

    /// The same, whose sessions cancel on the server what they are asking when told to stop, and then ask nothing more.
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Where it is: `db:5432/shop`. Never a password.
    pub fn at(&self) -> Safe {
        self.way.url.says()
    }

    /// The cluster that it may be reached through.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.way.cluster.as_ref()
    }

    /// Connects, and says who we are: to the one host, or among several to the one that is meant; a replica is preferred where that is
    /// not said.
    ///
    /// # Errors
    /// `Unreachable`, `Tls`, `Timeout`; `Auth` for a wrong password; `NotFound` for no such database.
    pub async fn open(&self) -> Result<Postgres> {
        let hosts = self.way.url.hosts();
        if let [only] = hosts.as_slice()
            && self.way.url.wanted == WantedHost::Any
        {
            return self.open_at(only).await;
        }
        let (mut second, mut fault) = (None, None);
        for host in &hosts {
            let pg = match self.open_at(host).await {
                Ok(pg) => pg,
                // The next host would say the same of a wrong password.
                Err(error) if error.kind() == Kind::Auth => return Err(error),
                Err(error) => {
                    fault.get_or_insert(error);
                    continue;
                }
            };
            let rows = pg.rows(safe!("asking whether it is a replica"), "SELECT pg_catalog.pg_is_in_recovery()", &[]).await?;
            let replica = rows.first().is_some_and(|row| row.get::<_, bool>(0));
            match (self.way.url.wanted, replica) {
                (WantedHost::Any | WantedHost::Replica, true) | (WantedHost::Primary, false) => return Ok(pg),
                (WantedHost::Any, false) => second = second.or(Some(pg)),
                (WantedHost::Primary, true) | (WantedHost::Replica, false) => {}
            }
        }
        second.ok_or_else(|| {
            fault.unwrap_or_else(|| {
                Error::new(Kind::Unreachable, safe!("connecting to PostgreSQL at {}", self.at()))
                    .what("none of its hosts is what target_session_attrs asks for")
            })
        })
    }

    async fn open_at(&self, at: &(String, u16)) -> Result<Postgres> {
        match self.greet(at, true).await {
            // PgBouncer takes few startup parameters, and says so.
            Err(error) if self.way.url.options.is_some() && error.says().contains("unsupported startup parameter") => {
                self.greet(at, false).await
            }
            other => other,
        }
    }

    async fn greet(&self, at: &(String, u16), options: bool) -> Result<Postgres> {
        let (stream, route) = self.way.dial(at).await?;
        let url = &self.way.url;
        let mut config = Config::new();
        // The default user is the one of this machine, which nobody means.
        let user = url.user.as_deref().unwrap_or("postgres");
        config.user(user).application_name("obsctl");
        match &url.password {
            Some(password) => _ = config.password(password.expose_secret()),
            None => {
                let found =
                    self.way.passfile.as_deref().and_then(|f| files::password(f, at, url.database.as_deref().unwrap_or(user), user));
                if let Some(password) = found {
                    config.password(password.expose_secret());
                }
            }
        }
        if let Some(database) = &url.database {
            config.dbname(database);
        }
        if let Some(settings) = url.options.as_ref().filter(|_| options) {
            config.options(settings);
        }
        config.ssl_mode(match url.ssl {
            SslMode::Disable => WireSsl::Disable,
            _ if at.0.starts_with('/') => WireSsl::Disable,
            SslMode::Prefer => WireSsl::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => WireSsl::Require,
        });
        let says = host_port(&at.0, at.1);
        let doing = safe!("connecting to PostgreSQL at {}", says);
        let tls = self.way.tls_connect(&at.0)?;
        let connected = tokio::time::timeout(CONNECT, config.connect_raw(stream, tls)).await;
        let (client, connection) = match connected {
            Err(_) => {
                return Err(Error::new(Kind::Timeout, doing).what(safe!("no answer within {} s", CONNECT.as_secs())));
            }
            Ok(Err(error)) => return Err(fault::of(&error, doing, &self.way.redact, Some((&self.way.tls, &at.0)))),
            Ok(Ok(both)) => both,
        };
        let heard = Arc::new(Heard::default());
        let leave = Leave::of(burst::drive(connection, heard.clone()));
        let database = url.database.as_ref().map(|name| safe!("/{}", Safe::name(name))).unwrap_or_default();
        Ok(Postgres {
            client,
            _leave: leave,
            heard,
            log: Log::default(),
            way: self.way.clone(),
            host: at.clone(),
            opened: Instant::now(),
            at: safe!("{}{}", says, database),
            route: route.says(),
            redact: self.way.redact.clone(),
            stop: self.stop.clone(),
        })
    }
}

impl Way {
    /// TLS as this database's address means it.
    fn tls_connect(&self, host: &str) -> Result<<MakeRustlsConnect as MakeTlsConnect<Box<dyn Duplex>>>::TlsConnect> {
        let name = if host.starts_with('/') { "localhost" } else { host };
        let mut maker = MakeRustlsConnect::new(self.tls.config().as_ref().clone());
        MakeTlsConnect::<Box<dyn Duplex>>::make_tls_connect(&mut maker, name)
            .map_err(|_| Error::new(Kind::Tls, "setting up TLS").what("its name is none that a certificate could have"))
    }

    async fn dial(&self, (host, port): &(String, u16)) -> Result<(Box<dyn Duplex>, Route)> {
        if host.starts_with('/') {
            if self.hint.for_pods {
                return Err(Error::new(Kind::Config, "connecting to PostgreSQL")
                    .what("it is a socket in the application's own pod, where nothing outside leads")
                    .hint(Hint::Set("postgres: url of the same database over TCP".into())));
            }
            let path = PathBuf::from(host).join(format!(".s.PGSQL.{port}"));
            return Ok((route::dial_unix(&path).await?, Route::Direct));
        }
        let route = route::choose(self.via, host, *port, self.cluster.as_ref(), &self.hint).await?;
        if self.guarded && !matches!(route, Route::Tunnel(_)) {
            return Err(Error::new(Kind::Config, "sending the database's password")
                .what(safe!("{} is no Service, and what names it is not what holds the password", Safe::name(host)))
                .hint(Hint::Run("obsctl config trust".into())));
        }
        Ok((route.dial(host, *port).await?, route))
    }
}

/// A connected database. Dropping it ends the session: the server is told, so that it need not find out by itself.
pub struct Postgres {
    /// Goes before `_leave`: without it the driver says goodbye.
    client: Client,
    _leave: Leave,
    heard: Arc<Heard>,
    log: Log,
    way: Arc<Way>,
    host: (String, u16),
    opened: Instant,
    at: Safe,
    route: Safe,
    redact: Redactor,
    stop: CancellationToken,
}

impl Postgres {
    /// The rows of one statement, asked in a READ ONLY transaction that is rolled back.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Timeout`, `Protocol` with the server's words and SQLSTATE; `Unreachable` when the connection broke;
    /// `Cancelled` once it was told to stop.
    pub async fn rows(&self, doing: Safe, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>> {
        self.wanted(&doing)?;
        self.log.note([UNDER, sql, "ROLLBACK"]);
        let ask = async {
            self.client.batch_execute(UNDER).await?;
            // Unnamed and typed: a pooler in transaction mode knows no prepared statements.
            let rows = self.client.query_typed(sql, parameters).await;
            let end = self.client.batch_execute("ROLLBACK").await;
            let rows = rows?;
            end.map(|()| rows)
        };
        self.answered(&doing, ask, ANSWER).await?.map_err(|error| fault::of(&error, doing, &self.redact, None).to(self.provenance()))
    }

    /// How it was reached: `direct`, `tunnel to pod postgres-0`.
    pub fn route(&self) -> &Safe {
        &self.route
    }

    /// Where its facts come from.
    pub fn provenance(&self) -> Provenance {
        Provenance { system: "postgresql", at: self.at.clone(), through: (self.route.as_str() != "direct").then(|| self.route.clone()) }
    }
}
