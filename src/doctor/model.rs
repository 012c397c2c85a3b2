//! What was tried, and the rights that obsctl has and lacks.

use crate::{
    answer::{Hint, Permission},
    text::Safe,
};
use jiff::Timestamp;
use serde::Serialize;

/// All that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorFacts {
    /// When.
    pub observed_at: Timestamp,
    /// One for each thing, in the order in which they build on each other.
    pub checkups: Vec<Checkup>,
    /// What the user may do in the cluster. Empty: it was not asked.
    pub rights: Vec<Right>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkup {
    /// `configuration`, `kubernetes`, `redis`, `postgresql`, `http`.
    pub system: &'static str,
    /// Which one: `broker`, `main`, a URL.
    pub name: Safe,
    /// How it went.
    pub fit: Fit,
    /// What it is, or why it failed.
    pub says: Safe,
    /// What is missing or odd, one sentence each.
    pub lacks: Vec<Safe>,
    /// What would help.
    pub hints: Vec<Hint>,
}

impl Checkup {
    /// A thing that works.
    pub fn good(system: &'static str, name: Safe, says: Safe) -> Self {
        Self { system, name, fit: Fit::Good, says, lacks: Vec::new(), hints: Vec::new() }
    }

    /// It lacks something: it works, and not for everything.
    pub fn lacking(mut self, what: Safe, hint: Option<Hint>) -> Self {
        self.fit = self.fit.max(Fit::Limited);
        self.lacks.push(what);
        self.hints.extend(hint);
        self
    }
}

/// How well something can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Nothing is in the way.
    Good,
    /// It is not there, and need not be.
    Absent,
    /// Something of it cannot be seen.
    Limited,
    /// Nothing of it can be seen.
    Failed,
}

/// A right, and whether the user has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Right {
    /// Which.
    pub permission: Permission,
    /// What needs it.
    pub used_for: Safe,
    /// Whether it is there; none where the cluster did not say.
    pub allowed: Option<bool>,
}
