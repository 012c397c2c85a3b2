//! The server that was asked, and as whom: what decides what may run there and what can be seen.

use crate::text::Safe;
use serde::Serialize;

/// A server and our role on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerFacts {
    /// `18.4`.
    pub version: Safe,
    /// 180004.
    pub version_number: u32,
    /// The database.
    pub database: Safe,
    /// The role.
    pub role: Safe,
    /// Whether it is a replica.
    pub replica: bool,
    /// How old the last transaction is that a replica has replayed, in seconds; on an idle primary it grows without meaning.
    pub replay_age_seconds: Option<f64>,
    /// Whether the role is a superuser.
    pub superuser: bool,
    /// What the role may do beyond the database: `pg_execute_server_program`, ….
    pub powers: Vec<Safe>,
    /// Whether the role sees other roles' statements (`pg_monitor` or `pg_read_all_stats`).
    pub sees_others: bool,
    /// Whether a pooler stands in between: the server's session is older than ours.
    pub pooled: bool,
    /// Where names without a schema are looked up.
    pub search_path: Safe,
    /// hypopg's version, where it is installed in this database.
    pub hypopg: Option<Safe>,
    /// pg_stat_statements' version likewise.
    pub pg_stat_statements: Option<Safe>,
    /// How many bytes of a running statement the server keeps.
    pub track_activity_query_size: usize,
    /// Whether a backslash in a literal is only that.
    pub standard_conforming_strings: bool,
}

impl ServerFacts {
    /// 18.
    pub fn major(&self) -> u32 {
        self.version_number / 10_000
    }

    /// Why nothing is run as this role unless that is allowed: it could do what no transaction undoes.
    pub fn too_powerful(&self) -> Option<Safe> {
        if self.superuser {
            return Some(crate::safe!("{} is a superuser", self.role));
        }
        let power = self.powers.first()?;
        Some(crate::safe!("{} is a member of {}", self.role, *power))
    }
}
