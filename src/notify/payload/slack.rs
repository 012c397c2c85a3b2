//! Slack's incoming webhooks. What an application said must not call a channel, so its three special characters are escaped.

use super::{clipped, lines};
use crate::notify::model::{Alert, AlertState};
use serde_json::{Value, json};

/// Slack cuts a text at 40,000 characters and an attachment much earlier; nobody reads so far.
const TEXT: usize = 3_000;

/// The body of `POST https://hooks.slack.com/services/…`.
pub fn slack(alert: &Alert) -> Value {
    let body: Vec<String> = lines(alert).iter().map(|line| escaped(line)).collect();
    let colour = match alert.state {
        AlertState::Firing => "danger",
        AlertState::Resolved => "good",
    };
    json!({
        "text": clipped(&escaped(&alert.title()), TEXT),
        "link_names": false,
        "unfurl_links": false,
        "attachments": [{"color": colour, "text": clipped(&body.join("\n"), TEXT), "footer": format!("{} · obsctl", escaped(&alert.key)), "ts": alert.since.as_second()}],
    })
}

/// `&`, `<` and `>` are all that Slack's markup begins with.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::alert;

    #[test]
    fn no_text_calls_a_channel() {
        let text = super::slack(&alert()).to_string();
        assert!(!text.contains("<!channel>") && !text.contains("<@U123>") && text.contains("&lt;!channel&gt;"));
        assert!(text.contains("Error 111 connecting to redis:6379 &amp; more"));
    }

    #[test]
    fn a_long_story_is_cut() {
        let mut long = alert();
        long.evidence = (0..1_000).map(|_| "a line of evidence that goes on and on".into()).collect();
        assert!(super::slack(&long).to_string().len() < 8_000);
    }
}
