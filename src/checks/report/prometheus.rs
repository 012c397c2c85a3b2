//! Prometheus' text format, for the textfile collector: no time stamps, each name once with its type.

use super::ReportOf;
use crate::checks::model::{CheckStatus, Quantity, Unit};

/// Values of one run.
const VALUES: usize = 5000;

fn escaped(raw: &str) -> String {
    raw.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn labels(all: &[(&str, &str)]) -> String {
    let all: Vec<String> =
        all.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn head(out: &mut String, name: &str, help: &str) {
    out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
}

pub(super) fn prometheus(of: ReportOf<'_>) -> String {
    let facts = of.facts();
    let environment = of.place.environment.as_ref().map(|e| e.as_str()).unwrap_or_default();
    let mut out = String::new();
    head(&mut out, "obsctl_check_status", "What came of a check: 0 ok, 1 warning, 2 failed, 3 unknown, 4 skipped.");
    for check in &facts.checks {
        let n = match check.status {
            CheckStatus::Ok => 0,
            CheckStatus::Warning => 1,
            CheckStatus::Failed => 2,
            CheckStatus::Unknown => 3,
            CheckStatus::Skipped => 4,
        };
        let why = check.unanswered.map(|why| why.word()).unwrap_or_default();
        let labels = labels(&[
            ("environment", environment),
            ("check", &check.name),
            ("system", check.system),
            ("route", check.route.word()),
            ("why", why),
        ]);
        out.push_str(&format!("obsctl_check_status{labels} {n}\n"));
    }
    let mut values = String::new();
    let figures = facts.checks.iter().flat_map(|c| c.figures.iter().map(move |f| (c, f)));
    let mut seen = std::collections::BTreeSet::new();
    for (check, figure) in figures.take(VALUES) {
        let Quantity::Number(n) = figure.value else { continue };
        let unit = match figure.unit {
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::Share => "ratio",
            Unit::PerSecond => "per_second",
            _ => "",
        };
        let labels =
            labels(&[("environment", environment), ("check", &check.name), ("figure", &figure.name), ("of", &figure.of), ("unit", unit)]);
        // The same series twice makes the whole file unreadable.
        if n.is_finite() && seen.insert(labels.clone()) {
            values.push_str(&format!("obsctl_check_value{labels} {n}\n"));
        }
    }
    if !values.is_empty() {
        head(&mut out, "obsctl_check_value", "What a check measured, in the base unit.");
        out.push_str(&values);
    }
    let own = labels(&[("environment", environment)]);
    head(&mut out, "obsctl_check_run_duration_seconds", "How long the last run took.");
    out.push_str(&format!("obsctl_check_run_duration_seconds{own} {}\n", facts.took_ms as f64 / 1000.0));
    head(&mut out, "obsctl_check_last_run_timestamp_seconds", "When the last run ended.");
    out.push_str(&format!("obsctl_check_last_run_timestamp_seconds{own} {}\n", facts.observed_at.as_second()));
    head(&mut out, "obsctl_check_exit_status", "What the last run exited with.");
    out.push_str(&format!("obsctl_check_exit_status{own} {}\n", of.status.code()));
    out
}
