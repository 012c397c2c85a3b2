//! Log lines, tallied: how many, how fast, and the spread of a number in them.

use super::Sighting;
use crate::{
    answer::Finding,
    checks::model::{Figure, Unit},
    logs::analyze::errors::ErrorFacts,
    text::Safe,
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

/// The errors of a time against those of the time before, and what they were.
pub fn errors(facts: &ErrorFacts) -> Sighting {
    let mut seen = Sighting::default();
    if let Some(rate) = &facts.rate {
        seen.figures.push(Figure::count("count", Safe::EMPTY, rate.recent));
        seen.figures.push(Figure::number("rate", Safe::EMPTY, Unit::PerSecond, rate.per_second()));
        seen.figures.push(Figure::number("growth", Safe::EMPTY, Unit::Number, rate.growth()));
        let frequent = facts.kinds.first().map(|kind| kind.next.clone());
        if let Some(finding) = rate.risen() {
            seen.found(None, frequent.into_iter().fold(finding, Finding::next));
        }
    }
    for finding in facts.brought_findings().into_iter().chain(facts.fresh_findings()) {
        seen.found(None, finding);
    }
    // A sample of each, the most frequent first.
    seen.evidence.extend(facts.kinds.iter().take(LINES).map(|kind| kind.sample.line.clipped(300)));
    seen
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
