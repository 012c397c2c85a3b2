//! What beat has done, as django_celery_beat's tables have it.

use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// The enabled entries of beat's schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BeatFacts {
    /// When, by the database's clock.
    pub observed_at: Timestamp,
    /// The entries.
    pub entries: Vec<BeatEntry>,
}

/// One entry of beat's schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BeatEntry {
    /// Its name.
    pub name: Safe,
    /// The task that it publishes.
    pub task: Safe,
    /// When beat last ran it, as far as it has written it down.
    pub last_run: Option<Timestamp>,
    /// When the entry was made or last changed.
    pub changed: Option<Timestamp>,
    /// How often it ran.
    pub runs: u64,
    /// Every so many seconds; none where its schedule is of another form, and no verdict is given.
    pub every_s: Option<u64>,
}
