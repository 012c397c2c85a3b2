//! Logs in their own terms: who wrote (`LogOrigin`), what arrived (`Record`), what it says (`Entry`). The serialized forms are the public JSON.

use crate::text::Safe;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// Who wrote a record: a container of a pod, or a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct LogOrigin {
    /// The namespace of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Safe>,
    /// The pod, or the file where there is none.
    pub name: Safe,
    /// The container; for a file none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Safe>,
    /// Whether the container is the only one of its pod that was asked for, so that the pod's name says it all.
    #[serde(skip)]
    pub alone: bool,
    /// The app of the configuration, or the workload that owns the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<Safe>,
    /// The node it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Safe>,
    /// The image it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Safe>,
}

impl LogOrigin {
    /// The tag on screen: pod names are never shortened.
    pub fn tag(&self) -> Safe {
        match &self.container {
            Some(container) if !self.alone => crate::safe!("{}/{}", self.name, container),
            _ => self.name.clone(),
        }
    }
}

/// One log entry: a line, with the lines of its traceback.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the container runtime took it, or when the application says it wrote it (files).
    pub at: Option<Timestamp>,
    /// Who wrote it.
    pub origin: Arc<LogOrigin>,
    /// Its place in its origin, counted from the first line that was read.
    pub sequence: u64,
    /// The first line, without its end.
    pub head: Bytes,
    /// The lines that belong to it: traceback, DETAIL, STATEMENT.
    pub tail: Vec<Bytes>,
    /// Whether it is shown only as the neighbourhood of another one (`--around`).
    pub nearby: bool,
}

impl Record {
    /// How many bytes it holds.
    pub fn size(&self) -> usize {
        self.head.len() + self.tail.iter().map(Bytes::len).sum::<usize>()
    }
}

/// How bad the application says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Finer than debug.
    Trace,
    /// For developers.
    Debug,
    /// Ordinary.
    Info,
    /// To look at.
    Warning,
    /// Wrong.
    Error,
    /// Nothing works.
    Critical,
}

impl Level {
    /// Reads the names that Python, PostgreSQL, syslog and others use, in upper, lower or title case; none for a word that is no level.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim();
        // `ERROR`, `error`, `Error`; what is spelled otherwise is no level, and could not be searched for in the bytes.
        let mut rest = word.bytes().skip(1);
        if rest.clone().any(|b| b.is_ascii_uppercase()) && rest.any(|b| b.is_ascii_lowercase()) {
            return None;
        }
        Some(match word.to_ascii_uppercase().as_str() {
            "TRACE" => Self::Trace,
            "DEBUG" | "DBUG" | "DEBUG1" | "DEBUG2" | "DEBUG3" | "DEBUG4" | "DEBUG5" => Self::Debug,
            "INFO" | "INFORMATION" | "NOTICE" | "LOG" => Self::Info,
            "WARN" | "WARNING" => Self::Warning,
            "ERROR" | "EROR" | "ERR" | "EXCEPTION" => Self::Error,
            "CRITICAL" | "FATAL" | "PANIC" | "EMERG" | "ALERT" | "CRIT" => Self::Critical,
            _ => return None,
        })
    }

    /// The word on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARN",
            Self::Error => "ERROR",
            Self::Critical => "CRIT",
        }
    }
}

/// The form a record was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One JSON object.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// A known text form: Django's verbose, Celery's, gunicorn's, PostgreSQL's.
    Text,
    /// An access line.
    Access,
    /// Anything else.
    Plain,
}

/// What a record says. Raw text of the application: it goes through the redactor before anybody sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The form.
    pub shape: Shape,
    /// When the application says it wrote it.
    pub written: Option<Timestamp>,
    /// How bad.
    pub level: Option<Level>,
    /// The logger or module.
    pub logger: Option<String>,
    /// The event or message.
    pub message: String,
    /// Everything else it carries, in its own order.
    pub fields: Vec<(String, serde_json::Value)>,
}

impl Entry {
    /// The field of that name, as text; nested objects are searched too, `data.id` names one exactly.
    pub fn field(&self, name: &str) -> Option<String> {
        find(&self.fields, name, 0).and_then(as_text)
    }

    /// The first of these fields that is there.
    pub fn any_field<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
        names.into_iter().find_map(|n| self.field(n))
    }
}

const DEEPEST: usize = 3;

fn find<'a>(fields: &'a [(String, serde_json::Value)], name: &str, depth: usize) -> Option<&'a serde_json::Value> {
    if let Some((_, value)) = fields.iter().find(|(k, _)| k == name) {
        return Some(value);
    }
    fields
        .iter()
        .find_map(|(key, value)| find_in(value, name.strip_prefix(key.as_str()).and_then(|r| r.strip_prefix('.')).unwrap_or(name), depth))
}

fn find_in<'a>(value: &'a serde_json::Value, name: &str, depth: usize) -> Option<&'a serde_json::Value> {
    let object = value.as_object().filter(|_| depth < DEEPEST)?;
    object.get(name).or_else(|| object.values().find_map(|v| find_in(v, name, depth + 1)))
}

/// A scalar as text; objects, lists and null are none.
pub fn as_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(s) => Some(s.clone()),
        serde_json::Value::Number(n) => Some(n.to_string()),
        serde_json::Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_at_any_depth() {
        let entry = Entry {
            shape: Shape::Json,
            written: None,
            level: None,
            logger: None,
            message: String::new(),
            fields: vec![("data".into(), serde_json::json!({"id": "x", "in": {"request_id": 7}})), ("id".into(), "top".into())],
        };
        assert_eq!(entry.field("id").as_deref(), Some("top"));
        assert_eq!(entry.field("data.id").as_deref(), Some("x"));
        assert_eq!(entry.field("request_id").as_deref(), Some("7"));
        assert_eq!(entry.field("data"), None);
    }
}
