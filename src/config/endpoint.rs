//! The way to a database or a broker, as data: where its address stands and how it is reached. Resolves nothing, connects to nothing;
//! what may be secret has no printable form but the name of its source.

use super::{Sourced, file::shown};
use crate::{safe, text::Safe};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

/// A system that is reached over the network.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it is.
    pub address: Address,
    /// How it is reached.
    pub via: Via,
    /// The app whose pod relays the bytes, where that is needed. None: whichever fits.
    pub relay: Option<String>,
    /// What its TLS is held to, beyond what its address says.
    pub tls: TlsSettings,
}

impl Endpoint {
    /// At this address, with nothing else said.
    pub fn at(address: Address, via: Via) -> Self {
        Self { address, via, relay: None, tls: TlsSettings::default() }
    }
    /// All its values.
    pub fn values(&self) -> Vec<&Sourced<SecretRef>> {
        let TlsSettings { ca, cert, key, .. } = &self.tls;
        self.address.values().into_iter().chain(ca).chain(cert).chain(key).collect()
    }
}

/// What a connection's TLS is held to. Anything said here asks for TLS, also where the URL does not.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// The authority that signed the server's certificate; None: those of this machine.
    pub ca: Option<Sourced<SecretRef>>,
    /// A client certificate.
    pub cert: Option<Sourced<SecretRef>>,
    /// Its private key.
    pub key: Option<Sourced<SecretRef>>,
    /// Whether the server is verified; None: as the address says, else yes.
    pub verify: Option<bool>,
}

impl TlsSettings {
    /// Whether anything is said.
    pub fn says_anything(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.key.is_some() || self.verify.is_some()
    }
}

/// Where a system is.
#[derive(Clone, Debug)]
pub enum Address {
    /// One URL.
    Url(Sourced<SecretRef>),
    /// Its parts.
    Parts(Box<AddressParts>),
    /// Where the variables of the apps say that it is: they know it best, and the file says nothing else.
    Apps,
}

impl Address {
    /// All its values.
    pub fn values(&self) -> Vec<&Sourced<SecretRef>> {
        match self {
            Self::Url(url) => vec![url],
            Self::Apps => Vec::new(),
            Self::Parts(parts) => {
                let AddressParts { host, port, user, password, database } = &**parts;
                std::iter::once(host).chain(port).chain(user).chain(password).chain(database).collect()
            }
        }
    }
}

/// An address in parts.
#[derive(Clone, Debug)]
pub struct AddressParts {
    /// The host.
    pub host: Sourced<SecretRef>,
    /// The port; the system's own when left out.
    pub port: Option<Sourced<SecretRef>>,
    /// The user or role.
    pub user: Option<Sourced<SecretRef>>,
    /// The password.
    pub password: Option<Sourced<SecretRef>>,
    /// The database: a name in PostgreSQL, a number in Redis.
    pub database: Option<Sourced<SecretRef>>,
}

/// The way to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "via")]
pub enum Via {
    /// A tunnel where the host names a Service of the cluster, direct otherwise.
    #[default]
    Auto,
    /// Straight from here.
    Direct,
    /// Through a port-forward that obsctl opens and closes.
    Tunnel,
    /// Relayed through the app's own pod.
    Exec,
}

impl Via {
    /// Its word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Direct => "direct",
            Self::Tunnel => "tunnel",
            Self::Exec => "exec",
        }
    }
}

/// A value that may be secret, or the reference to it.
#[derive(Clone)]
pub enum SecretRef {
    /// It stands in the file.
    Literal(SecretString),
    /// It came from variables, here expanded.
    Variables {
        /// Their names.
        names: Vec<String>,
        /// The text with all of them in place.
        value: SecretString,
    },
    /// A variable that is not set: an error only for the command that needs it.
    Unset {
        /// Its name.
        variable: String,
    },
    /// A file that holds it.
    File(PathBuf),
    /// A command that prints it.
    Command(Vec<String>),
    /// A Secret of the environment's namespace.
    Secret {
        /// Its name.
        name: String,
        /// The key in it.
        key: String,
    },
    /// A ConfigMap of the environment's namespace.
    ConfigMap {
        /// Its name.
        name: String,
        /// The key in it.
        key: String,
    },
    /// A variable that the containers of a workload of the environment's namespace get, by whatever way it gets there.
    Workload {
        /// What kind: `deployment`.
        kind: String,
        /// Its name.
        name: String,
        /// The variable.
        env: String,
    },
    /// An untrusted file asked for this. What it asked is not kept, so that nothing can do it by mistake.
    Untrusted(&'static str),
}

impl SecretRef {
    /// Where it stands, never what it is.
    pub fn says(&self) -> Safe {
        match self {
            Self::Literal(_) => "the file itself".into(),
            Self::Variables { names, .. } => {
                let names: Vec<Safe> = names.iter().map(|n| safe!("${{{}}}", Safe::name(n))).collect();
                Safe::join(&names, ", ")
            }
            Self::Unset { variable } => safe!("${{{}}}, which is not set", Safe::name(variable)),
            Self::File(path) => safe!("file {}", shown(path)),
            // The arguments can hold a token; `config trust` shows them, redacted.
            Self::Command(words) => safe!(
                "command {} with {}",
                words.first().map(Safe::name).unwrap_or_default(),
                crate::text::units::plural(words.len().saturating_sub(1), "argument", "arguments")
            ),
            Self::Secret { name, key } => safe!("secret/{} key {}", Safe::name(name), Safe::name(key)),
            Self::ConfigMap { name, key } => safe!("configmap/{} key {}", Safe::name(name), Safe::name(key)),
            Self::Workload { kind, name, env } => safe!("{}/{} variable {}", Safe::name(kind), Safe::name(name), Safe::name(env)),
            Self::Untrusted(what) => safe!("{}, which an untrusted file may not use", *what),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<from {}>", self.says())
    }
}
