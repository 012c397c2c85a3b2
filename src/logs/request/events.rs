//! What a record means in the life of a request: django-structlog's events, a hand-written middleware's, Celery's own lines.

use crate::logs::{model::Entry, query::TASK_ID_FIELDS};
use regex::Regex;
use std::sync::LazyLock;

/// A record's meaning.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    RequestStarted,
    RequestFinished { status: Option<u16>, ms: Option<i64> },
    RequestFailed,
    Enqueued(TaskRef),
    Received(TaskRef),
    Started(TaskRef),
    Retrying(TaskRef, String),
    Succeeded(TaskRef, Option<f64>),
    Failed(TaskRef, String),
    Said(Option<TaskRef>),
}

/// The task that a record names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TaskRef {
    pub id: String,
    pub name: Option<String>,
    pub queue: Option<String>,
}

static CELERY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?s)^Task (?<name>[\w.\-]+)\[(?<id>[^\]\s]+)\] (?:(?<received>received)$|succeeded in (?<seconds>[0-9.]+)s|retry: (?<retry>.*)|raised (?:unexpected|expected): (?<raised>.*)|.*)").ok()
});

impl What {
    /// The word for JSON and screens.
    pub fn word(&self) -> &'static str {
        match self {
            Self::RequestStarted => "request_started",
            Self::RequestFinished { .. } => "request_finished",
            Self::RequestFailed => "request_failed",
            Self::Enqueued(_) => "task_enqueued",
            Self::Received(_) => "task_received",
            Self::Started(_) => "task_started",
            Self::Retrying(..) => "task_retrying",
            Self::Succeeded(..) => "task_succeeded",
            Self::Failed(..) => "task_failed",
            Self::Said(_) => "said",
        }
    }

    /// The task that it is about.
    pub fn task(&self) -> Option<&TaskRef> {
        match self {
            Self::Enqueued(t)
            | Self::Received(t)
            | Self::Started(t)
            | Self::Retrying(t, _)
            | Self::Succeeded(t, _)
            | Self::Failed(t, _) => Some(t),
            Self::Said(t) => t.as_ref(),
            Self::RequestStarted | Self::RequestFinished { .. } | Self::RequestFailed => None,
        }
    }

    /// What an entry means.
    pub fn of(entry: &Entry) -> Self {
        let own = task_of(entry);
        if let Some(found) = CELERY.as_ref().and_then(|c| c.captures(&entry.message)) {
            let text = |name| found.name(name).map(|m| m.as_str().to_owned());
            let task = TaskRef { id: text("id").unwrap_or_default(), name: text("name"), queue: entry.field("queue") };
            return if found.name("received").is_some() {
                Self::Received(task)
            } else if let Some(seconds) = text("seconds") {
                Self::Succeeded(task, seconds.parse().ok())
            } else if let Some(reason) = text("retry") {
                Self::Retrying(task, reason)
            } else if let Some(error) = text("raised") {
                Self::Failed(task, error)
            } else {
                Self::Said(Some(task))
            };
        }
        let event = entry.message.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        match (event.as_str(), own) {
            ("request_started", _) => Self::RequestStarted,
            ("request_finished" | "request_handled" | "request_completed", _) => finished(entry),
            ("request_failed", _) => Self::RequestFailed,
            ("task_enqueued" | "task_sent" | "task_published", Some(task)) => {
                let queue = entry.any_field(["routing_key", "queue"]);
                Self::Enqueued(TaskRef { queue: queue.or(task.queue), ..task })
            }
            ("task_received", Some(task)) => Self::Received(task),
            ("task_started", Some(task)) => Self::Started(task),
            ("task_retrying" | "task_retried", Some(task)) => {
                let reason = entry.any_field(["reason", "error", "exception"]).unwrap_or_default();
                Self::Retrying(task, reason)
            }
            ("task_succeeded", Some(task)) => {
                let seconds = entry.field("duration_ms").and_then(|d| d.parse::<f64>().ok()).map(|ms| ms / 1000.0);
                Self::Succeeded(task, seconds)
            }
            ("task_failed" | "task_rejected" | "task_revoked", Some(task)) => {
                let error = entry.any_field(["error", "reason"]).unwrap_or_default();
                Self::Failed(task, error)
            }
            // A record of one request with its path and status: its end, whatever it is called. An access line only repeats it.
            (_, None) if entry.field("path").is_some() && entry.field("method").is_some() && status(entry).is_some() => finished(entry),
            (_, task) => Self::Said(task),
        }
    }
}

fn status(entry: &Entry) -> Option<u16> {
    entry
        .any_field(["status_code", "status", "code", "http_status", "response_status"])
        .and_then(|s| s.parse().ok())
        .filter(|s| (100..600).contains(s))
}

fn finished(entry: &Entry) -> What {
    let ms = entry.any_field(["duration_ms", "elapsed_ms", "duration"]).and_then(|d| d.parse::<f64>().ok()).map(|d| d.round() as i64);
    What::RequestFinished { status: status(entry), ms }
}

/// The task that a record is about: a child that is being sent, before the one that runs.
fn task_of(entry: &Entry) -> Option<TaskRef> {
    let id = entry.field("child_task_id").or_else(|| entry.any_field(TASK_ID_FIELDS))?;
    let name = entry.any_field(["child_task_name", "task_name", "task", "data.name"]);
    Some(TaskRef { id, name, queue: entry.field("queue") })
}

/// The method and path of a request, from `request: "POST /x"` or from their own fields.
pub(super) fn method_and_path(entry: &Entry) -> (Option<String>, Option<String>) {
    let both = entry.field("request").and_then(|r| {
        let (method, path) = r.split_once(' ')?;
        Some((method.to_owned(), path.to_owned()))
    });
    match both {
        Some((method, path)) => (Some(method), Some(path)),
        None => (entry.any_field(["method", "http_method"]), entry.any_field(["path", "url", "http_path"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::decode;

    fn of(line: &str) -> What {
        What::of(&decode::entry(line.as_bytes(), &jiff::tz::TimeZone::UTC))
    }

    #[test]
    fn knows_django_structlog_s_events() {
        assert_eq!(of(r#"{"request": "POST /x", "event": "request_started"}"#), What::RequestStarted);
        assert_eq!(of(r#"{"code": 201, "event": "request_finished"}"#), What::RequestFinished { status: Some(201), ms: None });
        let enqueued = of(
            r#"{"child_task_id": "c1", "child_task_name": "mail.send", "routing_key": "mail", "event": "task_enqueued", "task_id": "p1"}"#,
        );
        assert_eq!(enqueued, What::Enqueued(TaskRef { id: "c1".into(), name: Some("mail.send".into()), queue: Some("mail".into()) }));
        assert!(
            matches!(of(r#"{"reason": "Retry in 1s", "event": "task_retrying", "task_id": "c1"}"#), What::Retrying(t, r) if t.id == "c1" && r == "Retry in 1s")
        );
    }

    #[test]
    fn knows_celery_s_own_lines_in_any_format() {
        assert!(
            matches!(of(r#"{"event": "Task a.b[c1] received"}"#), What::Received(t) if t.id == "c1" && t.name.as_deref() == Some("a.b"))
        );
        assert!(
            matches!(of("[2026-11-21 02:44:10,114: INFO/ForkPoolWorker-1] Task a.b[c1] succeeded in 1.5s: None"), What::Succeeded(_, Some(s)) if s == 1.5)
        );
        assert!(
            matches!(of("ERROR 2026-11-21 17:31:22,260 trace 1 2 Task a.b[c1] raised unexpected: ValueError('x')"), What::Failed(_, e) if e == "ValueError('x')")
        );
    }

    #[test]
    fn knows_a_timing_middleware_and_nothing_more() {
        let line = r#"{"message": "Request handled", "method": "GET", "path": "/api/", "status_code": 503, "duration_ms": 167.7}"#;
        assert_eq!(of(line), What::RequestFinished { status: Some(503), ms: Some(168) });
        assert_eq!(of(r#"{"event": "payment_captured", "code": 7}"#), What::Said(None));
        assert_eq!(of("hello"), What::Said(None));
    }
}
