//! `docker compose ps --format json`: an object per line since Compose 2.21, one list before; `docker ps --format json` too, which says less.
//! State and health as Docker itself sees them.

use crate::{
    health::model::{Asked, Condition, PodStanding, TargetHealth},
    safe,
    text::{Redactor, Safe},
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContainer {
    #[serde(default)]
    name: String,
    /// The only name in `docker ps`: several, behind commas.
    #[serde(default)]
    names: String,
    #[serde(default)]
    service: String,
    state: String,
    #[serde(default)]
    health: String,
    /// Not before 2.15.
    #[serde(default)]
    status: String,
    #[serde(default)]
    image: String,
    exit_code: Option<i64>,
    #[serde(default)]
    labels: Labels,
}

/// Text in the formatter's output, a map in the API's.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Labels {
    #[default]
    None,
    Text(String),
    Map(serde_json::Map<String, serde_json::Value>),
}

impl Labels {
    fn get(&self, name: &str) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Text(text) => text.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')),
            Self::Map(map) => map.get(name)?.as_str(),
        }
    }
}

/// The containers. None: it is not that output; nothing at all is no container.
pub fn read(bytes: &[u8], redact: &Redactor) -> Option<Vec<TargetHealth>> {
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok()?.trim();
    let all: Vec<RawContainer> = if text.starts_with('[') {
        serde_json::from_str(text).ok()?
    } else {
        text.lines().filter(|l| !l.trim().is_empty()).map(|line| serde_json::from_str(line).ok()).collect::<Option<_>>()?
    };
    let named = |raw: &RawContainer| !raw.name.is_empty() || !raw.names.is_empty();
    all.iter().all(named).then(|| all.into_iter().map(|raw| target(&raw, redact)).collect())
}

/// How Docker's own check of it went. `docker ps` says it in the status only.
fn health(raw: &RawContainer) -> &str {
    let said = |words| raw.status.ends_with(words);
    match raw.health.as_str() {
        "" if said("(healthy)") => "healthy",
        "" if said("(unhealthy)") => "unhealthy",
        "" if said("(health: starting)") => "starting",
        health => health,
    }
}

/// `Exited (137) 2 minutes ago`.
fn exit_code(raw: &RawContainer) -> Option<i64> {
    let of_status = || raw.status.strip_prefix("Exited (")?.split_once(')')?.0.parse().ok();
    raw.exit_code.or_else(of_status)
}

fn target(raw: &RawContainer, redact: &Redactor) -> TargetHealth {
    let state = raw.state.to_ascii_lowercase();
    let (health, code) = (health(raw), exit_code(raw));
    // `docker compose run`: whoever started it saw how it ended.
    let one_off = raw.labels.get("com.docker.compose.oneoff") == Some("True");
    let starting = state == "running" && health == "starting";
    let condition = match (state.as_str(), health) {
        ("running", "healthy" | "starting" | "" | "none") => Condition::Ok,
        ("running", "unhealthy") | ("dead" | "restarting" | "removing", _) => Condition::Failed,
        ("exited", _) if code == Some(0) || one_off => Condition::Skipped,
        ("exited", _) => Condition::Failed,
        ("paused" | "created", _) => Condition::Degraded,
        _ => Condition::Unknown,
    };
    let says = match (state.as_str(), health) {
        ("running", "unhealthy") => "its healthcheck fails".into(),
        ("exited", _) if one_off && code != Some(0) => safe!("ended with status {}; it was run by hand", code.unwrap_or(-1)),
        ("exited", _) => code.map_or_else(|| "ended".into(), |code| safe!("ended with status {}", code)),
        ("restarting", _) => "ends and is started again and again".into(),
        _ => Safe::name(&state),
    };
    let status = redact.safe(raw.status.as_bytes()).clipped(120);
    let name = if raw.name.is_empty() { raw.names.split(',').next().unwrap_or_default() } else { &raw.name };
    let service = if raw.service.is_empty() { raw.labels.get("com.docker.compose.service").unwrap_or_default() } else { &raw.service };
    let tag = tag(&raw.image);
    TargetHealth {
        name: Safe::name(name.trim_start_matches('/')),
        asked: Asked::Container,
        app: Some(Safe::name(service)).filter(|s| !s.is_empty()),
        question: Some("as Docker sees it".into()),
        exchange: None,
        body: None,
        condition,
        version: tag.clone(),
        pod: Some(PodStanding {
            ready: condition < Condition::Unknown,
            since: None,
            starting,
            new: false,
            leaving: false,
            restarts: 0,
            why: [Some(says), Some(status).filter(|s| !s.is_empty())].into_iter().flatten().collect(),
            image: tag,
        }),
        unasked: None,
    }
}

/// The tag of an image, where it says something: not of a bare ID, nor of a digest, nor `latest`.
fn tag(image: &str) -> Option<Safe> {
    let name = image.split('@').next().unwrap_or_default();
    let (name, tag) = name.rsplit('/').next()?.split_once(':')?;
    (name != "sha256" && tag != "latest" && !tag.is_empty()).then(|| Safe::name(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<TargetHealth> {
        let bytes = std::fs::read(format!("{}/tests/fixtures/health/compose/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a fixture");
        read(&bytes, &Redactor::default()).expect("compose")
    }

    #[test]
    fn every_version_says_the_same() {
        use Condition::{Failed, Ok, Skipped};
        let expected = [Ok, Failed, Ok, Skipped, Failed, Failed, Ok];
        for (file, one_offs) in [("v2.12-array.json", 0), ("v2.17-array.json", 0), ("v2.26-lines.json", 1), ("docker-ps-lines.json", 0)] {
            let all = fixture(file);
            let conditions: Vec<_> = all.iter().map(|t| t.condition).collect();
            assert_eq!(conditions[..7], expected, "{file}");
            // What was run by hand and failed is nobody's outage.
            assert_eq!(conditions[7..], vec![Skipped; one_offs], "{file}");
            assert_eq!((all[0].name.as_str(), all[0].app.as_ref().map(Safe::as_str)), ("shop-web-1", Some("web")), "{file}");
            let why = |at: usize| all[at].pod.as_ref().expect("its standing").why[0].as_str();
            assert_eq!((why(1), why(4)), ("its healthcheck fails", "ended with status 137"), "{file}");
            assert!(all[6].pod.as_ref().is_some_and(|p| p.starting && p.ready), "{file}");
        }
        let versions: Vec<_> = fixture("v2.26-lines.json").into_iter().map(|t| t.version.map(|v| v.to_string())).collect();
        assert_eq!((versions[0].as_deref(), versions[2].as_deref(), versions[6].as_deref()), (Some("0.57.0"), Some("7-alpine"), None));
    }

    #[test]
    fn what_is_another_output_is_not_taken_for_it() {
        for text in [
            "NAME  IMAGE",
            "{\"status\":\"ok\"}",
            "[{\"State\":\"running\"}]",
            "{\"Name\":\"x\"}",
            "[1]",
            "{\"Name\":1,\"State\":\"running\"}",
        ] {
            assert!(read(text.as_bytes(), &Redactor::default()).is_none(), "{text}");
        }
        for nothing in ["", "[]", "\n"] {
            assert_eq!(read(nothing.as_bytes(), &Redactor::default()).map(|all| all.len()), Some(0), "{nothing:?}");
        }
    }

    #[test]
    fn tags_that_say_nothing_are_left_out() {
        for (image, is) in [
            ("shop/web:0.57.0", Some("0.57.0")),
            ("registry.example:5000/shop/web", None),
            ("registry.example:5000/shop/web:1@sha256:aa", Some("1")),
            ("shop/web@sha256:aa", None),
            ("sha256:aa", None),
            ("redis:latest", None),
            ("", None),
        ] {
            assert_eq!(tag(image).as_ref().map(Safe::as_str), is, "{image}");
        }
    }
}
