//! A mail: plain text, with a subject that stays the same for an incident, so that mail programs keep it together.

use super::{clipped, lines};
use crate::notify::model::Alert;

/// A header has no line ends, and long ones are folded by somebody else.
const SUBJECT: usize = 200;

/// Subject and body.
pub fn mail(alert: &Alert) -> (String, String) {
    let subject = format!("[obsctl {}] {}: {}", alert.environment, alert.subject, alert.key);
    let mut body = vec![alert.title().to_string(), String::new()];
    body.extend(lines(alert).iter().map(ToString::to_string));
    body.push(String::new());
    (clipped(&subject, SUBJECT), body.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::alert;
    use crate::notify::model::{Alert, AlertState};

    #[test]
    fn begin_and_end_have_one_subject() {
        let (begin, body) = super::mail(&alert());
        let (end, _) = super::mail(&Alert { state: AlertState::Resolved, says: "well".into(), ..alert() });
        assert_eq!(begin, end);
        assert!(!begin.contains('\n') && body.starts_with("FAILED backend: redis failed"));
    }
}
