//! Coverage: what was searched and what was not, and why. "Not found" is only as good as this list.

use super::Hint;
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// What an answer rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Coverage {
    /// What was read.
    pub searched: Vec<Part>,
    /// What was not, or not whole.
    pub missing: Vec<Missing>,
    /// Bytes read in all.
    pub bytes: u64,
}

impl Coverage {
    /// Whether everything asked for was read.
    pub fn complete(&self) -> bool {
        self.missing.is_empty()
    }
    /// Whether nothing at all could be read though something was asked for.
    pub fn nothing_read(&self) -> bool {
        self.searched.is_empty() && !self.missing.is_empty()
    }
    /// Whether a limit of obsctl's ended the reading.
    pub fn capped(&self) -> bool {
        self.missing.iter().any(|m| matches!(m.why, Why::Capped { .. }))
    }
    /// Adds another coverage; a part searched twice is listed once.
    pub fn join(&mut self, other: Self) {
        for part in other.searched {
            if !self.searched.contains(&part) {
                self.searched.push(part);
            }
        }
        for missing in other.missing {
            self.miss(missing);
        }
        self.bytes += other.bytes;
    }
    /// Adds a gap, once.
    pub fn miss(&mut self, missing: Missing) {
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }
}

/// One thing that can be read: a container, a file, a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Part {
    /// The system it belongs to: `kubernetes`, `file`, `stdin`.
    pub system: &'static str,
    /// Its name there.
    pub name: Safe,
}

/// A part that was not read, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Which.
    pub part: Part,
    /// Why.
    pub why: Why,
    /// What would help.
    pub hint: Option<Hint>,
}

/// Why a part was not read whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The server refused it.
    Refused(Permission),
    /// Older lines exist no more where they can be read; `oldest` is the first one that is left.
    Rotated {
        /// The oldest line there.
        oldest: Timestamp,
    },
    /// The container has not started.
    NotStarted(Safe),
    /// It existed, and is gone.
    Gone,
    /// No answer, or a broken one.
    Unreachable(Safe),
    /// A limit of obsctl's ended the reading.
    Capped {
        /// The limit, in bytes.
        at: u64,
    },
    /// Ended by Ctrl-C or a deadline.
    Interrupted,
}

impl Why {
    /// In a few words.
    pub fn says(&self) -> Safe {
        match self {
            Self::Refused(p) => crate::safe!("refused: needs {} on {} in {}", p.verb, p.resource, p.scope),
            Self::Rotated { oldest } => crate::safe!("its oldest readable line is {:.0} (older ones were rotated away)", *oldest),
            Self::NotStarted(reason) => crate::safe!("not started: {}", reason),
            Self::Gone => "gone: it existed then, its logs exist no more".into(),
            Self::Unreachable(what) => crate::safe!("could not be read: {}", what),
            Self::Capped { at } => crate::safe!("reading stopped at the limit of {}", crate::text::units::bytes(*at)),
            Self::Interrupted => "interrupted before its end".into(),
        }
    }
}

/// A permission: what a Role would have to name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// `get`, `list`, `watch`.
    pub verb: Safe,
    /// `pods`, `pods/log`.
    pub resource: Safe,
    /// `namespace shop`, or `the cluster`.
    pub scope: Safe,
}

/// Where a fact came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The system.
    pub system: &'static str,
    /// Which one: a server, a context, a file.
    pub at: Safe,
    /// The way there, if not direct.
    pub through: Option<Safe>,
}
