//! Findings and verdicts: a code, a severity, one sentence, the evidence, the next step.

use super::Permission;
use crate::text::Safe;
use serde::Serialize;

/// The worst of an answer's findings, ranked failed > unknown > warning > ok.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is wrong.
    Ok,
    /// Something to look at.
    Warning,
    /// It could not be found out.
    Unknown,
    /// Something is wrong.
    Failed,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// To look at.
    Warning,
    /// The question could not be answered.
    Unknown,
    /// Wrong.
    Failed,
}

impl Severity {
    /// The verdict that a finding of this severity makes.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Info => Verdict::Ok,
            Self::Warning => Verdict::Warning,
            Self::Unknown => Verdict::Unknown,
            Self::Failed => Verdict::Failed,
        }
    }
}

/// One thing that the facts mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Stable, kebab-case: what scripts match on.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// One sentence.
    pub says: Safe,
    /// What it rests on.
    pub evidence: Vec<Safe>,
    /// What to do next.
    pub next: Vec<Hint>,
}

impl Finding {
    /// A finding without evidence or next step yet.
    pub fn new(code: &'static str, severity: Severity, says: Safe) -> Self {
        Self { code, severity, says, evidence: Vec::new(), next: Vec::new() }
    }
    /// Adds a next step.
    pub fn next(mut self, hint: Hint) -> Self {
        self.next.push(hint);
        self
    }
    /// Adds evidence.
    pub fn evidence(mut self, line: Safe) -> Self {
        self.evidence.push(line);
        self
    }
}

/// A next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// A command to run, ready to paste.
    Run(Safe),
    /// A permission to ask for.
    Grant(Permission),
    /// A setting to change.
    Set(Safe),
    /// Something to try or look at.
    Try(Safe),
}
