//! What happened to a stream, shown in its place among its records: lines that may be lost, the end of a container, the start of the next.

use super::model::LogOrigin;
use crate::{safe, text::Safe};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// Something that happened to a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamMark {
    /// Its place among the records.
    pub at: Option<Timestamp>,
    /// Whose stream.
    pub origin: Arc<LogOrigin>,
    /// What.
    pub what: Happened,
}

impl StreamMark {
    /// Whether lines may be missing here.
    pub fn is_gap(&self) -> bool {
        matches!(self.what, Happened::Gap { .. })
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happened {
    /// Lines between these two may be lost.
    Gap {
        /// The last line before.
        after: Option<Timestamp>,
        /// The first line behind; none when nothing came.
        before: Option<Timestamp>,
        /// How it came about.
        why: Safe,
    },
    /// The container ended.
    Ended {
        /// Its exit code.
        exit_code: i32,
        /// The signal that an exit code above 128 stands for.
        signal: Option<&'static str>,
        /// `OOMKilled`, `Error`, `Completed`.
        reason: Option<Safe>,
    },
    /// The node waits before it starts the container again.
    BackOff {
        /// In its own words.
        says: Safe,
    },
    /// The next container of the same name has begun.
    Restarted {
        /// How often that has happened.
        restarts: u32,
    },
}

impl Happened {
    /// The end of a container.
    pub fn ended(exit_code: i32, reason: Option<Safe>) -> Self {
        Self::Ended { exit_code, signal: signal(exit_code), reason }
    }

    /// In a few words.
    pub fn says(&self) -> Safe {
        match self {
            Self::Gap { after, before, why } => {
                let place = match (*after, *before) {
                    (Some(after), Some(before)) => safe!(" after {:.3} and before {:.3}", after, before),
                    (Some(after), None) => safe!(" after {:.3}", after),
                    (None, Some(before)) => safe!(" before {:.3}", before),
                    (None, None) => Safe::EMPTY,
                };
                safe!("GAP: lines{} may be lost: {}", place, why)
            }
            Self::Ended { exit_code, signal, reason } => {
                let signal = signal.map_or(Safe::EMPTY, |name| safe!(", {}", Safe::name(name)));
                let reason = reason.as_ref().map_or(Safe::EMPTY, |word| safe!(" ({})", word));
                safe!("container ended: exit code {}{}{}", *exit_code, signal, reason)
            }
            Self::BackOff { says } => safe!("waits to be started again: {}", says),
            Self::Restarted { restarts } => safe!("container started again (restart {})", *restarts),
        }
    }
}

/// The signal that a shell's or a runtime's exit code stands for.
fn signal(code: i32) -> Option<&'static str> {
    Some(match code.checked_sub(128)? {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_with_its_signal_and_reason() {
        assert_eq!(Happened::ended(137, Some("OOMKilled".into())).says().as_str(), "container ended: exit code 137, SIGKILL (OOMKilled)");
        assert_eq!(Happened::ended(3, None).says().as_str(), "container ended: exit code 3");
        let gap = Happened::Gap { after: Timestamp::from_second(5).ok(), before: None, why: "rotated".into() };
        assert_eq!(gap.says().as_str(), "GAP: lines after 1970-01-01T00:00:05.000Z may be lost: rotated");
        let gap = Happened::Gap { after: None, before: Timestamp::from_second(5).ok(), why: "rotated".into() };
        assert_eq!(gap.says().as_str(), "GAP: lines before 1970-01-01T00:00:05.000Z may be lost: rotated");
        let json = serde_json::to_value(Happened::ended(1, None)).unwrap_or_default();
        assert_eq!((&json["event"], &json["exit_code"]), (&"ended".into(), &1.into()));
    }
}
