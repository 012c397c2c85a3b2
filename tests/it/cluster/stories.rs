//! Request mode beyond one ID: several, traces, tasks, the requests of a user; live; by time only; under clocks that are wrong.

use super::{admin, pod, simple, standard::standard, wrote};
use crate::support::SOON;
use lab::{Namespace, eventually};
use std::time::Duration;

#[test]
fn several_ids_are_told_one_after_the_other() {
    let shared = standard();
    let ran = shared.obsctl("logs api worker -r twin-1234-b -r found-1111").run().ends(0);
    let ran = ran.shows(&["2 requests", "twin-1234-b", "found-1111-2222", "mail_sent", "2 logs read in full"]);
    assert!(ran.out.find("twin-1234-b") < ran.out.find("POST /api/orders/"), "{}", ran.out);
    // What one of them lacks is not hidden by the other.
    shared
        .obsctl("logs api worker -r found-1111 -r nowhere-1")
        .run()
        .ends(1)
        .shows(&["no record carries the request ID nowhere-1", "mail_sent"]);
    let answer = shared.obsctl("logs api worker -r twin-1234-b -r found-1111 -o json").run().ends(0).json();
    assert_eq!((&answer["kind"], &answer["version"]), (&"logs.requests".into(), &1.into()), "{answer}");
    let requests = answer["facts"]["requests"].as_array().unwrap();
    assert_eq!(requests.iter().map(|r| r["ids"][0].as_str().unwrap()).collect::<Vec<_>>(), ["twin-1234-b", "found-1111-2222"]);
    assert_eq!(requests[1]["attempts"][0]["tasks"][0]["name"], "mail.send");
}

#[test]
fn a_task_leads_to_the_request_that_sent_it() {
    let shared = standard();
    let ran = shared.obsctl("logs -r 7ec25367-0c7c").run().ends(0);
    ran.shows(&["task 7ec25367-0c7c-4a1e-9d5d-1f2a3b4c5d6e", "found-1111-2222", "POST /api/orders/", "mail_sent", "201"]);
    // Where only the worker can be seen, the task is told without a request.
    let ran = shared.obsctl("logs worker -r 7ec25367-0c7c").run().ends(0).shows(&["mail_sent", "task_succeeded"]);
    ran.never_says(&["found-1111"]);
    let answer = shared.obsctl("logs -r 7ec25367 -o json").run().ends(0).json();
    assert_eq!(answer["facts"]["task"], "7ec25367-0c7c-4a1e-9d5d-1f2a3b4c5d6e", "{answer}");
    assert_eq!(answer["facts"]["ids"][0], "found-1111-2222");
}

#[test]
fn the_requests_of_a_user_are_told() {
    let shared = standard();
    let ran = shared.obsctl("logs --field user_id=4411 --requests").run().ends(0);
    ran.shows(&["found-1111-2222", "other-1", "2 requests", "mail_sent"]).never_says(&["twin-1234", "other-2"]);
    shared.obsctl("logs api --level error --requests").run().ends(0).shows(&["other-2", "ValueError: no price", "1 request"]);
    shared.obsctl("logs --field user_id=1 --requests").run().shows(&["0 requests"]);
    shared.obsctl("logs --requests").run().ends(2).warns(&["the filters admit"]);
}

#[test]
fn a_trace_is_an_id_too() {
    let ns = lab::get().cluster().namespace("traces");
    let line = r#"echo '{"event": "span", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}'"#;
    ns.apply(&simple("web", &format!("{line}; exec sleep 3600")));
    ns.apply(&simple("worker", &format!("{}; exec sleep 3600", line.replace("trace_id", "otelTraceID"))));
    for name in ["web", "worker"] {
        wrote(&ns, name, "4bf92f");
        ns.wait(&format!("pod/{name}"), "condition=Ready", SOON);
    }
    let ran = admin(&ns, "logs -r 4bf92f3577b34da6").run().ends(0);
    assert_eq!(ran.count("span  span_id"), 2, "{}", ran.out);
}

#[test]
fn what_stood_near_in_time_is_shown_and_labelled() {
    let ns = lab::get().cluster().namespace("near");
    ns.apply(&simple("web", "echo before; sleep 4; echo 'GET /api/orders/ 503 in web'; sleep 4; echo after; exec sleep 3600"));
    ns.apply(&simple("worker", "i=0; while [ $i -lt 100 ]; do i=$((i + 1)); echo \"worker $i\"; usleep 200000; done; exec sleep 3600"));
    wrote(&ns, "web", "after");
    wrote(&ns, "worker", "worker 60");
    let ran = admin(&ns, "logs -i 503 --around 1s").run().ends(0).warns(&["by time only", "1.0 s before and after 1 matching record"]);
    let of = |name: &str| ran.out.lines().filter(|l| l.contains(name)).count();
    assert_eq!((of("503"), of("before"), of("after")), (1, 0, 0), "{}", ran.out);
    // Two seconds of at most five lines each, of the other pod; on a busy machine of fewer.
    assert!((2..=12).contains(&of("worker ")), "{}", ran.out);
    assert!(ran.out.lines().all(|l| l.contains(" ~ ") != l.contains("503")), "{}", ran.out);
    let objects = admin(&ns, "logs -i 503 --around 1s -o ndjson").run().ends(0).ndjson();
    assert_eq!(objects.iter().filter(|o| o["kind"] == "record" && o["nearby"] != true).count(), 1);
    admin(&ns, "logs -i nothing-like-it --around 1s").run().ends(1).warns(&["nothing matches"]);
    admin(&ns, "logs --around 1s").run().ends(2).warns(&["around which records"]);
    admin(&ns, "logs -i x --around soon").run().ends(2).warns(&["a number of records (5) or a time (5s)"]);
}

/// Web answers at once; its task starts late in another pod, fails once and then succeeds.
const WEB: &str = r#"
while [ ! -e /go/now ]; do usleep 100000; done
echo '{"event": "request_started", "request_id": "live-1111-2222", "method": "POST", "path": "/api/pay/"}'
echo '{"event": "task_enqueued", "request_id": "live-1111-2222", "child_task_id": "0a1b2c3d-0000-4000-8000-000000000001", "child_task_name": "pay.settle", "queue": "pay"}'
sleep 1
echo '{"event": "request_finished", "request_id": "live-1111-2222", "code": 202}'
touch /go/then
exec sleep 3600"#;
const WORKER: &str = r#"
while [ ! -e /go/then ]; do usleep 100000; done
sleep 2
for what in task_started task_retrying task_started task_succeeded; do
  echo '{"event": "'$what'", "task_id": "0a1b2c3d-0000-4000-8000-000000000001", "task_name": "pay.settle"}'
  sleep 1
done
echo '{"event": "unrelated", "task_id": "other"}'
exec sleep 3600"#;

fn two(ns: &Namespace) {
    let containers = [("web", WEB), ("worker", WORKER)]
        .map(|(name, script)| super::container(name, script).replacen('{', "{volumeMounts: [{name: go, mountPath: /go}], ", 1));
    ns.apply(&pod("shop", "volumes: [{name: go, emptyDir: {}}]", &containers));
    ns.wait("pod/shop", "condition=Ready", SOON);
}

#[test]
fn a_live_request_is_followed_to_the_end_of_its_tasks() {
    let ns = lab::get().cluster().namespace("live");
    two(&ns);
    let mut live = admin(&ns, "logs -f -r live-1111").start();
    eventually(SOON, || if live.err().contains("ns ") { Ok(()) } else { Err(live.err()) });
    ns.kubectl(&["exec", "shop", "-c", "web", "--", "touch", "/go/now"]).unwrap();
    live.says("request_started");
    // It has been answered, but its task has not ended.
    live.says("request_finished");
    live.says("task_started");
    let ran = live.end(Duration::from_secs(60)).ends(0);
    let story = ran.out.find("POST /api/pay/ answered 202").unwrap_or_else(|| panic!("{}", ran.out));
    let lines = ran.out.get(..story).unwrap_or_default();
    for what in ["request_started", "task_enqueued", "request_finished", "task_retrying", "task_succeeded"] {
        assert_eq!(lines.matches(what).count(), 1, "{what}: {lines}");
    }
    assert_eq!(lines.matches("task_started").count(), 2, "{lines}");
    ran.shows(&["its task pay.settle succeeded"]).never_says(&["unrelated"]);
    // One that has ended ends at once.
    let ran = admin(&ns, "logs -f -r live-1111 -o ndjson").run().ends(0);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    let objects = ran.ndjson();
    assert_eq!((objects.len(), &objects.last().unwrap()["kind"]), (8, &"logs.request".into()), "{}", ran.out);
    // One that never comes ends when the user says so.
    admin(&ns, "logs -f -r never-1111 --deadline 5s").run().ends(124);
}

/// A pod of the machine's own Python.
fn python(name: &str, env: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    let main = format!(
        "{{name: main, image: \"lab.test/busybox:1\", imagePullPolicy: Never, command: [/usr/bin/python3, -c, {script}], env: [{env}], volumeMounts: \
         [{{name: usr, mountPath: /usr, readOnly: true}}, {{name: lib, mountPath: /lib, readOnly: true}}, {{name: lib64, mountPath: /lib64, readOnly: true}}]}}"
    );
    let host = |path: &str| format!("{{name: {}, hostPath: {{path: {path}}}}}", path.trim_start_matches('/'));
    pod(name, &format!("volumes: [{}, {}, {}]", host("/usr"), host("/lib"), host("/lib64")), &[main])
}

#[test]
fn a_clock_that_is_wrong_is_named_and_the_order_is_the_node_s() {
    let ns = lab::get().cluster().namespace("clocks");
    // Not `time.sleep`: its clock is one that libfaketime cannot turn.
    let script = |lines: usize, flush: &str| {
        format!(
            "import json, select, datetime\nfor i in range({lines}):\n    now = datetime.datetime.now(datetime.timezone.utc).isoformat()\n    \
             print(json.dumps({{'event': 'tick', 'timestamp': now, 'request_id': 'skew-123456', 'n': i}}), flush={flush})\n    select.select([], [], [], 0.3)\n\
             print('', flush=True)\nselect.select([], [], [], 3600)"
        )
    };
    let ahead = "{name: LD_PRELOAD, value: /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1}, {name: FAKETIME, value: \"+3m\"}, \
                 {name: FAKETIME_DONT_FAKE_MONOTONIC, value: \"1\"}";
    ns.apply(&python("ahead", ahead, &script(20, "True")));
    ns.apply(&python("right", "", &script(20, "True")));
    // Its stdout is no terminal, so Python holds its lines back.
    ns.apply(&python("held", "", &script(20, "False")));
    for name in ["ahead", "right", "held"] {
        wrote(&ns, name, "\"n\": 19");
        ns.wait(&format!("pod/{name}"), "condition=Ready", SOON);
    }
    let ran = admin(&ns, "logs -r skew-123456").run().ends(0);
    let text = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("the clock of ahead is 3m ahead of its node's"), "{}", ran.out);
    assert!(text.contains("lines of held reach the node up to 5") || text.contains("lines of held reach the node up to 6"), "{}", ran.out);
    assert!(!text.contains("clock of right") && !text.contains("lines of right"), "{}", ran.out);
    // Each pod's lines in its own order, all in the order of the node.
    let answer = admin(&ns, "logs -r skew-123456 -o json").run().ends(0).json();
    let events = answer["facts"]["attempts"][0]["events"].as_array().unwrap();
    let times: Vec<jiff::Timestamp> = events.iter().map(|e| e["at"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(times.len(), 60);
    assert!(times.is_sorted(), "{times:?}");
    let codes: Vec<&str> = answer["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"clock-skew") && codes.contains(&"held-back"), "{codes:?}");
    // The same beside records.
    admin(&ns, "logs ahead --tail -1 -i tick").run().ends(0).warns(&["ahead of its node's"]);
    admin(&ns, "logs right --tail -1 -i tick").run().ends(0).never_says(&["of its node's"]);
}

#[test]
fn a_recent_request_comes_before_all_else_was_read() {
    let ns = lab::get().cluster().namespace("recent");
    // 6000 lines, then the one that is asked for; tracebacks between, so that a window begins in the middle of one.
    let script = "awk 'BEGIN { for (i = 0; i < 6000; i++) { print \"{\\\"event\\\": \\\"old\\\", \\\"request_id\\\": \\\"old-\" i \"-123\\\"}\"; \
                  if (i % 7 == 0) print \"Traceback (most recent call last):\\n  File \\\"a.py\\\", line 1\\n    x()\\nValueError: \" i } \
                  print \"{\\\"event\\\": \\\"new\\\", \\\"request_id\\\": \\\"new-123456\\\"}\" }'; exec sleep 3600";
    ns.apply(&simple("web", script));
    wrote(&ns, "web", "new-123456");
    ns.wait("pod/web", "condition=Ready", SOON);
    for (id, lines) in
        [("new-123456", 1), ("old-5999-123", 2), ("old-5998-123", 1), ("old-3500-123", 2), ("old-0-123", 2), ("old-4998-123", 2)]
    {
        let answer = admin(&ns, &format!("logs -r {id} -o json")).run().ends(0).json();
        let events = answer["facts"]["attempts"][0]["events"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{id}: {answer}");
        assert_eq!(events[0]["traceback"].is_null(), lines == 1, "{id}: {answer}");
        assert_eq!(answer["complete"], true, "{answer}");
    }
    // --first stops at the newest windows.
    let answer = admin(&ns, "logs -r new-123456 --first -o json").run().json();
    assert_eq!(answer["facts"]["attempts"][0]["events"].as_array().unwrap().len(), 1, "{answer}");
    // A filter with a window of time gives the same records with and without them.
    let all = admin(&ns, "logs web --since 1h -i old --raw").run().ends(0).out;
    assert_eq!(all.matches("\"old\"").count(), 6000);
    assert_eq!(all.matches("ValueError").count(), 858);
}
