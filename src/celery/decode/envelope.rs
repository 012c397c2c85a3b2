//! A message as kombu stores it in a list or, wrapped with its route, in `unacked`. The body is decoded only for Celery's first protocol,
//! which keeps everything in it, and only when it is JSON; pickle never is.

use super::{Undecodable, epoch, moment};
use crate::{
    celery::model::{AgeSource, Enqueued, RequestRef, TaskMessage},
    safe,
    text::{Redactor, Safe},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// The largest body of the first protocol that is decoded.
const LARGEST_BODY: usize = 256 << 10;
/// The headers that name a request, the surest first.
const REQUEST_HEADERS: [&str; 4] = ["request_id", "correlation_id", "Correlation-ID", "X-Request-ID"];

#[derive(Deserialize)]
struct RawEnvelope<'a> {
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default, rename = "content-type")]
    content_type: Option<String>,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    properties: Option<Map<String, Value>>,
}

/// One element of a queue's list.
///
/// # Errors
/// It is no JSON object, or holds no task.
pub fn envelope(raw: &[u8], redact: &Redactor) -> Result<TaskMessage, Undecodable> {
    let raw: RawEnvelope<'_> = serde_json::from_slice(raw).map_err(|_| Undecodable("no JSON object as kombu writes it".into()))?;
    message(&raw, redact)
}

/// One value of `unacked`: the message with the exchange and routing key by which it came.
///
/// # Errors
/// It is not three values, or the first holds no task.
pub fn unacked(raw: &[u8], redact: &Redactor) -> Result<TaskMessage, Undecodable> {
    let (raw, exchange, routing_key): (RawEnvelope<'_>, Option<String>, Option<String>) =
        serde_json::from_slice(raw).map_err(|_| Undecodable("no [message, exchange, routing key] as kombu writes it".into()))?;
    let mut message = message(&raw, redact)?;
    message.exchange = Safe::name(exchange.unwrap_or_default());
    message.routing_key = Safe::name(routing_key.unwrap_or_default());
    Ok(message)
}

fn message(raw: &RawEnvelope<'_>, redact: &Redactor) -> Result<TaskMessage, Undecodable> {
    let (none, empty) = (Map::new(), Map::new());
    let headers = raw.headers.as_ref().unwrap_or(&none);
    let properties = raw.properties.as_ref().unwrap_or(&empty);
    let body = raw.body.map(RawValue::get).unwrap_or_default();
    let first = match headers.contains_key("task") {
        true => None,
        false => Some(first_protocol(body, raw.content_type.as_deref())?),
    };
    // The first protocol keeps in the body what the second has in headers; the names are the same.
    let task = first.as_ref().unwrap_or(headers);
    let delivery = properties.get("delivery_info").and_then(Value::as_object).unwrap_or(&none);
    let name = |map: &Map<String, Value>, key: &str| text(map, key).map(Safe::name);
    let eta = text(task, "eta").and_then(moment);
    let expires = text(task, "expires").and_then(moment);
    let shown = |long: &str, short: &str| {
        text(task, long).map(|repr| redact.safe(repr.as_bytes())).or_else(|| task.get(short).map(|v| redact.safe(v.to_string().as_bytes())))
    };
    // `gen12@host` is no e-mail address; anything else may be.
    let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let origin = text(task, "origin");
    let publisher = origin.and_then(|o| o.split_once('@')).filter(|(process, host)| is_name(process) && is_name(host));
    Ok(TaskMessage {
        id: name(task, "id").ok_or_else(|| Undecodable("it names no task ID".into()))?,
        task: name(task, "task").ok_or_else(|| Undecodable("it names no task".into()))?,
        args: shown("argsrepr", "args"),
        kwargs: shown("kwargsrepr", "kwargs"),
        retries: task.get("retries").and_then(Value::as_u64).and_then(|n| n.try_into().ok()).unwrap_or(0),
        eta,
        expires,
        priority: properties.get("priority").and_then(Value::as_i64),
        enqueued: enqueued(headers, properties, expires),
        host: publisher.map(|(_, host)| Safe::name(host)),
        origin: origin.map(|o| if publisher.is_some() { Safe::name(o) } else { redact.safe(o.as_bytes()) }),
        request: request(headers),
        root: name(task, "root_id"),
        parent: name(task, "parent_id"),
        group: name(task, "group").or_else(|| name(task, "taskset")),
        redelivered: headers.get("redelivered").and_then(Value::as_bool).unwrap_or(false)
            || properties.get("delivery_info").and_then(|d| d.get("redelivered")).and_then(Value::as_bool).unwrap_or(false),
        tag: name(properties, "delivery_tag").unwrap_or_default(),
        exchange: name(delivery, "exchange").unwrap_or_default(),
        routing_key: name(delivery, "routing_key").unwrap_or_default(),
        body_bytes: body.len().saturating_sub(2) as u64,
        content_type: raw.content_type.as_deref().map(Safe::name),
        compression: name(headers, "compression"),
        protocol: if first.is_some() { 1 } else { 2 },
    })
}

fn text<'m>(map: &'m Map<String, Value>, key: &str) -> Option<&'m str> {
    map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The body of the first protocol: one object with everything.
fn first_protocol(body: &str, content_type: Option<&str>) -> Result<Map<String, Value>, Undecodable> {
    if content_type.is_some_and(|t| t != "application/json") {
        return Err(Undecodable(safe!("its body is {}, which is not decoded", Safe::name(content_type.unwrap_or_default()))));
    }
    if body.len() > LARGEST_BODY {
        return Err(Undecodable("its headers name no task, and its body is too large to look into".into()));
    }
    let nothing = || Undecodable("its headers name no task, and its body is none of Celery's first protocol".into());
    let text: String = serde_json::from_str(body).map_err(|_| nothing())?;
    let bytes = STANDARD.decode(&text).unwrap_or(text.into_bytes());
    serde_json::from_slice(&bytes).map_err(|_| nothing())
}

/// When it was published, by the surest thing that says so. A past `eta` is no time of publication; it becomes an age where ages are told.
fn enqueued(headers: &Map<String, Value>, properties: &Map<String, Value>, expires: Option<Timestamp>) -> Option<Enqueued> {
    let inner = headers.get("headers").and_then(Value::as_object);
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let sentry = [Some(headers), inner].into_iter().flatten().find_map(|map| map.get("sentry-task-enqueued-time"));
    if let Some(at) = sentry.and_then(number).and_then(epoch) {
        return Some(Enqueued { at, by: AgeSource::SentryHeader });
    }
    let expiration = properties.get("expiration").and_then(number).filter(|ms| (0.0..1e15).contains(ms));
    if let (Some(expires), Some(ms)) = (expires, expiration)
        && let Ok(at) = expires.checked_sub(SignedDuration::from_millis(ms as i64))
    {
        return Some(Enqueued { at, by: AgeSource::Expiration });
    }
    let published = [properties, headers].into_iter().find_map(|map| map.get("published_at").or_else(|| map.get("timestamp")))?;
    let at = published.as_str().and_then(moment).or_else(|| number(published).and_then(epoch))?;
    Some(Enqueued { at, by: AgeSource::PublishedAt })
}

fn request(headers: &Map<String, Value>) -> Option<RequestRef> {
    let found = |id: &str, header: &'static str| Some(RequestRef { id: Safe::name(id), header: header.into() });
    let structlog = headers.get("__django_structlog__").and_then(Value::as_object);
    if let Some(id) = structlog.and_then(|map| text(map, "request_id")) {
        return found(id, "__django_structlog__.request_id");
    }
    if let Some((header, id)) = REQUEST_HEADERS.iter().find_map(|header| Some((*header, text(headers, header)?))) {
        return found(id, header);
    }
    // 00-<trace id>-<span id>-<flags>; Sentry's begins with the trace ID.
    if let Some(id) = text(headers, "traceparent").and_then(|t| t.split('-').nth(1)).filter(|id| id.len() == 32) {
        return found(id, "traceparent");
    }
    let id = text(headers, "sentry-trace").and_then(|t| t.split('-').next()).filter(|id| id.len() == 32)?;
    found(id, "sentry-trace")
}
