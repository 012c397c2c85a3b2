//! A webhook of one's own: the alert itself, versioned.

use crate::notify::model::Alert;
use serde_json::{Value, json};

/// The body.
pub fn webhook(alert: &Alert) -> Value {
    json!({"kind": "obsctl.alert", "version": 1, "alert": alert, "title": alert.title()})
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_alert_itself() {
        let body = super::webhook(&super::super::tests::alert());
        assert_eq!((body["alert"]["key"].as_str(), body["alert"]["state"].as_str()), (Some("backend#3"), Some("firing")));
    }
}
