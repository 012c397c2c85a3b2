//! PostgreSQL's server log: stderr with any `log_line_prefix`, csvlog, jsonlog. What its lines say, and which of them belong together.

use super::{
    text::{lossy, pairs},
    time,
};
use crate::logs::model::{Entry, Level, Shape};
use jiff::{Timestamp, tz::TimeZone};
use memchr::memmem;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// The severities that begin a record.
const SEVERITIES: [&str; 12] =
    ["DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5", "LOG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"];
/// What the server writes as further lines of the same record.
const MORE: [&str; 7] = ["DETAIL", "HINT", "STATEMENT", "CONTEXT", "QUERY", "LOCATION", "BACKTRACE"];
/// No prefix is longer.
const LONGEST_PREFIX: usize = 400;

macro_rules! pattern {
    ($name:ident, $re:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($re).expect("a fixed pattern, compiled by the tests"));
    };
}
pattern!(TIME, r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)(?: ?([A-Z]{2,5}|[+-]\d\d(?::?\d\d)?)\b)?");
pattern!(EPOCH, r"\b(\d{10}\.\d{3})\b");
pattern!(PID, r"\[(\d+)(?:-\d+)?\]");
pattern!(WHO, r"([\w$.\-]+)@([\w$.\-]+)");
pattern!(DURATION, r"^duration: (\d+(?:\.\d+)?) ms(?:  (?:statement|(?:parse|bind|execute) [^:]*|plan):\s*)?");

/// A line of stderr in its parts: what `log_line_prefix` put in front, the severity, the message. The server always writes the severity, a
/// colon and two blanks, whatever the prefix is.
fn split(line: &[u8]) -> Option<(&str, &str, &[u8])> {
    let head = line.get(..LONGEST_PREFIX.min(line.len()))?;
    for colon in memmem::find_iter(head, b":  ").take(4) {
        let before = head.get(..colon)?;
        let word = before.iter().rev().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).count();
        let Ok(text) = std::str::from_utf8(before) else { continue };
        let (prefix, word) = text.split_at(colon - word);
        let message = line.get(colon + 3..).unwrap_or_default();
        if !(SEVERITIES.contains(&word) || MORE.contains(&word)) {
            continue;
        }
        // A prefix names a time or a process. Without one, what is padded further is another program's.
        let named = match prefix.trim() {
            "" => message.first() != Some(&b' '),
            some => some.bytes().any(|b| b.is_ascii_digit()) && !some.starts_with('{') && !some.contains('"'),
        };
        if named {
            return Some((prefix, word, message));
        }
    }
    None
}

/// Whether a line begins a record of the server.
pub fn begins(line: &[u8]) -> bool {
    split(line).is_some_and(|(prefix, word, _)| !prefix.trim().is_empty() && SEVERITIES.contains(&word)) || begins_csv(line)
}

/// Whether a line is DETAIL, HINT, STATEMENT and so on of the record that begins with `head`.
pub fn continues(head: &[u8], line: &[u8]) -> bool {
    let Some((prefix, _, _)) = split(line).filter(|(_, word, _)| MORE.contains(word)) else { return false };
    match split(head) {
        // Another backend's lines can stand between.
        Some((of_head, _, _)) => pid(of_head) == pid(prefix),
        None => false,
    }
}

fn pid(prefix: &str) -> Option<&str> {
    PID.captures(prefix).and_then(|c| c.get(1)).map(|m| m.as_str())
}

/// The entry of a line of stderr.
pub fn stderr(line: &[u8], zone: &TimeZone) -> Option<Entry> {
    let (prefix, word, message) = split(line)?;
    let mut fields: Vec<(String, Value)> = Vec::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|v| !v.is_empty() && *v != "[unknown]") {
            fields.push((name.to_owned(), Value::String(value.to_owned())));
        }
    };
    put("pid", pid(prefix));
    if let Some(who) = WHO.captures(prefix) {
        put("user", who.get(1).map(|m| m.as_str()));
        put("db", who.get(2).map(|m| m.as_str()));
    }
    fields.extend(pairs(prefix.as_bytes()));
    let message = lossy(message);
    told(&message, &mut fields);
    fields.extend(pairs(message.as_bytes()));
    Some(Entry { shape: Shape::Text, written: written(prefix, zone), level: Level::parse(word), logger: None, message, fields })
}

/// `%m`, `%t` or `%n`. An abbreviated zone that is not UTC names no zone for sure: the app's own counts.
fn written(prefix: &str, zone: &TimeZone) -> Option<Timestamp> {
    let Some(found) = TIME.captures(prefix) else {
        let seconds: f64 = EPOCH.captures(prefix)?.get(1)?.as_str().parse().ok()?;
        return time::from_number(seconds);
    };
    let civil = found.get(1)?.as_str();
    match found.get(2).map(|z| z.as_str()) {
        Some("UTC" | "GMT" | "Z") => time::parse(civil, &TimeZone::UTC),
        Some(offset) if offset.starts_with(['+', '-']) => {
            let hours = if offset.len() == 3 { format!("{civil}{offset}:00") } else { format!("{civil}{offset}") };
            hours.replacen(' ', "T", 1).parse().ok()
        }
        _ => time::parse(civil, zone),
    }
}

/// What the message itself says in figures: how long a statement took.
fn told(message: &str, fields: &mut Vec<(String, Value)>) {
    let Some(found) = DURATION.captures(message) else { return };
    let ms = found.get(1).and_then(|m| m.as_str().parse::<f64>().ok()).and_then(serde_json::Number::from_f64);
    fields.extend(ms.map(|ms| ("duration_ms".to_owned(), Value::Number(ms))));
    let statement = found.get(0).and_then(|m| message.get(m.end()..)).unwrap_or_default();
    if !statement.is_empty() {
        fields.push(("statement".into(), Value::String(statement.to_owned())));
    }
}

/// The same of a jsonlog record.
pub fn told_by_json(entry: &mut Entry) {
    if entry.message.starts_with("duration: ") {
        told(&entry.message, &mut entry.fields);
    }
}

/// The columns of csvlog that are shown as fields, by their place.
const COLUMNS: [(usize, &str); 14] = [
    (1, "user"),
    (2, "db"),
    (3, "pid"),
    (4, "client"),
    (7, "command"),
    (12, "sqlstate"),
    (14, "detail"),
    (15, "hint"),
    (16, "internal_query"),
    (18, "context"),
    (19, "statement"),
    (22, "app"),
    (23, "backend_type"),
    (25, "query_id"),
];
const SEVERITY: usize = 11;
const MESSAGE: usize = 13;

/// Whether a line begins a record of csvlog: a time, then the user in quotes or nothing.
pub fn begins_csv(line: &[u8]) -> bool {
    let Some(comma) = line.get(..48.min(line.len())).and_then(|l| memchr::memchr(b',', l)) else { return false };
    (19..40).contains(&comma)
        && line.first().is_some_and(u8::is_ascii_digit)
        && line.get(4) == Some(&b'-')
        && matches!(line.get(comma + 1), Some(b'"' | b','))
        && memchr::memchr_iter(b',', line.get(..LONGEST_PREFIX.min(line.len())).unwrap_or(line)).count() >= SEVERITY
}

/// Whether a quoted text is open at the end of these bytes, where it was (not) at their beginning.
pub fn quote_open(bytes: &[u8], open: bool) -> bool {
    open ^ (memchr::memchr_iter(b'"', bytes).count() % 2 == 1)
}

/// The entry of a csvlog record, all its lines joined.
pub fn csv(text: &[u8], zone: &TimeZone) -> Option<Entry> {
    if !begins_csv(text) {
        return None;
    }
    let mut columns = columns(&lossy(text));
    let level = Level::parse(columns.get(SEVERITY)?)?;
    let at = written(columns.first()?, zone);
    let message = columns.get_mut(MESSAGE).map(std::mem::take).unwrap_or_default();
    let mut fields: Vec<(String, Value)> = COLUMNS
        .iter()
        .filter_map(|(i, name)| {
            let value = columns.get_mut(*i).map(std::mem::take).filter(|v| !v.is_empty())?;
            Some(((*name).to_owned(), Value::String(value)))
        })
        .collect();
    told(&message, &mut fields);
    Some(Entry { shape: Shape::Text, written: at, level: Some(level), logger: None, message, fields })
}

/// The columns of one record. A quote in a quoted text is written twice; what is cut ends where it was cut.
fn columns(text: &str) -> Vec<String> {
    const MOST: usize = 32;
    let (mut all, mut column, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                column.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) if all.len() < MOST => all.push(std::mem::take(&mut column)),
            (c, _) => column.push(c),
        }
    }
    all.push(column);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Entry {
        stderr(line.as_bytes(), &TimeZone::UTC).unwrap_or_else(|| panic!("{line}"))
    }

    #[test]
    fn every_prefix_is_read() {
        for (line, time, user) in [
            ("2026-11-21 18:51:34.011 UTC [9307] ERROR:  no", Some("2026-11-21T18:51:34.011Z"), None),
            ("2026-11-21 18:51:34.011 UTC [88] shop@orders celery: ERROR:  no", Some("2026-11-21T18:51:34.011Z"), Some("shop")),
            (
                "2026-11-21 18:51:34 UTC [88]: [1-1] user=shop,db=orders,app=psql,client=[local] ERROR:  no",
                Some("2026-11-21T18:51:34Z"),
                Some("shop"),
            ),
            ("2026-11-21 18:51:34 UTC:10.0.0.1(4711):shop@orders:[88]:ERROR:  no", Some("2026-11-21T18:51:34Z"), Some("shop")),
            ("1795287094.011 [88] ERROR:  no", Some("2026-11-21T18:51:34.011Z"), None),
            ("2026-11-21 20:51:34.5 +02 [88] ERROR:  no", Some("2026-11-21T18:51:34.5Z"), None),
            ("[88] ERROR:  no", None, None),
        ] {
            let e = of(line);
            assert_eq!((e.level, e.message.as_str()), (Some(Level::Error), "no"), "{line}");
            assert_eq!(e.written.map(|t| t.to_string()).as_deref(), time, "{line}");
            assert_eq!(e.field("user").as_deref(), user, "{line}");
            assert!(begins(line.as_bytes()), "{line}");
        }
        assert_eq!(of("LOG:  ready").message, "ready");
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let e = stderr(b"2026-11-21 18:51:34 CET [88] LOG:  x", &zone).expect("an entry");
        assert_eq!(e.written.map(|t| t.to_string()).as_deref(), Some("2026-11-21T17:51:34Z"));
    }

    #[test]
    fn others_are_left_to_others() {
        for line in [
            "INFO:     127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK",
            "he said ERROR:  no",
            "ERROR:root:no",
            "NOTE: ERROR:  x",
            "{\"a\": \"1 ERROR:  x\"}",
            "",
        ] {
            assert!(stderr(line.as_bytes(), &TimeZone::UTC).is_none(), "{line}");
        }
    }

    #[test]
    fn durations_are_figures() {
        let e = of("2026-11-21 18:51:34.011 UTC [1] LOG:  duration: 1840.112 ms  execute <unnamed>: SELECT 1");
        assert_eq!((e.field("duration_ms").as_deref(), e.field("statement").as_deref()), (Some("1840.112"), Some("SELECT 1")));
        assert_eq!(of("[1] LOG:  duration: 3.5 ms").field("duration_ms").as_deref(), Some("3.5"));
    }

    #[test]
    fn details_belong_to_their_own_backend() {
        let head = b"2026-11-21 02:44:10.114 UTC [88] ERROR:  duplicate key";
        assert!(continues(head, b"2026-11-21 02:44:10.114 UTC [88] DETAIL:  Key (id)=(1)"));
        assert!(!continues(head, b"2026-11-21 02:44:10.114 UTC [89] DETAIL:  Key (id)=(1)"));
        assert!(!continues(head, b"2026-11-21 02:44:10.114 UTC [88] LOG:  next"));
        assert!(!continues(b"{}", b"2026-11-21 02:44:10.114 UTC [88] DETAIL:  x"));
    }

    const CSV: &str = "2026-11-21 18:51:34.011 UTC,\"shop\",\"orders\",88,\"127.0.0.1:40000\",6740.58,3,\"INSERT\",2026-11-21 18:51:30 UTC,3/4,741,ERROR,23505,\"duplicate key value violates unique constraint \"\"x_pkey\"\"\",\"Key (id)=(1) already exists.\",,,,,\"INSERT INTO x\nVALUES (1)\",,,\"celery\",\"client backend\",,0";

    #[test]
    fn csvlog_is_read_over_several_lines() {
        let e = csv(CSV.as_bytes(), &TimeZone::UTC).expect("an entry");
        assert_eq!((e.level, e.message.as_str()), (Some(Level::Error), "duplicate key value violates unique constraint \"x_pkey\""));
        assert_eq!(e.field("statement").as_deref(), Some("INSERT INTO x\nVALUES (1)"));
        assert_eq!((e.field("sqlstate").as_deref(), e.field("app").as_deref()), (Some("23505"), Some("celery")));
        let first = CSV.lines().next().unwrap_or_default().as_bytes();
        assert!(quote_open(first, false) && !quote_open(CSV.as_bytes(), false));
        // Cut in its first line it still has its severity and its message.
        assert_eq!(csv(first, &TimeZone::UTC).expect("an entry").level, Some(Level::Error));
        assert!(!begins_csv(b"2026-11-21 18:51:34,260 INFO x") && !begins_csv(b"2026-11-21 18:51:34,\"a\""));
    }
}
