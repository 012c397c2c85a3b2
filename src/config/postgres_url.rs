//! The URL of a PostgreSQL database as Django and libpq write it, in its common form: one host, `sslmode` with libpq's meaning. Connects to
//! nothing; no error and no rendered form holds a password.

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
        let Some((scheme, rest)) = text.trim().split_once("://") else { return Err(refused("it is no URL").hint(form())) };
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
        let (login, host) = place.rsplit_once('@').map_or((None, place), |(login, host)| (Some(login), host));
        let (user, password) = login.map(|l| l.split_once(':').unwrap_or((l, ""))).unwrap_or_default();
        if host.contains(',') {
            return Err(refused("several hosts in one URL are not understood here").hint(Hint::Set("host, port, … of one of them".into())));
        }
        let (host, port) = match decode(host) {
            socket if socket.starts_with('/') => (socket, None),
            _ => authority(host).map_err(|_| refused("what stands for host and port is neither; a password is percent-encoded"))?,
        };
        let pairs: Vec<(String, String)> =
            query.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value))).collect();
        let said = |key: &str| pairs.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.clone());
        let host = said("host").filter(|_| host.is_empty()).unwrap_or(host);
        Ok(Self {
            host: if host.is_empty() { "127.0.0.1".into() } else { host },
            port: port.unwrap_or(PORT),
            user: filled(decode(user)),
            password: filled(decode(password)).map(SecretString::from),
            database: filled(decode(path)),
            ssl: said("sslmode").as_deref().map(ssl_mode).transpose()?.unwrap_or_default(),
            ca: said("sslrootcert").map(PathBuf::from),
        })
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
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| refused("the port is no number from 1 to 65535"))?,
            None => here.unwrap_or(PORT),
        };
        let password = password.filter(|p| !p.expose_secret().is_empty());
        Ok(Self { host, port, user, password, database, ssl: SslMode::default(), ca: None })
    }

    /// `db:5432/shop`. Never a password.
    pub fn says(&self) -> Safe {
        let database = self.database.as_ref().map(|name| safe!("/{}", Safe::name(name))).unwrap_or_default();
        safe!("{}{}", host_port(&self.host, self.port), database)
    }
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
        for bad in
            ["", "db", "mysql://u:hunter2@h/d", "postgres://u:hunter2/x@h/d", "postgres://a,b/d", "postgres://h/d?sslmode=x", "x://h"]
        {
            let error = PostgresUrl::parse(bad).expect_err(bad);
            assert!(error.kind() == Kind::Config && !format!("{error} {:?}", error.hints()).contains("hunter2"), "{bad}");
        }
        let parts = PostgresUrl::of_parts("db", Some("5433"), Some("u".into()), Some("".into()), Some("shop".into())).expect("good");
        assert_eq!((parts.says().as_str(), parts.password.is_none()), ("db:5433/shop", true));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_shows(text in "\\PC{0,60}", secret in "[A-Z]{12}") {
            let _ = PostgresUrl::parse(&text);
            if let Ok(url) = PostgresUrl::parse(&format!("postgres://u:{secret}@h/d")) {
                let shown = format!("{} {url:?}", url.says());
                prop_assert!(!shown.contains(&secret));
            }
        }
    }
}
