//! The machine forms: one versioned object per answer, one object per line for streams.

use super::{Report, out::Where};
use crate::answer::{Answer, Coverage, Finding, Provenance, Verdict};
use serde::Serialize;

/// The envelope of every `-o json` answer. Fields are only added within a version.
#[derive(Serialize)]
pub(super) struct Envelope<'a, T> {
    /// What `facts` is: `logs.request`.
    pub kind: &'static str,
    /// The version of that kind.
    pub version: u32,
    /// Where it ran.
    pub r#where: &'a Where,
    /// The worst finding.
    pub verdict: Verdict,
    /// What the process exits with.
    pub exit_status: u8,
    /// The facts.
    pub facts: &'a T,
    /// What they mean.
    pub findings: &'a [Finding],
    /// What was searched, and what not.
    pub coverage: &'a Coverage,
    /// Whether everything asked for was read.
    pub complete: bool,
    /// Where the facts came from.
    pub sources: &'a [Provenance],
}

/// Puts an answer into its envelope.
pub(super) fn envelope<'a, T: Report>(answer: &'a Answer<T>, place: &'a Where, exit_status: u8) -> Envelope<'a, T> {
    Envelope {
        kind: T::KIND,
        version: T::VERSION,
        r#where: place,
        verdict: answer.verdict(),
        exit_status,
        facts: &answer.facts,
        findings: &answer.findings,
        coverage: &answer.coverage,
        complete: answer.coverage.complete(),
        sources: &answer.sources,
    }
}
