//! When beat last ran, and whether it should have run since. When it is dead every queue is empty, and looks well. Pure.

use crate::{
    answer::{Finding, Severity},
    celery::model::{BeatEntry, BeatFacts, BeatSaid},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// django_celery_beat writes down what it ran every three minutes; a minute more for a busy machine.
const WRITTEN_AFTER: SignedDuration = SignedDuration::from_mins(4);

/// What the entries say together. None: there is none.
pub fn beat(facts: &BeatFacts) -> Option<(BeatSaid, Vec<Finding>)> {
    let now = facts.observed_at;
    let last = facts.entries.iter().filter_map(|entry| entry.last_run).max();
    // The one that runs most often tells soonest.
    let mut judged: Vec<(&BeatEntry, Timestamp, SignedDuration)> = facts.entries.iter().filter_map(|entry| due(entry, now)).collect();
    judged.sort_by_key(|(entry, ..)| entry.every_s);
    let ran = match last {
        Some(at) => safe!("last ran {}, {} ago (django_celery_beat)", clock(at), units::duration(now.duration_since(at))),
        None if facts.entries.is_empty() => return None,
        None => "never ran (django_celery_beat)".into(),
    };
    let Some((first, due, _)) = judged.first() else {
        return Some((BeatSaid { says: safe!("{}; no entry has a schedule that tells when it is late", ran), late: false }, Vec::new()));
    };
    let late: Vec<_> = judged.iter().filter(|(_, _, by)| *by > WRITTEN_AFTER).collect();
    // One that runs proves that beat lives.
    if late.len() < judged.len() || late.is_empty() {
        return Some((BeatSaid { says: safe!("{}; {} due {}", ran, first.name, clock(*due)), late: false }, Vec::new()));
    }
    let since = first.last_run.or(first.changed).map(|at| units::duration(now.duration_since(at))).unwrap_or_default();
    let every = units::duration(SignedDuration::from_secs(i64::try_from(first.every_s.unwrap_or_default()).unwrap_or(i64::MAX)));
    let says = safe!("beat has not run {} for {} though it is due every {}", first.name, since, every);
    let mut finding = Finding::new("beat-late", Severity::Failed, says.clone());
    for (entry, due, by) in late.iter().take(5) {
        finding = finding.evidence(safe!("{}: due {}, late by {}", entry.name, clock(*due), units::duration(*by)));
    }
    Some((BeatSaid { says: safe!("{}; {}", ran, says), late: true }, vec![finding]))
}

/// When an entry is due, and by how much it is late.
fn due(entry: &BeatEntry, now: Timestamp) -> Option<(&BeatEntry, Timestamp, SignedDuration)> {
    let every = SignedDuration::from_secs(i64::try_from(entry.every_s?).ok()?);
    // A changed entry begins anew.
    let from = entry.last_run.max(entry.changed)?;
    let due = from.checked_add(every).ok()?;
    Some((entry, due, now.duration_since(due)))
}

fn clock(at: Timestamp) -> Safe {
    Safe::name(at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::decode::beat::beat as decode;

    fn of(entries: &str) -> Option<(BeatSaid, Vec<Finding>)> {
        beat(&decode(format!(r#"{{"now": "2026-11-21T12:00:00+00:00", "entries": [{entries}]}}"#).as_bytes()).unwrap())
    }

    fn entry(name: &str, last: &str, schedule: &str) -> String {
        let last = if last.is_empty() { "null".to_owned() } else { format!("\"2026-11-21T{last}+00:00\"") };
        let none = r#""every": null, "period": null, "minute": null, "hour": null, "day_of_week": null, "day_of_month": null, "month_of_year": null"#;
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&format!("{{{none}}}")).unwrap();
        let own: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&format!(
            r#"{{"name": "{name}", "task": "t", "last_run_at": {last}, "date_changed": "2026-11-20T00:00:00+00:00", "total_run_count": 3, {schedule}}}"#
        ))
        .unwrap();
        fields.extend(own);
        serde_json::Value::from(fields).to_string()
    }

    const EVERY_30_S: &str = r#""every": 30, "period": "seconds""#;
    const EVERY_5_M: &str = r#""minute": "*/5", "hour": "*", "day_of_week": "*", "day_of_month": "*", "month_of_year": "*""#;
    const NIGHTLY: &str = r#""minute": "0", "hour": "3", "day_of_week": "*", "day_of_month": "*", "month_of_year": "*""#;

    #[test]
    fn a_beat_that_stopped_is_late() {
        let (said, findings) = of(&[entry("sync", "11:50:00", EVERY_30_S), entry("report", "11:45:00", EVERY_5_M)].join(",")).unwrap();
        assert!(said.late, "{}", said.says);
        assert_eq!(findings[0].says.as_str(), "beat has not run sync for 10m though it is due every 30.0 s");
    }

    #[test]
    fn a_beat_that_lives_is_not() {
        // It writes down what it did every three minutes.
        for entries in [
            entry("sync", "11:57:00", EVERY_30_S),
            [entry("sync", "11:50:00", EVERY_30_S), entry("report", "11:58:00", EVERY_5_M)].join(","),
            entry("night", "03:00:00", NIGHTLY),
        ] {
            let (said, findings) = of(&entries).unwrap();
            assert!(!said.late && findings.is_empty(), "{}", said.says);
        }
        assert!(of("").is_none());
    }

    #[test]
    fn one_that_never_ran_is_counted_from_its_last_change() {
        let (said, _) = of(&entry("sync", "", EVERY_30_S)).unwrap();
        assert!(said.late && said.says.starts_with("never ran"), "{}", said.says);
    }

    #[test]
    fn what_is_no_schedule_says_so() {
        for raw in ["", "{}", r#"{"now": "noon", "entries": []}"#] {
            assert!(decode(raw.as_bytes()).is_err(), "{raw}");
        }
    }
}
