//! JSON: the whole as one object, or a line for each check between a beginning and an end. A stream without its end was cut.

use super::ReportOf;
use crate::report::{Report, Where};
use serde::Serialize;

/// Goes up when a field changes its meaning or disappears.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum RunLine<'a> {
    RunStart {
        schema_version: u32,
        r#where: &'a Where,
        observed_at: jiff::Timestamp,
        files: &'a [crate::text::Safe],
        checks: usize,
    },
    Check(&'a super::CheckResult),
    RunEnd {
        schema_version: u32,
        counts: &'a crate::checks::model::CheckCounts,
        causes: &'a [crate::checks::model::RootCause],
        took_ms: u64,
        exit_status: u8,
    },
}

fn line(line: &RunLine<'_>, out: &mut String) {
    // Text and numbers: nothing in it can fail to be written.
    out.push_str(&serde_json::to_string(line).unwrap_or_default());
    out.push('\n');
}

pub(super) fn lines(of: ReportOf<'_>) -> String {
    let facts = of.facts();
    let mut out = String::new();
    let (observed_at, files, checks) = (facts.observed_at, &facts.files[..], facts.checks.len());
    line(&RunLine::RunStart { schema_version: SCHEMA_VERSION, r#where: of.place, observed_at, files, checks }, &mut out);
    for check in &facts.checks {
        line(&RunLine::Check(check), &mut out);
    }
    let (counts, causes, took_ms) = (&facts.counts, &facts.causes[..], facts.took_ms);
    line(&RunLine::RunEnd { schema_version: SCHEMA_VERSION, counts, causes, took_ms, exit_status: of.status.code() }, &mut out);
    out
}

#[derive(Serialize)]
struct Whole<'a> {
    kind: &'static str,
    version: u32,
    r#where: &'a Where,
    verdict: crate::answer::Verdict,
    exit_status: u8,
    facts: &'a crate::checks::model::CheckFacts,
    findings: &'a [crate::answer::Finding],
    complete: bool,
}

pub(super) fn whole(of: ReportOf<'_>) -> String {
    let facts = of.facts();
    let whole = Whole {
        kind: crate::checks::model::CheckFacts::KIND,
        version: crate::checks::model::CheckFacts::VERSION,
        r#where: of.place,
        verdict: of.answer.verdict(),
        exit_status: of.status.code(),
        facts,
        findings: &of.answer.findings,
        complete: of.answer.coverage.complete(),
    };
    let mut out = serde_json::to_string_pretty(&whole).unwrap_or_default();
    out.push('\n');
    out
}
