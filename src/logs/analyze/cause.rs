//! What makes two error records one kind: the exception that it began with and the application's innermost call, or, where there is no
//! traceback, the message without its numbers and IDs.

use super::normal;
use crate::{
    logs::{
        decode::{self, traceback},
        model::{Entry, Record},
    },
    safe,
    text::{Redactor, Safe},
};
use serde::Serialize;

/// As much of a message or a line of source is looked at.
const LONGEST: usize = 2_000;

/// What an error is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum ErrorCause {
    /// An exception, by its type and where the application met it.
    Exception {
        /// The type, without its module.
        exception: Safe,
        /// File and function of the application's innermost call; none where only libraries ran.
        place: Option<Safe>,
        /// The source of that call: tells apart two of the same function, and stays when lines move.
        source: Option<Safe>,
    },
    /// A message without what differs.
    Message {
        /// `relation "x" does not exist`.
        message: Safe,
        /// Who logged it.
        logger: Option<Safe>,
    },
}

/// A cause, and what this one occurrence of it says.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// What it is known by.
    pub cause: ErrorCause,
    /// What the exception or the message says.
    pub says: Safe,
    /// The application's innermost call with its line: `mail/tasks.py:88 send_receipt`.
    pub frame: Option<Safe>,
}

/// What a record is an occurrence of.
pub fn of(record: &Record, entry: &Entry, redact: &Redactor) -> Occurrence {
    let raised = decode::raised(record, entry);
    let Some((root, frame)) = traceback::cause(&raised).filter(|(root, frame)| !root.kind.is_empty() || frame.is_some()) else {
        let message = redact.safe(clipped(message(record, entry)));
        let form = Safe::name(normal::pattern(&message));
        // "Request handled" alone says little: of a request's own record its path and status are part of what it is.
        let form = request(entry, redact).map_or(form.clone(), |request| safe!("{}  {}", form, request));
        return Occurrence { cause: ErrorCause::Message { message: form, logger: logger(entry, redact) }, says: message, frame: None };
    };
    let shown = |text: &str| redact.safe(clipped(text));
    let exception = if root.kind.is_empty() { "an exception".into() } else { shown(root.short_kind()) };
    let place = frame.map(|f| safe!("{} {}", shown(&f.short_path()), shown(&f.function)));
    let says = if root.says.is_empty() { exception.clone() } else { shown(&root.says) };
    Occurrence {
        cause: ErrorCause::Exception { exception, place, source: frame.and_then(|f| f.source.as_deref()).map(shown) },
        says,
        frame: frame.map(|f| safe!("{}:{} {}", shown(&f.short_path()), shown(&f.line), shown(&f.function))),
    }
}

/// The message; of a record without one the field that tells most.
fn message<'a>(record: &'a Record, entry: &'a Entry) -> &'a str {
    if !entry.message.trim().is_empty() {
        return &entry.message;
    }
    let told = ["error", "err", "detail", "reason", "exc_type"];
    let field = told.iter().find_map(|name| entry.fields.iter().find(|(k, _)| k == name)?.1.as_str());
    field.unwrap_or_else(|| std::str::from_utf8(&record.head).unwrap_or("(no text)"))
}

/// `GET /api/products/<n>/margin/ 500` of a record that tells of a request.
fn request(entry: &Entry, redact: &Redactor) -> Option<Safe> {
    let shown = |name: &str| entry.field(name).map(|v| Safe::name(normal::value(&redact.field(name, &v))));
    let status = ["status_code", "status", "code"].iter().find_map(|f| shown(f))?;
    let target = match (shown("method"), shown("path")) {
        (Some(method), Some(path)) => safe!("{} {}", method, path),
        (None, Some(path)) => path,
        _ => shown("request")?,
    };
    Some(safe!("{} {}", target, status))
}

fn logger(entry: &Entry, redact: &Redactor) -> Option<Safe> {
    entry.logger.as_ref().map(|l| redact.safe(clipped(l)))
}

/// The beginning of a text. A secret that the cut divides is still hidden: the redactor hides what does not end.
fn clipped(text: &str) -> &[u8] {
    let text = text.as_bytes();
    text.get(..LONGEST).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::model::LogOrigin;
    use jiff::tz::TimeZone;
    use std::sync::Arc;

    fn told(head: &str, tail: &[&str]) -> Occurrence {
        let tail = tail.iter().map(|l| l.to_string().into()).collect();
        let head = head.to_owned().into();
        let record = Record { at: None, origin: Arc::new(LogOrigin::default()), sequence: 0, head, tail, nearby: false };
        let entry = decode::record(&record, &TimeZone::UTC);
        of(&record, &entry, &Redactor::default())
    }

    #[test]
    fn an_exception_is_the_same_on_another_line_and_with_another_value() {
        let trace = |line: u32, value: &str| {
            let text = format!(
                "Traceback (most recent call last):\\n  File \\\"/srv/shop/a.py\\\", line {line}, in f\\n    d[k]\\nKeyError: {value}"
            );
            told(&format!("{{\"level\": \"error\", \"event\": \"x\", \"exception\": \"{text}\"}}"), &[])
        };
        let (one, other) = (trace(3, "'a'"), trace(9, "'b'"));
        assert_eq!(one.cause, other.cause);
        assert_eq!((one.frame.as_deref(), one.says.as_str()), (Some("shop/a.py:3 f"), "'a'"));
    }

    #[test]
    fn a_traceback_of_its_own_is_one_too() {
        let found = told("Traceback (most recent call last):", &["  File \"/srv/shop/a.py\", line 3, in f", "    d[k]", "KeyError: 'x'"]);
        assert!(matches!(&found.cause, ErrorCause::Exception { exception, .. } if exception.as_str() == "KeyError"), "{found:?}");
    }

    #[test]
    fn without_a_traceback_the_message_counts() {
        let one = told(r#"{"level": "error", "logger": "shop", "event": "order 17 of bob@example.org lost"}"#, &[]);
        let other = told(r#"{"level": "error", "logger": "shop", "event": "order 18 of eve@example.org lost"}"#, &[]);
        assert_eq!(one.cause, other.cause);
        let ErrorCause::Message { message, .. } = &one.cause else { panic!("{one:?}") };
        assert_eq!(message.as_str(), "order <n> of <email> lost");
        let handled = told(r#"{"level": "error", "event": "handled", "method": "GET", "path": "/a/7/?x=1", "status_code": 500}"#, &[]);
        let ErrorCause::Message { message, .. } = &handled.cause else { panic!("{handled:?}") };
        assert_eq!(message.as_str(), "handled  GET /a/<n>/ 500");
    }
}
