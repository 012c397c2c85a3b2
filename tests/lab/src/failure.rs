//! The one error of the lab: a sentence that says what was being done, to what, and what happened.
//!
//! Nobody handles these by kind. They end in the panic message of a test or on the terminal of the person who runs
//! `make cluster`, so they must be exact and need no type.

use std::fmt;

pub type Result<T> = std::result::Result<T, Failure>;

#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    pub fn new(says: impl Into<String>) -> Self {
        Self(says.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The same as Display: a test that unwraps shows the sentence, not a struct around it.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Adds what was being done to any error: `fs::read(&path).doing(|| format!("reading {}", path.display()))?`.
pub trait Doing<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| Failure(format!("{}: {error}", what().into())))
    }
}
