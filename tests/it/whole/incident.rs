//! `obsctl incident`: well, with a harm, where nothing answers, where it is stopped, and what it refuses.

use super::{Hung, SOON, at};
use crate::support::obsctl;
use lab::{eventually, hand::Lab, sandbox::Profile};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

#[test]
fn a_production_that_is_well_and_one_that_is_not() {
    // Its harm is nobody else's.
    let lab = Lab::start().unwrap();
    let sandbox = lab.sandbox_local(Profile::A);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let incident = |name: &str, more: &str| at(&sandbox, "incident").arg_all(more).arg(file(name).to_str().unwrap());
    // Beat has run, and the replica has caught up.
    let ran = eventually(SOON, || {
        let _ = fs::remove_file(file("well.md"));
        let ran = incident("well.md", "").run();
        if ran.status == 0 { Ok(ran) } else { Err(format!("{}{}", ran.out, ran.err)) }
    });
    ran.shows(&["demo", "written to", "well.md", "obsctl check", "obsctl errors --since 3600s", "obsctl queue depth", "obsctl db slow"])
        .shows(&["left out: changes --since 3600s: no Kubernetes here; health: no app has a URL here"])
        .never_says(&["BAD NEWS", "UNKNOWN"]);
    let text = fs::read_to_string(file("well.md")).unwrap();
    assert_eq!(fs::metadata(file("well.md")).unwrap().permissions().mode() & 0o777, 0o600);
    for part in ["check", "errors --since 3600s", "queue depth", "queue workers", "db activity", "db locks", "db slow"] {
        assert_eq!(text.matches(&format!("\n## `obsctl {part}`\n\n```text\ndemo")).count(), 1, "{part}: {text}");
    }
    assert!(text.starts_with("# Incident in demo, ") && text.contains("Secrets were removed.") && text.contains("\nLeft out: changes"));

    // What is there is never overwritten.
    incident("well.md", "").run().ends(2).warns(&["well.md"]);
    assert_eq!(fs::read_to_string(file("well.md")).unwrap(), text);

    let planted = sandbox.traffic().fault("failing-task").unwrap();
    let request = planted.iter().find_map(|planted| planted.request_id.clone()).unwrap();
    let harmed = sandbox.traffic().harm("orphan-queue", &[]).unwrap();
    let answer = eventually(SOON, || {
        let _ = fs::remove_file(file("ill.md"));
        let ran = incident("ill.md", &format!("--since 30m -o json -r {request}")).run();
        let json = ran.json();
        let named =
            json["findings"].as_array().unwrap().iter().any(|f| f["says"].as_str().unwrap().contains("obsctl check: WARN  queues: "));
        if ran.status == 0 && named { Ok(json) } else { Err(format!("{json:#}")) }
    });
    harmed.restore().unwrap();
    assert_eq!((&answer["kind"], &answer["verdict"]), (&"incident".into(), &"warning".into()), "{answer:#}");
    let parts = answer["facts"]["parts"].as_array().unwrap();
    let status = |command: &str| &parts.iter().find(|part| part["command"] == command).unwrap_or_else(|| panic!("{answer:#}"))["status"];
    assert_eq!((status("obsctl check"), status("obsctl queue depth"), status("obsctl queue workers")), (&4.into(), &4.into(), &0.into()));
    assert_eq!(status(&format!("obsctl logs --request-id {request}")), 0);
    assert_eq!(status("obsctl errors --since 1800s"), 0);
    let text = fs::read_to_string(file("ill.md")).unwrap();
    assert!(text.contains("| WARNING | `obsctl check` | ") && text.contains(&request) && text.contains("mail.send_receipt"), "{text}");
    lab.close().unwrap();
}

#[test]
fn what_is_mistyped_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &str| {
        let ran = obsctl(Path::new("/nowhere"), words)
            .arg_all("--config c.yaml")
            .file("c.yaml", "environments: {a: {apps: {x: {url: 'http://127.0.0.1:1'}}}}");
        ran.run()
    };
    let place = folder.path().display();
    run(&format!("incident {place}/no/such/folder.md")).ends(2).warns(&["creating", "No such file"]);
    run(&format!("incident {place}")).ends(2);
    run(&format!("incident {place}/x.md --since yesterday")).ends(2).warns(&["a duration, as in 30m or 2h"]);
    run(&format!("incident {place}/x.md --since 0s")).ends(2);
    run(&format!("incident {place}/x.md -e nowhere")).ends(2).warns(&["nowhere"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn where_nothing_answers_the_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.md");
    let config = "environments:\n  gone:\n    apps: {web: {url: 'http://127.0.0.1:1', health: /h}}\n    \
         postgres: {main: {url: 'postgres://a:pw-gone@127.0.0.1:1/shop', via: direct}}\n    broker: {url: 'redis://:pw-gone@127.0.0.1:1/0', via: direct}\n";
    let ran = obsctl(Path::new("/nowhere"), "incident --config c.yaml").arg(file.to_str().unwrap()).file("c.yaml", config).run();
    let ran = ran.ends(1).shows(&["written to", "UNKNOWN", "obsctl db activity", "left out:", "no app has logs here"]);
    ran.shows(&["BAD NEWS", "obsctl health"]).never_says(&["pw-gone"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("| UNKNOWN | `obsctl db activity` | ") && !text.contains("pw-gone"), "{text}");
}

#[test]
fn where_everything_hangs_it_ends_with_its_deadline_and_at_once_when_stopped() {
    let mut hung = Hung::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let incident = |name: &str| obsctl(Path::new("/nowhere"), "incident --config c.yaml").arg(&file(name)).file("c.yaml", &hung.config());
    let (late, stopped) = (incident("late.md").arg_all("--deadline 4s"), incident("stopped.md"));
    // Its own deadline stops it: what is known by then is written.
    let ran = late.start().end(Duration::from_secs(30)).ends(124);
    assert!(fs::read_to_string(file("late.md")).unwrap().contains("# Incident in hung, "), "{ran:?}");
    hung.came();
    let live = stopped.start();
    eventually(SOON, || if hung.came() > 0 { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    live.end(Duration::from_secs(10)).ends(130).shows(&["written to"]);
    let text = fs::read_to_string(file("stopped.md")).unwrap();
    assert!(text.contains("parts were not run: it was stopped before."), "{text}");
}
