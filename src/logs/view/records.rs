//! Records of a stream: one readable line each, with its traceback below; or one JSON object each.

use crate::{
    logs::model::{Entry, Level, LogOrigin, Record, Shape, as_text},
    report::{Line, Look, Style},
    text::{Redactor, Safe, SafeBuf},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What the flags say about the look of records.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordStyle {
    /// `--raw`: the line as it was written (still redacted and terminal-safe).
    pub raw: bool,
    /// `--timestamps`: the whole time stamp in front.
    pub timestamps: bool,
    /// Whether the tag names the namespace too.
    pub namespaces: bool,
    /// Whether the record is older than some that were shown already.
    pub late: bool,
}

/// Draws a record: its line, and the lines that belong to it.
pub fn record_lines(record: &Record, entry: &Entry, redact: &Redactor, look: &Look, style: RecordStyle) -> Vec<Line> {
    let mut lines = Vec::with_capacity(1 + record.tail.len());
    let mut line = Line::new();
    if style.timestamps {
        line.fill(Style::Dim, |b| push_time(b, record.at, &look.zone, true));
    }
    if style.raw {
        line.fill(Style::Plain, |b| redact.line(&record.head, b));
        lines.push(line);
        lines.extend(record.tail.iter().map(|l| raw_line(l, redact)));
        return lines;
    }
    if !style.timestamps {
        line.fill(Style::Dim, |b| push_time(b, record.at, &look.zone, false));
    }
    let tag = tag(&record.origin, style.namespaces);
    line.push(Style::Tag(colour(&tag)), &tag);
    line.fixed(Style::Plain, if record.nearby { " ~ " } else { " " });
    if style.late {
        line.fixed(Style::Warn, "(late) ");
    }
    if let Some(level) = entry.level {
        let paint = match level {
            Level::Error | Level::Critical => Style::Bad,
            Level::Warning => Style::Warn,
            _ => Style::Dim,
        };
        line.push(paint, &crate::safe!("{:<5} ", level.word()));
    }
    let paint = if record.nearby { Style::Dim } else { Style::Plain };
    line.push(paint, &says(entry, &[], redact));
    lines.push(line);
    let traceback = crate::logs::decode::traceback(record, entry).filter(|_| record.tail.is_empty());
    for text in traceback.iter().flat_map(|t| t.lines()) {
        lines.push(below(text.as_bytes(), redact));
    }
    lines.extend(record.tail.iter().map(|l| below(l, redact)));
    lines
}

fn raw_line(text: &[u8], redact: &Redactor) -> Line {
    let mut line = Line::new();
    line.fill(Style::Plain, |b| redact.line(text, b));
    line
}

fn below(text: &[u8], redact: &Redactor) -> Line {
    let mut line = Line::new();
    line.fixed(Style::Dim, "    │ ");
    line.fill(Style::Dim, |b| redact.line(text, b));
    line
}

pub(super) fn tag(origin: &LogOrigin, namespaces: bool) -> Safe {
    match &origin.namespace {
        Some(namespace) if namespaces => crate::safe!("{}/{}", namespace, origin.tag()),
        _ => origin.tag(),
    }
}

/// A tag's colour: by its name, so that it is the same in every run.
pub(super) fn colour(tag: &Safe) -> u8 {
    let mut hasher = DefaultHasher::new();
    tag.hash(&mut hasher);
    (hasher.finish() % 6) as u8
}

pub(super) fn push_time(buffer: &mut SafeBuf, at: Option<Timestamp>, zone: &TimeZone, whole: bool) {
    let Some(at) = at else {
        buffer.push_fixed(if whole { "(no time) " } else { "--:--:-- " });
        return;
    };
    let zoned = at.to_zoned(zone.clone());
    let format = if whole { "%Y-%m-%dT%H:%M:%S%.6f%:z " } else { "%m-%d %H:%M:%S%.3f " };
    buffer.push_name(zoned.strftime(format).to_string().as_bytes());
}

/// Fields that the line shows elsewhere, or that say the same on every line.
const QUIET: [&str; 16] = [
    "exception",
    "exc_info",
    "traceback",
    "stack_trace",
    "exc_text",
    "stack",
    "pid",
    "thread",
    "process",
    "taskName",
    "user_agent",
    "filename",
    "lineno",
    "funcName",
    "pathname",
    "module",
];

/// An entry in one line: the message, then what else it carries, but for the fields that are `known` from elsewhere.
pub fn says(entry: &Entry, known: &[Safe], redact: &Redactor) -> Safe {
    let mut text = SafeBuf::new();
    redact.line(entry.message.as_bytes(), &mut text);
    if entry.shape == Shape::Json || entry.shape == Shape::Logfmt && !entry.message.contains('=') {
        for (key, value) in &entry.fields {
            if QUIET.contains(&key.as_str()) || value.is_null() || known.iter().any(|k| **k == **key) {
                continue;
            }
            text.push_fixed("  ");
            text.push(&Safe::name(key));
            text.push_fixed("=");
            match as_text(value) {
                Some(scalar) => text.push(&redact.field(key, &scalar)),
                None => text.push(&redact.safe(value.to_string().as_bytes())),
            }
        }
    }
    text.into_safe()
}

/// A record for machines: one object per record, the same in `-o json` and `-o ndjson`.
#[derive(Serialize)]
pub struct RecordView<'a> {
    /// Always `record`.
    pub kind: &'static str,
    /// When.
    pub at: Option<Timestamp>,
    /// Who.
    #[serde(flatten)]
    pub origin: &'a LogOrigin,
    /// How bad.
    pub level: Option<Level>,
    /// The logger.
    pub logger: Option<Safe>,
    /// The event or message.
    pub message: Safe,
    /// The line, redacted.
    pub line: Safe,
    /// The lines that belong to it, redacted.
    pub more: Vec<Safe>,
    /// Whether it is only the neighbourhood of a hit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nearby: bool,
    /// Whether it is older than some that were shown already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

impl<'a> RecordView<'a> {
    /// Of a record.
    pub fn of(record: &'a Record, entry: &Entry, redact: &Redactor) -> Self {
        Self {
            kind: "record",
            at: record.at,
            origin: &record.origin,
            level: entry.level,
            logger: entry.logger.as_ref().map(|l| redact.safe(l.as_bytes())),
            message: redact.safe(entry.message.as_bytes()),
            line: redact.safe(&record.head),
            more: record.tail.iter().map(|l| redact.safe(l)).collect(),
            nearby: record.nearby,
            late: false,
        }
    }
}
