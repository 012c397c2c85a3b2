//! What happened to a stream, among its records.

use super::records::{RecordStyle, colour, push_time, tag};
use crate::{
    logs::{
        mark::{Happened, StreamMark},
        model::LogOrigin,
    },
    report::{Line, Look, Style},
    text::Safe,
};
use jiff::Timestamp;
use serde::Serialize;

/// Draws a mark as one line.
pub fn mark_line(mark: &StreamMark, look: &Look, style: RecordStyle) -> Line {
    let mut line = Line::new();
    line.fill(Style::Dim, |b| push_time(b, mark.at, &look.zone, style.timestamps));
    let tag = tag(&mark.origin, style.namespaces);
    line.push(Style::Tag(colour(&tag)), &tag);
    let paint = match &mark.what {
        Happened::Gap { .. } => Style::Bad,
        Happened::Ended { exit_code, .. } if *exit_code != 0 => Style::Bad,
        Happened::Ended { .. } | Happened::BackOff { .. } | Happened::Restarted { .. } => Style::Warn,
    };
    line.fixed(paint, " ── ");
    line.push(paint, &mark.what.says());
    line
}

/// A mark for machines: one object among those of the records.
#[derive(Serialize)]
pub struct MarkView<'a> {
    /// Always `mark`.
    pub kind: &'static str,
    /// Its place among the records.
    pub at: Option<Timestamp>,
    /// Whose stream.
    #[serde(flatten)]
    pub origin: &'a LogOrigin,
    /// What happened.
    #[serde(flatten)]
    pub what: &'a Happened,
    /// The same in words.
    pub says: Safe,
}

impl<'a> MarkView<'a> {
    /// Of a mark.
    pub fn of(mark: &'a StreamMark) -> Self {
        Self { kind: "mark", at: mark.at, origin: &mark.origin, what: &mark.what, says: mark.what.says() }
    }
}
