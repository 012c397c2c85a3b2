//! What many records say in figures: how many of each level, event and pod, and how a number that they carry is spread, by other fields.

use super::{Census, normal, quantiles::Spread};
use crate::{
    logs::{
        flow::keep::Seen,
        model::{Entry, Record, Shape},
    },
    report::Report,
    safe,
    text::{Redactor, Safe},
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::HashMap;

/// So many values of one kind are told apart.
const MOST_VALUES: usize = 5_000;
/// So many rows of one measure.
const MOST_ROWS: usize = 1_000;
/// As much of a message is looked at.
const LONGEST: usize = 1_000;

/// What to count beside levels, events and pods.
#[derive(Clone, Debug, Default)]
pub struct StatsAsk {
    /// The numeric fields to measure.
    pub of: Vec<String>,
    /// The fields to measure or count by; `level`, `event`, `pod`, `app`, `logger` and so on are the record's own.
    pub by: Vec<String>,
}

/// The figures of a time.
#[derive(Clone, Debug, Serialize)]
pub struct LogStats {
    /// Since when was asked; none: everything there is.
    pub since: Option<Timestamp>,
    /// When it was looked.
    pub observed_at: Timestamp,
    /// Records that count here.
    pub records: u64,
    /// Records that were read; none where lines were searched that cannot be among them.
    pub read: Option<u64>,
    /// The first and the last time of a record.
    pub from: Option<Timestamp>,
    /// The last one.
    pub to: Option<Timestamp>,
    /// By level, by event, by pod, by what was asked for.
    pub counts: Vec<Counts>,
    /// The numbers that were asked for.
    pub measures: Vec<Measure>,
}

impl Report for LogStats {
    const KIND: &'static str = "logs.stats";
    const VERSION: u32 = 1;
}

/// How often each value of a field occurs.
#[derive(Clone, Debug, Serialize)]
pub struct Counts {
    /// The field: `level`, `event`, `pod`; several are joined.
    pub by: Vec<Safe>,
    /// Most first.
    pub values: Vec<Counted>,
    /// Records with further values, too many to tell apart.
    pub left_out: u64,
    /// Records that have none.
    pub without: u64,
}

/// A value and how often it occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The value; of several fields one each.
    pub value: Vec<Safe>,
    /// How often.
    pub count: u64,
}

/// The spread of a number.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// The field.
    pub of: Safe,
    /// By which fields.
    pub by: Vec<Safe>,
    /// The highest 95th percentile first.
    pub rows: Vec<MeasureRow>,
    /// All rows together.
    pub total: Option<MeasureRow>,
    /// How far a quantile can be from the true one, relative to it: 0 where all are exact.
    pub relative_error: f64,
    /// Records that do not carry it.
    pub without: u64,
    /// Records in which it is no number.
    pub not_numbers: u64,
    /// Records of further rows, too many to tell apart. They count in the total.
    pub left_out: u64,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct MeasureRow {
    /// The values that it is of.
    pub value: Vec<Safe>,
    /// How many.
    pub count: u64,
    /// The least.
    pub min: f64,
    /// Half of them are not higher.
    pub p50: f64,
    /// 95 of 100 are not higher.
    pub p95: f64,
    /// The highest.
    pub max: f64,
    /// All together.
    pub sum: f64,
    /// Whether p50 and p95 are exact.
    pub exact: bool,
}

#[derive(Default)]
struct Counter {
    values: HashMap<Vec<Safe>, u64>,
    left_out: u64,
    without: u64,
}

#[derive(Default)]
struct Gauge {
    rows: HashMap<Vec<Safe>, Spread>,
    total: Spread,
    without: u64,
    not_numbers: u64,
    left_out: u64,
}

/// Collects figures.
pub struct StatsTally {
    redact: Redactor,
    ask: StatsAsk,
    counters: Vec<(Vec<String>, Counter)>,
    gauges: Vec<Gauge>,
    records: u64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl StatsTally {
    /// For this question.
    pub fn new(redact: Redactor, ask: StatsAsk) -> Self {
        let mut fields: Vec<Vec<String>> = ["level", "event", "pod"].map(|f| vec![f.to_owned()]).into();
        if !ask.by.is_empty() && ask.of.is_empty() && !fields.contains(&ask.by) {
            fields.insert(0, ask.by.clone());
        }
        let counters = fields.into_iter().map(|f| (f, Counter::default())).collect();
        let gauges = ask.of.iter().map(|_| Gauge::default()).collect();
        Self { redact, ask, counters, gauges, records: 0, from: None, to: None }
    }

    /// The figures.
    pub fn finish(self, since: Option<Timestamp>, now: Timestamp, seen: &Seen) -> LogStats {
        let by: Vec<Safe> = self.ask.by.iter().map(Safe::name).collect();
        let measures = self.ask.of.iter().zip(self.gauges).map(|(of, gauge)| gauge.measure(Safe::name(of), by.clone()));
        LogStats {
            since,
            observed_at: now,
            records: self.records,
            read: seen.counted(),
            from: self.from,
            to: self.to,
            measures: measures.collect(),
            counts: self.counters.into_iter().map(|(by, counter)| counter.counts(by.iter().map(Safe::name).collect())).collect(),
        }
    }
}

impl Census for StatsTally {
    fn take(&mut self, record: &Record, entry: &Entry) {
        if record.nearby {
            return;
        }
        self.records += 1;
        if let Some(at) = record.at {
            self.from = Some(self.from.map_or(at, |from| from.min(at)));
            self.to = Some(self.to.map_or(at, |to| to.max(at)));
        }
        for (by, counter) in &mut self.counters {
            match values(by, record, entry, &self.redact) {
                Some(values) => counter.add(values),
                None => counter.without += 1,
            }
        }
        for (of, gauge) in self.ask.of.iter().zip(&mut self.gauges) {
            let Some(text) = entry.field(of) else {
                gauge.without += 1;
                continue;
            };
            match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    let row = self.ask.by.iter().map(|f| value(f, record, entry, &self.redact).unwrap_or("–".into())).collect();
                    gauge.add(row, number);
                }
                _ => gauge.not_numbers += 1,
            }
        }
    }
}

impl Counter {
    fn add(&mut self, value: Vec<Safe>) {
        if let Some(count) = self.values.get_mut(&value) {
            *count += 1;
        } else if self.values.len() < MOST_VALUES {
            self.values.insert(value, 1);
        } else {
            self.left_out += 1;
        }
    }

    fn counts(self, by: Vec<Safe>) -> Counts {
        let mut values: Vec<Counted> = self.values.into_iter().map(|(value, count)| Counted { value, count }).collect();
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        Counts { by, values, left_out: self.left_out, without: self.without }
    }
}

impl Gauge {
    fn add(&mut self, row: Vec<Safe>, number: f64) {
        self.total.add(number);
        if let Some(spread) = self.rows.get_mut(&row) {
            spread.add(number);
        } else if self.rows.len() < MOST_ROWS {
            self.rows.entry(row).or_default().add(number);
        } else {
            self.left_out += 1;
        }
    }

    fn measure(self, of: Safe, by: Vec<Safe>) -> Measure {
        let total = row(Vec::new(), &self.total);
        let mut rows: Vec<MeasureRow> = self.rows.into_iter().filter_map(|(value, spread)| row(value, &spread)).collect();
        rows.sort_by(|a, b| b.p95.total_cmp(&a.p95).then_with(|| a.value.cmp(&b.value)));
        let exact = rows.iter().chain(&total).all(|r| r.exact);
        Measure {
            of,
            by,
            rows,
            total,
            relative_error: if exact { 0.0 } else { super::quantiles::RELATIVE_ERROR },
            without: self.without,
            not_numbers: self.not_numbers,
            left_out: self.left_out,
        }
    }
}

fn row(value: Vec<Safe>, spread: &Spread) -> Option<MeasureRow> {
    Some(MeasureRow {
        value,
        count: spread.count,
        min: spread.min,
        p50: spread.quantile(0.5)?,
        p95: spread.quantile(0.95)?,
        max: spread.max,
        sum: spread.sum,
        exact: spread.is_exact(),
    })
}

/// The values of these fields; none when the record has none of them.
fn values(by: &[String], record: &Record, entry: &Entry, redact: &Redactor) -> Option<Vec<Safe>> {
    let values: Vec<Option<Safe>> = by.iter().map(|f| value(f, record, entry, redact)).collect();
    values.iter().any(Option::is_some).then(|| values.into_iter().map(|v| v.unwrap_or("–".into())).collect())
}

/// The value of a field for counting: paths and sentences without their numbers and IDs.
fn value(name: &str, record: &Record, entry: &Entry, redact: &Redactor) -> Option<Safe> {
    let own = |text: &Option<Safe>| text.clone();
    match name {
        "level" => Some(entry.level.map_or("–".into(), |l| l.word().into())),
        "event" | "message" => Some(event(entry, redact)),
        "pod" => Some(record.origin.tag()),
        "app" if record.origin.app.is_some() => own(&record.origin.app),
        "container" if record.origin.container.is_some() => own(&record.origin.container),
        "node" if record.origin.node.is_some() => own(&record.origin.node),
        "image" if record.origin.image.is_some() => own(&record.origin.image),
        "namespace" if record.origin.namespace.is_some() => own(&record.origin.namespace),
        "logger" => entry.logger.as_ref().map(|l| redact.safe(l.as_bytes())),
        _ => entry.field(name).map(|v| Safe::name(normal::value(&redact.field(name, &v)))),
    }
}

/// What a record tells of: its event, the form of its message, or of an access line the method and the path.
pub(super) fn event(entry: &Entry, redact: &Redactor) -> Safe {
    if entry.shape == Shape::Access {
        let shown = |name: &str| entry.field(name).map(|v| Safe::name(normal::value(&redact.field(name, &v)))).unwrap_or_default();
        return safe!("{} {}", shown("method"), shown("path"));
    }
    let text = entry.message.as_bytes();
    let text = redact.safe(text.get(..LONGEST).unwrap_or(text));
    if text.trim().is_empty() { "(no message)".into() } else { Safe::name(normal::pattern(&text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{decode, model::LogOrigin};
    use jiff::tz::TimeZone;
    use std::sync::Arc;

    fn stats(ask: StatsAsk, lines: impl IntoIterator<Item = String>) -> LogStats {
        let mut tally = StatsTally::new(Redactor::default(), ask);
        let origin = Arc::new(LogOrigin { name: "web".into(), ..LogOrigin::default() });
        for line in lines {
            let record = Record { at: None, origin: origin.clone(), sequence: 0, head: line.into(), tail: Vec::new(), nearby: false };
            tally.take(&record, &decode::record(&record, &TimeZone::UTC));
        }
        tally.finish(None, Timestamp::UNIX_EPOCH, &Seen::default())
    }

    #[test]
    fn counts_and_measures() {
        let ask = StatsAsk { of: vec!["duration_ms".into()], by: vec!["path".into()] };
        let lines = (1..=100).map(|i| format!("{{\"level\": \"info\", \"event\": \"done\", \"path\": \"/a/{i}/\", \"duration_ms\": {i}}}"));
        let found = stats(ask, lines.chain(["{\"event\": \"x\", \"duration_ms\": \"soon\"}".into(), "plain 17".into()]));
        assert_eq!(found.records, 102);
        let of = |i: usize| found.counts[i].values.iter().map(|c| format!("{} {}", c.value[0], c.count)).collect::<Vec<_>>();
        assert_eq!(
            (of(0), of(1)),
            (vec!["INFO 100".to_owned(), "– 2".into()], vec!["done 100".into(), "plain <n> 1".into(), "x 1".into()])
        );
        let measure = &found.measures[0];
        assert_eq!((measure.rows.len(), measure.without, measure.not_numbers, measure.relative_error), (1, 1, 1, 0.0));
        let row = &measure.rows[0];
        assert_eq!((row.value[0].as_str(), row.p50, row.p95, row.max, row.count), ("/a/<n>/", 50.0, 95.0, 100.0, 100));
    }

    #[test]
    fn many_values_are_bounded_and_counted() {
        let word = |i: u32| char::from_u32(0x4e00 + i).map(String::from).unwrap_or_default();
        let ask = StatsAsk { of: vec!["n".into()], by: vec!["k".into()] };
        let found = stats(ask, (0..6_000).map(|i| format!("{{\"event\": \"{}\", \"k\": \"{}\", \"n\": 1}}", word(i), word(i))));
        assert_eq!((found.counts[1].values.len(), found.counts[1].left_out), (MOST_VALUES, 1_000));
        let measure = &found.measures[0];
        assert_eq!((measure.rows.len(), measure.left_out), (MOST_ROWS, 5_000));
        assert_eq!(measure.total.as_ref().map(|t| t.count), Some(6_000));
    }
}
