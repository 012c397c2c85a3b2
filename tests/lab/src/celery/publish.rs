//! What is published: a task with its arguments and any option that `apply_async` takes.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Gate;

/// One entry of what [`super::Celery::publish`] publishes.
#[derive(Clone, Debug, Serialize)]
pub struct Publish {
    task: String,
    args: Value,
    kwargs: Map<String, Value>,
    options: Map<String, Value>,
    protocol: u8,
    times: usize,
}

impl Publish {
    /// `quick`, `sleep` (seconds), `hold` and `hold_late` (a gate's path), `fail` (text), `retrying` (times, countdown), `limited`
    /// (one per minute), `parent` (how many children), or a name that no worker knows.
    pub fn of(task: &str) -> Self {
        Self { task: task.to_owned(), args: json!([]), kwargs: Map::new(), options: Map::new(), protocol: 2, times: 1 }
    }

    pub fn quick() -> Self {
        Self::of("quick")
    }

    /// Runs until the gate is opened.
    pub fn held(gate: &Gate) -> Self {
        Self::of("hold").args(json!([gate.path()]))
    }

    /// The same, acknowledged when it has ended.
    pub fn held_late(gate: &Gate) -> Self {
        Self::of("hold_late").args(json!([gate.path()]))
    }

    /// So many `add` and a `total` behind them: the ids are theirs, in this order.
    pub fn chord(count: usize) -> Self {
        Self::of("chord").args(json!([count]))
    }

    /// So many `quick`, one after the other.
    pub fn chain(count: usize) -> Self {
        Self::of("chain").args(json!([count]))
    }

    #[must_use]
    pub fn args(mut self, args: Value) -> Self {
        self.args = args;
        self
    }

    #[must_use]
    pub fn kwarg(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.kwargs.insert(name.to_owned(), value.into());
        self
    }

    /// Any option of `apply_async`.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn queue(self, queue: &str) -> Self {
        self.option("queue", queue)
    }

    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        self.option("priority", priority)
    }

    /// To be run so many seconds from now.
    #[must_use]
    pub fn countdown(self, seconds: f64) -> Self {
        self.option("countdown", seconds)
    }

    /// An ETA so many seconds from now; less than nought is one that has passed.
    #[must_use]
    pub fn eta_in(self, seconds: f64) -> Self {
        self.option("eta_in", seconds)
    }

    #[must_use]
    pub fn expires(self, seconds: f64) -> Self {
        self.option("expires", seconds)
    }

    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.option("task_id", id)
    }

    /// `gzip`, `bzip2`.
    #[must_use]
    pub fn compression(self, kind: &str) -> Self {
        self.option("compression", kind)
    }

    /// `pickle`, which obsctl never decodes, or `yaml`.
    #[must_use]
    pub fn serializer(self, kind: &str) -> Self {
        self.option("serializer", kind)
    }

    /// A header of the application's own: `request_id`, `__django_structlog__`, `traceparent`, `sentry-task-enqueued-time`.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        let headers = self.options.entry("headers").or_insert_with(|| json!({}));
        if let Some(headers) = headers.as_object_mut() {
            headers.insert(name.to_owned(), value.into());
        }
        self
    }

    /// `task_protocol = 1`: everything is in the body, nothing in the headers.
    #[must_use]
    pub fn protocol_1(mut self) -> Self {
        self.protocol = 1;
        self
    }

    /// So many of the same, each with an id of its own.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}
