//! When a watch says nothing: maintenance windows and silences.

use super::Args;
use crate::{
    session::Session,
    watch::windows::{Silence, Window},
};
use jiff::{Timestamp, tz::TimeZone};

/// When silence is wanted.
pub(super) struct Watch {
    windows: Vec<Window>,
    silence: Option<Silence>,
}

impl Watch {
    pub fn of(args: &Args, session: &Session) -> Self {
        let zone = || session.env.timezone.clone().unwrap_or(TimeZone::UTC);
        let windows = session.env.watch.windows.iter().cloned().map(|w| {
            let (days, from, lasts, of) = (w.days, w.from, w.lasts, w.of);
            Window { days, from, lasts, of, zone: w.zone.unwrap_or_else(zone) }
        });
        let until = args.silence.and_then(|d| session.now().timestamp().checked_add(d).ok());
        Self { windows: windows.collect(), silence: until.map(|until| Silence { until, of: String::new() }) }
    }

    pub fn quiet(&self, subject: &str, now: Timestamp) -> bool {
        self.windows.iter().any(|w| w.holds(subject, now)) || self.silence.iter().any(|s| s.holds(subject, now))
    }
}
