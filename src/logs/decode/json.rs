//! One JSON object per line: structlog, python-json-logger, and what others write. Keys are kept in their order.

use super::time;
use crate::logs::model::{Entry, Level, Shape, as_text};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use std::fmt;

const LEVELS: [&str; 7] = ["level", "levelname", "severity", "log_level", "log.level", "lvl", "error_severity"];
const TIMES: [&str; 7] = ["timestamp", "asctime", "@timestamp", "time", "ts", "datetime", "created"];
const MESSAGES: [&str; 4] = ["event", "message", "msg", "log"];
const LOGGERS: [&str; 4] = ["logger", "name", "logger_name", "log.logger"];

/// An object with its keys in order; a repeated key is kept as it came.
struct Raw(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;
        impl<'de> de::Visitor<'de> for Ordered {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(12));
                while let Some(pair) = map.next_entry()? {
                    fields.push(pair);
                }
                Ok(Raw(fields))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}

/// The entry of a JSON line; none when it is no whole object.
pub fn entry(line: &[u8], zone: &TimeZone) -> Option<Entry> {
    let parsed = match serde_json::from_slice::<Raw>(line) {
        Ok(raw) => raw,
        // A line with bytes that are no UTF-8 is still read, with those bytes replaced.
        Err(_) if std::str::from_utf8(line).is_err() => serde_json::from_str::<Raw>(&String::from_utf8_lossy(line)).ok()?,
        Err(_) => return None,
    };
    let mut fields = parsed.0;
    let level = take(&mut fields, &LEVELS, |v| match v {
        Value::String(s) => Level::parse(s),
        Value::Number(n) => numeric(n.as_i64()?),
        _ => None,
    });
    let written = take(&mut fields, &TIMES, |v| match v {
        Value::String(s) => time::parse(s, zone),
        Value::Number(n) => time::from_number(n.as_f64()?),
        _ => None,
    });
    let message = take(&mut fields, &MESSAGES, as_text).unwrap_or_default();
    let logger = take(&mut fields, &LOGGERS, as_text);
    Some(Entry { shape: Shape::Json, written, level, logger, message, fields })
}

/// Takes the first of these keys that `read` can make something of.
fn take<T>(fields: &mut Vec<(String, Value)>, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    for name in names {
        if let Some(i) = fields.iter().position(|(k, _)| k == name)
            && let Some(value) = read(&fields[i].1)
        {
            fields.remove(i);
            return Some(value);
        }
    }
    None
}

/// Python's numeric levels (10 to 50), and pino's, which are the same steps one lower.
fn numeric(n: i64) -> Option<Level> {
    Some(match n {
        ..0 => return None,
        0..10 => Level::Trace,
        10..20 => Level::Debug,
        20..30 => Level::Info,
        30..40 => Level::Warning,
        40..50 => Level::Error,
        _ => Level::Critical,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_structlog() {
        let line = br#"{"code": 201, "request": "POST /api/", "event": "request_finished", "request_id": "51c0", "logger": "d.m", "level": "info", "timestamp": "2026-11-21T17:53:28.279190Z"}"#;
        let e = entry(line, &TimeZone::UTC).expect("an entry");
        assert_eq!((e.message.as_str(), e.level, e.logger.as_deref()), ("request_finished", Some(Level::Info), Some("d.m")));
        assert_eq!(e.written.map(|t| t.to_string()).as_deref(), Some("2026-11-21T17:53:28.27919Z"));
        assert_eq!(e.fields.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["code", "request", "request_id"]);
    }

    #[test]
    fn reads_python_json_logger() {
        let line = br#"{"asctime": "2026-11-21 17:31:22,260", "levelname": "ERROR", "name": "shop", "message": "Request handled", "status_code": 200}"#;
        let e = entry(line, &TimeZone::fixed(jiff::tz::offset(1))).expect("an entry");
        assert_eq!(e.level, Some(Level::Error));
        assert_eq!(e.written.map(|t| t.to_string()).as_deref(), Some("2026-11-21T16:31:22.26Z"));
    }

    #[test]
    fn leaves_the_rest_to_others() {
        for line in [&b"{"[..], b"{}x", b"{\"a\": 1", b"[1]", b"{'a': 1}"] {
            assert!(entry(line, &TimeZone::UTC).is_none());
        }
        let odd = entry(b"{\"level\": \"unheard\", \"event\": \"x\xff\"}", &TimeZone::UTC).expect("an entry");
        assert_eq!((odd.level, odd.message.as_str()), (None, "x\u{fffd}"));
        assert_eq!(odd.fields.len(), 1);
    }
}
