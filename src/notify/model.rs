//! An alert, as whoever is called needs it: what failed, where, since when, the evidence, what changed, what to do.

use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// Where an alert goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertRoute {
    /// Somebody is woken.
    Page,
    /// Somebody reads it at work.
    Notify,
    /// It is kept.
    Record,
}

/// Whether it begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It began.
    Firing,
    /// It is over.
    Resolved,
}

/// One thing to tell. All of its text is redacted already.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// The key of the incident, the same for its begin and its end and after a restart.
    pub key: Safe,
    /// Begin or end.
    pub state: AlertState,
    /// Where it goes.
    pub route: AlertRoute,
    /// The environment.
    pub environment: Safe,
    /// What failed: `backend-5b6d-p4nn`.
    pub subject: Safe,
    /// One sentence.
    pub says: Safe,
    /// Since when.
    pub since: Timestamp,
    /// When it was over.
    pub until: Option<Timestamp>,
    /// What it rests on.
    pub evidence: Vec<Safe>,
    /// What changed shortly before.
    pub changed: Vec<Safe>,
    /// What to do.
    pub runbook: Option<Safe>,
    /// Whether it may have been told before: obsctl was ended in the middle of telling it.
    pub again: bool,
}

impl Alert {
    /// `FAILED backend: redis is down (production)`: the first thing that is read.
    pub fn title(&self) -> Safe {
        let word = match self.state {
            AlertState::Firing => "FAILED",
            AlertState::Resolved => "ok again",
        };
        let again = if self.again { " (may be a repetition)" } else { "" };
        crate::safe!("{} {}: {} ({}){}", word, self.subject, self.says, self.environment, again)
    }
}
