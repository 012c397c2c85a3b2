//! A plugin's output as Nagios and Icinga read it: one line of status, performance data behind `|`, and a line for each check that is not
//! well.

use super::ReportOf;
use crate::{
    answer::Verdict,
    checks::model::{CheckResult, CheckStatus, Figure, Quantity, Unit},
};

/// So many values; more is cut off by Nagios anyway.
const VALUES: usize = 100;

/// Text without what means something to Nagios.
pub(super) fn plain(raw: &str) -> String {
    raw.replace('|', "/").replace(['\n', '\r'], " ")
}

/// A label: anything but a quote and an equals sign.
fn label(raw: &str) -> String {
    format!("'{}'", plain(raw).replace(['\'', '='], "_"))
}

pub(super) fn nagios(of: ReportOf<'_>) -> String {
    let facts = of.facts();
    let word = match of.answer.verdict() {
        Verdict::Ok => "OK",
        Verdict::Warning => "WARNING",
        Verdict::Failed => "CRITICAL",
        Verdict::Unknown => "UNKNOWN",
    };
    let first = facts.checks.first().filter(|c| c.status > CheckStatus::Skipped && !of.known(c));
    let counts = &facts.counts;
    let says = match first {
        Some(worst) => format!("{}: {}", plain(&worst.name), plain(&worst.says)),
        None => format!("{} of {} checks ok", counts.ok, counts.checks),
    };
    let values: Vec<String> = facts.checks.iter().flat_map(|c| c.figures.iter().filter_map(|f| value(c, f))).take(VALUES).collect();
    let mut out = format!("OBSCTL {word} - {says}");
    if !values.is_empty() {
        out.push_str(" | ");
        out.push_str(&values.join(" "));
    }
    out.push('\n');
    for check in facts.checks.iter().filter(|c| c.status != CheckStatus::Ok) {
        let why = check.unanswered.map(|why| format!(" [{}]", why.word())).unwrap_or_default();
        out.push_str(&format!(
            "{}{why} {}: {} (want {})\n",
            check.status.word(),
            plain(&check.name),
            plain(&check.says),
            plain(&check.want)
        ));
    }
    out
}

/// `'queue mail oldest'=12.5s;~:120;~:600`.
fn value(check: &CheckResult, figure: &Figure) -> Option<String> {
    let Quantity::Number(n) = figure.value else { return None };
    if !n.is_finite() {
        return None;
    }
    let (n, uom) = match figure.unit {
        Unit::Seconds => (n, "s"),
        Unit::Bytes => (n, "B"),
        Unit::Share => (n * 100.0, "%"),
        _ => (n, ""),
    };
    let range = |fails: bool| {
        let bound = check.bounds.iter().find(|b| b.figure == figure.name && b.fails == fails && b.range.is_some());
        bound.and_then(|b| b.range.as_ref()).map(|range| scaled(range, figure.unit)).unwrap_or_default()
    };
    let of = if figure.of.is_empty() { String::new() } else { format!(" {}", figure.of) };
    let (warn, fail) = (range(false), range(true));
    let text = format!("{}={}{uom};{warn};{fail}", label(&format!("{}{of} {}", check.name, figure.name)), number(n));
    Some(text.trim_end_matches(';').to_owned())
}

/// A range in the unit of the value.
fn scaled(range: &str, unit: Unit) -> String {
    if unit != Unit::Share {
        return range.to_owned();
    }
    let (at, rest) = range.strip_prefix('@').map_or(("", range), |rest| ("@", rest));
    let end = |end: &str| end.parse::<f64>().map_or_else(|_| end.to_owned(), |n| number(n * 100.0));
    let ends: Vec<String> = rest.split(':').map(end).collect();
    format!("{at}{}", ends.join(":"))
}

/// Without an exponent, which not everybody reads.
fn number(n: f64) -> String {
    let text = format!("{n:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
