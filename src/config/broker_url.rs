//! The URL of a Celery broker, read as kombu reads it (measured against kombu 5.6): what it accepts is accepted with the same meaning,
//! what obsctl cannot ask is refused with the reason. Connects to nothing; no error and no rendered form holds a password.
//!
//! Two readings differ from kombu's on purpose: `rediss://` without `ssl_cert_reqs` is verified (kombu does not), and a password that was
//! not percent-encoded is an error wherever kombu would quietly take a part of it for the host or the database.

use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

const READING: &str = "reading the broker's URL";
const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// One broker of a `broker_url`.
#[derive(Clone, Debug)]
pub struct BrokerUrl {
    /// Where it is.
    pub address: BrokerAddress,
    /// The number of the database.
    pub db: u32,
    /// The ACL user.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// What its TLS is held to. None: no TLS.
    pub tls: Option<UrlTls>,
    /// What its user should know: unverified TLS, parts that Celery does not use.
    pub warnings: Vec<Safe>,
}

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerAddress {
    /// A host and a port.
    Tcp {
        /// The host; an IPv6 address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket on the machine of the application.
    Unix {
        /// Its path.
        path: PathBuf,
    },
    /// Wherever the sentinels say that the master is.
    Sentinel {
        /// The sentinels, in the order in which they are asked.
        nodes: Vec<(String, u16)>,
        /// The name of the master, which no URL holds: `master_name` of broker_transport_options.
        master: Option<String>,
    },
}

/// What the URL says of TLS. Paths are those of the application's machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlTls {
    /// How much of the server's certificate is verified.
    pub verify: Verify,
    /// `ssl_ca_certs`.
    pub ca: Option<PathBuf>,
    /// `ssl_certfile`.
    pub cert: Option<PathBuf>,
    /// `ssl_keyfile`.
    pub key: Option<PathBuf>,
}

/// How much of a server's certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Its signature and its name.
    #[default]
    Full,
    /// Its signature only.
    Chain,
    /// Nothing: whoever answers gets the password.
    Nothing,
}

impl BrokerUrl {
    /// Reads a `broker_url`: one URL, or several with `;` between them, of which Celery uses the first that answers. Those of sentinels
    /// together are one broker. There is at least one in the answer.
    ///
    /// # Errors
    /// `Config`: no URL, a broker that is no Redis, or a password that should have been percent-encoded.
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        let text = text.trim();
        if text.is_empty() {
            return Err(refused("it is empty"));
        }
        let raws = text.split(';').map(str::trim).filter(|url| !url.is_empty()).map(Raw::parse).collect::<Result<Vec<_>>>()?;
        let sentinels = raws.iter().filter(|raw| raw.scheme == Scheme::Sentinel).count();
        match sentinels {
            0 => raws.into_iter().map(Raw::redis).collect(),
            n if n == raws.len() => Ok(vec![sentinel(raws)?]),
            _ => Err(refused("sentinel:// stands beside other schemes: Celery takes all of one kind")),
        }
    }

    /// A broker that is given in parts.
    ///
    /// # Errors
    /// `Config`: a host that is none, a port or a database that is no number.
    pub fn of_parts(
        host: &str,
        port: Option<&str>,
        user: Option<String>,
        password: Option<SecretString>,
        db: Option<&str>,
    ) -> Result<Self> {
        let host = host.trim();
        if host.contains("://") {
            return Err(refused("the host is a whole URL").hint(Hint::Set("url, in place of host".into())));
        }
        let (host, port_here) = authority(host)?;
        let port = match port.map(str::trim).filter(|port| !port.is_empty()) {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| refused("the port is no number from 1 to 65535"))?,
            None => port_here.unwrap_or(REDIS_PORT),
        };
        let db = database(db.unwrap_or_default().trim())?;
        let address = BrokerAddress::Tcp { host: or_local(host), port };
        Ok(Self { address, db, user, password: password.filter(|p| !p.expose_secret().is_empty()), tls: None, warnings: Vec::new() })
    }

    /// `redis-0:6379/0`, `/run/redis.sock db 2`, `sentinels a:26379, b:26379 master mymaster db 0`. Never a password.
    pub fn says(&self) -> Safe {
        match &self.address {
            BrokerAddress::Tcp { host, port } => safe!("{}/{}", host_port(host, *port), self.db),
            BrokerAddress::Unix { path } => safe!("{} db {}", super::file::shown(path), self.db),
            BrokerAddress::Sentinel { nodes, master } => {
                let nodes: Vec<Safe> = nodes.iter().map(|(host, port)| host_port(host, *port)).collect();
                let master = master.as_ref().map(|m| safe!(" master {}", Safe::name(m))).unwrap_or_default();
                safe!("sentinels {}{} db {}", Safe::join(&nodes, ", "), master, self.db)
            }
        }
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn host_port(host: &str, port: u16) -> Safe {
    if host.contains(':') { safe!("[{}]:{}", Safe::name(host), port) } else { safe!("{}:{}", Safe::name(host), port) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Redis,
    Rediss,
    Socket,
    Sentinel,
}

/// A URL in its parts, percent-decoded.
struct Raw {
    scheme: Scheme,
    user: Option<String>,
    password: Option<SecretString>,
    host: String,
    port: Option<u16>,
    path: String,
    query: Vec<(String, String)>,
}

impl Raw {
    fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(refused("each broker begins with its scheme").hint(Hint::Set(
                "the URL as Celery has it: redis://:password@host:6379/0; `;`, `/`, `#` in a password are %3B, %2F, %23".into(),
            )));
        };
        let scheme = known(scheme)?;
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority_text, path) = rest.split_once('/').unwrap_or((rest, ""));
        // A password with one of these in it has moved the host behind them.
        let at_in_path = scheme != Scheme::Socket && path.contains('@');
        if at_in_path || query.contains('@') || fragment.contains('@') {
            return Err(unencoded());
        }
        let (userinfo, host) = authority_text.rsplit_once('@').map_or((None, authority_text), |(user, host)| (Some(user), host));
        let (user, password) = match userinfo.map(|u| u.split_once(':').unwrap_or((u, ""))) {
            Some((user, password)) => (filled(decode(user)), filled(decode(password)).map(SecretString::from)),
            None => (None, None),
        };
        let (host, port) = authority(host)?;
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        });
        Ok(Self { scheme, user, password, host, port, path: decode(path), query: query.collect() })
    }

    /// The last one counts, as in Python's dict.
    fn said(&self, key: &str) -> Option<&str> {
        self.query.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    fn redis(self) -> Result<BrokerUrl> {
        let mut warnings = Vec::new();
        let tls = self.tls(&mut warnings)?;
        let (address, db) = if self.scheme == Scheme::Socket {
            if self.path.is_empty() {
                return Err(refused("no path of a socket: redis+socket:///run/redis.sock?virtual_host=0"));
            }
            let path = PathBuf::from(format!("/{}", self.path));
            (BrokerAddress::Unix { path }, database(self.said("virtual_host").unwrap_or_default())?)
        } else {
            let db = database(&self.path)?;
            (BrokerAddress::Tcp { host: or_local(self.host), port: self.port.unwrap_or(REDIS_PORT) }, db)
        };
        Ok(BrokerUrl { address, db, user: self.user, password: self.password, tls, warnings })
    }

    /// Any `ssl_…` asks for TLS, whatever the scheme.
    fn tls(&self, warnings: &mut Vec<Safe>) -> Result<Option<UrlTls>> {
        if self.scheme == Scheme::Socket || (self.scheme != Scheme::Rediss && !self.query.iter().any(|(key, _)| key.starts_with("ssl_"))) {
            return Ok(None);
        }
        let verify = match self.said("ssl_cert_reqs") {
            None | Some("CERT_REQUIRED" | "required" | "CERT_OPTIONAL" | "optional") => Verify::Full,
            Some("CERT_NONE" | "none") => Verify::Nothing,
            Some(_) => return Err(refused("ssl_cert_reqs is one of required, optional, none")),
        };
        let by_name = self.said("ssl_check_hostname").is_none_or(|said| !said.eq_ignore_ascii_case("false"));
        let verify = if verify == Verify::Full && !by_name { Verify::Chain } else { verify };
        match verify {
            Verify::Full => {}
            Verify::Chain => {
                warnings.push("the name in the broker's certificate is not verified: its URL says ssl_check_hostname=false".into())
            }
            Verify::Nothing => warnings.push("the broker's certificate is not verified: its URL says ssl_cert_reqs=none".into()),
        }
        let path = |key| self.said(key).filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Some(UrlTls { verify, ca: path("ssl_ca_certs"), cert: path("ssl_certfile"), key: path("ssl_keyfile") }))
    }
}

/// Sentinels: kombu asks them all, and takes user, password, database and TLS from the first URL alone.
fn sentinel(raws: Vec<Raw>) -> Result<BrokerUrl> {
    let mut warnings = Vec::new();
    let nodes = raws.iter().map(|raw| (or_local(raw.host.clone()), raw.port.unwrap_or(SENTINEL_PORT))).collect();
    let differs = |raw: &&Raw| !raw.path.trim_matches('/').is_empty();
    let behind_first = raws.iter().skip(1).find(differs).map(|raw| database(&raw.path)).transpose()?;
    let Some(first) = raws.into_iter().next() else { return Err(refused("it is empty")) };
    let db = database(&first.path)?;
    if let Some(other) = behind_first.filter(|other| *other != db) {
        warnings.push(safe!(
            "Celery takes the database from the first sentinel URL, so it uses {}; the {} of a later one counts for nothing",
            db,
            other
        ));
    }
    let tls = first.tls(&mut warnings)?;
    let address = BrokerAddress::Sentinel { nodes, master: first.said("master_name").map(str::to_owned) };
    Ok(BrokerUrl { address, db, user: first.user, password: first.password, tls, warnings })
}

/// What kombu's schemes are to obsctl.
fn known(scheme: &str) -> Result<Scheme> {
    let no = |name: &'static str, instead: &'static str| {
        Err(refused(safe!("the broker is {}: obsctl reads Celery's queues on Redis only", name)).hint(Hint::Try(instead.into())))
    };
    match scheme.to_ascii_lowercase().as_str() {
        "redis" => Ok(Scheme::Redis),
        "rediss" => Ok(Scheme::Rediss),
        "redis+socket" => Ok(Scheme::Socket),
        "sentinel" => Ok(Scheme::Sentinel),
        "redis+cluster" | "rediss+cluster" | "rediscluster" => {
            no("a Redis Cluster", "Celery's Redis transport cannot use one as a broker either; name the Redis that holds the queues")
        }
        "amqp" | "amqps" | "pyamqp" | "librabbitmq" | "qpid" => {
            no("RabbitMQ (AMQP)", "rabbitmqctl list_queues name messages_ready messages_unacknowledged consumers")
        }
        "sqs" => no("Amazon SQS", "aws sqs get-queue-attributes --attribute-names All --queue-url …"),
        "memory" | "filesystem" => no("in memory or in files", "name the broker of the deployed application"),
        "sqla" | "sqlalchemy" | "mongodb" | "kafka" | "confluentkafka" | "zookeeper" | "consul" | "etcd" | "azureservicebus"
        | "azurestoragequeues" | "gcpubsub" | "pyro" | "slmq" => no("neither Redis nor RabbitMQ", "ask that system itself for its queues"),
        // Not shown: where a scheme belongs, anything may stand.
        _ => Err(refused("its scheme is none of redis, rediss, redis+socket, sentinel")
            .hint(Hint::Set("the URL as Celery has it: redis://:password@host:6379/0".into()))),
    }
}

pub(super) fn authority(text: &str) -> Result<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host.to_owned(), rest.strip_prefix(':').unwrap_or(rest)),
            _ => return Err(refused("the host in brackets is no IPv6 address")),
        },
        None => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            (decode(host).to_ascii_lowercase(), port)
        }
    };
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
    if !host.bytes().all(is_host) {
        return Err(refused("the host is no host name"));
    }
    match port {
        "" => Ok((host, None)),
        port => match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok((host, Some(port))),
            _ => Err(unencoded()),
        },
    }
}

/// `/`, nothing, `4`, `/4`.
fn database(path: &str) -> Result<u32> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(0);
    }
    // Not shown: behind an unencoded `/` of a password, this is the rest of it.
    path.trim().parse().map_err(|_| refused("the database of a Redis is a number: redis://host:6379/0"))
}

fn or_local(host: String) -> String {
    if host.is_empty() { "127.0.0.1".into() } else { host }
}

pub(super) fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Percent-decoding as Python's `unquote`: what is no escape stays, what is no UTF-8 is replaced.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(byte) = bytes.get(i) {
        let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (byte, digit(i + 1), digit(i + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            _ => {
                out.push(*byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn refused(what: impl Into<Safe>) -> Error {
    Error::new(Kind::Config, READING).what(what)
}

fn unencoded() -> Error {
    refused("behind the host stands no port, or an @ stands behind the host: a password with / ? # @ : in it is percent-encoded")
        .hint(Hint::Try("python3 -c 'import urllib.parse as u, getpass; print(u.quote(getpass.getpass(), safe=\"\"))'".into()))
}
