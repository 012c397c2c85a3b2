//! The words that endpoints use for how they are. A word that is not here is `Unknown`: nothing is taken for well that did not say so.

use crate::health::model::Condition;

/// What a word means, alone or before a `:` or a `(`. None: nobody knows.
pub(super) fn condition(text: &str) -> Option<Condition> {
    let text = text.trim();
    let before = |mark| text.split_once(mark).map(|(word, _)| word);
    [Some(text), before(':'), before('('), before(',')].into_iter().flatten().find_map(known)
}

/// One word, or a few: what is longer is prose.
fn known(word: &str) -> Option<Condition> {
    if word.len() > 40 {
        return None;
    }
    exact(&word.trim().trim_end_matches(['.', '!']).to_ascii_lowercase().replace(['_', '-'], " "))
}

fn exact(word: &str) -> Option<Condition> {
    Some(match word {
        "ok" | "okay" | "healthy" | "up" | "pass" | "passed" | "passing" | "working" | "ready" | "alive" | "live" | "green" | "good"
        | "success" | "successful" | "running" | "available" | "connected" | "reachable" | "online" | "operational" | "pong" | "true"
        | "yes" | "normal" | "serving" | "fine" | "well" => Condition::Ok,
        "degraded" | "warn" | "warning" | "yellow" | "slow" | "partial" => Condition::Degraded,
        "fail" | "failed" | "failing" | "failure" | "error" | "err" | "errors" | "critical" | "down" | "unhealthy" | "not ready"
        | "notready" | "not ok" | "unavailable" | "dead" | "out of service" | "red" | "broken" | "timeout" | "timed out"
        | "disconnected" | "not connected" | "unreachable" | "offline" | "unexpected result" | "unexpected error" | "unknown error"
        | "outage" | "bad" | "false" | "no" | "fatal" | "not serving" | "exception" | "refused" | "not working" | "not healthy" => {
            Condition::Failed
        }
        "skip" | "skipped" | "excluded" | "disabled" | "not configured" | "n/a" | "not applicable" => Condition::Skipped,
        "unknown" => Condition::Unknown,
        _ => return None,
    })
}

/// Keys that say something about the answer, not about a part.
pub(super) fn is_metadata(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    matches!(
        key.as_str(),
        "version"
            | "build"
            | "uptime"
            | "time"
            | "timestamp"
            | "date"
            | "now"
            | "commit"
            | "sha"
            | "revision"
            | "release"
            | "releaseid"
            | "serviceid"
            | "service"
            | "app"
            | "application"
            | "name"
            | "description"
            | "hostname"
            | "host"
            | "env"
            | "environment"
            | "region"
            | "pod"
            | "node"
            | "notes"
            | "links"
            | "output"
            | "message"
            | "detail"
            | "duration"
            | "totalduration"
            | "started"
            | "tag"
            | "image"
            | "python"
            | "django"
            | "groups"
            | "debug"
    ) || ["_at", "_time", "_ms", "_id", "_version", "_sha", "_seconds", "_date", "_count", "_name"].iter().any(|end| key.ends_with(end))
}

/// The keys under which a whole, or a part, says how it is.
pub(super) const STATUS_KEYS: &[&str] =
    &["status", "state", "health", "result", "healthy", "ok", "alive", "ready", "live", "is_healthy", "success"];

/// The keys under which a part says why.
pub(super) const REASON_KEYS: &[&str] =
    &["error", "message", "output", "reason", "detail", "description", "exception", "errors", "messages", "details", "data", "note"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_say_and_no_more() {
        for (text, is) in [
            ("ok", Some(Condition::Ok)),
            (" Healthy. ", Some(Condition::Ok)),
            ("OK (3 ms)", Some(Condition::Ok)),
            ("Unavailable: could not connect", Some(Condition::Failed)),
            ("error: ok", Some(Condition::Failed)),
            ("OUT_OF_SERVICE", Some(Condition::Failed)),
            ("not-ready", Some(Condition::Failed)),
            ("Warning: RAM", Some(Condition::Degraded)),
            ("unexpected result: Connection Error", Some(Condition::Failed)),
            ("okeydokey", None),
            ("okay-ish", None),
            ("", None),
            ("7", None),
        ] {
            assert_eq!(condition(text), is, "{text}");
        }
    }
}
