//! Bytes of the broker → model. Never panics and never drops silently: what cannot be read is an `Undecodable` with its reason.

pub mod beat;
pub mod binding;
pub mod control;
pub mod envelope;
pub mod heartbeat;
pub mod info;
pub mod result;

use crate::text::Safe;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// What could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable(pub Safe);

/// Seconds since 1970 with a fraction, as Celery writes clocks and scores.
pub fn epoch(seconds: f64) -> Option<Timestamp> {
    // Beyond this jiff has no time; and a NaN compares to nothing.
    if !(-1e11..1e11).contains(&seconds) {
        return None;
    }
    Timestamp::from_microsecond((seconds * 1e6) as i64).ok()
}

/// A time as Celery writes it: ISO 8601, in UTC where it names no offset.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp()))
}
