//! Text forms: gunicorn, Celery, Django's verbose format, PostgreSQL's stderr log, Redis, logfmt, access lines, plain lines. Also which
//! lines begin a record and which continue one.

use super::{logfmt, postgres, time};
use crate::logs::model::{Entry, Level, Shape};
use jiff::tz::TimeZone;
use regex::bytes::{Captures, Regex};
use serde_json::Value;
use std::sync::LazyLock;

macro_rules! pattern {
    ($name:ident, $re:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($re).expect("a fixed pattern, compiled by the tests"));
    };
}
pattern!(GUNICORN, r"^\[(?<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})\] \[(?<pid>\d+)\] \[(?<level>[A-Z]+)\] (?<message>(?s-u:.*))$");
pattern!(CELERY, r"^\[(?<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}): (?<level>[A-Z]+)/(?<logger>[^\]]+)\] (?<message>(?s-u:.*))$");
pattern!(
    VERBOSE,
    r"^(?<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) (?<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?<logger>\S+) (?<pid>\d+) (?<thread>\d+) (?<message>(?s-u:.*))$"
);
pattern!(
    ACCESS,
    r#"^(?<ip>\S*) \S+ (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>[A-Z]+) (?<path>\S+)(?: [^"]*)?" (?<status>\d{3}) (?<bytes>\S+)(?: "(?<referer>(?:[^"\\]|\\.)*)" "(?<agent>(?:[^"\\]|\\.)*)")?"#
);
// Django's development server, and uvicorn.
pattern!(
    RUNSERVER,
    r#"^\[(?<time>\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d)\] "(?<method>[A-Z]+) (?<path>\S+)(?: [^"]*)?" (?<status>\d{3}) (?<bytes>\S+)"#
);
pattern!(UVICORN, r#"^INFO:\s+(?<ip>\S+) - "(?<method>[A-Z]+) (?<path>\S+) [^"]*" (?<status>\d{3})"#);
pattern!(PADDED, r"^(?<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):\s+(?<message>(?s-u:.*))$");
pattern!(BASIC, r"^(?<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?<logger>[\w.\-]+):(?<message>(?s-u:.*))$");
// structlog's ConsoleRenderer.
pattern!(
    CONSOLE,
    r"^(?<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?) \[(?<level>debug|info|warning|error|critical|exception) *\] (?<message>.*?)(?: +\[(?<logger>[\w.\-]+)\](?: .*)?|(?: {2,}.*)?)$"
);
pattern!(REDIS, r"^(?<pid>\d+):[XCSM] (?<time>\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) (?<level>[.\-*#]) (?<message>(?s-u:.*))$");
pattern!(
    STAMPED,
    r"^(?<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)[ :]+(?:\[?(?<level>TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)\]?[ :]+)?(?<message>(?s-u:.*))$"
);
pattern!(PAIR, r#"(?:^|[\s,;(\[])(?<key>[A-Za-z_][A-Za-z0-9_.\-]*)=(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<bare>[^\s"',;()\[\]]+))"#);

/// The entry of a text line. Never fails.
pub fn entry(line: &[u8], zone: &TimeZone) -> Entry {
    if let Some(found) = GUNICORN.captures(line).or_else(|| CELERY.captures(line)).or_else(|| VERBOSE.captures(line)) {
        return named(&found, Shape::Text, zone);
    }
    if let Some(entry) = postgres::stderr(line, zone) {
        return entry;
    }
    if let Some(found) = ACCESS.captures(line).or_else(|| RUNSERVER.captures(line)).or_else(|| UVICORN.captures(line)) {
        return access(&found, line, zone);
    }
    if let Some(found) = BASIC.captures(line).or_else(|| PADDED.captures(line)) {
        return named(&found, Shape::Text, zone);
    }
    if let Some(found) = REDIS.captures(line) {
        let level = if text(&found, "level").as_deref() == Some("#") { Level::Warning } else { Level::Info };
        let written = text(&found, "time").and_then(|t| {
            jiff::fmt::strtime::parse("%d %b %Y %H:%M:%S%.f", t)
                .ok()?
                .to_datetime()
                .ok()?
                .to_zoned(zone.clone())
                .ok()
                .map(|z| z.timestamp())
        });
        return Entry { level: Some(level), written, ..named(&found, Shape::Text, zone) };
    }
    if let Some(entry) = logfmt::entry(line, zone) {
        return entry;
    }
    let pairs = pairs(line);
    if let Some(found) = CONSOLE.captures(line) {
        return Entry { fields: pairs, ..named(&found, Shape::Logfmt, zone) };
    }
    if let Some(found) = STAMPED.captures(line) {
        let shape = if pairs.is_empty() { Shape::Text } else { Shape::Logfmt };
        return Entry { fields: pairs, ..named(&found, shape, zone) };
    }
    Entry { shape: Shape::Plain, written: None, level: None, logger: None, message: lossy(line), fields: pairs }
}

/// Bytes as text.
pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text(found: &Captures<'_>, name: &str) -> Option<String> {
    found.name(name).map(|m| lossy(m.as_bytes()))
}

fn named(found: &Captures<'_>, shape: Shape, zone: &TimeZone) -> Entry {
    let message = text(found, "message").unwrap_or_default();
    let mut fields = pairs(message.as_bytes());
    // Captures panics on a name that the pattern lacks only through Index; `name` does not.
    if let Some(value) = text(found, "pid") {
        fields.push(("pid".into(), Value::String(value)));
    }
    Entry {
        shape,
        written: text(found, "time").and_then(|t| time::parse(&t, zone)),
        level: text(found, "level").and_then(|l| Level::parse(&l)),
        logger: text(found, "logger"),
        message,
        fields,
    }
}

fn access(found: &Captures<'_>, line: &[u8], zone: &TimeZone) -> Entry {
    let mut fields = Vec::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty() && v != "-") {
            fields.push((key.to_owned(), Value::String(value)));
        }
    };
    put("method", text(found, "method"));
    let target = text(found, "path").unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    put("path", Some(path.to_owned()));
    put("query", Some(query.to_owned()));
    for (key, name) in [("ip_address", "ip"), ("user", "user"), ("referer", "referer"), ("user_agent", "agent")] {
        put(key, text(found, name));
    }
    if let Some(bytes) = text(found, "bytes").and_then(|b| b.parse::<u64>().ok()) {
        fields.push(("bytes".into(), bytes.into()));
    }
    if let Some(status) = text(found, "status").and_then(|s| s.parse::<u64>().ok()) {
        fields.push(("status_code".into(), status.into()));
    }
    fields.extend(pairs(line));
    Entry {
        shape: Shape::Access,
        written: text(found, "time").and_then(|t| time::parse(&t, zone)),
        level: None,
        logger: None,
        message: lossy(line),
        fields,
    }
}

/// The `key=value` pairs of a line, anywhere in it. Bounded: a line of a megabyte is no list of pairs.
pub(super) fn pairs(line: &[u8]) -> Vec<(String, Value)> {
    const MOST: usize = 64;
    let line = &line[..line.len().min(16 << 10)];
    if memchr::memchr(b'=', line).is_none() {
        return Vec::new();
    }
    PAIR.captures_iter(line)
        .take(MOST)
        .filter_map(|c| {
            let key = text(&c, "key")?;
            let value = text(&c, "quoted").map(|q| q.replace("\\\"", "\"")).or_else(|| text(&c, "bare"))?;
            Some((key, Value::String(value)))
        })
        .collect()
}

/// Whether a line can only be the first of a record.
pub fn begins(line: &[u8]) -> bool {
    match line {
        [b'{', ..] => true,
        [b'[', a, b, c, d, b'-', ..] => [a, b, c, d].iter().all(|x| x.is_ascii_digit()),
        [a, b, c, d, b'-', e, f, b'-', ..] => [a, b, c, d, e, f].iter().all(|x| x.is_ascii_digit()),
        _ => {
            let word = line.split(|b| *b == b' ').next().unwrap_or_default();
            matches!(word, b"DEBUG" | b"INFO" | b"WARNING" | b"ERROR" | b"CRITICAL")
                || matches!(word, b"DEBUG:" | b"INFO:" | b"WARNING:" | b"ERROR:" | b"CRITICAL:")
                || (line.first().is_some_and(u8::is_ascii_digit) && (ACCESS.is_match(line) || REDIS.is_match(line)))
                || is_access_without_a_client(line)
                || (word.contains(&b':') && BASIC.is_match(line))
                || postgres::begins(line)
                || word.starts_with(b"level=")
                || word.starts_with(b"ts=")
                || word.starts_with(b"time=")
        }
    }
}

/// gunicorn behind a Unix socket knows no client: its access lines begin with a blank, as what is indented does.
pub fn is_access_without_a_client(line: &[u8]) -> bool {
    line.starts_with(b" - ") && ACCESS.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Entry {
        entry(line.as_bytes(), &TimeZone::UTC)
    }

    #[test]
    fn reads_each_text_form() {
        let e = of("[2026-11-21 17:52:33 +0000] [3701] [INFO] Starting gunicorn 27.0.1");
        assert_eq!((e.level, e.message.as_str()), (Some(Level::Info), "Starting gunicorn 27.0.1"));
        let e = of("[2026-11-21 02:44:10,114: WARNING/MainProcess] Task x[1] received");
        assert_eq!((e.level, e.logger.as_deref()), (Some(Level::Warning), Some("MainProcess")));
        let e = of("ERROR 2026-11-21 17:31:22,260 views 12 139 Internal Server Error: /api/");
        assert_eq!((e.level, e.logger.as_deref(), e.message.as_str()), (Some(Level::Error), Some("views"), "Internal Server Error: /api/"));
        let e = of("2026-11-21 02:44:10.114 UTC [88] shop@shop ERROR:  duplicate key value");
        assert_eq!((e.level, e.message.as_str()), (Some(Level::Error), "duplicate key value"));
        assert_eq!(e.written.map(|t| t.to_string()).as_deref(), Some("2026-11-21T02:44:10.114Z"));
        let e = of("127.0.0.1 - - [21/Nov/2026:17:28:34 +0000] \"GET /api/health/ HTTP/1.1\" 503 72 \"-\" \"curl\"");
        assert_eq!(
            (e.shape, e.field("status_code").as_deref(), e.field("path").as_deref()),
            (Shape::Access, Some("503"), Some("/api/health/"))
        );
        let e = of("3699:M 21 Nov 2026 17:52:23.245 # WARNING overcommit");
        assert_eq!((e.level, e.written.is_some()), (Some(Level::Warning), true));
        let e = of("level=error ts=2026-11-21T17:00:00Z msg=\"it \\\"broke\\\"\" request_id=abc123");
        assert_eq!((e.shape, e.message.as_str(), e.field("request_id").as_deref()), (Shape::Logfmt, "it \"broke\"", Some("abc123")));
        let e = of("2026-11-21T17:53:28Z relay: closing request_id=abc on x");
        assert_eq!((e.written.is_some(), e.field("request_id").as_deref()), (true, Some("abc")));
        assert_eq!(of("hello").shape, Shape::Plain);
        let e = of(" - - [21/Nov/2026:17:28:34 +0000] \"GET /a/?token=x HTTP/1.1\" 200 64 \"-\" \"curl/8\"");
        assert_eq!((e.shape, e.field("path").as_deref(), e.field("bytes").as_deref()), (Shape::Access, Some("/a/"), Some("64")));
        assert_eq!((e.field("ip_address"), e.field("user_agent").as_deref()), (None, Some("curl/8")));
        let e = of("INFO:     10.0.0.1:5000 - \"GET /b HTTP/1.1\" 204 No Content");
        assert_eq!((e.shape, e.field("status_code").as_deref()), (Shape::Access, Some("204")));
        let e = of("[21/Nov/2026 17:28:34] \"POST /c/ HTTP/1.1\" 500 145");
        assert_eq!((e.shape, e.written.is_some(), e.field("path").as_deref()), (Shape::Access, true, Some("/c/")));
        assert_eq!(of("ERROR:    Application startup failed. Exiting.").level, Some(Level::Error));
        let e = of("WARNING:shop.mail:slow relay");
        assert_eq!((e.level, e.logger.as_deref(), e.message.as_str()), (Some(Level::Warning), Some("shop.mail"), "slow relay"));
        let e = of("2026-11-21T17:00:00Z [info     ] order placed                   [shop.orders] order_id=17 request_id=abc123");
        assert_eq!((e.level, e.logger.as_deref(), e.message.as_str()), (Some(Level::Info), Some("shop.orders"), "order placed"));
        assert_eq!(e.field("request_id").as_deref(), Some("abc123"));
        assert_eq!(entry(b"\xff\xfe", &TimeZone::UTC).message, "\u{fffd}\u{fffd}");
    }

    #[test]
    fn knows_what_begins_and_what_continues() {
        for line in
            ["{\"a\"", "[2026-11-21 1", "2026-11-21 ", "INFO x", "127.0.0.1 - - [21/Nov/2026:17:28:34 +0000] \"GET / HTTP/1.1\" 200 1"]
        {
            assert!(begins(line.as_bytes()), "{line}");
        }
        for line in ["", "smtplib.SMTPServerDisconnected: Connection unexpectedly closed", "  File \"x\"", "INFORMATION x", "[1] x"] {
            assert!(!begins(line.as_bytes()), "{line}");
        }
        assert!(begins(b" - - [21/Nov/2026:17:28:34 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\""));
        assert!(begins(b"[88] shop@shop LOG:  x") && !begins(b"[88] shop@shop DETAIL:  x"));
    }
}
