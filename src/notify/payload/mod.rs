//! What each service wants to be told, in its own shape and within its own limits. Pure: bytes in, bytes out.

mod discord;
mod mail;
mod pagerduty;
mod slack;
mod webhook;

pub use discord::discord;
pub use mail::mail;
pub use pagerduty::pagerduty;
pub use slack::slack;
pub use webhook::webhook;

use super::model::{Alert, AlertState};
use crate::text::Safe;

/// A text of at most so many characters, which says that it was cut.
fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// The body as lines: since when, the evidence, what changed, what to do.
fn lines(alert: &Alert) -> Vec<Safe> {
    let mut lines = Vec::new();
    match (alert.state, alert.until) {
        (AlertState::Resolved, Some(until)) => lines.push(crate::safe!("from {:.0} to {:.0}", alert.since, until)),
        _ => lines.push(crate::safe!("since {:.0}", alert.since)),
    }
    lines.extend(alert.evidence.iter().cloned());
    if !alert.changed.is_empty() {
        lines.push("changed shortly before:".into());
        lines.extend(alert.changed.iter().map(|line| crate::safe!("  {}", *line)));
    }
    lines.extend(alert.runbook.iter().map(|url| crate::safe!("runbook {}", *url)));
    lines
}

#[cfg(test)]
pub(in crate::notify) mod tests {
    use super::*;
    use crate::notify::model::AlertRoute;

    /// An alert whose text tries to be more than text.
    pub fn alert() -> Alert {
        Alert {
            key: "backend#3".into(),
            state: AlertState::Firing,
            route: AlertRoute::Page,
            environment: "production".into(),
            subject: "backend".into(),
            says: "redis failed <!channel> @everyone <@U123>".into(),
            since: "2026-11-21T02:44:10Z".parse().expect("a time"),
            until: None,
            evidence: vec!["Error 111 connecting to redis:6379 & more".into()],
            changed: vec!["02:41 deploy/backend 0.56.2 → 0.57.0".into()],
            runbook: Some("https://runbooks.example/redis".into()),
            again: false,
        }
    }

    #[test]
    fn a_cut_says_so() {
        assert_eq!((clipped("äöü", 3).as_str(), clipped("äöüß", 3).as_str()), ("äöü", "äö…"));
    }
}
