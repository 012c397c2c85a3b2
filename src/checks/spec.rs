//! One check, as a file or the built-in runbook writes it.

use super::{
    builtin,
    kind::CheckKind,
    model::{CheckPlace, CheckRoute},
    threshold::Threshold,
};
use crate::text::Safe;
use jiff::SignedDuration;

/// What is asked, and when that is bad.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// Its name, unique in a run.
    pub name: String,
    /// What is asked.
    pub kind: CheckKind,
    /// Which findings of the kind's own analysis count, where there are no thresholds.
    pub judged_by: JudgedBy,
    /// What that comes to, where it is less than the kind's own.
    pub aim: Option<&'static str>,
    /// What is a warning.
    pub warn: Vec<Threshold>,
    /// What is a failure.
    pub fail: Vec<Threshold>,
    /// What has to hold; a failure where it does not.
    pub want: Vec<Threshold>,
    /// For how long it must be so before it counts.
    pub lasts: Option<SignedDuration>,
    /// Who is to hear of it.
    pub route: CheckRoute,
    /// Where it is written what to do.
    pub runbook: Option<Safe>,
    /// The names of checks without which this one says nothing.
    pub needs: Vec<String>,
    /// What it is where there is nothing to compare.
    pub on_no_data: OnNoData,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it stands.
    pub place: Option<CheckPlace>,
}

/// Which findings of an analysis a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedBy {
    /// All of the kind's.
    All,
    /// Those with these codes.
    Codes(&'static [&'static str]),
    /// All but those with these codes.
    Others(&'static [&'static str]),
    /// None: only whether it answers.
    Answering,
}

impl JudgedBy {
    /// Whether a finding of this code counts.
    pub fn counts(self, code: &str) -> bool {
        match self {
            Self::All => true,
            Self::Codes(codes) => codes.contains(&code),
            Self::Others(codes) => !codes.contains(&code),
            Self::Answering => false,
        }
    }
}

/// What a check is where there is nothing to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNoData {
    /// Not found out.
    #[default]
    Unknown,
    /// A failure.
    Fail,
    /// A warning.
    Warn,
    /// As it should be.
    Ok,
}

impl CheckSpec {
    /// A check without thresholds.
    pub fn new(name: impl Into<String>, kind: CheckKind) -> Self {
        let judged_by = builtin::judged_by(&kind);
        Self {
            name: name.into(),
            kind,
            judged_by,
            aim: None,
            warn: Vec::new(),
            fail: Vec::new(),
            want: Vec::new(),
            lasts: None,
            route: CheckRoute::Notify,
            runbook: None,
            needs: Vec::new(),
            on_no_data: OnNoData::Unknown,
            tags: Vec::new(),
            place: None,
        }
    }
    /// Whether it has a threshold.
    pub fn compares(&self) -> bool {
        !(self.warn.is_empty() && self.fail.is_empty() && self.want.is_empty())
    }
    /// All its thresholds.
    pub fn thresholds(&self) -> impl Iterator<Item = &Threshold> {
        self.want.iter().chain(&self.fail).chain(&self.warn)
    }
    /// What it wants, in a few words.
    pub fn wants(&self) -> Safe {
        let want = self.want.iter().map(|t| t.says.clone());
        let parts: Vec<Safe> =
            want.chain(self.fail.iter().chain(self.warn.iter().filter(|_| self.fail.is_empty())).map(Threshold::opposite)).collect();
        if parts.is_empty() { self.aim.or(self.kind.own_want()).unwrap_or_default().into() } else { Safe::join(&parts, ", ") }
    }
}
