//! What errors mean: more of them than before, kinds that were not there before, kinds that a rollout brought. One rule for whoever asks.

use super::{ErrorFacts, ErrorKind, ErrorRate, Novelty};
use crate::{
    answer::{Finding, Severity},
    safe,
    text::{Safe, units},
};
use jiff::SignedDuration;

/// From so many errors on a rise is one.
const MATTERS: u64 = 5;
/// So many times the rate before is a rise.
const RISE: f64 = 3.0;
/// So many findings about kinds, the most frequent first.
const MOST: usize = 5;
/// Where the logs do not reach back over all of the time before, a kind has to have been absent for so long to be called new,
const QUIET: SignedDuration = SignedDuration::from_mins(2);
/// and for so many times the pause between two of its occurrences.
const PAUSES: i32 = 3;

impl ErrorRate {
    /// Errors per second lately.
    pub fn per_second(&self) -> f64 {
        self.recent as f64 / (self.span_seconds as f64).max(1.0)
    }

    /// How many times the rate before. One error is the least that there was: where nothing was, everything would be a rise without bounds.
    pub fn growth(&self) -> f64 {
        if self.compared == 0 {
            return 0.0;
        }
        self.compared as f64 / (self.span_seconds as f64).max(1.0) / (self.before.max(1) as f64 / (self.before_seconds as f64).max(1.0))
    }

    /// More than before, by so much that it is no chance. Of logs that do not reach back it is a suspicion.
    pub fn risen(&self) -> Option<Finding> {
        if self.compared < MATTERS || self.growth() < RISE {
            return None;
        }
        let length = |seconds| units::duration(SignedDuration::from_secs(seconds));
        let (severity, reach) = match self.reaches_back {
            true => (Severity::Failed, Safe::EMPTY),
            false => (Severity::Warning, safe!(", in logs that do not reach back over all of it")),
        };
        let (span, before) = (length(self.span_seconds), length(self.before_seconds));
        let says = safe!("{} errors in {}, {:.1} times the rate of the {} before{}", self.compared, span, self.growth(), before, reach);
        Some(Finding::new("errors-rise", severity, says))
    }
}

impl ErrorFacts {
    /// What a rollout brought, for sure.
    pub fn brought_findings(&self) -> Vec<Finding> {
        let one = |kind: &ErrorKind| {
            let what = kind.rollout.as_ref().map(|r| safe!("{:.0}, {}", r.begun, r.says)).unwrap_or_default();
            let says = safe!("{} is new since the rollout of {}: {} times", kind.named(), what, units::count(kind.count));
            Finding::new("new-error", Severity::Warning, says).next(kind.next.clone())
        };
        self.brought().take(MOST).map(one).collect()
    }

    /// Kinds that came up lately and were not there in the time before, whatever brought them; where two times were compared.
    pub fn fresh_findings(&self) -> Vec<Finding> {
        let Some(rate) = self.rate else { return Vec::new() };
        let fresh = self.kinds.iter().filter(|kind| kind.novelty != Novelty::New && self.fresh(kind, rate));
        let one = |kind: &ErrorKind| {
            let first =
                kind.first.map(|at| safe!(", first {} ago", units::duration(self.observed_at.duration_since(at)))).unwrap_or_default();
            let times = units::plural(usize::try_from(kind.count).unwrap_or(usize::MAX), "time", "times");
            let says = safe!("{} was not there before: {}{}", kind.named(), times, first);
            Finding::new("error-new", Severity::Warning, says).evidence(kind.sample.says.clone()).next(kind.next.clone())
        };
        fresh.take(MOST).map(one).collect()
    }

    fn fresh(&self, kind: &ErrorKind, rate: ErrorRate) -> bool {
        let Some(((first, last), oldest)) = kind.first.zip(kind.last).zip(kind.reaches) else { return false };
        if self.observed_at.duration_since(first).as_secs() >= rate.span_seconds {
            return false;
        }
        // Logs that were rotated away a moment ago hold each of their errors for the first time.
        let quiet = first.duration_since(oldest);
        let pause = last.duration_since(first) / i32::try_from(kind.count).unwrap_or(i32::MAX).max(1);
        let whole = rate.span_seconds + rate.before_seconds * 9 / 10;
        self.observed_at.duration_since(oldest).as_secs() >= whole || (quiet >= QUIET && quiet >= pause.saturating_mul(PAUSES))
    }
}

impl ErrorKind {
    /// The exception and where it was thrown: `KeyError at shop/views.py:12 price`.
    fn named(&self) -> Safe {
        let at = self.sample.frame.as_ref().map(|f| safe!(" at {}", f)).unwrap_or_default();
        safe!("{}{}", self.title(), at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(recent: u64, before: u64, reaches_back: bool) -> ErrorRate {
        ErrorRate { span_seconds: 600, before_seconds: 3600, recent, compared: recent, before, reaches_back }
    }

    #[test]
    fn a_rise_is_one_from_so_many_on_and_by_so_much() {
        for (recent, before, growth, severity) in [
            (0, 0, 0.0, None),
            (4, 0, 24.0, None),
            (5, 0, 30.0, Some(Severity::Failed)),
            (10, 60, 1.0, None),
            (29, 60, 2.9, None),
            (30, 60, 3.0, Some(Severity::Failed)),
        ] {
            let rate = rate(recent, before, true);
            assert!((rate.growth() - growth).abs() < 0.01, "{recent} {before}: {}", rate.growth());
            assert_eq!(rate.risen().map(|f| f.severity), severity, "{recent} {before}");
        }
        let unsure = rate(30, 0, false).risen().expect("a rise");
        assert_eq!(unsure.severity, Severity::Warning);
        assert!(unsure.says.contains("do not reach back"), "{}", unsure.says);
    }
}
