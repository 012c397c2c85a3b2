//! GitHub: workflow commands that annotate the file of checks, and Markdown for the job summary.

use super::ReportOf;
use crate::{
    checks::model::{CheckResult, CheckStatus},
    report::out::hint_line,
};
use jiff::SignedDuration;

/// Annotations of one step that GitHub shows; it drops what is beyond.
const SHOWN: usize = 50;

/// A message: what would end the command or begin another one is written as numbers.
fn data(raw: &str) -> String {
    raw.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property, which ends at a comma and a colon too.
fn property(raw: &str) -> String {
    data(raw).replace(':', "%3A").replace(',', "%2C")
}

pub(super) fn annotations(of: ReportOf<'_>) -> String {
    let mut out = String::new();
    let bad: Vec<&CheckResult> = of.facts().checks.iter().filter(|c| c.status > CheckStatus::Skipped && !of.known(c)).collect();
    for check in bad.iter().take(SHOWN) {
        let word = if of.fails(check) || check.status == CheckStatus::Unknown { "error" } else { "warning" };
        let mut properties = Vec::new();
        if let Some(place) = &check.place {
            properties.push(format!("file={}", property(&place.file)));
            properties.push(format!("line={},col={}", place.line, place.column));
        }
        let why = check.unanswered.map(|why| format!(" [{}]", why.word())).unwrap_or_default();
        properties.push(format!("title={}", property(&format!("{} {}{why}", check.name, check.status.word()))));
        let mut message = format!("{} (want {})", check.says, check.want);
        for line in check.evidence.iter().take(3) {
            message.push('\n');
            message.push_str(line);
        }
        for hint in check.next.iter().take(1) {
            message.push('\n');
            message.push_str(&hint_line(hint));
        }
        out.push_str(&format!("::{word} {}::{}\n", properties.join(","), data(&message)));
    }
    let took = SignedDuration::from_millis(i64::try_from(of.facts().took_ms).unwrap_or(i64::MAX));
    out.push_str(&format!("::notice title=obsctl check::{}\n", data(&of.facts().counts.says(took))));
    out
}

/// Text in a cell of a table.
fn cell(raw: &str) -> String {
    let mut out = String::new();
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '!' | '@' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn summary(of: ReportOf<'_>) -> String {
    let facts = of.facts();
    let took = SignedDuration::from_millis(i64::try_from(facts.took_ms).unwrap_or(i64::MAX));
    let mut out = format!("### obsctl check: {}\n\n", cell(&facts.counts.says(took)));
    for cause in &facts.causes {
        out.push_str(&format!("**Cause** {}: {} ({} skipped for it)\n\n", cell(&cause.check), cell(&cause.says), cause.skipped.len()));
    }
    let bad: Vec<&CheckResult> = facts.checks.iter().filter(|c| c.status != CheckStatus::Ok).collect();
    if !bad.is_empty() {
        out.push_str("| | check | says | want |\n|---|---|---|---|\n");
        for check in bad {
            let new = if of.known(check) { " (not new)" } else { "" };
            let why = check.unanswered.map(|why| format!(" ({})", why.word())).unwrap_or_default();
            out.push_str(&format!(
                "| {}{why}{new} | {} | {} | {} |\n",
                check.status.word(),
                cell(&check.name),
                cell(&check.says),
                cell(&check.want)
            ));
        }
        out.push('\n');
    }
    if let Some(compared) = &facts.compared {
        let names = |all: &[crate::text::Safe]| all.iter().map(|n| cell(n)).collect::<Vec<_>>().join(", ");
        for (word, all) in [("New failures", &compared.new), ("Fixed", &compared.fixed), ("Worse", &compared.worsened)] {
            if !all.is_empty() {
                out.push_str(&format!("{word}: {}\n\n", names(all)));
            }
        }
        for worse in compared.worse.iter().take(10) {
            out.push_str(&format!("- {}: {} {} → {}\n", cell(&worse.check), cell(&worse.figure), cell(&worse.before), cell(&worse.now)));
        }
    }
    if !facts.changes.is_empty() {
        out.push_str("\nChanged in the last hour:\n\n");
        facts.changes.iter().for_each(|change| out.push_str(&format!("- {}\n", cell(change))));
    }
    out
}
