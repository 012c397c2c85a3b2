//! Where a PostgreSQL database is, as Django and libpq write it: a URL or `key=value` pairs, one host or several, with libpq's meaning of
//! `sslmode` and `target_session_attrs`. Connects to nothing; no error and no rendered form holds a password.

use super::broker_url::{authority, decode, filled, host_port};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

const READING: &str = "reading the database's URL";
const PORT: u16 = 5432;
const HERE: &str = "127.0.0.1";

/// Where a database is, and who we are to it.
#[derive(Clone, Debug)]
pub struct PostgresUrl {
    /// The host; the folder of a socket where it begins with `/`.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The role.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// The database; None: the one named like the role.
    pub database: Option<String>,
    /// How much TLS is asked for.
    pub ssl: SslMode,
    /// `sslrootcert`, a path on the application's machine.
    pub ca: Option<PathBuf>,
    /// `sslcert` likewise.
    pub cert: Option<PathBuf>,
    /// `sslkey` likewise.
    pub key: Option<PathBuf>,
    /// Further hosts that may hold the same database.
    pub others: Vec<(String, u16)>,
    /// Which of the hosts is meant.
    pub wanted: WantedHost,
    /// `options`: settings of the session, `-c search_path=shop`.
    pub options: Option<String>,
    /// `service`: the section of a service file that says the rest.
    pub service: Option<String>,
    /// `passfile`.
    pub passfile: Option<PathBuf>,
}

/// libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WantedHost {
    /// Any of them; obsctl prefers a replica.
    #[default]
    Any,
    /// The one that takes writes.
    Primary,
    /// A replica only.
    Replica,
}

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it, verified by nothing.
    #[default]
    Prefer,
    /// TLS, verified by nothing: this is libpq's meaning, not ours.
    Require,
    /// TLS, and its signature is verified.
    VerifyCa,
    /// TLS, and its signature and its name are verified.
    VerifyFull,
}

impl PostgresUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// `Config`: another database, no URL, or a password that should have been percent-encoded.
    pub fn parse(text: &str) -> Result<Self> {
        let form = || Hint::Set("the URL as Django has it: postgres://user:password@host:5432/name".into());
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            let pairs = if text.contains('=') { keywords(text)? } else { return Err(refused("it is no URL").hint(form())) };
            return Self::default().with(&pairs);
        };
        let scheme = scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme).to_ascii_lowercase();
        match scheme.as_str() {
            "postgres" | "postgresql" | "postgis" | "pgsql" | "psql" | "timescale" | "timescalegis" => {}
            "mysql" | "mysql2" | "sqlite" | "sqlite3" | "spatialite" | "oracle" | "mssql" | "cockroach" | "redshift" => {
                return Err(refused(safe!("the database is {}: obsctl asks PostgreSQL only", Safe::name(&scheme))));
            }
            _ => return Err(refused("its scheme is none of postgres, postgresql, postgis").hint(form())),
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') || query.contains('@') || rest.contains('#') {
            return Err(refused("an @ or a # stands behind the host: a password with / ? # @ in it is percent-encoded"));
        }
        let (login, place) = place.rsplit_once('@').map_or((None, place), |(login, host)| (Some(login), host));
        let (user, password) = login.map(|l| l.split_once(':').unwrap_or((l, ""))).unwrap_or_default();
        let hosts: Vec<(String, Option<u16>)> = place.split(',').map(host).collect::<Result<_>>()?;
        let pairs: Vec<(String, String)> =
            query.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value))).collect();
        let named = hosts.iter().any(|(host, _)| !host.is_empty());
        let mut url = Self { user: filled(decode(user)), password: filled(decode(password)).map(SecretString::from), ..Self::default() };
        url.database = filled(decode(path));
        if named {
            url.place(hosts);
        }
        // What the query says of the host counts only where the URL itself names none.
        url.with(&pairs.into_iter().filter(|(key, _)| !named || !matches!(key.as_str(), "host" | "hostaddr" | "port")).collect::<Vec<_>>())
    }

    /// The same with libpq's keywords; the last of a kind counts, what only Django or a driver knows is left alone.
    ///
    /// # Errors
    /// `Config` for a value that its keyword cannot have.
    pub fn with(mut self, pairs: &[(String, String)]) -> Result<Self> {
        let said = |key: &str| pairs.iter().rev().find(|(k, v)| k == key && !v.is_empty()).map(|(_, value)| value.clone());
        if let Some(list) = said("host").or_else(|| said("hostaddr")) {
            let hosts = list.split(',').map(host).collect::<Result<Vec<_>>>()?;
            self.place(hosts);
        }
        if let Some(list) = said("port") {
            let ports: Vec<u16> = list
                .split(',')
                .map(|port| if port.is_empty() { Ok(PORT) } else { port.trim().parse().ok().filter(|p| *p > 0).ok_or_else(bad_port) })
                .collect::<Result<_>>()?;
            let of = |at: usize| ports.get(at).or(ports.first().filter(|_| ports.len() == 1)).copied();
            self.port = of(0).unwrap_or(self.port);
            for (at, other) in self.others.iter_mut().enumerate() {
                other.1 = of(at + 1).unwrap_or(other.1);
            }
        }
        self.user = said("user").or(self.user);
        self.password = said("password").map(SecretString::from).or(self.password);
        self.database = said("dbname").or(self.database);
        self.ssl = match said("sslmode") {
            Some(word) => ssl_mode(&word)?,
            None => self.ssl,
        };
        // libpq: the machine's own authorities, by which nothing less than all can be verified.
        if said("sslrootcert").as_deref() == Some("system") {
            self.ssl = SslMode::VerifyFull;
        } else {
            self.ca = said("sslrootcert").map(PathBuf::from).or(self.ca);
        }
        self.cert = said("sslcert").map(PathBuf::from).or(self.cert);
        self.key = said("sslkey").map(PathBuf::from).or(self.key);
        self.passfile = said("passfile").map(PathBuf::from).or(self.passfile);
        self.service = said("service").or(self.service);
        self.options = said("options").or(self.options);
        self.wanted = match said("target_session_attrs").as_deref() {
            None => self.wanted,
            Some("any" | "prefer-standby") => WantedHost::Any,
            Some("read-write" | "primary") => WantedHost::Primary,
            Some("read-only" | "standby") => WantedHost::Replica,
            Some(_) => {
                return Err(refused("target_session_attrs is one of any, read-write, read-only, primary, standby, prefer-standby"));
            }
        };
        Ok(self)
    }

    fn place(&mut self, hosts: Vec<(String, Option<u16>)>) {
        let mut hosts = hosts.into_iter().map(|(host, port)| (if host.is_empty() { HERE.into() } else { host }, port.unwrap_or(PORT)));
        (self.host, self.port) = hosts.next().unwrap_or((HERE.into(), PORT));
        self.others = hosts.collect();
    }

    /// All its hosts, in the order in which they are tried.
    pub fn hosts(&self) -> Vec<(String, u16)> {
        std::iter::once((self.host.clone(), self.port)).chain(self.others.iter().cloned()).collect()
    }

    /// A database that is given in parts.
    ///
    /// # Errors
    /// `Config`: a host that is none, or a port that is no number.
    pub fn of_parts(
        host: &str,
        port: Option<&str>,
        user: Option<String>,
        password: Option<SecretString>,
        database: Option<String>,
    ) -> Result<Self> {
        let (host, here) = match host.trim() {
            socket if socket.starts_with('/') => (socket.to_owned(), None),
            host => authority(host).map_err(|_| refused("the host is no host name"))?,
        };
        let port = match port.map(str::trim).filter(|port| !port.is_empty()) {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(bad_port)?,
            None => here.unwrap_or(PORT),
        };
        let password = password.filter(|p| !p.expose_secret().is_empty());
        Ok(Self { host, port, user, password, database, ..Self::default() })
    }

    /// `db:5432/shop`. Never a password.
    pub fn says(&self) -> Safe {
        let database = self.database.as_ref().map(|name| safe!("/{}", Safe::name(name))).unwrap_or_default();
        let hosts: Vec<Safe> = self.hosts().iter().map(|(host, port)| host_port(host, *port)).collect();
        safe!("{}{}", Safe::join(&hosts, ","), database)
    }
}

impl Default for PostgresUrl {
    fn default() -> Self {
        Self {
            host: HERE.into(),
            port: PORT,
            user: None,
            password: None,
            database: None,
            ssl: SslMode::default(),
            ca: None,
            cert: None,
            key: None,
            others: Vec::new(),
            wanted: WantedHost::default(),
            options: None,
            service: None,
            passfile: None,
        }
    }
}

/// One host of a list: a name with or without a port, or the folder of a socket.
fn host(text: &str) -> Result<(String, Option<u16>)> {
    match decode(text) {
        socket if socket.starts_with('/') => match text.rsplit_once(':').map(|(folder, port)| (folder, port.parse::<u16>())) {
            Some((folder, Ok(port))) if port > 0 => Ok((decode(folder), Some(port))),
            _ => Ok((socket, None)),
        },
        _ => authority(text).map_err(|_| refused("what stands for host and port is neither; a password is percent-encoded")),
    }
}

/// `host=db password='it\\'s'`, as libpq reads it.
fn keywords(text: &str) -> Result<Vec<(String, String)>> {
    let bad = || refused("it is neither a URL nor a list of key=value");
    let (mut pairs, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(bad)?;
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(bad());
        }
        let after = after.trim_start();
        let quoted = after.starts_with('\'');
        let (mut value, mut ended, mut escaped) = (String::new(), None, false);
        for (at, c) in after.char_indices().skip(usize::from(quoted)) {
            match c {
                _ if escaped => {
                    value.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '\'' if quoted => {
                    ended = Some(at + 1);
                    break;
                }
                c if !quoted && c.is_whitespace() => {
                    ended = Some(at);
                    break;
                }
                c => value.push(c),
            }
        }
        if quoted && ended.is_none() {
            return Err(bad());
        }
        pairs.push((key.to_owned(), value));
        rest = after.get(ended.unwrap_or(after.len())..).unwrap_or_default().trim_start();
    }
    Ok(pairs)
}

fn bad_port() -> Error {
    refused("the port is no number from 1 to 65535")
}

fn ssl_mode(word: &str) -> Result<SslMode> {
    match word {
        "disable" => Ok(SslMode::Disable),
        "allow" | "prefer" => Ok(SslMode::Prefer),
        "require" => Ok(SslMode::Require),
        "verify-ca" => Ok(SslMode::VerifyCa),
        "verify-full" => Ok(SslMode::VerifyFull),
        _ => Err(refused("sslmode is one of disable, allow, prefer, require, verify-ca, verify-full")),
    }
}

fn refused(what: impl Into<Safe>) -> Error {
    Error::new(Kind::Config, READING).what(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_of_django_and_libpq() {
        for (url, says, user, password, ssl) in [
            ("postgres://u:p%40%2F@db:6432/shop", "db:6432/shop", Some("u"), Some("p@/"), SslMode::Prefer),
            ("postgis://db/shop?sslmode=require", "db:5432/shop", None, None, SslMode::Require),
            ("postgresql+psycopg2://u@[::1]/shop?sslmode=verify-full", "[::1]:5432/shop", Some("u"), None, SslMode::VerifyFull),
            ("postgres://u:p@%2Frun%2Fpostgresql/shop", "/run/postgresql:5432/shop", Some("u"), Some("p"), SslMode::Prefer),
            ("postgres:///shop?host=/tmp&sslmode=disable", "/tmp:5432/shop", None, None, SslMode::Disable),
        ] {
            let parsed = PostgresUrl::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
            let secret = parsed.password.as_ref().map(|p| p.expose_secret());
            assert_eq!((parsed.says().as_str(), parsed.user.as_deref(), secret, parsed.ssl), (says, user, password, ssl), "{url}");
        }
        for bad in ["", "db", "mysql://u:hunter2@h/d", "postgres://u:hunter2/x@h/d", "postgres://h/d?sslmode=x", "x://h"] {
            let error = PostgresUrl::parse(bad).expect_err(bad);
            assert!(error.kind() == Kind::Config && !format!("{error} {:?}", error.hints()).contains("hunter2"), "{bad}");
        }
        for (text, says) in [
            ("postgres://a,b:6432/d?target_session_attrs=read-write", "a:5432,b:6432/d"),
            ("host=a,b port=5433,5434 dbname='my shop' password='it\\'s' user=u", "a:5433,b:5434/my shop"),
            ("dbname=shop host=/run/postgresql", "/run/postgresql:5432/shop"),
            ("psql://u@/shop?host=/tmp&conn_max_age=60&options=-c%20search_path%3Dshop", "/tmp:5432/shop"),
            ("timescale://db/shop?sslrootcert=system", "db:5432/shop"),
        ] {
            assert_eq!(PostgresUrl::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).says().as_str(), says);
        }
        let dsn = PostgresUrl::parse("host=a password='it\\'s' options='-c a=b'").expect("good");
        assert_eq!((dsn.password.expect("one").expose_secret(), dsn.options.as_deref()), ("it's", Some("-c a=b")));
        assert_eq!(PostgresUrl::parse("postgres://a,b/d?target_session_attrs=read-write").expect("good").wanted, WantedHost::Primary);
        let parts = PostgresUrl::of_parts("db", Some("5433"), Some("u".into()), Some("".into()), Some("shop".into())).expect("good");
        assert_eq!((parts.says().as_str(), parts.password.is_none()), ("db:5433/shop", true));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_shows(text in "\\PC{0,60}", secret in "[A-Z]{12}") {
            let _ = PostgresUrl::parse(&text);
            if let Err(error) = PostgresUrl::parse(&format!("host={text} password={secret}")) {
                let shown = error.to_string();
                prop_assert!(!shown.contains(&secret));
            }
            if let Ok(url) = PostgresUrl::parse(&format!("postgres://u:{secret}@h/d")) {
                let shown = format!("{} {url:?}", url.says());
                prop_assert!(!shown.contains(&secret));
            }
        }
    }
}
