//! A stored result: `celery-task-meta-<id>`. Only JSON is decoded.

use super::{Undecodable, moment};
use crate::{
    celery::model::TaskOutcome,
    text::{Redactor, Safe},
};
use serde_json::Value;

/// So many lines of a traceback are kept, from its end: there stands what happened.
const MOST_LINES: usize = 200;

/// A stored result.
///
/// # Errors
/// It is no JSON object with a status: another serializer, or another's key.
pub fn outcome(raw: &[u8], redact: &Redactor) -> Result<TaskOutcome, Undecodable> {
    let value: Value = serde_json::from_slice(raw).map_err(|_| Undecodable("a result that is no JSON: another serializer?".into()))?;
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
        for raw in [&b""[..], b"[]", b"{}", b"\x80\x04pickle", br#"{"status": 5}"#] {
            assert!(outcome(raw, &redact).is_err());
        }
    }
}
