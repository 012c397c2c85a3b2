//! Bytes to entries: JSON, logfmt, Django's verbose format, Celery's, gunicorn's, PostgreSQL's, anything. Never fails: what it does not
//! know is a plain line.

pub mod json;
pub mod logfmt;
pub mod node;
pub mod postgres;
pub mod text;
pub mod time;
pub mod traceback;

use super::model::{Entry, Record};
use jiff::tz::TimeZone;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// What stands in a record that tells of a served request.
pub const SERVED: [&str; 2] = [" HTTP/", "status_code"];

/// What a record says. `zone` is for times that are written without one.
pub fn entry(head: &[u8], zone: &TimeZone) -> Entry {
    let trimmed = head.trim_ascii();
    if trimmed.first() == Some(&b'{')
        && let Some(entry) = json::entry(trimmed, zone)
    {
        return if entry.message.starts_with("duration: ") { timed(entry) } else { entry };
    }
    if postgres::begins_csv(head)
        && let Some(entry) = postgres::csv(head, zone)
    {
        return entry;
    }
    // Colours that were captured with the text are not part of it.
    if memchr::memchr(0x1b, head).is_some() {
        return text::entry(&COLOUR.replace_all(head, &b""[..]), zone);
    }
    text::entry(head, zone)
}

static COLOUR: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "a fixed pattern, compiled by the tests")]
    Regex::new(r"\x1b\[[0-9;]*m").expect("a fixed pattern, compiled by the tests")
});

fn timed(mut entry: Entry) -> Entry {
    postgres::told_by_json(&mut entry);
    entry
}

/// The fields that loggers put a traceback into.
const TRACEBACKS: [&str; 8] =
    ["exception", "exc_info", "traceback", "stack_trace", "exc_text", "stack", "exception.stacktrace", "error.stack_trace"];

/// What a record says, with the lines that its form needs to be read whole.
pub fn record(record: &Record, zone: &TimeZone) -> Entry {
    if !record.tail.is_empty() && postgres::begins_csv(&record.head) {
        let lines: Vec<&[u8]> = std::iter::once(&record.head).chain(&record.tail).map(|l| &l[..]).collect();
        if let Some(entry) = postgres::csv(&lines.join(&b'\n'), zone) {
            return entry;
        }
    }
    entry(&record.head, zone)
}

/// Whether the time that a line carries says its zone: then it is the same moment wherever it is read.
pub fn names_its_zone(head: &[u8]) -> bool {
    let written = |hours| entry(head, &TimeZone::fixed(jiff::tz::offset(hours))).written;
    written(0) == written(1)
}

/// The traceback of a record: of its field, or of the lines that follow it, or are it.
pub fn traceback(record: &Record, entry: &Entry) -> Option<String> {
    if let Some(text) = TRACEBACKS.iter().filter_map(|n| entry.field(n)).find(|t| t.contains('\n')) {
        return Some(text);
    }
    let opens = |line: &[u8]| memchr::memmem::find(line, traceback::OPENING.as_bytes()).is_some();
    let lines = std::iter::once(&record.head).chain(&record.tail).skip_while(|l| !opens(l));
    let lines: Vec<_> = lines.map(|l| String::from_utf8_lossy(l)).collect();
    // A line that only names a traceback is none.
    (lines.len() > 1).then(|| lines.join("\n"))
}

/// The exceptions of a record, the cause first.
pub fn raised(record: &Record, entry: &Entry) -> Vec<traceback::Raised> {
    let list = TRACEBACKS.iter().find_map(|n| entry.fields.iter().find(|(k, v)| k == n && v.is_array()));
    if let Some((_, list)) = list {
        return traceback::of_list(list);
    }
    traceback(record, entry).map(|text| traceback::parse(&text)).unwrap_or_default()
}
