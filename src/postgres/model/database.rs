//! The database that was asked, and as whom: what every answer about sessions and statements rests on.

use crate::{safe, text::Safe};
use jiff::Timestamp;
use serde::Serialize;

/// A server as one session sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatabaseSeen {
    /// By the server's own clock.
    pub observed_at: Timestamp,
    /// `15.8`.
    pub version: Safe,
    /// `150008`.
    pub version_num: u32,
    /// Whether it is a replica.
    pub replica: bool,
    /// As whom we ask.
    pub role: Safe,
    /// Whether that role may see what others do: `pg_read_all_stats`, which is part of `pg_monitor`.
    pub sees_all: bool,
    /// The database's name.
    pub database: Safe,
    /// `max_connections`.
    pub max_connections: u32,
    /// Of these, how many are kept for superusers.
    pub reserved_connections: u32,
    /// When the server was started.
    pub started_at: Timestamp,
    /// The pg_stat_statements that is installed in this database, with the schema that it lives in.
    pub statements: Option<StatementsExtension>,
}

impl DatabaseSeen {
    /// What would let the role see everything.
    pub fn grant(&self) -> Safe {
        safe!("GRANT pg_monitor TO {};", quoted(&self.role))
    }
}

/// A name as SQL wants it.
pub fn quoted(name: &Safe) -> Safe {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.clone() } else { Safe::name(format!("\"{}\"", name.replace('"', "\"\""))) }
}

/// An installed pg_stat_statements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatementsExtension {
    /// Its own version, which is not the server's: 1.10 after an upgrade of the server alone.
    pub version: (u32, u32),
    /// The schema.
    pub schema: Safe,
}
