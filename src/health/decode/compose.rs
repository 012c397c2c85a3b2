//! `docker compose ps --format json`: an object per line since Compose 2.21, one list before. State and health as Docker itself sees them.

use crate::{
    health::model::{Asked, Condition, PodStanding, TargetHealth},
    safe,
    text::{Redactor, Safe},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct RawService {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Service", default)]
    service: String,
    #[serde(rename = "State", default)]
    state: String,
    #[serde(rename = "Health", default)]
    health: String,
    #[serde(rename = "Status", default)]
    status: String,
    #[serde(rename = "Image", default)]
    image: String,
    #[serde(rename = "ExitCode", default)]
    exit_code: i64,
}

/// The containers. None: it is not that output; nothing at all is no container.
pub fn read(bytes: &[u8], redact: &Redactor) -> Option<Vec<TargetHealth>> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let all: Vec<RawService> = if text.starts_with('[') {
        serde_json::from_str(text).ok()?
    } else {
        text.lines().filter(|l| !l.trim().is_empty()).map(|line| serde_json::from_str(line).ok()).collect::<Option<_>>()?
    };
    Some(all.into_iter().map(|raw| target(raw, redact)).collect())
}

fn target(raw: RawService, redact: &Redactor) -> TargetHealth {
    let condition = match (raw.state.as_str(), raw.health.as_str()) {
        ("running", "healthy" | "") => Condition::Ok,
        // Within its start_period.
        ("running", "starting") => Condition::Ok,
        ("running", "unhealthy") | ("dead" | "restarting" | "removing", _) => Condition::Failed,
        ("exited", _) if raw.exit_code == 0 => Condition::Skipped,
        ("exited", _) => Condition::Failed,
        ("paused" | "created", _) => Condition::Degraded,
        _ => Condition::Unknown,
    };
    let ready = condition <= Condition::Ok;
    let starting = raw.health == "starting";
    let says = redact.safe(raw.status.as_bytes()).clipped(120);
    let tag = raw.image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| Safe::name(tag));
    TargetHealth {
        name: Safe::name(&raw.name),
        asked: Asked::Pod,
        app: Some(Safe::name(&raw.service)).filter(|s| !s.is_empty()),
        question: Some("as Docker sees it".into()),
        exchange: None,
        body: None,
        condition,
        version: tag.clone(),
        pod: Some(PodStanding {
            ready: ready || condition == Condition::Degraded,
            since: None,
            starting,
            new: false,
            leaving: false,
            restarts: 0,
            why: vec![safe!("{}: {}", Safe::name(&raw.state), says)],
            image: tag,
        }),
        unasked: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_read_in_both_forms() {
        let line = |name, state, health, code| {
            format!(
                r#"{{"Name":"shop-{name}-1","Service":"{name}","State":"{state}","Health":"{health}","Status":"Up 3 minutes ({health})","Image":"shop/{name}:0.57.0","ExitCode":{code},"Publishers":null}}"#
            )
        };
        let lines = [
            line("web", "running", "healthy", 0),
            line("worker", "running", "unhealthy", 0),
            line("migrate", "exited", "", 0),
            line("beat", "exited", "", 1),
            line("new", "running", "starting", 0),
        ];
        let read_all = |text: String| {
            let all = read(text.as_bytes(), &Redactor::default()).expect("compose");
            all.into_iter().map(|t| t.condition).collect::<Vec<_>>()
        };
        let expected = [Condition::Ok, Condition::Failed, Condition::Skipped, Condition::Failed, Condition::Ok];
        assert_eq!(read_all(lines.join("\n")), expected);
        assert_eq!(read_all(format!("[{}]", lines.join(","))), expected);
        assert!(read(b"NAME  IMAGE", &Redactor::default()).is_none());
        assert_eq!(read(b"", &Redactor::default()).map(|all| all.len()), Some(0));
    }
}
