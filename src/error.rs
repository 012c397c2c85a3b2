//! The one error type: what was being done, to what, what happened, what to try next. Texts are lower-case fragments without a full
//! stop. An error never holds a secret: all of its parts are `Safe`, and `source` is for `-v` on obsctl's own faults only.

use crate::{
    answer::{Hint, Provenance},
    safe,
    text::Safe,
};
use std::fmt;

/// A failure, small enough to travel in every `Result`.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    doing: Safe,
    to: Option<Provenance>,
    what: Safe,
    hints: Vec<Hint>,
}

/// The kinds that callers and the exit status tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong.
    Usage,
    /// The configuration is wrong.
    Config,
    /// The server understood and refused.
    Denied,
    /// What was named does not exist.
    NotFound,
    /// No connection.
    Unreachable,
    /// TLS could not be verified or set up.
    Tls,
    /// The server does not know who we are.
    Auth,
    /// No answer in time.
    Timeout,
    /// An answer that makes no sense.
    Protocol,
    /// Ended by the user.
    Cancelled,
    /// Whoever read our stdout has gone: a quiet end.
    Closed,
    /// Our stdout cannot be written, for another reason.
    Output,
    /// A fault of obsctl itself.
    Bug,
}

/// `std::result::Result` with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of a kind while `doing` something ("listing pods").
    pub fn new(kind: Kind, doing: impl Into<Safe>) -> Self {
        Self(Box::new(Inner { kind, doing: doing.into(), to: None, what: Safe::EMPTY, hints: Vec::new() }))
    }
    /// What happened.
    pub fn what(mut self, what: impl Into<Safe>) -> Self {
        self.0.what = what.into();
        self
    }
    /// To what it was done.
    pub fn to(mut self, to: Provenance) -> Self {
        self.0.to = Some(to);
        self
    }
    /// Adds what to try next.
    pub fn hint(mut self, hint: Hint) -> Self {
        self.0.hints.push(hint);
        self
    }
    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
    /// To what it was done.
    pub fn to_what(&self) -> Option<&Provenance> {
        self.0.to.as_ref()
    }
    /// What happened, alone.
    pub fn what_happened(&self) -> &Safe {
        &self.0.what
    }
    /// What to try next.
    pub fn hints(&self) -> &[Hint] {
        &self.0.hints
    }
    /// The sentence: `doing (system at): what`.
    pub fn says(&self) -> Safe {
        let Inner { doing, to, what, .. } = &*self.0;
        let to = to.as_ref().map(|t| safe!(" ({} {})", t.system, t.at)).unwrap_or_default();
        if what.is_empty() { safe!("{}{}", *doing, to) } else { safe!("{}{}: {}", *doing, to, *what) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.says())
    }
}

impl std::error::Error for Error {}
