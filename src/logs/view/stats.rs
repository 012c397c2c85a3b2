//! The screens of `--stats` and `--leaks`: tables, most first; what was cut is said below them.

use crate::{
    answer::{Answer, Coverage},
    logs::analyze::{
        leaks::LogLeaks,
        stats::{Counts, LogStats, Measure, MeasureRow},
    },
    report::{Cell, Doc, Line, Look, Style, Table, Where, bar},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;

/// Draws the figures; of each table so many rows, none: all.
pub fn stats(answer: &Answer<LogStats>, place: &Where, look: &Look, limit: Option<usize>) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    head(&mut doc, place, facts.since, look);
    let span = facts.from.zip(facts.to).map(|(from, to)| safe!(", {} → {}", whole(from, look), whole(to, look))).unwrap_or_default();
    doc.wrapped(read(&answer.coverage, facts.records).with(Style::Dim, span), 2);
    for measure in &facts.measures {
        measured(&mut doc, measure, limit);
    }
    if facts.records > 0 {
        facts.counts.iter().for_each(|counts| counted(&mut doc, counts, facts.records, limit));
    }
    missing(&mut doc, &answer.coverage);
    doc
}

/// Draws what had to be hidden.
pub fn leaks(answer: &Answer<LogLeaks>, place: &Where, look: &Look, limit: Option<usize>) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    head(&mut doc, place, facts.since, look);
    let of = safe!("{} of {}", super::searched(facts.read, &answer.coverage), units::plural(answer.coverage.searched.len(), "log", "logs"));
    if answer.coverage.searched.is_empty() {
        doc.wrapped(read(&answer.coverage, 0), 2);
    } else if facts.rows.is_empty() {
        let (style, how) = if answer.coverage.complete() { (Style::Good, "") } else { (Style::Warn, " in what could be read") };
        doc.wrapped(Line::new().with(style, safe!("nothing had to be hidden{}", how)).with(Style::Plain, safe!(": {}", of)), 2);
    } else {
        let hidden = units::plural(usize::try_from(facts.values).unwrap_or(usize::MAX), "value", "values");
        let line = Line::new().with(Style::Warn, safe!("{} in {} had to be hidden", hidden, records(facts.records)));
        doc.wrapped(line.with(Style::Plain, safe!(", of {}; the logs themselves hold them in the clear", of)), 2);
        doc.gap();
        let head = vec![
            Cell::left(Style::Dim, "KIND"),
            Cell::right(Style::Dim, "VALUES"),
            Cell::right(Style::Dim, "RECORDS"),
            Cell::left(Style::Dim, "APP"),
            Cell::left(Style::Dim, "LOGGER"),
            Cell::left(Style::Dim, "EVENT"),
        ];
        let rows = facts.rows.iter().take(limit.unwrap_or(usize::MAX)).map(|row| {
            vec![
                Cell::left(Style::Warn, row.kind),
                Cell::right(Style::Plain, units::count(row.values)),
                Cell::right(Style::Plain, units::count(row.records)),
                Cell::left(Style::Plain, row.app.clone()),
                Cell::left(Style::Dim, row.logger.clone().unwrap_or("–".into())),
                Cell::left(Style::Plain, row.event.clone()),
            ]
        });
        doc.table(Table { head, rows: rows.collect() });
        rest(&mut doc, facts.rows.len(), limit, facts.left_out, "values");
    }
    missing(&mut doc, &answer.coverage);
    doc
}

fn head(doc: &mut Doc, place: &Where, since: Option<Timestamp>, look: &Look) {
    let since = since.map(|since| safe!("  since {}", whole(since, look))).unwrap_or_default();
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, since));
}

fn whole(at: Timestamp, look: &Look) -> Safe {
    Safe::name(at.to_zoned(look.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
}

fn records(count: u64) -> Safe {
    units::plural(usize::try_from(count).unwrap_or(usize::MAX), "record", "records")
}

fn read(coverage: &Coverage, count: u64) -> Line {
    if coverage.nothing_read() {
        return Line::new().with(Style::Warn, "nothing could be read");
    }
    if coverage.searched.is_empty() {
        return Line::new().with(Style::Warn, "there is nothing to read: no pod is there");
    }
    let logs = units::plural(coverage.searched.len(), "log", "logs");
    Line::new().with(Style::Strong, safe!("{} in {}", records(count), logs))
}

fn joined(values: &[Safe]) -> Safe {
    Safe::join(values, "  ")
}

fn counted(doc: &mut Doc, counts: &Counts, records: u64, limit: Option<usize>) {
    doc.gap();
    let name: Vec<Safe> = counts.by.iter().map(|b| Safe::name(b.to_uppercase())).collect();
    let head = vec![
        Cell::right(Style::Dim, "RECORDS"),
        Cell::right(Style::Dim, "SHARE"),
        Cell::left(Style::Dim, ""),
        Cell::left(Style::Dim, joined(&name)),
    ];
    let rows = counts.values.iter().take(limit.unwrap_or(usize::MAX)).map(|one| {
        let share = one.count as f64 / records.max(1) as f64;
        vec![
            Cell::right(Style::Plain, units::count(one.count)),
            Cell::right(Style::Dim, safe!("{:.0} %", share * 100.0)),
            Cell::left(Style::Dim, safe!("{:<10}", bar(share, 10))),
            Cell::left(Style::Plain, joined(&one.value)),
        ]
    });
    doc.table(Table { head, rows: rows.collect() });
    rest(doc, counts.values.len(), limit, counts.left_out, "records");
    if counts.without > 0 {
        doc.line(Line::new().with(Style::Dim, safe!("  {} records have none", units::count(counts.without))));
    }
}

fn measured(doc: &mut Doc, measure: &Measure, limit: Option<usize>) {
    doc.gap();
    let Some(total) = &measure.total else {
        let says = safe!("no record carries a number {}", measure.of);
        doc.line(Line::new().with(Style::Warn, says));
        return;
    };
    let names: Vec<Safe> = measure.by.iter().map(|b| Safe::name(b.to_uppercase())).collect();
    let mut head: Vec<Cell> = ["COUNT", "P50", "P95", "MAX"].map(|h| Cell::right(Style::Dim, h)).into();
    head.push(Cell::left(
        Style::Dim,
        if names.is_empty() { safe!("{}", measure.of) } else { safe!("{}  of {}", joined(&names), measure.of) },
    ));
    let row = |row: &MeasureRow, style: Style, name: Safe| {
        let mut cells = vec![Cell::right(style, units::count(row.count))];
        cells.extend([row.p50, row.p95, row.max].map(|n| Cell::right(style, number(n))));
        cells.push(Cell::left(style, name));
        cells
    };
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    if !measure.by.is_empty() {
        rows.extend(measure.rows.iter().take(limit.unwrap_or(usize::MAX)).map(|r| row(r, Style::Plain, joined(&r.value))));
    }
    rows.push(row(total, Style::Dim, "all".into()));
    doc.table(Table { head, rows });
    rest(doc, measure.rows.len(), limit.filter(|_| !measure.by.is_empty()), measure.left_out, "records");
    let how = if measure.relative_error > 0.0 {
        safe!("  p50 and p95 within {:.0} % where there are more than 2 048 values, else exact; max exact", measure.relative_error * 100.0)
    } else {
        "  p50, p95 and max are exact".into()
    };
    let without = if measure.without > 0 { safe!("; {} records do not carry it", units::count(measure.without)) } else { Safe::EMPTY };
    let not = if measure.not_numbers > 0 { safe!("; in {} it is no number", units::count(measure.not_numbers)) } else { Safe::EMPTY };
    doc.line(Line::new().with(Style::Dim, safe!("{}{}{}", how, without, not)));
}

/// A figure with as many digits as it needs.
fn number(n: f64) -> Safe {
    if n.abs() >= 1e15 || (n != 0.0 && n.abs() < 1e-3) {
        return Safe::name(format!("{n:e}"));
    }
    if n.fract() == 0.0 && n >= 0.0 {
        return units::count(n as u64);
    }
    if n.abs() >= 100.0 { safe!("{:.0}", n) } else { safe!("{:.2}", n) }
}

fn rest(doc: &mut Doc, rows: usize, limit: Option<usize>, left_out: u64, what: &'static str) {
    if let Some(more) = limit.and_then(|l| rows.checked_sub(l)).filter(|m| *m > 0) {
        doc.line(Line::new().with(Style::Dim, safe!("  and {} more rows: --limit 0 shows all", units::count(more as u64))));
    }
    if left_out > 0 {
        doc.line(Line::new().with(Style::Warn, safe!("  {} {} are in no row: too many to tell apart", units::count(left_out), what)));
    }
}

fn missing(doc: &mut Doc, coverage: &Coverage) {
    if !coverage.complete() {
        doc.gap();
        super::coverage(coverage, doc);
    }
}
