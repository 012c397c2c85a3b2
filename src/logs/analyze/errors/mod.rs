//! Which errors there are: occurrences by cause, how often, where, since when, and whether a rollout brought them. One sample of each.

mod judge;
mod novelty;
mod tally;

pub use tally::ErrorTally;

use super::cause::ErrorCause;
use crate::{
    answer::Hint,
    kubernetes::rollout::RolloutState,
    logs::{
        decode::traceback,
        model::{Level, LogOrigin},
        query::{Predicate, Test},
    },
    report::Report,
    text::Safe,
};
use jiff::Timestamp;
use serde::Serialize;

/// Columns of the timeline.
pub const COLUMNS: usize = 24;

/// What counts as an error: that level or worse, or a traceback at any level.
pub fn wanted() -> Predicate {
    let holds = |text: &str| Predicate::Line(Test::Contains(text.to_owned()));
    Predicate::Any(vec![Predicate::Level(Level::Error), holds(traceback::OPENING), holds("\"exc_type\"")])
}

/// The errors of a time.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorFacts {
    /// Since when was asked; none: everything there is.
    pub since: Option<Timestamp>,
    /// When it was looked.
    pub observed_at: Timestamp,
    /// The first and the last error that has a time.
    pub first: Option<Timestamp>,
    /// The last one.
    pub last: Option<Timestamp>,
    /// The timelines' bounds.
    pub shown: Option<(Timestamp, Timestamp)>,
    /// Records that were read, errors or not.
    pub records: Option<u64>,
    /// The oldest of them: before it nothing is known.
    pub oldest: Option<Timestamp>,
    /// Occurrences in all.
    pub occurrences: u64,
    /// By cause: those that a rollout brought first, then the most frequent.
    pub kinds: Vec<ErrorKind>,
    /// Occurrences of further causes, too many to tell apart.
    pub left_out: u64,
    /// Occurrences without a time.
    pub undated: u64,
    /// Occurrences that say they are yet to come: their writer's clock is wrong.
    pub ahead: u64,
    /// The rollouts of that time.
    pub rollouts: Vec<RolloutState>,
    /// How many there were lately and in the time before, where that was asked.
    pub rate: Option<ErrorRate>,
}

impl Report for ErrorFacts {
    const KIND: &'static str = "errors";
    const VERSION: u32 = 1;
}

impl ErrorFacts {
    /// The kinds that the last rollouts brought, for sure.
    pub fn brought(&self) -> impl Iterator<Item = &ErrorKind> {
        self.kinds.iter().filter(|k| k.novelty == Novelty::New)
    }
}

/// Errors of one cause.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorKind {
    /// What they have in common.
    pub cause: ErrorCause,
    /// How often.
    pub count: u64,
    /// Lines that only told of the same failure again.
    pub repeats: u64,
    /// The worst level.
    pub level: Option<Level>,
    /// The first time.
    pub first: Option<Timestamp>,
    /// The last time.
    pub last: Option<Timestamp>,
    /// How often, over the time shown.
    pub timeline: Vec<u64>,
    /// Where: most first.
    pub places: Vec<ErrorPlace>,
    /// Occurrences at further places.
    pub elsewhere: u64,
    /// Whether a rollout brought it.
    pub novelty: Novelty,
    /// How far back the logs of the apps reach that wrote it.
    pub reaches: Option<Timestamp>,
    /// The rollout that it follows.
    pub rollout: Option<RolloutState>,
    /// One of them.
    pub sample: ErrorSample,
    /// What to run to see more of it.
    pub next: Hint,
}

impl ErrorKind {
    /// `DivisionByZero`, or the message.
    pub fn title(&self) -> &Safe {
        match &self.cause {
            ErrorCause::Exception { exception, .. } => exception,
            ErrorCause::Message { message, .. } => message,
        }
    }
}

/// Whether a rollout brought an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Novelty {
    /// It was first seen after the rollout, and the logs from before it have none.
    New,
    /// It was first seen after the rollout, and the logs from before it are gone.
    Unknown,
    /// It was there before, or there was no rollout.
    Old,
}

/// Where an error happened.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorPlace {
    /// Who wrote it.
    #[serde(flatten)]
    pub origin: LogOrigin,
    /// The release: the image's tag, or what the record says.
    pub release: Option<Safe>,
    /// How often.
    pub count: u64,
}

/// One occurrence, to look at.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorSample {
    /// When.
    pub at: Option<Timestamp>,
    /// Who wrote it.
    #[serde(flatten)]
    pub origin: LogOrigin,
    /// The request that it belongs to.
    pub request_id: Option<Safe>,
    /// What the exception or the message says.
    pub says: Safe,
    /// What the record says, where that is something else.
    pub message: Option<Safe>,
    /// The application's innermost call: `mail/tasks.py:88 send_receipt`.
    pub frame: Option<Safe>,
    /// The line, redacted.
    pub line: Safe,
    /// The lines that belong to it, redacted.
    pub more: Vec<Safe>,
}

/// How many errors there were lately, and in the time before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErrorRate {
    /// How long the last time is, in seconds.
    pub span_seconds: i64,
    /// How long the one before it is.
    pub before_seconds: i64,
    /// In the last of them.
    pub recent: u64,
    /// Those of them that stand in logs which reach back: the others are compared with nothing.
    pub compared: u64,
    /// In the one before, in those logs; where one reaches back over a part of it, as if the rest had been like that.
    pub before: u64,
    /// Whether all logs with errors reach back over both.
    pub reaches_back: bool,
}
