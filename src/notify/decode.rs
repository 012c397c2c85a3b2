//! An alert as the outbox kept it → the alert. What was stored was safe and redacted; it is made safe again, since a file can be changed.

use super::model::{Alert, AlertRoute, AlertState};
use crate::text::Safe;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct RawAlert {
    key: String,
    state: RawState,
    route: RawRoute,
    environment: String,
    subject: String,
    says: String,
    since: Timestamp,
    until: Option<Timestamp>,
    #[serde(default)]
    evidence: Vec<String>,
    #[serde(default)]
    changed: Vec<String>,
    runbook: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawState {
    Firing,
    Resolved,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawRoute {
    Page,
    Notify,
    Record,
}

/// The alert of a letter, marked where it may have been told before. None: it is none.
pub fn alert(stored: &Value, again: bool) -> Option<Alert> {
    let raw = RawAlert::deserialize(stored).ok()?;
    let safe = |texts: Vec<String>| texts.iter().map(Safe::name).collect();
    Some(Alert {
        key: Safe::name(raw.key),
        state: match raw.state {
            RawState::Firing => AlertState::Firing,
            RawState::Resolved => AlertState::Resolved,
        },
        route: match raw.route {
            RawRoute::Page => AlertRoute::Page,
            RawRoute::Notify => AlertRoute::Notify,
            RawRoute::Record => AlertRoute::Record,
        },
        environment: Safe::name(raw.environment),
        subject: Safe::name(raw.subject),
        says: Safe::name(raw.says),
        since: raw.since,
        until: raw.until,
        evidence: safe(raw.evidence),
        changed: safe(raw.changed),
        runbook: raw.runbook.map(Safe::name),
        again,
    })
}

#[cfg(test)]
mod tests {
    use crate::notify::{model::Alert, payload::tests::alert};
    use serde_json::json;

    #[test]
    fn what_was_stored_comes_back() {
        let stored = serde_json::to_value(alert()).expect("JSON");
        assert_eq!(super::alert(&stored, false), Some(alert()));
        assert_eq!(super::alert(&stored, true), Some(Alert { again: true, ..alert() }));
        assert_eq!(super::alert(&json!({"key": 3}), false), None);
    }
}
