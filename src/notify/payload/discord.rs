//! Discord's webhooks. Its limits are hard: beyond them the whole message is refused. Mentions are switched off.

use super::{clipped, lines};
use crate::notify::model::{Alert, AlertState};
use serde_json::{Value, json};

/// Discord's limits, in characters.
const TITLE: usize = 256;
const DESCRIPTION: usize = 4_096;
const CONTENT: usize = 2_000;

/// The body of `POST https://discord.com/api/webhooks/…`.
pub fn discord(alert: &Alert) -> Value {
    let body: Vec<String> = lines(alert).iter().map(ToString::to_string).collect();
    let colour = match alert.state {
        AlertState::Firing => 0xD0_2F_2F,
        AlertState::Resolved => 0x2E_9E_4F,
    };
    json!({
        "content": clipped(&alert.title(), CONTENT),
        "allowed_mentions": {"parse": []},
        "embeds": [{
            "title": clipped(&alert.subject, TITLE),
            "description": clipped(&body.join("\n"), DESCRIPTION),
            "color": colour,
            "timestamp": alert.since.to_string(),
            "footer": {"text": clipped(&format!("{} · obsctl", alert.key), TITLE)},
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::alert;

    #[test]
    fn mentions_are_off_and_limits_are_kept() {
        let mut long = alert();
        long.says = crate::text::Safe::name("x".repeat(10_000));
        long.evidence = (0..1_000).map(|_| "a line of evidence that goes on and on".into()).collect();
        let body = super::discord(&long);
        assert_eq!(body["allowed_mentions"]["parse"], serde_json::json!([]));
        let length = |value: &serde_json::Value| value.as_str().unwrap_or_default().chars().count();
        let embed = &body["embeds"][0];
        assert!(length(&body["content"]) <= 2_000 && length(&embed["title"]) <= 256 && length(&embed["description"]) <= 4_096);
        assert!(length(&embed["title"]) + length(&embed["description"]) + length(&embed["footer"]["text"]) <= 6_000);
    }
}
