//! Bytes to entries: JSON, logfmt, Django's verbose format, Celery's, gunicorn's, PostgreSQL's, anything. Never fails: what it does not
//! know is a plain line.

pub mod json;
pub mod node;
pub mod text;
pub mod time;

use super::model::{Entry, Record};
use jiff::tz::TimeZone;

/// What a record says. `zone` is for times that are written without one.
pub fn entry(head: &[u8], zone: &TimeZone) -> Entry {
    let trimmed = head.trim_ascii();
    if trimmed.first() == Some(&b'{')
        && let Some(entry) = json::entry(trimmed, zone)
    {
        return entry;
    }
    text::entry(head, zone)
}

/// Whether the time that a line carries says its zone: then it is the same moment wherever it is read.
pub fn names_its_zone(head: &[u8]) -> bool {
    let written = |hours| entry(head, &TimeZone::fixed(jiff::tz::offset(hours))).written;
    written(0) == written(1)
}

/// The traceback of a record: of its JSON field, or of the lines that follow it.
pub fn traceback(record: &Record, entry: &Entry) -> Option<String> {
    const NAMES: [&str; 6] = ["exception", "exc_info", "traceback", "stack_trace", "exc_text", "stack"];
    if let Some(text) = NAMES.iter().filter_map(|n| entry.field(n)).find(|t| t.contains('\n')) {
        return Some(text);
    }
    let from = record.tail.iter().position(|l| l.starts_with(b"Traceback (most recent call last)"))?;
    let lines: Vec<_> = record.tail[from..].iter().map(|l| String::from_utf8_lossy(l)).collect();
    Some(lines.join("\n"))
}
