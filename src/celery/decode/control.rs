//! Answers of the control bus: `{"w1@host": …}` in a message of kombu's. The ticket in its headers says to which question it belongs.

use super::{Undecodable, epoch, moment};
use crate::{
    celery::model::{ControlMethod, HeldTask, Hold, WorkerSays, WorkerStats},
    safe,
    text::{Redactor, Safe},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Map, Value};

/// More tasks than these of one worker are not kept.
const MOST_TASKS: usize = 100_000;

#[derive(Deserialize)]
struct RawReply {
    body: String,
    #[serde(default)]
    headers: RawHeaders,
    #[serde(default)]
    properties: RawProperties,
}

#[derive(Default, Deserialize)]
struct RawHeaders {
    #[serde(default)]
    ticket: Option<String>,
}

#[derive(Default, Deserialize)]
struct RawProperties {
    #[serde(default)]
    body_encoding: Option<String>,
}

/// An answer: to which question, of which worker, what.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlReply {
    /// The ticket of the question.
    pub ticket: String,
    /// The worker's name: `celery@pod`.
    pub worker: String,
    /// What it says.
    pub says: WorkerSays,
}

/// One element of a list of answers.
///
/// # Errors
/// It is no message with an answer of one worker, or answers no question of ours.
pub fn control(raw: &[u8], asked: &[ControlMethod], redact: &Redactor) -> Result<ControlReply, Undecodable> {
    let raw: RawReply = serde_json::from_slice(raw).map_err(|_| Undecodable("no JSON object as kombu writes it".into()))?;
    let body = match raw.properties.body_encoding.as_deref() {
        Some("base64") | None => STANDARD.decode(&raw.body).unwrap_or_else(|_| raw.body.into_bytes()),
        Some(_) => raw.body.into_bytes(),
    };
    let ticket = raw.headers.ticket.unwrap_or_default();
    let method = asked.iter().find(|m| m.name() == ticket).ok_or_else(|| Undecodable("it answers no question of ours".into()))?;
    let body: Map<String, Value> =
        serde_json::from_slice(&body).map_err(|_| Undecodable("its body is no JSON object of one worker".into()))?;
    let mut workers = body.into_iter();
    let (Some((worker, value)), None) = (workers.next(), workers.next()) else {
        return Err(Undecodable("its body is not of one worker".into()));
    };
    let says = says(method, &value, redact).ok_or_else(|| Undecodable(safe!("its answer to {} is not in Celery's form", method.name())))?;
    Ok(ControlReply { ticket, worker, says })
}

fn says(method: &ControlMethod, value: &Value, redact: &Redactor) -> Option<WorkerSays> {
    if let Some(error) = value.get("error") {
        let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
        return Some(WorkerSays::Error(redact.safe(text.as_bytes())));
    }
    Some(match method {
        ControlMethod::Ping => WorkerSays::Pong,
        ControlMethod::Stats => WorkerSays::Stats(stats(value.as_object()?)),
        ControlMethod::ActiveQueues => {
            let named = |queue: &Value| queue.get("name").and_then(Value::as_str).map(str::to_owned);
            WorkerSays::Queues(value.as_array()?.iter().filter_map(named).collect())
        }
        ControlMethod::Active => tasks(value, Hold::Running, redact)?,
        ControlMethod::Reserved => tasks(value, Hold::Reserved, redact)?,
        ControlMethod::Scheduled => tasks(value, Hold::Scheduled, redact)?,
        ControlMethod::Revoked => {
            WorkerSays::Revoked(value.as_array()?.iter().filter_map(Value::as_str).take(MOST_TASKS).map(str::to_owned).collect())
        }
        ControlMethod::QueryTask(_) => {
            let known = |(id, pair): (&String, &Value)| {
                let state = match pair.get(0).and_then(Value::as_str) {
                    Some("active") => Hold::Running,
                    Some("reserved") => Hold::Reserved,
                    // `ready`: neither of the two, as one that waits for its ETA.
                    _ => Hold::Known,
                };
                held(pair.get(1).unwrap_or(&Value::Null), state, redact).or_else(|| Some(bare(id, state)))
            };
            WorkerSays::Tasks(value.as_object()?.iter().filter_map(known).collect())
        }
    })
}

fn tasks(value: &Value, state: Hold, redact: &Redactor) -> Option<WorkerSays> {
    Some(WorkerSays::Tasks(value.as_array()?.iter().take(MOST_TASKS).filter_map(|task| held(task, state, redact)).collect()))
}

/// A task as `active` and `reserved` have it; `scheduled` wraps it with its time.
fn held(value: &Value, state: Hold, redact: &Redactor) -> Option<HeldTask> {
    let task = value.get("request").unwrap_or(value);
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
    // A string is Celery's own representation, as its older versions sent it.
    let shown = |key: &str| match task.get(key)? {
        Value::Null => None,
        Value::String(repr) => Some(redact.safe(repr.as_bytes())),
        value => Some(redact.safe(value.to_string().as_bytes())),
    };
    let route = task.get("delivery_info");
    let route = |key: &str| route.and_then(|r| r.get(key)).and_then(Value::as_str).filter(|text| !text.is_empty());
    Some(HeldTask {
        id: Safe::name(text(task, "id")?),
        task: text(task, "name").or_else(|| text(task, "type")).map(Safe::name).unwrap_or_default(),
        state,
        args: shown("args"),
        kwargs: shown("kwargs"),
        queue: route("routing_key").map(Safe::name),
        since: task.get("time_start").and_then(Value::as_f64).and_then(epoch),
        eta: text(value, "eta").or_else(|| text(task, "eta")).and_then(|eta| moment(&eta)),
        acknowledged: task.get("acknowledged").and_then(Value::as_bool).unwrap_or(false),
        pid: task.get("worker_pid").and_then(Value::as_u64),
    })
}

fn bare(id: &str, state: Hold) -> HeldTask {
    HeldTask {
        id: Safe::name(id),
        task: Safe::EMPTY,
        state,
        args: None,
        kwargs: None,
        queue: None,
        since: None,
        eta: None,
        acknowledged: false,
        pid: None,
    }
}

fn stats(stats: &Map<String, Value>) -> WorkerStats {
    let pool = stats.get("pool");
    // celery.concurrency.prefork:TaskPool
    let module = pool.and_then(|p| p.get("implementation")).and_then(Value::as_str);
    let module = module.and_then(|m| m.split(':').next()).and_then(|m| m.rsplit('.').next());
    let total = stats.get("total").and_then(Value::as_object);
    let options = stats.get("broker").and_then(|b| b.get("transport_options"));
    WorkerStats {
        pid: stats.get("pid").and_then(Value::as_u64),
        pool: module.map(Safe::name),
        slots: pool.and_then(|p| p.get("max-concurrency")).and_then(Value::as_u64),
        prefetch: stats.get("prefetch_count").and_then(Value::as_u64),
        uptime: stats.get("uptime").and_then(Value::as_u64),
        total: total.into_iter().flatten().filter_map(|(name, n)| Some((Safe::name(name), n.as_u64()?))).collect(),
        visibility_timeout: options.and_then(|o| o.get("visibility_timeout")).and_then(Value::as_f64).filter(|s| s.is_finite() && *s > 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::PathBuf};

    const ALL: [ControlMethod; 6] = [
        ControlMethod::Ping,
        ControlMethod::Stats,
        ControlMethod::ActiveQueues,
        ControlMethod::Active,
        ControlMethod::Reserved,
        ControlMethod::Scheduled,
    ];

    /// A captured answer. The ticket was `t` then; ours is the method's name.
    fn captured(of: &str, method: &ControlMethod) -> WorkerSays {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/celery/{of}/{}.json", method.name()));
        let mut raw: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        raw["headers"]["ticket"] = method.name().into();
        let reply = control(raw.to_string().as_bytes(), std::slice::from_ref(method), &Redactor::default()).unwrap();
        assert_eq!(reply.worker, "w1@lab");
        reply.says
    }

    #[test]
    fn captured_answers_say_what_was_there() {
        for of in ["5.4-prefork", "5.6-prefork", "5.6-threads"] {
            assert_eq!(captured(of, &ControlMethod::Ping), WorkerSays::Pong);
            let WorkerSays::Stats(stats) = captured(of, &ControlMethod::Stats) else { panic!("no stats") };
            assert_eq!((stats.slots, stats.prefetch), (Some(2), Some(10)));
            assert_eq!(stats.total, [("hold".into(), 2)]);
            assert_eq!(captured(of, &ControlMethod::ActiveQueues), WorkerSays::Queues(vec!["celery".into(), "mail".into()]));
            for (method, count) in [(ControlMethod::Active, 2), (ControlMethod::Reserved, 1), (ControlMethod::Scheduled, 2)] {
                let WorkerSays::Tasks(tasks) = captured(of, &method) else { panic!("no tasks") };
                assert_eq!(tasks.len(), count, "{of} {method:?}");
                assert_eq!(tasks[0].queue.as_deref(), Some("celery"));
                assert_eq!(tasks[0].since.is_some(), method == ControlMethod::Active);
                assert_eq!(tasks[0].eta.is_some(), method == ControlMethod::Scheduled);
                assert!(!format!("{tasks:?}").contains("hunter2"));
            }
            let WorkerSays::Tasks(known) = captured(of, &ControlMethod::QueryTask(Vec::new())) else { panic!("no tasks") };
            // It knows those that run or wait for a slot; the scheduled ones it does not name.
            assert_eq!(known.iter().filter(|t| t.state == Hold::Running).count(), 2);
            assert_eq!(known.iter().filter(|t| t.state == Hold::Reserved).count(), 1);
            assert_eq!(known.len(), 3);
        }
    }

    #[test]
    fn an_unknown_method_is_the_workers_error() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/celery/5.6-prefork/nonsense.json");
        let raw = String::from_utf8(fs::read(path).unwrap()).unwrap().replace("\"ticket\": \"t\"", "\"ticket\": \"stats\"");
        let reply = control(raw.as_bytes(), &ALL, &Redactor::default()).unwrap();
        assert_eq!(reply.says, WorkerSays::Error("KeyError('nonsense')".into()));
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let redact = Redactor::default();
        let of = |body: &str| {
            format!(r#"{{"body": {}, "headers": {{"ticket": "stats"}}, "properties": {{"body_encoding": "none"}}}}"#, Value::from(body))
        };
        for raw in ["", "null", "[]", "{}", r#"{"body": "e30="}"#, &of("{}"), &of(r#"{"a": {}, "b": {}}"#), &of(r#"{"w": 5}"#)] {
            assert!(control(raw.as_bytes(), &ALL, &redact).is_err(), "{raw}");
        }
        assert!(control(of(r#"{"w": {}}"#).as_bytes(), &ALL, &redact).is_ok());
    }
}
