//! The one table of exit statuses. Nothing else in the crate decides one.

use crate::{
    answer::Verdict,
    error::{Kind, Result},
};

/// What the process ends with. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// The answer is good.
    Good = 0,
    /// The answer is bad news.
    BadNews = 1,
    /// Usage or configuration.
    Usage = 2,
    /// It could not be found out.
    CouldNotTell = 3,
    /// Warnings, where `--fail-on warn` asked for it.
    Warnings = 4,
    /// The deadline passed.
    Deadline = 124,
    /// Ctrl-C.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

/// How a command ended, for the exit status only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer with this verdict; `shown` answers are `Verdict::Ok`.
    Answered(Verdict),
    /// Ended by the user, after reporting what was known.
    Interrupted,
    /// Ended by SIGTERM, after reporting what was known.
    Terminated,
    /// Ended by `--deadline`, after reporting what was known.
    Deadline,
}

impl ExitStatus {
    /// The status for a command's result.
    pub fn of(result: &Result<Outcome>, fail_on_warn: bool) -> Self {
        match result {
            Ok(Outcome::Answered(verdict)) => match verdict {
                Verdict::Ok => Self::Good,
                Verdict::Warning if fail_on_warn => Self::Warnings,
                Verdict::Warning => Self::Good,
                Verdict::Unknown => Self::CouldNotTell,
                Verdict::Failed => Self::BadNews,
            },
            Ok(Outcome::Interrupted) => Self::Interrupted,
            Ok(Outcome::Terminated) => Self::Terminated,
            Ok(Outcome::Deadline) => Self::Deadline,
            Err(error) => match error.kind() {
                Kind::Usage | Kind::Config => Self::Usage,
                Kind::Cancelled => Self::Interrupted,
                Kind::Closed => Self::Good,
                // Looking something up and not finding it where a name was typed is a mistyped name.
                Kind::NotFound => Self::Usage,
                Kind::Denied | Kind::Unreachable | Kind::Tls | Kind::Auth | Kind::Timeout | Kind::Protocol | Kind::Output | Kind::Bug => {
                    Self::CouldNotTell
                }
            },
        }
    }

    /// What Nagios and Icinga want of a plugin: 0 ok, 1 warning, 2 critical, 3 unknown. Their numbers, whatever ours mean elsewhere.
    pub fn nagios(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ok => Self::Good,
            Verdict::Warning => Self::BadNews,
            Verdict::Failed => Self::Usage,
            Verdict::Unknown => Self::CouldNotTell,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn every_outcome_has_its_number() {
        let of = |r, warn| ExitStatus::of(&r, warn).code();
        assert_eq!(of(Ok(Outcome::Answered(Verdict::Ok)), true), 0);
        assert_eq!(of(Ok(Outcome::Answered(Verdict::Failed)), false), 1);
        assert_eq!(of(Ok(Outcome::Answered(Verdict::Unknown)), false), 3);
        assert_eq!(of(Ok(Outcome::Answered(Verdict::Warning)), false), 0);
        assert_eq!(of(Ok(Outcome::Answered(Verdict::Warning)), true), 4);
        assert_eq!(of(Ok(Outcome::Interrupted), false), 130);
        assert_eq!(of(Err(Error::new(Kind::Config, "reading a file")), false), 2);
        assert_eq!(of(Err(Error::new(Kind::Timeout, "listing pods")), false), 3);
    }
}
