//! Log lines, tallied: how many, how fast, and the spread of a number in them.

use super::Sighting;
use crate::{
    answer::{Finding, Hint, Severity},
    checks::model::{Figure, Unit},
    safe,
    text::{Safe, units},
};
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// Different values of the field `by` that are told apart; what is beyond is one more.
const GROUPS: usize = 200;
/// Values of one group that are kept exactly; beyond, every second one, and so on.
const VALUES: usize = 100_000;
/// Lines that are kept as evidence.
const LINES: usize = 5;

/// A tally that grows line by line, in bounded memory.
#[derive(Debug, Default)]
pub struct LineTally {
    /// Lines that matched.
    pub count: u64,
    groups: BTreeMap<String, Numbers>,
    last: std::collections::VecDeque<Safe>,
    /// Lines that matched and hold no such number.
    pub without: u64,
}

#[derive(Debug, Default)]
struct Numbers {
    values: Vec<f64>,
    /// Only every so many-th is kept.
    every: u64,
    seen: u64,
    max: f64,
}

impl Numbers {
    fn add(&mut self, value: f64) {
        self.every = self.every.max(1);
        self.max = if self.seen == 0 { value } else { self.max.max(value) };
        if self.seen.is_multiple_of(self.every) {
            if self.values.len() >= VALUES {
                let mut keep = false;
                self.values.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.every *= 2;
            }
            self.values.push(value);
        }
        self.seen += 1;
    }

    /// By the nearest rank.
    fn quantile(&mut self, share: f64) -> f64 {
        self.values.sort_by(f64::total_cmp);
        let rank = (share * self.values.len() as f64).ceil() as usize;
        self.values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

impl LineTally {
    /// A line, its text for evidence, and where numbers are wanted, its number and group.
    pub fn line(&mut self, text: impl FnOnce() -> Safe, number: Option<Option<f64>>, by: Option<String>) {
        self.count += 1;
        if self.last.len() == LINES {
            self.last.pop_front();
        }
        self.last.push_back(text());
        match number {
            None => {}
            Some(Some(value)) if value.is_finite() => {
                let mut by = by.unwrap_or_default();
                if self.groups.len() >= GROUPS && !self.groups.contains_key(&by) {
                    by = "others".into();
                }
                self.groups.entry(by).or_default().add(value);
            }
            Some(_) => self.without += 1,
        }
    }

    /// What it comes to, over so long a time.
    pub fn sighting(mut self, over: SignedDuration, unit: Unit) -> Sighting {
        let mut seen = Sighting::default();
        seen.figures.push(Figure::count("count", Safe::EMPTY, self.count));
        let seconds = over.as_secs_f64().max(1.0);
        seen.figures.push(Figure::number("rate", Safe::EMPTY, Unit::PerSecond, self.count as f64 / seconds));
        for (by, numbers) in &mut self.groups {
            let of = || Safe::name(by);
            let (p50, p95) = (numbers.quantile(0.5), numbers.quantile(0.95));
            seen.figures.push(Figure::number("p50", of(), unit, p50));
            seen.figures.push(Figure::number("p95", of(), unit, p95));
            seen.figures.push(Figure::number("max", of(), unit, numbers.max));
        }
        seen.evidence.extend(self.last);
        seen
    }
}

/// Errors now against errors before, and tracebacks that were not there before.
#[derive(Debug, Default)]
pub struct LogTally {
    now: u64,
    before: u64,
    known: std::collections::BTreeSet<Safe>,
    fresh: BTreeMap<Safe, (u64, Safe)>,
}

/// From so many errors on a rise is one.
const MATTERS: u64 = 5;
/// So many times the rate before is a rise.
const RISE: f64 = 3.0;

impl LogTally {
    /// An error, the last line of its traceback, and its text.
    pub fn error(&mut self, recent: bool, traceback: Option<Safe>, text: impl FnOnce() -> Safe) {
        if recent {
            self.now += 1;
        } else {
            self.before += 1;
        }
        let Some(traceback) = traceback else { return };
        // The kind of an exception tells it from others; its words differ from one to the next.
        let kind = Safe::name(traceback.split([':', ' ', '(']).next().unwrap_or_default());
        if !recent {
            self.known.insert(kind);
        } else if self.fresh.len() < GROUPS || self.fresh.contains_key(&kind) {
            self.fresh.entry(kind).or_insert_with(|| (0, text())).0 += 1;
        }
    }

    /// Judges.
    pub fn judge(mut self, window: SignedDuration, before: SignedDuration, seen: &mut Sighting) {
        let rate = |n: u64, over: SignedDuration| n as f64 / over.as_secs_f64().max(1.0);
        let (now, then) = (rate(self.now, window), rate(self.before, before));
        let growth = if self.now == 0 { 0.0 } else { now / then.max(rate(1, before)) };
        seen.figures.push(Figure::number("growth", Safe::EMPTY, Unit::Number, growth));
        if self.now >= MATTERS && growth >= RISE {
            let says = safe!("{} errors in {}, {:.1} times the rate of the hour before", self.now, units::duration(window), growth);
            seen.found(
                None,
                Finding::new("errors-rise", Severity::Failed, says).next(Hint::Run("obsctl logs --since 10m --level error".into())),
            );
        }
        let known = std::mem::take(&mut self.known);
        for (kind, (n, text)) in self.fresh.into_iter().filter(|(kind, _)| !known.contains(kind)) {
            let times = units::plural(usize::try_from(n).unwrap_or(usize::MAX), "time", "times");
            let says = safe!("a traceback that was not there in the hour before: {}, {}", kind, times);
            seen.found(
                None,
                Finding::new("traceback-new", Severity::Warning, says)
                    .evidence(text)
                    .next(Hint::Run("obsctl logs --since 10m --level error".into())),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_by_group() {
        let mut tally = LineTally::default();
        for n in 1..=100 {
            tally.line(|| Safe::EMPTY, Some(Some(f64::from(n))), Some("/a".into()));
        }
        tally.line(|| Safe::EMPTY, Some(Some(7.0)), Some("/b".into()));
        tally.line(|| Safe::EMPTY, Some(None), None);
        let seen = tally.sighting(SignedDuration::from_secs(51), Unit::Seconds);
        let of =
            |name: &str, of: &str| seen.figures.iter().find(|f| f.name.as_str() == name && f.of.as_str() == of).map(|f| f.value.clone());
        use crate::checks::model::Quantity::Number;
        assert_eq!((of("count", ""), of("rate", "")), (Some(Number(102.0)), Some(Number(2.0))));
        assert_eq!((of("p50", "/a"), of("p95", "/a"), of("max", "/b")), (Some(Number(50.0)), Some(Number(95.0)), Some(Number(7.0))));
    }

    #[test]
    fn memory_stays_bounded_and_the_spread_right() {
        let mut numbers = Numbers::default();
        for n in 0..1_000_000u32 {
            numbers.add(f64::from(n));
        }
        assert!(numbers.values.len() <= VALUES + 1 && numbers.max == 999_999.0);
        let p95 = numbers.quantile(0.95);
        assert!((p95 - 950_000.0).abs() < 2_000.0, "{p95}");
        let mut tally = LineTally::default();
        for n in 0..1000 {
            tally.line(|| Safe::EMPTY, Some(Some(1.0)), Some(n.to_string()));
        }
        assert!(tally.groups.len() <= GROUPS + 1);
    }
}
