//! `--request-id`: what one request did, and what its absence is worth.

use super::{simple, standard::standard, wrote};

#[test]
fn a_request_is_found_with_its_task() {
    let shared = standard();
    let ran = shared.obsctl("logs api worker -r found-1111").run().ends(0);
    let ran = ran.shows(&["found-1111-2222", "POST /api/orders/", "201", "mail.send", "mail_sent", "worker", "2 logs read in full"]);
    assert!(ran.out.find("request_started") < ran.out.find("mail_sent"), "{}", ran.out);
    assert_eq!(ran.err, "", "a healthy answer needs no warning");
    ran.never_says(&["twin-1234", "other-1"]);
}

#[test]
fn without_targets_every_pod_is_searched() {
    let shared = standard();
    let ran = shared.obsctl("logs -r found-1111-2222").run().ends(0).shows(&["mail_sent", "waiting", "not started: ErrImageNeverPull"]);
    assert_eq!(ran.err, "");
}

#[test]
fn absent_where_all_was_read_is_bad_news() {
    let shared = standard();
    shared
        .obsctl("logs api worker -r nowhere-1234")
        .run()
        .ends(1)
        .shows(&["no record carries the request ID nowhere-1234", "2 logs read in full"]);
    // An ID elsewhere than in its field is none.
    shared.obsctl("logs api -r orders").run().ends(1);
}

#[test]
fn absent_where_a_pod_waits_is_unknown() {
    let shared = standard();
    let ran = shared.obsctl("logs api po/waiting -r nowhere-1234").run().ends(3);
    ran.shows(&["not found in what could be read", "not started: ErrImageNeverPull"]);
}

#[test]
fn logs_without_ids_are_said_to_have_none() {
    let shared = standard();
    let ran = shared.obsctl("logs odd -r nowhere-1234").run().ends(3).shows(&["these logs carry no request ID", "request_id"]);
    ran.never_says(&["no record carries the request ID"]);
}

#[test]
fn two_ids_that_begin_alike_are_listed() {
    let shared = standard();
    shared.obsctl("logs api -r twin-1234").run().ends(2).warns(&["twin-1234-a", "twin-1234-b"]);
    shared.obsctl("logs api -r twin-1234-a").run().ends(0).shows(&["twin-1234-a"]).never_says(&["twin-1234-b"]);
    shared.obsctl("logs api -r twin").run().ends(2).warns(&["too short"]);
}

#[test]
fn json_is_one_documented_object() {
    let shared = standard();
    let answer = shared.obsctl("logs api worker -r found-1111 -o json").run().ends(0).json();
    assert_eq!(answer["kind"], "logs.request");
    assert_eq!((&answer["version"], &answer["exit_status"], &answer["complete"]), (&1.into(), &0.into(), &true.into()), "{answer}");
    assert_eq!(answer["verdict"], "ok", "{answer}");
    assert_eq!(answer["where"]["namespace"], shared.ns.name());
    assert_eq!(answer["coverage"]["searched"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(answer["coverage"]["missing"].as_array().unwrap().len(), 0, "{answer}");
    let attempt = &answer["facts"]["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["tasks"][0]["name"]), (&201.into(), &"mail.send".into()), "{attempt}");
    assert_eq!(attempt["events"].as_array().unwrap().len(), 6, "{attempt}");

    let absent = shared.obsctl("logs api -r nowhere-1234 -o json").run().ends(1).json();
    assert_eq!((&absent["verdict"], &absent["exit_status"]), (&"failed".into(), &1.into()), "{absent}");
    assert_eq!(absent["findings"][0]["code"], "absent", "{absent}");
    let unknown = shared.obsctl("logs odd -r nowhere-1234 -o json").run().ends(3).json();
    assert_eq!((&unknown["verdict"], &unknown["findings"][0]["code"]), (&"unknown".into(), &"no-request-id".into()), "{unknown}");
    let line = shared.obsctl("logs api worker -r found-1111 -o ndjson").run().ends(0).ndjson();
    assert_eq!((line.len(), &line[0]["kind"]), (1, &"logs.request".into()));
}

#[test]
fn what_a_container_said_before_it_crashed_is_searched() {
    let shared = standard();
    // It runs again: only its previous life holds the line.
    let ran = shared.obsctl("logs restarted -r crash-5678").run().ends(0).shows(&["first life"]);
    assert_eq!(ran.count("first life"), 1, "{}", ran.out);
    // The answer is the same for one that is read whole as for one that was restarted.
    shared.obsctl("logs restarted -r later-5678").run().ends(0).shows(&["second life"]).never_says(&["first life"]);
    // It waits to be started again, or runs for a moment. Between two lives the node has no log of either: that is never "absent".
    let ran = lab::eventually(crate::support::SOON, || {
        let ran = shared.obsctl("logs crashing -r loop-9999").run();
        if ran.status == 3 { Err(format!("{ran:?}")) } else { Ok(ran) }
    });
    ran.ends(0).shows(&["will crash"]);
}

#[test]
fn a_container_that_wrote_nothing_has_been_read() {
    let ns = lab::get().cluster().namespace("mute");
    ns.apply(&simple("mute", "exec sleep 3600"));
    ns.apply(&simple("web", "echo '{\"event\": \"x\", \"request_id\": \"here-123456\"}'; exec sleep 3600"));
    ns.wait("pod/mute", "condition=Ready", crate::support::SOON);
    wrote(&ns, "web", "here-123456");
    ns.wait("pod/web", "condition=Ready", crate::support::SOON);
    super::admin(&ns, "logs -r nowhere-1").run().ends(1).shows(&["no record carries", "2 logs read in full"]);
    super::admin(&ns, "logs -r here-1").run().ends(0);
}
