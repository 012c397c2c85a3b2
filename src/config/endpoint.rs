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
}

/// Where a system is.
#[derive(Clone, Debug)]
pub enum Address {
    /// One URL.
    Url(Sourced<SecretRef>),
    /// Its parts.
    Parts(Box<AddressParts>),
}

impl Address {
    /// All its values.
    pub fn values(&self) -> Vec<&Sourced<SecretRef>> {
        match self {
            Self::Url(url) => vec![url],
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
            Self::Untrusted(what) => safe!("{}, which an untrusted file may not use", *what),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<from {}>", self.says())
    }
}
