//! What a watch remembers across restarts: written whole after every round, read back at the start. Holds no secret and no address.

use super::history::ProbeHistory;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the file; another one is not read.
pub const VERSION: u32 = 1;

/// Everything that a watch remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchState {
    /// The version of this shape.
    pub version: u32,
    /// Each thing that is watched, by its stable name.
    pub subjects: BTreeMap<String, SubjectState>,
    /// Since when nothing at all could be reached, which is more likely our own network than everybody's.
    pub cut_off_since: Option<Timestamp>,
}

impl Default for WatchState {
    fn default() -> Self {
        Self { version: VERSION, subjects: BTreeMap::new(), cut_off_since: None }
    }
}

/// What a subject is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Not probed yet.
    #[default]
    New,
    /// Well.
    Up,
    /// In trouble: so many probes in a row said so.
    Down,
}

/// One thing that is watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectState {
    /// What it is taken for.
    pub standing: Standing,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How many probes in a row contradicted that.
    pub against: u32,
    /// When the first of them was.
    pub against_since: Option<Timestamp>,
    /// How often it went down: with its name the key of an incident, the same after a restart.
    pub incident: u64,
    /// Whether its going down was told, so that its recovery will be.
    pub told: bool,
    /// What the last probes said.
    pub history: ProbeHistory,
}
