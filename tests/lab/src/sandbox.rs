//! A small real production to point obsctl at: Django, Celery, gunicorn, PostgreSQL and Redis, with faults planted on purpose.
//!
//! `tests/sandbox/production.json` says once what it consists of ([`description`]); it runs as local processes ([`local`])
//! or as pods ([`pods`]). What takes long is made once and kept in the cache ([`parts`]). [`traffic`] plants the faults, [`harm`] those
//! that need a process killed, and restores what they harmed.

pub mod commands;
pub mod config;
pub mod description;
pub mod front;
pub mod harm;
pub mod local;
pub mod manifests;
pub mod parts;
pub mod pods;
pub mod traffic;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use harm::Harmed;
pub use local::LocalSandbox;
pub use pods::PodSandbox;
pub use traffic::{Planted, Task};

use crate::failure::Failure;

/// How the shop logs: see `tests/sandbox/shop/shop/log_profiles.py`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// django-structlog: request IDs in child tasks too.
    #[default]
    A,
    /// A middleware of the team's own: no line of a worker names a request.
    B,
    /// python-json-logger: no request ID at all.
    C,
    /// Django's `verbose` text.
    D,
}

impl Profile {
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
            Self::D => "d",
        })
    }
}

impl FromStr for Profile {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.to_string() == text)
            .ok_or_else(|| Failure::new(format!("there is no log profile {text:?}: a, b, c or d")))
    }
}

/// `tests/sandbox` of the repository that this lab was compiled in.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, |tests| tests.join("sandbox"))
}
