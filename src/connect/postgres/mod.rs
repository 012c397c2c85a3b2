//! One PostgreSQL database: a session that only reads, over whatever way leads there. Each question is a transaction of its own, READ ONLY,
//! with short timeouts, and works behind a pooler in transaction mode. Knows no catalog.

mod fault;

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
    config::{Address, Endpoint, Origin, PostgresUrl, SslMode, UrlTls, Verify, Via},
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use secrecy::{ExposeSecret, SecretString};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_postgres::{
    Client, Config, Row,
    config::SslMode as WireSsl,
    tls::MakeTlsConnect,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

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
    url: PostgresUrl,
    via: Via,
    tls: Tls,
    hint: RelayHint,
    guarded: bool,
    cluster: Option<Arc<Cluster>>,
    redact: Redactor,
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
        let mut url = url;
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
        let said = UrlTls { verify, ca: url.ca.clone(), ..UrlTls::default() };
        let tls = Tls::new(&endpoint.tls, Some(&said), around.secrets, around.env.trusted, &mut warnings).await?;
        let guarded = around.is_guarded(&endpoint.address, &[]);
        let (cluster, redact) = (around.cluster.clone(), around.redact.clone());
        Ok(Self { from, warnings, url, via: endpoint.via, tls, hint, guarded, cluster, redact })
    }

    /// Where it is: `db:5432/shop`. Never a password.
    pub fn at(&self) -> Safe {
        self.url.says()
    }

    /// The cluster that it may be reached through.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// Connects, and says who we are.
    ///
    /// # Errors
    /// `Unreachable`, `Tls`, `Timeout`; `Auth` for a wrong password; `NotFound` for no such database.
    pub async fn open(&self) -> Result<Postgres> {
        let (stream, route) = self.dial().await?;
        let mut config = Config::new();
        // The default user is the one of this machine, which nobody means.
        config.user(self.url.user.as_deref().unwrap_or("postgres")).application_name("obsctl");
        if let Some(password) = &self.url.password {
            config.password(password.expose_secret());
        }
        if let Some(database) = &self.url.database {
            config.dbname(database);
        }
        config.ssl_mode(match self.url.ssl {
            SslMode::Disable => WireSsl::Disable,
            SslMode::Prefer if self.url.host.starts_with('/') => WireSsl::Disable,
            SslMode::Prefer => WireSsl::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => WireSsl::Require,
        });
        let doing = safe!("connecting to PostgreSQL at {}", self.at());
        let name = if self.url.host.starts_with('/') { "localhost" } else { &self.url.host };
        let mut maker = MakeRustlsConnect::new(self.tls.config().as_ref().clone());
        let tls = MakeTlsConnect::<Box<dyn Duplex>>::make_tls_connect(&mut maker, name)
            .map_err(|_| Error::new(Kind::Tls, doing.clone()).what("its name is none that a certificate could have"))?;
        let connected = tokio::time::timeout(CONNECT, config.connect_raw(stream, tls)).await;
        let (client, connection) = match connected {
            Err(_) => {
                return Err(Error::new(Kind::Timeout, doing).what(safe!("no answer within {} s", CONNECT.as_secs())));
            }
            Ok(Err(error)) => return Err(fault::of(&error, doing, &self.redact, Some((&self.tls, &self.url.host)))),
            Ok(Ok(both)) => both,
        };
        let mut driver = JoinSet::new();
        // Its end shows in the next question.
        driver.spawn(async move { drop(connection.await) });
        Ok(Postgres { client, _driver: driver, at: self.at(), route: route.says(), redact: self.redact.clone() })
    }

    async fn dial(&self) -> Result<(Box<dyn Duplex>, Route)> {
        let PostgresUrl { host, port, .. } = &self.url;
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

/// A connected database. Dropping it ends the session.
pub struct Postgres {
    client: Client,
    _driver: JoinSet<()>,
    at: Safe,
    route: Safe,
    redact: Redactor,
}

impl Postgres {
    /// The rows of one statement, asked in a READ ONLY transaction that is rolled back.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Timeout`, `Protocol` with the server's words and SQLSTATE; `Unreachable` when the connection broke.
    pub async fn rows(&self, doing: Safe, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>> {
        let ask = async {
            self.client.batch_execute(UNDER).await?;
            // Unnamed and typed: a pooler in transaction mode knows no prepared statements.
            let rows = self.client.query_typed(sql, parameters).await;
            let end = self.client.batch_execute("ROLLBACK").await;
            let rows = rows?;
            end.map(|()| rows)
        };
        match tokio::time::timeout(ANSWER, ask).await {
            Err(_) => Err(Error::new(Kind::Timeout, doing).to(self.provenance()).what(safe!("no answer within {} s", ANSWER.as_secs()))),
            Ok(Err(error)) => Err(fault::of(&error, doing, &self.redact, None).to(self.provenance())),
            Ok(Ok(rows)) => Ok(rows),
        }
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
