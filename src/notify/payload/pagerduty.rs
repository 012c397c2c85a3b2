//! PagerDuty's Events API v2: the key of the incident makes a repetition harmless and ties the end to its begin.

use super::clipped;
use crate::notify::model::{Alert, AlertRoute, AlertState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const SUMMARY: usize = 1_024;
const KEY: usize = 255;

/// The body of `POST https://events.pagerduty.com/v2/enqueue`. `routing_key` is the integration's secret: the body is never shown.
pub fn pagerduty(alert: &Alert, routing_key: &str) -> Value {
    let key = dedup_key(&alert.environment, &alert.key);
    if alert.state == AlertState::Resolved {
        return json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": key});
    }
    let severity = match alert.route {
        AlertRoute::Page => "critical",
        AlertRoute::Notify => "warning",
        AlertRoute::Record => "info",
    };
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": key,
        "payload": {
            "summary": clipped(&alert.title(), SUMMARY),
            "source": clipped(&alert.subject, SUMMARY),
            "severity": severity,
            "timestamp": alert.since.to_string(),
            "custom_details": {"evidence": alert.evidence, "changed": alert.changed, "runbook": alert.runbook, "may_be_a_repetition": alert.again},
        },
    })
}

/// The same incident has the same key on every machine and after every restart; a long one is replaced by its hash.
fn dedup_key(environment: &str, key: &str) -> String {
    let whole = format!("obsctl/{environment}/{key}");
    if whole.len() <= KEY {
        whole
    } else {
        format!("obsctl/{}", Sha256::digest(whole).iter().map(|b| format!("{b:02x}")).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::alert, *};

    #[test]
    fn begin_and_end_share_a_key() {
        let begin = pagerduty(&alert(), "R0UT1NG");
        let end = pagerduty(&Alert { state: AlertState::Resolved, ..alert() }, "R0UT1NG");
        assert_eq!((&begin["dedup_key"], &begin["event_action"]), (&end["dedup_key"], &json!("trigger")));
        assert_eq!((end["event_action"].as_str(), begin["payload"]["severity"].as_str()), (Some("resolve"), Some("critical")));
    }

    #[test]
    fn a_key_is_never_too_long() {
        assert!(dedup_key("production", &"x".repeat(1_000)).len() <= KEY);
        assert_ne!(dedup_key("production", &"x".repeat(1_000)), dedup_key("production", &"x".repeat(1_001)));
    }
}
