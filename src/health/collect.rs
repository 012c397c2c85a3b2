//! Asks many endpoints side by side, each as it wants to be asked, and reads what they say. Never more than a few dozen at once, and none
//! longer than its time.

use super::{
    decode::{self, RawAnswer},
    model::{Asked, BodyRead, Condition, Dialect, PodStanding, TargetHealth},
};
use crate::{
    connect::http::{self, HttpQuestion},
    text::{Redactor, Safe},
};
use futures_util::stream::{self, StreamExt};

/// How many are asked at once.
const AT_ONCE: usize = 48;

/// One target, ready to be asked.
#[derive(Clone)]
pub struct HealthTarget {
    /// Its name: a URL, or a pod.
    pub name: Safe,
    /// Which of the two.
    pub asked: Asked,
    /// The app or workload.
    pub app: Option<Safe>,
    /// What is asked of it, in words.
    pub says: Option<Safe>,
    /// The question; or why there is none.
    pub question: Result<Box<HttpQuestion>, Safe>,
    /// The form of its answer, where the configuration names it.
    pub dialect: Option<Dialect>,
    /// What the cluster says of it.
    pub pod: Option<PodStanding>,
}

/// Asks all of them; the answers stand in the order of the targets. Those that had not answered when `stop` fired say so.
pub async fn ask(targets: Vec<HealthTarget>, redact: &Redactor, stop: &tokio_util::sync::CancellationToken) -> Vec<TargetHealth> {
    let mut answers: Vec<(usize, TargetHealth)> = stream::iter(targets.into_iter().enumerate())
        .map(|(at, target)| async move { (at, one(target, redact, stop).await) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn one(target: HealthTarget, redact: &Redactor, stop: &tokio_util::sync::CancellationToken) -> TargetHealth {
    let HealthTarget { name, asked, app, says, question, dialect, pod } = target;
    let version = pod.as_ref().and_then(|p| p.image.clone());
    let mut answer = TargetHealth {
        name,
        asked,
        app,
        question: says,
        exchange: None,
        body: None,
        condition: Condition::Unknown,
        version,
        pod,
        unasked: None,
    };
    let question = match question {
        Ok(question) => question,
        Err(why) => {
            answer.unasked = Some(why);
            return answer;
        }
    };
    let (exchange, body) = tokio::select! {
        biased;
        () = stop.cancelled() => {
            answer.unasked = Some("stopped before it answered".into());
            return answer;
        }
        asked = http::ask(&question, redact) => asked,
    };
    if let Some(status) = exchange.status {
        let raw = RawAnswer {
            status,
            content_type: &body.content_type,
            encoding: &body.encoding,
            location: &body.location,
            path: &body.path,
            body: &body.bytes,
            cut: body.cut,
        };
        let read = decode::read(&raw, dialect, redact);
        answer.condition = decode::overall(status, &read);
        // What stands in the body is what runs; the tag of an image may be older than its content.
        if let BodyRead::Health(health) = &read
            && health.version.is_some()
        {
            answer.version = health.version.clone();
        }
        answer.body = Some(read);
    }
    if let Some(fault) = &exchange.fault {
        // A right that is missing on this side says nothing of the target.
        answer.condition = if fault.needs.is_some() { Condition::Unknown } else { Condition::Failed };
    }
    answer.exchange = Some(exchange);
    answer
}

/// The URLs that answer with metrics in the form of Prometheus.
pub async fn metrics(targets: Vec<HealthTarget>, redact: &Redactor, stop: &tokio_util::sync::CancellationToken) -> Vec<Safe> {
    let asked = stream::iter(targets).map(|target| async move {
        let question = target.question.ok()?;
        let (exchange, body) = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            asked = http::ask(&question, redact) => asked,
        };
        let says = |text: &[u8]| memchr::memmem::find(&body.bytes, text).is_some();
        (exchange.status == Some(200) && says(b"# TYPE ") && says(b"\n")).then_some(target.name)
    });
    asked.buffer_unordered(AT_ONCE).filter_map(|open| async move { open }).collect().await
}
