//! When silence is wanted: maintenance windows by the calendar, and silences until a moment. Probing goes on; only the telling of a new
//! trouble waits, and a recovery is never held back.

use jiff::{SignedDuration, Timestamp, civil::Time, civil::Weekday, tz::TimeZone};

/// A window that comes again, in a zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// On these days; empty: every day.
    pub days: Vec<Weekday>,
    /// From this clock time.
    pub from: Time,
    /// For so long; it may reach into the next day.
    pub lasts: SignedDuration,
    /// Whose clock.
    pub zone: TimeZone,
    /// Only subjects whose name begins so; empty: all.
    pub of: String,
}

/// A silence that somebody asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Until then.
    pub until: Timestamp,
    /// Only subjects whose name begins so; empty: all.
    pub of: String,
}

impl Window {
    /// Whether it holds for a subject now.
    pub fn holds(&self, subject: &str, now: Timestamp) -> bool {
        if !subject.starts_with(&self.of) {
            return false;
        }
        let here = now.to_zoned(self.zone.clone());
        // One that began yesterday can reach into today; a window of more than a day reaches further.
        let days_back = self.lasts.as_hours().max(0) / 24 + 1;
        (0..=days_back).any(|back| {
            let Ok(day) = here.date().checked_sub(jiff::Span::new().days(back)) else { return false };
            let Ok(began) = day.to_datetime(self.from).to_zoned(self.zone.clone()) else { return false };
            let day_fits = self.days.is_empty() || self.days.contains(&day.weekday());
            let since = now.duration_since(began.timestamp());
            day_fits && !since.is_negative() && since < self.lasts
        })
    }
}

impl Silence {
    /// Whether it holds for a subject now.
    pub fn holds(&self, subject: &str, now: Timestamp) -> bool {
        now < self.until && subject.starts_with(&self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_window_reaches_over_midnight_in_its_own_zone() {
        let zone = TimeZone::get("Europe/Istanbul").expect("a zone");
        let window = Window {
            days: vec![Weekday::Saturday],
            from: Time::constant(23, 30, 0, 0),
            lasts: SignedDuration::from_hours(2),
            zone,
            of: "web".into(),
        };
        // 2026-11-21 is a Saturday; Istanbul is three hours ahead.
        assert!(!window.holds("web", at("2026-11-21T20:29:59Z")));
        assert!(window.holds("web/backend", at("2026-11-21T20:30:00Z")));
        assert!(window.holds("web", at("2026-11-21T22:29:59Z")));
        assert!(!window.holds("web", at("2026-11-21T22:30:00Z")));
        assert!(!window.holds("web", at("2026-11-22T20:30:00Z")));
        assert!(!window.holds("queue", at("2026-11-21T20:30:00Z")));
    }

    #[test]
    fn a_silence_ends() {
        let silence = Silence { until: at("2026-11-21T20:30:00Z"), of: String::new() };
        assert!(silence.holds("anything", at("2026-11-21T20:29:59Z")) && !silence.holds("anything", at("2026-11-21T20:30:00Z")));
    }
}
