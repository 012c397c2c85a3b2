//! Files that are wrong, statuses, reports, and what is waited for.

use super::alone;
use crate::support::obsctl;
use lab::web::{Act, Scripted, answer};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

#[test]
fn nothing_runs_before_the_file_is_right() {
    let ran = alone("checks:\n  - {command: [touch, ran], fail: status > x}\n  - {queue: mail, fail: oldest > 5}\n", "").run().ends(2);
    ran.warns(&["checks.yaml:2:35: status: x is no whole number: 1000", "also checks.yaml:3:25: oldest: 5 is no duration"]);
    alone("checks: []\n", "").run().ends(2).warns(&["there is no check in it"]);
    alone("checks:\n  - {tcp: '127.0.0.1:${PORT}'}\n", "").run().ends(2).warns(&["checks.yaml:2:11: the variable PORT is not set"]);
    alone("checks:\n  - {name: a, command: ['true']}\n", "--only b").run().ends(2).warns(&["no check is named or tagged b", "there are a"]);
    obsctl(Path::new("/nowhere"), "check nowhere.yaml").run().ends(2).warns(&["nowhere.yaml"]);
    let schema = obsctl(Path::new("/nowhere"), "check schema").run().ends(0);
    assert_eq!(schema.json()["title"], "obsctl-checks");
}

const ONE_OF_EACH: &str = "checks:
  - {name: good, command: ['true'], tags: [fast]}
  - {name: soso, command: [echo, '5'], warn: value > 4}
  - {name: bad, command: ['false']}
  - {name: lost, command: [no-such-command-at-all]}
  - {name: after bad, command: ['false'], needs: bad}
";

#[test]
fn the_status_says_the_worst() {
    for (words, status) in [
        ("--only good", 0),
        ("--only soso", 0),
        ("--only soso --fail-on warn", 4),
        ("--only bad", 1),
        ("--only lost", 3),
        ("--only fast", 0),
        ("", 1),
        ("--only good --nagios", 0),
        ("--only soso --nagios", 1),
        ("--only bad --nagios", 2),
        ("--only lost --nagios", 3),
        ("--only nothing --nagios", 3),
        ("--only bad --wait 300ms --interval 100ms", 124),
        ("--only good --wait 5s", 0),
        ("--dry-run", 0),
    ] {
        let ran = alone(ONE_OF_EACH, words).run();
        assert_eq!(ran.status, status, "{words}: {ran:#?}");
    }
    let ran = alone(ONE_OF_EACH, "").run().ends(1);
    ran.shows(&["CAUSE bad: false ended with status 1; 1 check skipped for it", "needs bad", "[error]", "5 checks in", "[exit 1]"]);
    alone(ONE_OF_EACH, "--only after").run().ends(1).shows(&["2 checks in"]);
    alone(ONE_OF_EACH, "--explain --only soso").run().ends(0).shows(&["soso (command)", "warns", "value > 4", "measured"]);
    alone(ONE_OF_EACH, "--nagios --only bad").run().shows(&["OBSCTL CRITICAL - bad: false ended with status 1"]);
    alone("checks:\n  - {queue: mail, fail: oldest > 5}\n", "--nagios").run().ends(3).shows(&["OBSCTL UNKNOWN - reading the checks: "]);
}

#[test]
fn several_reports_each_to_its_file_and_one_to_stdout() {
    let words = "--report junit=j.xml --report prometheus=p.prom --report ndjson=l.json --report summary=s.md --report github";
    let ran = alone(ONE_OF_EACH, words).piped_into("{ cat; cat j.xml p.prom l.json s.md; }").run().ends(1);
    ran.shows(&[
        "::error file=checks.yaml,line=4,col=5,title=bad failed::false ended with status 1",
        "<testsuite name=\"obsctl check lab\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"1\"",
        "obsctl_check_status{environment=\"lab\",check=\"bad\",system=\"command\",route=\"notify\"} 2",
        "\"type\":\"run_end\"",
        "### obsctl check: 5 checks in",
    ]);
    alone(ONE_OF_EACH, "--report junit --report github").run().ends(2).warns(&["stdout carries one report"]);
    // A report that is lost is no pass.
    alone(ONE_OF_EACH, "--only good --report junit=/dev/full")
        .run()
        .ends(3)
        .shows(&["1 check in"])
        .warns(&["writing the report /dev/full"]);
    alone(ONE_OF_EACH, "--only bad --report junit=/nowhere/j.xml").run().ends(1).warns(&["writing the report /nowhere/j.xml"]);
    // Whoever stops reading is no reason to complain.
    assert!(alone(ONE_OF_EACH, "").piped_into("head -c 1").run().err.is_empty());
}

#[test]
fn a_wait_ends_when_all_is_well() {
    let n = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&n);
    let server = Scripted::start(move |_| match seen.fetch_add(1, Ordering::Relaxed) {
        0..3 => Act::Say(answer("503 Service Unavailable", "text/plain", "not yet")),
        _ => Act::Say(answer("200 OK", "text/plain", "now")),
    })
    .unwrap();
    let checks = format!("checks:\n  - {{name: web, http: '{}'}}\n", server.url("/"));
    let ran = alone(&checks, "--wait 60s --interval 100ms").run().ends(0);
    ran.shows(&["OK"]).warns(&["waiting, ", "web: it answered 503"]);
    assert_eq!(n.load(Ordering::Relaxed), 4);
}

#[test]
fn a_stop_reports_what_is_known() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let server = Scripted::start(|path| match path {
            "/good" => Act::Say(answer("200 OK", "text/plain", "well")),
            _ => Act::Hang,
        })
        .unwrap();
        let check = |name: &str| format!("  - {{name: {name}, http: '{}', timeout: 60s}}\n", server.url(&format!("/{name}")));
        let checks = format!("checks:\n{}{}{}", check("hangs"), check("good"), check("hangs-too"));
        let live = alone(&checks, "-o json --timeout 60s").start();
        // One address is asked two things at a time: when the third is asked, the one that answers has answered.
        lab::eventually(crate::support::SOON, || {
            let asked = server.asked();
            let all = ["/hangs ", "/good ", "/hangs-too "].iter().all(|path| asked.iter().any(|head| head.contains(path)));
            if all { Ok(()) } else { Err(format!("it has asked {asked:?} only: {}", live.err())) }
        });
        live.signal(signal);
        let ran = live.end(crate::support::SOON).ends(status);
        super::came_out(&ran, &[("good", "ok", ""), ("hangs", "unknown", "stopped"), ("hangs-too", "unknown", "stopped")]);
    }
}
