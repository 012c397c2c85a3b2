//! logfmt: `level=info ts=… msg="order placed" order_id=17 retried`. Quoted values are unescaped, so that a traceback in one is read.

use super::time;
use crate::logs::model::{Entry, Level, Shape, as_text};
use jiff::tz::TimeZone;
use serde_json::Value;

/// So many fields at most, of so many bytes: longer lines are text.
const MOST: usize = 128;
const LONGEST: usize = 256 << 10;

/// The entry of a logfmt line; none when it is no such line.
pub fn entry(line: &[u8], zone: &TimeZone) -> Option<Entry> {
    let line = line.trim_ascii();
    // The first word has to be a pair: cheap to see, and what tells logfmt from prose that mentions one.
    let lead = line.split(|b| *b == b' ').next()?;
    let (key, _) = lead.split_at_checked(memchr::memchr(b'=', lead)?)?;
    if line.len() > LONGEST || !is_key(key) {
        return None;
    }
    let mut fields = fields(&String::from_utf8_lossy(line))?;
    let mut take = |names: &[&str]| fields.iter().position(|(k, _)| names.contains(&k.as_str())).and_then(|i| as_text(&fields.remove(i).1));
    let level = take(&["level", "lvl", "severity", "levelname"]).and_then(|l| Level::parse(&l));
    let written = take(&["ts", "time", "timestamp", "t", "asctime"])
        .and_then(|t| time::parse(&t, zone).or_else(|| t.parse().ok().and_then(time::from_number)));
    let logger = take(&["logger", "caller", "name"]);
    let message = take(&["msg", "message", "event"]).unwrap_or_default();
    Some(Entry { shape: Shape::Logfmt, written, level, logger, message, fields })
}

fn is_key(key: &[u8]) -> bool {
    key.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'@'))
        && key.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@' | b'/'))
}

/// Its pairs; none when there are fewer than two, or more bare words than pairs.
fn fields(line: &str) -> Option<Vec<(String, Value)>> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    let mut bare = 0;
    let mut rest = line;
    while !rest.is_empty() && fields.len() < MOST {
        let end = rest.find([' ', '\t', '=']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        if let Some(value) = after.strip_prefix('=').filter(|_| is_key(key.as_bytes())) {
            let (value, after) = one_value(value);
            fields.push((key.to_owned(), Value::String(value)));
            rest = after.trim_start();
        } else {
            // A word by itself is true; prose is full of them.
            bare += 1;
            let next = rest.find([' ', '\t']).unwrap_or(rest.len());
            rest = rest.get(next..).unwrap_or_default().trim_start();
        }
    }
    (fields.len() >= 2 && bare <= fields.len()).then_some(fields)
}

/// A value and what follows it.
fn one_value(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return (value, inner.get(i + 1..).unwrap_or_default()),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => value.push('\\'),
            },
            c => value.push(c),
        }
    }
    // A quote that never ends takes the rest.
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<Entry> {
        entry(line.as_bytes(), &TimeZone::UTC)
    }

    #[test]
    fn reads_what_structlog_and_go_write() {
        let e = of("level=error ts=2026-11-21T17:00:00Z msg=\"it \\\"broke\\\"\" request_id=abc123 path=/a?b=c ok").expect("an entry");
        assert_eq!((e.level, e.message.as_str()), (Some(Level::Error), "it \"broke\""));
        assert_eq!((e.field("request_id").as_deref(), e.field("path").as_deref()), (Some("abc123"), Some("/a?b=c")));
        let e = of(
            "ts=1795287094.011 lvl=eror event=x exception=\"Traceback (most recent call last):\\n  File \\\"a.py\\\", line 1, in f\\nKeyError: 'x'\"",
        );
        let e = e.expect("an entry");
        assert_eq!((e.level, e.written.is_some()), (Some(Level::Error), true));
        assert_eq!(e.field("exception").map(|t| t.lines().count()), Some(3));
    }

    #[test]
    fn prose_with_a_pair_is_none() {
        for line in ["a=1 is what he said when he came here", "x=1", "", "=1 =2", "1=2 3=4", "the a=1 b=2"] {
            assert!(of(line).is_none(), "{line}");
        }
        assert_eq!(of("a=\"never ends b=2 c=3"), None);
    }
}
