//! What checks found: the public, versioned JSON. Serialize only.

use crate::{
    answer::{Finding, Hint, Severity},
    report::Report,
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things.
    Count,
    /// Anything; a unit of its own that obsctl does not know.
    Number,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share of a whole, 1 for all of it.
    Share,
    /// Things per second.
    PerSecond,
    /// Yes (1) or no (0).
    Flag,
    /// Words.
    Text,
}

/// One thing that was measured: what thresholds, performance data and baselines read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its name: `oldest`.
    pub name: Safe,
    /// Of what: a queue, a pod. Empty: there is only one.
    pub of: Safe,
    /// What it counts.
    pub unit: Unit,
    /// How much.
    pub value: Quantity,
}

/// How much, or which.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A number, in the figure's unit.
    Number(f64),
    /// Words.
    Text(Safe),
}

impl Figure {
    /// A number.
    pub fn number(name: impl Into<Safe>, of: impl Into<Safe>, unit: Unit, value: f64) -> Self {
        Self { name: name.into(), of: of.into(), unit, value: Quantity::Number(value) }
    }
    /// A duration.
    pub fn time(name: impl Into<Safe>, of: impl Into<Safe>, value: SignedDuration) -> Self {
        Self::number(name, of, Unit::Seconds, value.as_secs_f64())
    }
    /// A number of things.
    pub fn count(name: impl Into<Safe>, of: impl Into<Safe>, value: u64) -> Self {
        Self::number(name, of, Unit::Count, value as f64)
    }
    /// Yes or no.
    pub fn flag(name: impl Into<Safe>, of: impl Into<Safe>, value: bool) -> Self {
        Self::number(name, of, Unit::Flag, if value { 1.0 } else { 0.0 })
    }
    /// Words.
    pub fn text(name: impl Into<Safe>, of: impl Into<Safe>, value: Safe) -> Self {
        Self { name: name.into(), of: of.into(), unit: Unit::Text, value: Quantity::Text(value) }
    }
    /// The value, with its unit, as people write it.
    pub fn shown(&self) -> Safe {
        match &self.value {
            Quantity::Text(text) => text.clone(),
            Quantity::Number(n) => amount(*n, self.unit),
        }
    }
    /// The name, and of what: `oldest of mail`.
    pub fn named(&self) -> Safe {
        if self.of.is_empty() { self.name.clone() } else { safe!("{} {}", self.of, self.name) }
    }
}

/// A number with its unit, as people write it.
pub fn amount(n: f64, unit: Unit) -> Safe {
    match unit {
        Unit::Seconds => units::duration(SignedDuration::try_from_secs_f64(n).unwrap_or(SignedDuration::MAX)),
        Unit::Bytes if n >= 0.0 => units::bytes(n as u64),
        Unit::Share => safe!("{} %", plain((n * 1000.0).round() / 10.0)),
        Unit::PerSecond => safe!("{}/s", plain((n * 1000.0).round() / 1000.0)),
        Unit::Flag => if n == 0.0 { "no" } else { "yes" }.into(),
        Unit::Count if n >= 0.0 && n.fract() == 0.0 => units::count(n as u64),
        _ => plain(n),
    }
}

fn plain(n: f64) -> Safe {
    Safe::name(n.to_string())
}

/// What came of a check, ranked: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Not judged: something that it needs is not well, which says it all.
    Skipped,
    /// To look at.
    Warning,
    /// It could not be found out.
    Unknown,
    /// Not as it should be.
    Failed,
}

impl CheckStatus {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
    /// The severity of a finding about it.
    pub fn severity(self) -> Severity {
        match self {
            Self::Ok | Self::Skipped => Severity::Info,
            Self::Warning => Severity::Warning,
            Self::Unknown => Severity::Unknown,
            Self::Failed => Severity::Failed,
        }
    }
}

/// Why a check found nothing out. Each is told apart in every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unanswered {
    /// There was no connection.
    Unreachable,
    /// It may not be asked.
    NoPermission,
    /// It was asked, and there is nothing to compare.
    NoData,
    /// It did not answer in time.
    Timeout,
    /// Its answer made no sense, or the question none.
    Error,
    /// The run was stopped before.
    Stopped,
}

impl Unanswered {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NoPermission => "no-permission",
            Self::NoData => "no-data",
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Stopped => "stopped",
        }
    }
}

/// Who is to hear of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckRoute {
    /// It is kept.
    Record,
    /// Somebody reads it at work.
    #[default]
    Notify,
    /// Somebody is woken.
    Page,
}

impl CheckRoute {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Notify => "notify",
            Self::Page => "page",
        }
    }
}

/// One check and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckResult {
    /// Its name: unique in a run.
    pub name: Safe,
    /// What it asks: `queue`.
    pub system: &'static str,
    /// What came of it.
    pub status: CheckStatus,
    /// Why it could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<Unanswered>,
    /// What was seen, in one sentence.
    pub says: Safe,
    /// What was wanted.
    pub want: Safe,
    /// What was measured; the first is the one that decided.
    pub figures: Vec<Figure>,
    /// The thresholds by figure, as they were compared.
    pub bounds: Vec<BoundSaid>,
    /// What it rests on.
    pub evidence: Vec<Safe>,
    /// What to do next.
    pub next: Vec<Hint>,
    /// Who is to hear of it.
    pub route: CheckRoute,
    /// Where it is written what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<Safe>,
    /// Its tags.
    pub tags: Vec<Safe>,
    /// What it needs, of that what is not well.
    pub because_of: Vec<Safe>,
    /// Since when it is not well, where an earlier run knew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Something to know about how it was judged: `no history: it counts at once`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Safe>,
    /// Where it stands: `checks.yaml:12:5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<CheckPlace>,
    /// How long the look took.
    pub took_ms: u64,
}

/// Where a check stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckPlace {
    /// The file.
    pub file: Safe,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl CheckPlace {
    /// `checks.yaml:12:5`.
    pub fn says(&self) -> Safe {
        safe!("{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A threshold as it was compared, for performance data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoundSaid {
    /// The figure.
    pub figure: Safe,
    /// Of a failure; else of a warning.
    pub fails: bool,
    /// The range outside of which it alerts, as Nagios writes one: `@10:20`. None: it compares words.
    pub range: Option<Safe>,
    /// As it was written.
    pub says: Safe,
}

/// One thing at the root of several.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RootCause {
    /// The check that is at the root.
    pub check: Safe,
    /// What it says.
    pub says: Safe,
    /// The checks that were not judged because of it.
    pub skipped: Vec<Safe>,
}

/// How many checks came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckCounts {
    /// All of them.
    pub checks: usize,
    /// As they should be.
    pub ok: usize,
    /// To look at.
    pub warning: usize,
    /// Not as they should be.
    pub failed: usize,
    /// Not found out.
    pub unknown: usize,
    /// Not judged.
    pub skipped: usize,
}

impl CheckCounts {
    /// Of these.
    pub fn of(all: &[CheckResult]) -> Self {
        let n = |status| all.iter().filter(|c| c.status == status).count();
        Self {
            checks: all.len(),
            ok: n(CheckStatus::Ok),
            warning: n(CheckStatus::Warning),
            failed: n(CheckStatus::Failed),
            unknown: n(CheckStatus::Unknown),
            skipped: n(CheckStatus::Skipped),
        }
    }
    /// `16 checks in 2.6 s: 3 failed, 13 ok`.
    pub fn says(&self, took: SignedDuration) -> Safe {
        let parts =
            [(self.failed, "failed"), (self.warning, "warning"), (self.unknown, "unanswered"), (self.skipped, "skipped"), (self.ok, "ok")];
        let parts: Vec<Safe> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| safe!("{} {}", *n, *word)).collect();
        safe!("{} in {}: {}", units::plural(self.checks, "check", "checks"), units::duration(took), Safe::join(&parts, ", "))
    }
}

/// What a run is against one that was kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// When the other was.
    pub with: Timestamp,
    /// Failures that were none then.
    pub new: Vec<Safe>,
    /// Checks that are well, or better, and were not.
    pub fixed: Vec<Safe>,
    /// Checks that are not well, and were not then.
    pub still: Vec<Safe>,
    /// Warnings, and what could not be found out, that were better then.
    pub worsened: Vec<Safe>,
    /// Checks that are not there any more.
    pub gone: Vec<Safe>,
    /// Figures that got worse: across a threshold, or by more than a fifth.
    pub worse: Vec<WorseFigure>,
}

/// A figure that got worse.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorseFigure {
    /// The check.
    pub check: Safe,
    /// The figure, and of what.
    pub figure: Safe,
    /// What it was.
    pub before: Safe,
    /// What it is.
    pub now: Safe,
    /// Whether it crossed a threshold.
    pub crossed: bool,
}

/// Everything that a run of checks found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CheckFacts {
    /// When.
    pub observed_at: Timestamp,
    /// The files; empty: the built-in runbook.
    pub files: Vec<Safe>,
    /// How long it took.
    pub took_ms: u64,
    /// How many came out how.
    pub counts: CheckCounts,
    /// The checks: the worst first, among equals in the order in which they stand.
    pub checks: Vec<CheckResult>,
    /// What is at the root of several.
    pub causes: Vec<RootCause>,
    /// What changed lately, where something is wrong.
    pub changes: Vec<Safe>,
    /// What it is against a run that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Comparison>,
}

impl Report for CheckFacts {
    const KIND: &'static str = "check";
    const VERSION: u32 = 1;
}

impl CheckFacts {
    /// One finding for each check that is not well. Against a run that was kept, what was so then is no news.
    pub fn findings(&self) -> Vec<Finding> {
        let code = |status| match status {
            CheckStatus::Failed => "check-failed",
            CheckStatus::Unknown => "check-unanswered",
            _ => "check-warning",
        };
        let bad = self.checks.iter().filter(|c| c.status > CheckStatus::Skipped);
        bad.map(|c| {
            let known = self.compared.as_ref().is_some_and(|compared| compared.still.contains(&c.name));
            let severity = if known { Severity::Info } else { c.status.severity() };
            let mut finding = Finding::new(code(c.status), severity, safe!("{}: {}", c.name, c.says));
            finding.evidence.clone_from(&c.evidence);
            finding.next.clone_from(&c.next);
            finding
        })
        .collect()
    }
}
