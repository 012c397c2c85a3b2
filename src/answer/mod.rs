//! What every command returns: facts, findings, coverage and where they came from. The types here ARE the public JSON; they decide
//! nothing about how an answer looks (`report/`) and derive the verdict from findings and coverage, so that it is never stored.

pub mod coverage;
pub mod exchange;
pub mod finding;
pub mod trail;

pub use coverage::{Coverage, Missing, Part, Permission, Provenance, Why};
pub use exchange::{Certificate, Exchange, Hop, HttpFault, HttpStep, Phases};
pub use finding::{Finding, Hint, Severity, Verdict};
pub use trail::{Id, IdKind, Link, LinkProof};

use serde::Serialize;

/// One next move: either a further question, or the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<Ask, Done> {
    /// A question that `collect` can answer.
    Ask(Ask),
    /// Nothing more to ask.
    Done(Done),
}

/// Facts with everything needed to trust them.
#[derive(Clone, Debug, Serialize)]
pub struct Answer<T> {
    /// What was found, in the system's own terms.
    pub facts: T,
    /// What it means; the worst one makes the verdict.
    pub findings: Vec<Finding>,
    /// What was searched, and what was not and why.
    pub coverage: Coverage,
    /// Where the facts came from.
    pub sources: Vec<Provenance>,
}

impl<T> Answer<T> {
    /// The worst finding. Without a failure, an incomplete coverage makes it `Unknown` only where the finding says so: commands for which
    /// a gap changes the answer add that finding themselves.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|f| f.severity.verdict()).max().unwrap_or(Verdict::Ok)
    }
}
