//! From what other analyses found to sightings: the figures that thresholds compare, and the findings that judge where there are none. Pure;
//! the thresholds of those findings are those of the analyses themselves, so that `check` and the other commands never disagree.

pub mod cluster;
pub mod health;
pub mod net;
pub mod postgres;
pub mod promql;
pub mod queue;
pub mod sql;
pub mod tally;

use super::model::{CheckStatus, Figure, Unanswered};
use crate::{
    answer::{Finding, Hint},
    error::{Error, Kind},
    text::Safe,
};

/// What one look saw. Several checks can be about it.
#[derive(Clone, Debug, Default)]
pub struct Sighting {
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What the kind's own analysis thinks of it.
    pub findings: Vec<SightedFinding>,
    /// What a failure of any figure rests on: log lines, the top statement, events. Redacted.
    pub evidence: Vec<Safe>,
    /// Figures that could not be measured, and why.
    pub missing: Vec<MissingFigure>,
    /// How long the look took.
    pub took_ms: u64,
}

/// A finding and what it is about.
#[derive(Clone, Debug)]
pub struct SightedFinding {
    /// What it is about: a queue, a pod. None: the whole.
    pub of: Option<Safe>,
    /// The finding.
    pub finding: Finding,
}

/// A figure that could not be measured.
#[derive(Clone, Debug)]
pub struct MissingFigure {
    /// Its name.
    pub figure: &'static str,
    /// Why.
    pub why: Unanswered,
    /// In words.
    pub says: Safe,
    /// What would help.
    pub hint: Option<Hint>,
    /// Whether a part of it was measured: bad news of that part is bad news, and no news is not the whole.
    pub partly: bool,
}

/// Why a look saw nothing at all.
#[derive(Clone, Debug)]
pub struct BlindSpot {
    /// In one word.
    pub why: Unanswered,
    /// In words.
    pub says: Safe,
    /// What would help.
    pub next: Vec<Hint>,
    /// What it makes of a check that asks only whether something answers.
    pub status: CheckStatus,
    /// Whether it was Kubernetes that could not be asked, on the way to whatever was meant.
    pub cluster_away: bool,
    /// How long it took to find out.
    pub took_ms: u64,
}

/// What came of a look.
pub type Glance = Result<Sighting, BlindSpot>;

impl BlindSpot {
    /// Of an error.
    pub fn of(error: &Error) -> Self {
        let why = match error.kind() {
            Kind::Unreachable | Kind::Tls => Unanswered::Unreachable,
            Kind::Timeout => Unanswered::Timeout,
            Kind::Denied | Kind::Auth => Unanswered::NoPermission,
            Kind::NotFound => Unanswered::NoData,
            Kind::Cancelled => Unanswered::Stopped,
            _ => Unanswered::Error,
        };
        // What does not answer is ill; what we may not ask, or nobody knows the place of, says nothing.
        let ill = matches!(error.kind(), Kind::Unreachable | Kind::Timeout | Kind::Tls | Kind::Protocol);
        // Where the way there is not open, nothing is known of what lies at its end.
        let kubernetes = error.to_what().is_some_and(|to| to.system == "kubernetes");
        let status = if ill && !kubernetes { CheckStatus::Failed } else { CheckStatus::Unknown };
        let cluster_away = kubernetes && (ill || error.kind() == Kind::Auth);
        Self { why, says: error.says(), next: error.hints().to_vec(), status, cluster_away, took_ms: 0 }
    }
}

impl Sighting {
    /// Adds a finding.
    pub fn found(&mut self, of: Option<Safe>, finding: Finding) {
        self.findings.push(SightedFinding { of, finding });
    }
}
