//! A stored result: the value of `celery-task-meta-<id>`, or a row of django_celery_results. Only JSON is decoded.

use super::{Undecodable, moment};
use crate::{
    celery::model::TaskOutcome,
    text::{Redactor, Safe},
};
use serde_json::Value;

/// So many lines of a traceback are kept, from its end: there stands what happened.
const MOST_LINES: usize = 200;

/// The table of django_celery_results.
pub const TABLE: &str = "django_celery_results_taskresult";

/// So many rows are read; the statement gives one more, which says that there are more.
pub const MOST_ROWS: usize = 200;

/// The statement: the results of known tasks, and of those whose ID is `LIKE` this. A column is cut on the server, a traceback at its
/// beginning.
pub const QUERY: &str = "\
SELECT task_id, json_build_object('status', status, 'type', content_type, 'result', left(result, 65536), 'whole', \
length(result) <= 65536, 'traceback', right(traceback, 262144), 'date_done', date_done, 'worker', worker, 'name', task_name, \
'meta', left(meta, 65536))::text \
FROM django_celery_results_taskresult WHERE task_id = ANY($1) OR task_id LIKE $2 ORDER BY task_id LIMIT 201";

/// The pattern of all IDs that begin so.
pub fn like(id: &str) -> String {
    id.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_") + "%"
}

/// A row of django_celery_results, as `QUERY` gives it. The result is a text in it, and the children are in another.
///
/// # Errors
/// It has no status.
pub fn stored(raw: &[u8], redact: &Redactor) -> Result<TaskOutcome, Undecodable> {
    let mut value: Value = serde_json::from_slice(raw).map_err(|_| Undecodable("a row in another form".into()))?;
    let said = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let json = said(&value, "type").is_none_or(|of| of.contains("json")) && value.get("whole") != Some(&Value::Bool(false));
    let inner = match said(&value, "result") {
        Some(text) if json => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Some(_) if value.get("whole") == Some(&Value::Bool(false)) => Value::String("larger than 64 KiB: not shown".into()),
        Some(_) => Value::String(format!("not decoded: {}", said(&value, "type").unwrap_or_default())),
        None => Value::Null,
    };
    let children = said(&value, "meta").and_then(|meta| serde_json::from_str::<Value>(&meta).ok()).and_then(|m| m.get("children").cloned());
    if let Value::Object(map) = &mut value {
        map.insert("result".into(), inner);
        map.insert("children".into(), children.unwrap_or_default());
    }
    of_value(&value, redact)
}

/// The value of a key in Redis.
///
/// # Errors
/// It is no JSON object with a status: another serializer, or another's key.
pub fn outcome(raw: &[u8], redact: &Redactor) -> Result<TaskOutcome, Undecodable> {
    let value: Value = serde_json::from_slice(raw).map_err(|_| Undecodable("a result that is no JSON: another serializer?".into()))?;
    of_value(&value, redact)
}

fn of_value(value: &Value, redact: &Redactor) -> Result<TaskOutcome, Undecodable> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let state = text("status").ok_or_else(|| Undecodable("a result without a status".into()))?;
    let traceback: Vec<&str> = text("traceback").unwrap_or_default().lines().collect();
    let result = match value.get("result") {
        None | Some(Value::Null) => None,
        // An exception as Celery's JSON has it.
        Some(Value::Object(map)) if map.contains_key("exc_type") => {
            let name = map.get("exc_type").and_then(Value::as_str).unwrap_or_default();
            let says = match map.get("exc_message") {
                Some(Value::Array(parts)) => {
                    parts.iter().map(|p| p.as_str().map_or_else(|| p.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
                }
                Some(Value::String(text)) => text.clone(),
                _ => String::new(),
            };
            Some(redact.safe(format!("{name}: {says}").as_bytes()))
        }
        Some(result) => Some(redact.safe(result.to_string().as_bytes())),
    };
    // [[["id", parent], children], …]
    let child = |child: &Value| child.get(0)?.get(0)?.as_str().map(Safe::name);
    Ok(TaskOutcome {
        state: Safe::name(state),
        done: text("date_done").and_then(moment),
        result,
        traceback: traceback.iter().skip(traceback.len().saturating_sub(MOST_LINES)).map(|line| redact.safe(line.as_bytes())).collect(),
        children: value.get("children").and_then(Value::as_array).into_iter().flatten().filter_map(child).collect(),
        task: text("name").map(Safe::name),
        worker: text("worker").map(Safe::name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_as_celery_stores_them() {
        let redact = Redactor::default();
        let done = br#"{"status": "SUCCESS", "result": null, "traceback": null, "children": [], "date_done": "2026-11-21T20:28:01.075096+00:00", "task_id": "99fcb777-c807-4e33-87ce-bce0e7d1df90"}"#;
        let done = outcome(done, &redact).unwrap();
        assert_eq!((done.state.as_str(), done.result, done.traceback.len()), ("SUCCESS", None, 0));
        assert!(done.done.is_some());
        let failed = br#"{"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["password=hunter2"], "exc_module": "builtins"}, "traceback": "Traceback (most recent call last):\n  File \"x.py\"\nValueError: password=hunter2\n", "children": [[["aa-bb", null], null]], "date_done": "2026-11-21T20:28:01"}"#;
        let failed = outcome(failed, &redact).unwrap();
        assert_eq!((failed.traceback.len(), failed.children.len()), (3, 1));
        assert!(failed.result.as_ref().unwrap().starts_with("ValueError: "));
        assert!(!format!("{failed:?}").contains("hunter2"));
        let row = br#"{"status": "FAILURE", "type": "application/json", "whole": true, "result": "{\"exc_type\": \"E\", \"exc_message\": [\"password=hunter2\"]}", "traceback": "a\nb", "meta": "{\"children\": [[[\"aa-bb\", null], null]]}", "worker": "w1@lab", "name": "mail.send"}"#;
        let row = stored(row, &redact).unwrap();
        assert_eq!((row.traceback.len(), row.children.len(), row.worker.as_deref()), (2, 1, Some("w1@lab")));
        assert!(row.result.as_ref().unwrap().starts_with("E: ") && !format!("{row:?}").contains("hunter2"));
        let pickled = br#"{"status": "SUCCESS", "type": "application/x-python-serialize", "result": "gASV", "whole": true}"#;
        assert_eq!(stored(pickled, &redact).unwrap().result.as_deref().unwrap(), "\"not decoded: application/x-python-serialize\"");
        assert_eq!(like("a_b%c\\"), "a\\_b\\%c\\\\%");
        for raw in [&b""[..], b"[]", b"{}", b"\x80\x04pickle", br#"{"status": 5}"#] {
            assert!(outcome(raw, &redact).is_err());
        }
    }
}
