//! No false alarms: an ordinary day in fast motion, and `obsctl queue depth` and `obsctl check` asked again and again. Nothing is wrong, so
//! they never say so.
//!
//! A factor of twelve: five minutes of `make soak` are an hour, and so are the thresholds. The test of every day takes half a minute.
#![expect(clippy::disallowed_methods, reason = "`make soak` says by a variable how long the day is")]

use crate::support::{SOON, obsctl};
use lab::{hand::Lab, sandbox::Profile};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, thread, time::Duration};
use tokio::time::Instant;

/// How much faster than life the day is.
const FACTOR: u64 = 12;

/// `thresholds:` of the broker, in the sandbox's time.
fn scaled() -> String {
    let defaults =
        [("oldest_warning", 120), ("oldest_failed", 600), ("growing_oldest_failed", 300), ("empty_in_warning", 600), ("stuck_after", 60)];
    let each: Vec<String> = defaults.iter().map(|(name, seconds)| format!("{name}: {}s", seconds / FACTOR)).collect();
    format!("{{{}}}", each.join(", "))
}

/// The sandbox's configuration with them.
fn config(original: &Path, folder: &Path) -> String {
    let text = fs::read_to_string(original).unwrap();
    let broker = "/CELERY_BROKER_URL}}";
    assert_eq!(text.matches(broker).count(), 1, "{text}");
    let path = folder.join("obsctl.yaml");
    fs::write(&path, text.replace(broker, &format!("/CELERY_BROKER_URL}}, thresholds: {}}}", scaled()))).unwrap();
    path.display().to_string()
}

#[test]
fn a_healthy_day_raises_no_alarm() {
    let seconds: u64 = std::env::var("OBSCTL_SOAK_SECONDS").map_or(30, |text| text.parse().unwrap());
    // Its workers are restarted all the time: nobody else is to live with that.
    let lab = Lab::start().unwrap();
    let sandbox = lab.sandbox_local(Profile::A);
    let folder = tempfile::tempdir().unwrap();
    let config = config(&sandbox.config, folder.path());
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut verdicts, mut checks): (BTreeMap<String, usize>, BTreeMap<String, usize>) = Default::default();
    thread::scope(|scope| {
        let day = scope.spawn(|| sandbox.traffic().plant(&["--soak", &seconds.to_string()]));
        // One rolling restart after the other, as a deployment does it: the new worker is ready before the old one ends.
        let rolling = scope.spawn(|| {
            for process in ["celery-1", "celery-2", "celery-mail-1"].iter().cycle() {
                if Instant::now() + Duration::from_secs(5) > end {
                    return Ok(());
                }
                sandbox.traffic().restart(process)?;
            }
            Ok::<(), lab::Failure>(())
        });
        while Instant::now() < end {
            let asked = obsctl(Path::new("/dev/null"), "queue depth -o json --config").arg(&config);
            // What earlier runs have seen is remembered, as on an operator's machine.
            let ran = asked.var("XDG_STATE_HOME", &folder.path().display().to_string()).start().end(SOON);
            assert!([0, 3].contains(&ran.status), "exit {}:\n{}\n{}", ran.status, ran.out, ran.err);
            let answer = ran.json();
            let queues = answer["facts"]["queues"].as_array().unwrap_or_else(|| panic!("no queues: {answer}"));
            let verdict = |value: &Value| value["verdict"].as_str().unwrap_or_default().to_owned();
            for queue in queues {
                assert_ne!(verdict(queue), "failed", "{queue}\n{}", ran.out);
            }
            *verdicts.entry(verdict(&answer)).or_default() += 1;
            // The whole runbook too: its queues, workers, databases, pods and logs.
            let asked = obsctl(Path::new("/dev/null"), "check -o json --config").arg(&config);
            let ran = asked.var("XDG_STATE_HOME", &folder.path().display().to_string()).start().end(SOON);
            let answer = ran.json();
            for check in answer["facts"]["checks"].as_array().unwrap_or_else(|| panic!("no checks: {answer}")) {
                assert_ne!(check["status"], "failed", "{check}\n{}", ran.out);
                let says = if check["status"] == "ok" { String::new() } else { check["says"].to_string() };
                *checks.entry(format!("{} {} {says}", check["name"], check["status"])).or_default() += 1;
            }
        }
        rolling.join().unwrap().unwrap();
        let day = day.join().unwrap().unwrap();
        assert!(!day.is_empty(), "the day had no traffic");
    });
    lab::say(&format!("{verdicts:?}\n{checks:#?}"));
    assert!(!verdicts.contains_key("failed") && verdicts.contains_key("ok"), "{verdicts:?}");
    lab.close().unwrap();
}
