//! The dialects in JSON. They differ in where the parts stand and in what they call them; how a part says how it is, is read in one way.

use super::{Part, Said, words};
use crate::health::model::{Condition, Dialect};
use serde_json::{Map, Value};

/// The keys that hold the parts.
const PARTS: &[&str] = &["checks", "components", "entries", "dependencies", "services", "details", "results", "subsystems", "info"];
/// How deep parts within parts are followed.
const DEEPEST: usize = 4;

/// None: no form that is known.
pub(super) fn read(value: &Value, content_type: &str, wanted: Option<Dialect>) -> Option<(Dialect, Said)> {
    match value {
        Value::Object(map) => {
            let dialect = wanted.or_else(|| recognise(map, content_type))?;
            Some((dialect, object(map, dialect)))
        }
        Value::String(word) => Some((Dialect::Text, super::text::word(word))),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            let mut said = Said::default();
            items.iter().enumerate().for_each(|(i, item)| listed(i, item, &mut said.components));
            Some((Dialect::Nested, said))
        }
        _ => None,
    }
}

fn recognise(map: &Map<String, Value>, content_type: &str) -> Option<Dialect> {
    let status = map.get("status").and_then(Value::as_str);
    let inside = |key: &str| map.get(key).and_then(Value::as_object);
    if content_type.contains("health+json") || inside("checks").is_some_and(|c| !c.is_empty() && c.values().all(Value::is_array)) {
        return Some(Dialect::Ietf);
    }
    if inside("entries").is_some() {
        return Some(Dialect::AspNet);
    }
    if inside("checks").is_some() && inside("details").is_some() {
        return Some(Dialect::Dockerflow);
    }
    let upper = status.is_some_and(|s| matches!(s, "UP" | "DOWN" | "OUT_OF_SERVICE" | "UNKNOWN"));
    if inside("components").is_some_and(|c| c.values().any(|v| v.get("status").is_some())) || (upper && inside("details").is_some()) {
        return Some(Dialect::Spring);
    }
    if PARTS.iter().any(|key| inside(key).is_some() || map.get(*key).is_some_and(is_list_of_parts)) {
        return Some(Dialect::Nested);
    }
    let has_status = words::STATUS_KEYS.iter().any(|key| map.get(*key).is_some_and(|v| v.is_string() || v.is_boolean()));
    let parts: Vec<(&String, &Value)> = map.iter().filter(|(key, _)| !words::is_metadata(key)).collect();
    if !has_status && !parts.is_empty() {
        if parts.iter().all(|(key, v)| v.is_string() && is_of_django(key)) || parts.iter().any(|(_, v)| v.as_str() == Some("working")) {
            return Some(Dialect::DjangoHealthCheck);
        }
        if parts.iter().all(|(_, v)| v.is_boolean() || v.get("healthy").is_some_and(Value::is_boolean)) {
            return Some(Dialect::Booleans);
        }
    }
    // Of an error's body (`{"detail": "…"}`) nothing is left here.
    let speaks = |v: &Value| v.as_str().is_some_and(|s| words::condition(s).is_some()) || v.is_boolean() || has_own_status(v);
    (has_status || parts.iter().any(|(_, v)| speaks(v))).then_some(Dialect::Flat)
}

/// `DatabaseBackend`, `Cache backend: default`, `Cache(alias='default')`.
fn is_of_django(key: &str) -> bool {
    key.ends_with("Backend") || key.ends_with("HealthCheck") || key.contains(" backend: ") || (key.contains('(') && key.ends_with(')'))
}

fn has_own_status(value: &Value) -> bool {
    value.as_object().is_some_and(|map| words::STATUS_KEYS.iter().any(|key| map.contains_key(*key)))
}

fn is_list_of_parts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(has_own_status))
}

fn object(map: &Map<String, Value>, dialect: Dialect) -> Said {
    let mut said = Said { version: version(map), ..Said::default() };
    let whole = !matches!(dialect, Dialect::DjangoHealthCheck);
    let status_key =
        words::STATUS_KEYS.iter().filter(|_| whole).find(|key| map.get(**key).is_some_and(|v| v.is_string() || v.is_boolean()));
    if let Some(value) = status_key.and_then(|key| map.get(*key)) {
        said.condition = Some(scalar(value).unwrap_or(Condition::Unknown));
        said.status = Some(plain(value));
    }
    match dialect {
        Dialect::Dockerflow => dockerflow(map, &mut said.components),
        Dialect::Nested | Dialect::Spring | Dialect::AspNet | Dialect::Ietf => {
            for held in PARTS.iter().filter_map(|key| map.get(*key)) {
                match held {
                    Value::Object(parts) => parts.iter().for_each(|(name, v)| part(name, v, 0, &mut said.components)),
                    Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| listed(i, v, &mut said.components)),
                    _ => {}
                }
            }
            if said.components.is_empty() || dialect == Dialect::Nested {
                beside(map, status_key, &mut said.components);
            }
        }
        _ => {
            for (name, value) in map {
                let own = Some(name.as_str()) == status_key.copied();
                if !own
                    && (!whole || !words::is_metadata(name))
                    && (value.is_string() || value.is_boolean() || value.is_object() || value.is_null())
                {
                    let name = if whole { name.clone() } else { of_django(name) };
                    part(&name, value, 0, &mut said.components);
                }
            }
        }
    }
    said
}

/// Parts that stand beside the nested ones: only what clearly is one.
fn beside(map: &Map<String, Value>, status: Option<&&str>, into: &mut Vec<Part>) {
    for (name, value) in map {
        let taken = PARTS.contains(&name.as_str()) || words::is_metadata(name) || Some(name.as_str()) == status.copied();
        if !taken && (value.as_str().is_some_and(|s| words::condition(s).is_some()) || has_own_status(value)) {
            part(name, value, 0, into);
        }
    }
}

/// Names of django-health-check without what only Python needs: `Cache(alias='default')` is `Cache default`.
fn of_django(name: &str) -> String {
    let Some((head, inner)) = name.strip_suffix(')').and_then(|n| n.split_once('(')) else {
        return name
            .strip_suffix("HealthCheck")
            .or_else(|| name.strip_suffix("Backend"))
            .filter(|n| !n.is_empty())
            .unwrap_or(name)
            .to_owned();
    };
    let alias = inner.split(", ").find_map(|pair| pair.strip_prefix("alias=")).map(|v| v.trim_matches(['\'', '"']));
    match alias {
        Some(alias) => format!("{head} {alias}"),
        None => head.to_owned(),
    }
}

fn dockerflow(map: &Map<String, Value>, into: &mut Vec<Part>) {
    let detail = |name: &str| {
        let messages = map.get("details")?.get(name)?.get("messages")?.as_object()?;
        Some(messages.iter().map(|(id, text)| format!("{id}: {}", plain(text))).collect::<Vec<_>>().join("; "))
    };
    for (name, value) in map.get("checks").and_then(Value::as_object).into_iter().flatten() {
        // Below an error it works.
        let condition = match value.as_str() {
            Some("debug" | "info" | "warning") => Condition::Degraded,
            _ => scalar(value).unwrap_or(Condition::Unknown),
        };
        into.push(Part { name: name.clone(), condition, says: detail(name) });
    }
}

/// One part, with the parts within it.
fn part(name: &str, value: &Value, depth: usize, into: &mut Vec<Part>) {
    let one = |condition, says| Part { name: name.to_owned(), condition, says };
    match value {
        Value::String(text) => {
            let condition = words::condition(text).unwrap_or(Condition::Unknown);
            let says = (condition != Condition::Ok || text.len() > 12).then(|| text.clone());
            into.push(one(condition, says));
        }
        Value::Bool(_) => into.push(one(scalar(value).unwrap_or(Condition::Unknown), None)),
        Value::Object(map) => {
            let own = words::STATUS_KEYS.iter().find_map(|key| map.get(*key).filter(|v| v.is_string() || v.is_boolean()));
            let inner = ["components", "checks", "details"].iter().find_map(|key| {
                map.get(*key).and_then(Value::as_object).filter(|parts| !parts.is_empty() && parts.values().all(has_own_status))
            });
            if let Some(inner) = inner.filter(|_| depth < DEEPEST) {
                for (below, value) in inner {
                    part(&format!("{name}/{below}"), value, depth + 1, into);
                }
                // The parts say more than their sum does.
                if own.and_then(scalar).is_none_or(|c| c <= Condition::Ok) {
                    return;
                }
            }
            let condition = own.and_then(scalar).unwrap_or(Condition::Unknown);
            into.push(one(condition, reason(map).or_else(|| own.filter(|_| condition == Condition::Unknown).map(plain))));
        }
        Value::Array(items) => {
            // IETF: several measurements of one thing; the worst counts.
            let worst = items.iter().max_by_key(|item| item.get("status").and_then(scalar).unwrap_or(Condition::Unknown));
            let condition = worst.and_then(|w| w.get("status")).and_then(scalar).unwrap_or(Condition::Unknown);
            let map = worst.and_then(Value::as_object);
            into.push(one(condition, map.and_then(|m| reason(m).or_else(|| measured(m)))));
        }
        Value::Null | Value::Number(_) => into.push(one(Condition::Unknown, Some(plain(value)))),
    }
}

/// A part of a list, which carries its own name.
fn listed(at: usize, item: &Value, into: &mut Vec<Part>) {
    let name = ["name", "id", "component", "check", "service", "key"].iter().find_map(|key| item.get(*key).and_then(Value::as_str));
    part(&name.map_or_else(|| format!("#{}", at + 1), str::to_owned), item, 0, into);
}

fn scalar(value: &Value) -> Option<Condition> {
    match value {
        Value::Bool(true) => Some(Condition::Ok),
        Value::Bool(false) => Some(Condition::Failed),
        Value::String(text) => words::condition(text),
        _ => None,
    }
}

fn reason(map: &Map<String, Value>) -> Option<String> {
    words::REASON_KEYS.iter().find_map(|key| match map.get(*key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        // Spring and ASP.NET: what the part measured, or its exception.
        Some(Value::Object(inner)) => inner.get("error").or_else(|| inner.get("message")).and_then(Value::as_str).map(str::to_owned),
        _ => None,
    })
}

/// IETF: `observedValue` with its unit.
fn measured(map: &Map<String, Value>) -> Option<String> {
    let value = map.get("observedValue").map(plain)?;
    Some(map.get("observedUnit").and_then(Value::as_str).map_or_else(|| value.clone(), |unit| format!("{value} {unit}")))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn version(map: &Map<String, Value>) -> Option<String> {
    ["version", "app_version", "release", "releaseId", "tag", "build", "git_sha", "commit"]
        .iter()
        .find_map(|key| map.get(*key).filter(|v| v.is_string() || v.is_number()).map(plain))
        .filter(|v| !v.is_empty())
}
