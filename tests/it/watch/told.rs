//! Who is told, by receivers that take it, fail, ask for patience, hang, and by an end between every two steps.

use super::{Patient, Place};
use crate::support::SOON;
use lab::{
    eventually,
    mail::MailServer,
    web::{Act, Scripted, answer, redirect},
};
use serde_json::Value;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// A receiver that answers so the first times, and takes it then.
pub(super) fn receiver(first: Vec<Act>) -> Scripted {
    let count = AtomicUsize::new(0);
    Scripted::start(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        first.get(n).cloned().unwrap_or_else(|| Act::Say(answer("200 OK", "text/plain", "ok")))
    })
    .unwrap()
}

pub(super) fn says(status: &str, more: &str) -> Act {
    Act::Say(format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\n\r\n").into_bytes())
}

pub(super) fn place(channels: &str) -> Place {
    Place::with(&format!("    notify:\n      runbook: 'https://runbooks.example/site'\n      channels: {{{channels}}}\n"))
}

/// The states and marks of the alerts that a webhook got.
pub(super) fn alerts(of: &Scripted) -> Vec<(String, bool)> {
    let parsed = of.told().into_iter().map(|text| serde_json::from_str::<Value>(&text).unwrap());
    parsed.map(|v| (v["alert"]["state"].as_str().unwrap().to_owned(), v["alert"]["again"].as_bool().unwrap())).collect()
}

#[track_caller]
pub(super) fn comes_to(of: &Scripted, count: usize) {
    eventually(SOON, || if of.told().len() >= count { Ok(()) } else { Err(format!("{:?}", of.told())) });
}

#[test]
fn every_kind_of_channel_is_told_of_the_begin_and_the_end() {
    let (hook, slack, discord, pager, mails) =
        (receiver(vec![]), receiver(vec![]), receiver(vec![]), receiver(vec![]), MailServer::start().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let place = place(&format!(
        "hook: {{webhook: '{}'}}, slack: {{slack: '{}'}}, discord: {{discord: '{}'}}, pager: {{pagerduty: R0UT1NG, url: '{}'}}, \
         mail: {{mail: {{smtp: '{}', from: obsctl@example.org, to: [ops@example.org]}}}}, own: {{command: [sh, -c, 'cat >> {}; echo >> {}']}}",
        hook.url("/hook/s3cret-path"),
        slack.url("/services/s3cret-path"),
        discord.url("/api/webhooks/s3cret-path"),
        pager.url("/v2/enqueue"),
        mails.url(),
        file.display(),
        file.display(),
    ));
    let patient = Patient::new();
    let mut watch = place.watch("-v", &patient).start();
    eventually(SOON, || if place.kept().contains("\"up\"") { Ok(()) } else { Err("not seen well yet".to_owned()) });
    patient.is(false);
    watch.says("FAILED    ");
    [&hook, &slack, &discord, &pager].into_iter().for_each(|of| comes_to(of, 1));
    patient.is(true);
    watch.says("ok again");
    [&hook, &slack, &discord, &pager].into_iter().for_each(|of| comes_to(of, 2));
    let own = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually(SOON, || {
        if mails.mails().len() == 2 && own().lines().count() == 2 { Ok(()) } else { Err(format!("{:?} {}", mails.mails(), own())) }
    });
    eventually(SOON, || if place.kept().contains("\"letters\":[]") { Ok(()) } else { Err(place.kept()) });
    watch.signal("TERM");
    let ran = watch.end(SOON);
    assert_eq!(ran.status, 143, "{}", ran.err);
    assert!(ran.err.contains("; discord, hook, mail, own, pager, slack will be told"), "{}", ran.err);
    assert_eq!(alerts(&hook), [("firing".to_owned(), false), ("resolved".to_owned(), false)]);
    let told = [hook.told(), slack.told(), discord.told(), mails.mails(), vec![own()]].concat();
    assert!(told.iter().all(|text| text.contains("lab")), "{told:#?}");
    assert!(told.iter().any(|text| text.contains("runbooks.example")), "{told:#?}");
    let events: Vec<Value> = pager.told().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!((&events[0]["event_action"], &events[1]["event_action"]), (&"trigger".into(), &"resolve".into()));
    assert_eq!((&events[0]["dedup_key"], &events[0]["routing_key"]), (&events[1]["dedup_key"], &"R0UT1NG".into()));
    for text in told.iter().chain([&ran.out, &ran.err, &place.kept()]) {
        assert!(!["s3cret-path", "Tr0ub4dor", "R0UT1NG"].iter().any(|secret| text.contains(secret)), "{text}");
    }
}

#[test]
fn a_receiver_that_fails_asks_for_patience_or_hangs_is_told_in_the_end_and_holds_up_nobody() {
    let slow = receiver(vec![says("429 Too Many Requests", "Retry-After: 1\r\n"), says("503 Service Unavailable", "Retry-After: 0\r\n")]);
    let (hangs, fine) = (receiver(vec![Act::Hang]), receiver(vec![]));
    let refuses = Scripted::start(|_| says("404 Not Found", "")).unwrap();
    let elsewhere = receiver(vec![]);
    let to = elsewhere.url("/there");
    let leads = Scripted::start(move |_| Act::Say(redirect(&to))).unwrap();
    let place = place(&format!(
        "slow: {{webhook: '{}'}}, hangs: {{webhook: '{}'}}, fine: {{webhook: '{}'}}, refuses: {{webhook: '{}'}}, leads: {{webhook: '{}'}}",
        slow.url("/a"),
        hangs.url("/b"),
        fine.url("/c"),
        refuses.url("/d"),
        leads.url("/e"),
    ));
    let patient = Patient::new();
    patient.is(false);
    let mut watch = place.watch("", &patient).start();
    comes_to(&fine, 1);
    let asked = patient.server.asked().len();
    comes_to(&slow, 3);
    // The rounds go on while a receiver hangs.
    eventually(SOON, || if patient.server.asked().len() > asked + 3 { Ok(()) } else { Err("the rounds stand still".to_owned()) });
    comes_to(&hangs, 2);
    assert_eq!(alerts(&hangs).iter().map(|(_, again)| *again).collect::<Vec<_>>(), [false, true]);
    assert_eq!(alerts(&slow).iter().map(|(_, again)| *again).collect::<Vec<_>>(), [false; 3]);
    eventually(SOON, || if place.kept().contains("\"letters\":[]") { Ok(()) } else { Err(place.kept()) });
    patient.is(true);
    watch.says("ok again");
    comes_to(&fine, 2);
    watch.signal("INT");
    let ran =
        watch.end(SOON).ends(130).warns(&["refuses was not told", "answered 404", "leads was not told", "a redirect is not followed"]);
    assert!(elsewhere.asked().is_empty() && ran.err.contains("slow could not be told"), "{}", ran.err);
}

/// Ends a watch with SIGKILL when `now` says so, starts it again, and gives what arrived.
fn killed(first: Vec<Act>, now: impl Fn(&Place, &Scripted) -> bool) -> Vec<(String, bool)> {
    let hook = receiver(first);
    let place = place(&format!("hook: {{webhook: '{}'}}", hook.url("/hook")));
    let patient = Patient::new();
    patient.is(false);
    let watch = place.watch("", &patient).start();
    eventually(SOON, || if now(&place, &hook) { Ok(()) } else { Err(place.kept()) });
    watch.signal("KILL");
    assert_eq!(watch.end(SOON).status, 137);
    let again = place.watch("", &patient).start();
    eventually(SOON, || if place.kept().contains("\"letters\":[]") && !hook.told().is_empty() { Ok(()) } else { Err(place.kept()) });
    // Where nothing was left to tell, it may not even have begun: Ctrl-C counts once it listens for it.
    eventually(SOON, || if again.err().contains("watching 1 subject") { Ok(()) } else { Err(again.err()) });
    again.signal("INT");
    again.end(SOON).ends(130);
    alerts(&hook)
}

#[test]
fn an_end_at_any_step_loses_nothing_and_repeats_once_and_marked() {
    let firing = |again| ("firing".to_owned(), again);
    let written = |place: &Place| place.kept().contains("\"on_its_way\":true");
    // On its way, and nobody knows whether it arrived.
    assert_eq!(killed(vec![Act::Hang], |place, hook| written(place) && hook.told().len() == 1), [firing(false), firing(true)]);
    let late = Act::SayLate(Duration::from_secs(2), answer("200 OK", "text/plain", "ok"));
    assert_eq!(killed(vec![late], |_, hook| hook.told().len() == 1), [firing(false), firing(true)]);
    // Refused for now: it did not arrive, so that the next one is no repetition.
    let busy = says("503 Service Unavailable", "Retry-After: 1\r\n");
    assert_eq!(killed(vec![busy], |place, hook| hook.told().len() == 1 && !written(place)), [firing(false), firing(false)]);
    // Taken, and that is known.
    assert_eq!(killed(vec![], |place, hook| hook.told().len() == 1 && place.kept().contains("\"letters\":[]")), [firing(false)]);
}

#[test]
fn a_state_that_cannot_be_written_keeps_nobody_from_being_told() {
    let hook = receiver(vec![]);
    let place = place(&format!("hook: {{webhook: '{}'}}", hook.url("/hook")));
    let patient = Patient::new();
    let watch = place.watch("", &patient).start();
    eventually(SOON, || if place.kept().contains("\"up\"") { Ok(()) } else { Err("not seen well yet".to_owned()) });
    let folder = glob::glob(&format!("{}/state/obsctl/watch/*", place.0.path().display())).unwrap().flatten().next().unwrap();
    // Not a full disk, but as hard to write to.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    patient.is(false);
    comes_to(&hook, 1);
    patient.is(true);
    comes_to(&hook, 2);
    watch.signal("INT");
    watch.end(SOON).ends(130).warns(&["the state of the watch cannot be written"]);
    assert_eq!(alerts(&hook), [("firing".to_owned(), false), ("resolved".to_owned(), false)]);
}

#[test]
fn notify_test_tries_the_channels() {
    let (fine, mails) = (receiver(vec![]), MailServer::start().unwrap());
    let refuses = Scripted::start(|_| says("403 Forbidden", "")).unwrap();
    let place = place(&format!(
        "fine: {{webhook: '{}'}}, refuses: {{slack: '{}'}}, mail: {{mail: {{smtp: '{}', from: a@example.org, to: [b@example.org]}}}}, \
         dead: {{discord: 'http://127.0.0.1:1/s3cret'}}",
        fine.url("/x"),
        refuses.url("/s3cret"),
        mails.url()
    ));
    place.run("notify test fine").run().ends(0).shows(&["fine", "took it"]);
    assert_eq!(alerts(&fine), [("firing".to_owned(), false), ("resolved".to_owned(), false)]);
    place.run("notify test mail").run().ends(0);
    assert!(mails.mails().iter().all(|mail| mail.contains("Subject: [obsctl lab]")) && mails.mails().len() == 2, "{:?}", mails.mails());
    place.run("notify test dead").run().ends(3).shows(&["did not take it"]).never_says(&["s3cret"]);
    place.run("notify test").run().ends(1).shows(&["refuses", "REFUSED it", "answered 403"]).never_says(&["s3cret"]);
    place.run("notify test finn").run().ends(2).warns(&["there is none of the name finn", "fine"]);
    Place::with("").run("notify test").run().ends(2).warns(&["the configuration names none"]);
    // A file that merely lies there tells nobody.
    let text = std::fs::read_to_string(place.config()).unwrap();
    let lying = crate::support::obsctl(std::path::Path::new("/nonexistent"), "notify test fine").file("obsctl.yaml", &text);
    lying.run().ends(2).warns(&["nobody trusted it yet", "obsctl config trust"]);
    assert_eq!(fine.told().len(), 4);
}
