//! Where an alert goes: page, notify or record; and mail servers that put one off, refuse one receiver, or never answer.

use super::{
    Patient, Place,
    told::{alerts, comes_to, receiver},
};
use crate::support::SOON;
use lab::{eventually, mail::MailServer, ports};
use std::net::TcpListener;

#[test]
fn each_route_leads_to_its_own_channels_and_to_no_other() {
    for route in ["page", "notify", "record"] {
        let (page, notify, record) = (receiver(vec![]), receiver(vec![]), receiver(vec![]));
        let place = Place::with(&format!(
            "    watch: {{route: {route}}}\n    notify:\n      channels: {{p: {{webhook: '{}'}}, n: {{webhook: '{}'}}, r: {{webhook: '{}'}}}}\n      \
             page: [p]\n      notify: [n]\n      record: [r]\n",
            page.url("/"),
            notify.url("/"),
            record.url("/")
        ));
        let patient = Patient::new();
        patient.is(false);
        let mut live = place.watch("--fail-after 1 --recover-after 1", &patient).start();
        let all = [("page", &page), ("notify", &notify), ("record", &record)];
        let (_, to) = all.iter().find(|(name, _)| *name == route).unwrap();
        comes_to(to, 1);
        patient.is(true);
        live.says("ok again");
        comes_to(to, 2);
        live.signal("INT");
        live.end(SOON).ends(130);
        assert_eq!(alerts(to), [("firing".to_owned(), false), ("resolved".to_owned(), false)], "{route}");
        assert!(to.told().iter().all(|text| text.contains(&format!("\"route\":\"{route}\""))), "{:?}", to.told());
        for (name, other) in all.iter().filter(|(name, _)| *name != route) {
            assert!(other.asked().is_empty(), "{name} was told of what goes to {route}");
        }
    }
}

#[test]
fn a_route_that_names_nobody_is_kept_by_the_watch_alone() {
    let hook = receiver(vec![]);
    // Without `record:` it leads nowhere.
    let place = Place::with(&format!("    watch: {{route: record}}\n    notify: {{channels: {{p: {{webhook: '{}'}}}}}}\n", hook.url("/")));
    let patient = Patient::new();
    patient.is(false);
    let ran = place.watch("--fail-after 1 --for 600ms", &patient).run().ends(1);
    assert!(ran.count("FAILED  ") >= 1 && hook.asked().is_empty(), "{}", ran.out);
}

fn mail(name: &str, url: &str, to: &str) -> String {
    format!("{name}: {{mail: {{smtp: '{url}', from: obsctl@example.org, to: [{to}]}}}}")
}

#[test]
fn a_mail_that_is_put_off_arrives_and_one_that_is_refused_or_never_answered_holds_up_nobody() {
    let (busy, strict, fine) = (MailServer::that("puts_off").unwrap(), MailServer::that("refuses").unwrap(), MailServer::start().unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = format!("smtp://{}", silent.local_addr().unwrap());
    let nobody = format!("smtp://127.0.0.1:{}", ports::free().unwrap());
    let channels = [
        mail("busy", &busy.url(), "ops@example.org"),
        mail("strict", &strict.url(), "ops@example.org"),
        mail("fine", &fine.url(), "ops@example.org"),
        mail("deaf", &deaf, "ops@example.org"),
        mail("dead", &nobody, "ops@example.org"),
    ];
    let place = Place::with(&format!("    notify: {{channels: {{{}}}}}\n", channels.join(", ")));
    let patient = Patient::new();
    patient.is(false);
    let live = place.watch("--fail-after 1", &patient).start();
    eventually(SOON, || if fine.mails().len() == 1 { Ok(()) } else { Err(live.err()) });
    // Put off for five seconds by us, since a mail server names no time.
    eventually(SOON, || if busy.mails().len() == 1 { Ok(()) } else { Err(live.err()) });
    eventually(SOON, || match live.err() {
        err if err.contains("strict was not told") && err.contains("dead could not be told") && err.contains("deaf could not be told") => {
            Ok(())
        }
        err => Err(err),
    });
    let kept: serde_json::Value = serde_json::from_str(&place.kept()).unwrap();
    let mut waiting: Vec<&str> = kept["outbox"]["letters"].as_array().unwrap().iter().map(|l| l["channel"].as_str().unwrap()).collect();
    waiting.sort_unstable();
    assert_eq!(waiting, ["dead", "deaf"], "{kept:#}");
    live.signal("INT");
    let ran = live.end(SOON).ends(130);
    assert!(strict.mails().is_empty() && busy.mails().len() == 1 && fine.mails().len() == 1, "{}", ran.err);
    assert!(!busy.mails()[0].contains("repetition"), "it had not been taken: {:?}", busy.mails());
}

#[test]
fn a_file_of_checks_is_watched_and_each_check_goes_its_own_route() {
    let (page, notify) = (receiver(vec![]), receiver(vec![]));
    let place = Place::with(&format!(
        "    notify:\n      channels: {{p: {{webhook: '{}'}}, n: {{webhook: '{}'}}}}\n      page: [p]\n      notify: [n]\n",
        page.url("/"),
        notify.url("/")
    ));
    let patient = Patient::new();
    let file = place.0.path().join("checks.yaml");
    let checks = format!(
        "checks:\n  - {{name: api, http: '{}', route: page, runbook: 'https://runbooks.example/api'}}\n  \
         - {{name: parts, http: '{}', want: '$.redis == ok', route: notify}}\n  - {{name: well, command: ['true'], route: page}}\n",
        patient.url(),
        patient.url()
    );
    std::fs::write(&file, checks).unwrap();
    let words = "watch --interval 150ms --fail-after 1 --recover-after 1";
    let mut live = place.run(words).arg(file.to_str().unwrap()).start();
    eventually(SOON, || if patient.server.asked().is_empty() { Err("it has not looked".to_owned()) } else { Ok(()) });
    patient.is(false);
    comes_to(&page, 1);
    comes_to(&notify, 1);
    patient.is(true);
    live.says("ok again");
    comes_to(&page, 2);
    comes_to(&notify, 2);
    live.signal("INT");
    live.end(SOON).ends(130);
    for (to, own, other) in [(&page, "api", "parts"), (&notify, "parts", "api")] {
        assert_eq!(alerts(to), [("firing".to_owned(), false), ("resolved".to_owned(), false)], "{own}: {:?}", to.told());
        // What was seen and what was wanted; nothing of the other, and no password of what answered.
        let first = to.told().first().cloned().unwrap_or_default();
        assert!(first.contains(own) && first.contains("want") && !first.contains(&format!("\"{other}\"")), "{first}");
        assert!(to.told().iter().all(|text| !text.contains("Tr0ub4dor")), "{:?}", to.told());
    }
    assert!(page.told()[0].contains("https://runbooks.example/api"), "{:?}", page.told());
}
