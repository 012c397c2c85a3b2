//! The Redis behind a broker, as far as it decides whether tasks are safe in it.

use crate::text::Safe;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the server says of itself. What it did not say, or may not be asked, is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServerFacts {
    /// `Redis`, `Valkey`, or what else calls itself so.
    pub product: Option<Safe>,
    /// Its version.
    pub version: Option<Safe>,
    /// `master` or `replica`.
    pub role: Option<ServerRole>,
    /// Whether a replica has its primary: `up`, `down`.
    pub link_up: Option<bool>,
    /// The bytes that its data takes.
    pub memory: Option<u64>,
    /// How many it may take; none is no limit of its own.
    pub memory_limit: Option<u64>,
    /// What it does at that limit: `noeviction`, `allkeys-lru`.
    pub eviction: Option<Safe>,
    /// Keys that it has evicted since it started.
    pub evicted: Option<u64>,
    /// Whether the last snapshot could be written.
    pub snapshot_ok: Option<bool>,
    /// Whether it writes an append-only file, and whether the last write of that went well.
    pub log_ok: Option<bool>,
    /// How many keys each of its databases has; one without keys is not in it.
    pub databases: BTreeMap<u64, u64>,
}

impl ServerFacts {
    /// How full it is, from 0 to 1.
    pub fn full(&self) -> Option<f64> {
        let (used, limit) = (self.memory?, self.memory_limit?);
        (limit > 0).then(|| used as f64 / limit as f64)
    }
}

/// What a server is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerRole {
    /// It takes writes.
    Primary,
    /// It repeats what its primary does, a little later.
    Replica,
}
