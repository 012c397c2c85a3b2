//! What a watch shows of what it watches. Serialize only: this is public JSON.

use super::state::Standing;
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// Everything `obsctl watch` knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WatchFacts {
    /// When the last round was.
    pub observed_at: Option<Timestamp>,
    /// What is watched, by name.
    pub subjects: Vec<SubjectFacts>,
    /// Since when nothing at all could be reached.
    pub cut_off_since: Option<Timestamp>,
    /// How many alerts nobody took yet.
    pub untold: usize,
}

/// One thing that is watched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubjectFacts {
    /// Its name.
    pub name: Safe,
    /// What it is taken for.
    pub standing: Standing,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How often it went down.
    pub incidents: u64,
    /// The share of the last probes that were well, of those that found out: 0 to 1.
    pub uptime: Option<f64>,
    /// What half of the answers took at most.
    pub p50_ms: Option<u32>,
    /// What 95 in 100 took at most.
    pub p95_ms: Option<u32>,
    /// The last probes, the oldest first: `·` well, `!` warned, `X` failed, `?` not found out.
    pub strip: Safe,
}
