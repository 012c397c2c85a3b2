//! The API server or the node goes away in the middle.

use super::{
    admin,
    exact::{Shown, writer},
    simple, standard, written,
};
use crate::support::SOON;
use lab::{cluster::NODE, eventually};
use std::time::Duration;

#[test]
fn a_follow_survives_the_api_server() {
    let mut alone = standard::alone();
    let ns = alone.namespace("outage");
    ns.apply(&simple("web", "i=0; while :; do i=$((i + 1)); echo \"line <$i>\"; usleep 200000; done"));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = admin(&ns, "logs web -f --tail -1").start();
    live.says("line <5>");
    alone.stop_apiserver();
    eventually(SOON, || if live.err().contains("connecting again") { Ok(()) } else { Err(format!("no word of it: {}", live.err())) });
    // Nothing hangs meanwhile, and nothing is claimed.
    let ran = admin(&ns, "logs web").run().ends(3).warns(&["refuses connections"]);
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    let ran = admin(&ns, "logs -r abc123").run().ends(3);
    assert_eq!(ran.out, "", "{}", ran.err);
    let before = written(&ns, "web").len();
    alone.start_apiserver();
    live.says(&format!("line <{}>", before + 5));
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5)).ends(130);
    // Each line once, none left out, in order.
    let numbers: Vec<usize> = ran.out.lines().map(|line| line.split(['<', '>']).nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>(), "{}", ran.err);
}

#[test]
fn a_follow_that_is_cut_off_ends_at_once() {
    let mut alone = standard::alone();
    let ns = alone.namespace("cutoff");
    ns.apply(&simple("web", "echo hello; exec sleep 3600"));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = admin(&ns, "logs web -f").start();
    live.says("hello");
    alone.stop_apiserver();
    eventually(SOON, || if live.err().contains("connecting again") { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(3)).ends(130);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
}

#[test]
fn a_follow_survives_the_kubelet() {
    let mut alone = standard::alone();
    let ns = alone.namespace("kubelet");
    ns.apply(&writer("web", 50, 90, 0));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = admin(&ns, "logs web -f --tail -1 -o ndjson").start();
    live.says("line <100>");
    alone.stop_kubelet();
    eventually(SOON, || if live.err().contains("waits for a stream") { Ok(()) } else { Err(format!("no word of it: {}", live.err())) });
    let before = written(&ns, "web").len();
    alone.start_kubelet();
    live.says(&format!("line <{}>", before + 50));
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5)).ends(130).warns(&["connected again"]);
    let shown = Shown::of(&ran, "web");
    shown.is_exactly(1, shown.numbers().len() as u64);
}

#[test]
fn a_follow_survives_a_node_that_is_not_ready() {
    let mut alone = standard::alone();
    let ns = alone.namespace("notready");
    ns.apply(&writer("web", 50, 90, 0));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = admin(&ns, "logs web -f --tail -1 -o ndjson").start();
    live.says("line <100>");
    alone.stop_kubelet();
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    alone.cluster().wait("default", &format!("node/{NODE}"), &format!("{ready}=Unknown"), SOON);
    // The container went on all the time.
    let before = written(&ns, "web").len();
    assert!(before > 1_000, "{before} lines");
    alone.start_kubelet();
    live.says(&format!("line <{}>", before + 50));
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5)).ends(130);
    let shown = Shown::of(&ran, "web");
    shown.is_exactly(1, shown.numbers().len() as u64);
}
