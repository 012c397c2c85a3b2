//! What is said, when, and what survives.

use super::{Patient, Place};
use crate::support::SOON;
use lab::{
    eventually,
    web::{Act, Scripted, answer},
};

#[test]
fn a_failure_is_said_once_and_its_end_too_also_after_sigkill() {
    let (place, patient) = (Place::with(""), Patient::new());
    let mut watch = place.watch("", &patient).start();
    eventually(SOON, || if place.kept().contains("\"up\"") { Ok(()) } else { Err("not seen well yet".to_owned()) });
    patient.is(false);
    watch.says("FAILED    http://127.0.0.1");
    let second = place.watch("--for 1s", &patient).run();
    second.ends(2).warns(&["another obsctl watch of the same targets is running"]);
    watch.signal("KILL");
    let ran = watch.end(SOON);
    assert_eq!((ran.status, ran.count("FAILED    ")), (137, 1), "{}", ran.out);
    assert!(ran.out.contains("redis failed") && !place.kept().contains("Tr0ub4dor") && !ran.out.contains("Tr0ub4dor"), "{}", ran.out);
    // It knows that this was said, and says the end of it.
    let mut watch = place.watch("", &patient).start();
    eventually(SOON, || if watch.err().lines().count() < 2 && place.kept().contains("\"told\":true") { Ok(()) } else { Err(place.kept()) });
    patient.is(true);
    watch.says("ok again");
    watch.signal("INT");
    let ran = watch.end(SOON).ends(130).shows(&["UPTIME", "P95", "LAST PROBES", "well after"]);
    assert_eq!(ran.count("FAILED    "), 0, "{}", ran.out);
}

#[test]
fn it_ends_by_itself_with_what_it_knows() {
    let (place, patient) = (Place::with(""), Patient::new());
    let ran = place.watch("--for 1s", &patient).run().ends(0).shows(&["OK", "1 subject is well", "100.0 %", "·"]);
    assert_eq!(ran.err, "watching 1 subject every 150 ms; nobody is told: the configuration names no channel for that\n");
    patient.is(false);
    // A silence: nobody is told, and the summary is as bad as things are.
    let ran = place.watch("--for 4s --silence 1h -o json", &patient).run().ends(1);
    let json = ran.json();
    assert_eq!((&json["kind"], &json["verdict"]), (&"watch".into(), &"failed".into()));
    assert_eq!((&json["facts"]["untold"], &json["findings"][0]["code"]), (&0.into(), &"subject-down".into()), "{json:#}");
    // What is still there when it is over is told.
    let told = place.watch("--for 3s -o ndjson", &patient).run().ends(1).ndjson();
    assert_eq!((&told[0]["kind"], &told[0]["alert"]["state"]), (&"obsctl.alert".into(), &"firing".into()), "{told:#?}");
    assert_eq!(told.len(), 2, "{told:#?}");
    // Always in a window.
    let quiet = Place::with("    watch: {windows: [{from: '00:00', lasts: 24h}]}\n");
    let ran = quiet.watch("--for 4s", &patient).run().ends(1);
    assert_eq!(ran.count("FAILED    "), 0, "{}", ran.out);
    Place::with("    watch: {windows: [{from: '25:00', lasts: 24h}]}\n").watch("", &patient).run().ends(2).warns(&["no clock time"]);
}

#[test]
fn health_with_watch_is_the_same_watch() {
    let (place, patient) = (Place::with(""), Patient::new());
    let live = place.run("health --watch").arg(&patient.url()).start();
    eventually(SOON, || if live.err().contains("watching 1 subject every 60.0 s") { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    live.end(SOON).ends(130).shows(&["1 subject is well", "UPTIME"]);
    patient.is(false);
    // It knows what the other one has seen: the state is that of the targets.
    let ran = place.watch("--for 1s --fail-after 1", &patient).run().ends(1);
    assert!(ran.count("FAILED    ") == 1 && ran.out.contains("·") && ran.out.contains('X'), "{}", ran.out);
}

#[test]
fn when_nothing_answers_it_is_us_and_the_sign_of_life_stops() {
    let (place, patient) = (Place::with(""), Patient::new());
    let switch = Scripted::start(|_| Act::Say(answer("200 OK", "text/plain", "OK"))).unwrap();
    let ran = place.watch("--for 1s --ping", &patient).arg(&switch.url("/uuid?token=Tr0ub4dor")).run();
    ran.ends(0).never_says(&["Tr0ub4dor"]);
    let heard = switch.asked().len();
    assert!(heard >= 3, "{heard}");
    // Two names that nobody knows.
    let words = "watch --interval 150ms --for 1500ms http://a.invalid/ http://b.invalid/";
    let ran = place.run(words).arg("--ping").arg(&switch.url("/uuid")).run();
    ran.ends(3).shows(&["cannot reach anything: it is me", "?"]).never_says(&["FAILED    "]);
    assert_eq!(switch.asked().len(), heard);
    place.run("watch --for 1s ftp://nowhere/").run().ends(2);
}
