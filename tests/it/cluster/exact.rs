//! Exact follow: pods number their lines, and every number is shown once and in order, whatever happens on the way; what is really gone lies
//! inside of a gap that is said. The faults are those of a proxy before the real API server.

use super::{admin, pod};
use crate::support::{Live, Obsctl, Ran, SOON, obsctl};
use lab::{ApiFault, ApiProxy, Namespace, eventually};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// A pod that writes `count` numbered lines of so many bytes, so many per second.
pub fn writer(name: &str, rate: u32, length: u32, count: u32) -> String {
    pod(name, "", &[writing(rate, length, count)])
}

/// Its container.
pub fn writing(rate: u32, length: u32, count: u32) -> String {
    format!(
        "{{name: main, image: \"lab.test/busybox:1\", imagePullPolicy: Never, command: [writer, \"{rate}\", \"{length}\", \"{count}\"]}}"
    )
}

/// What was shown of one pod, in its order.
pub struct Shown {
    pub items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Line(u64),
    Other(String),
    Mark(Value),
}

impl Shown {
    pub fn of(ran: &Ran, pod: &str) -> Self {
        let items = ran.ndjson().into_iter().filter(|object| object["name"] == pod).map(|object| {
            if object["kind"] == "mark" {
                return Item::Mark(object);
            }
            let line = object["line"].as_str().unwrap_or_default();
            let number = line.strip_prefix("line <").and_then(|rest| rest.split('>').next()).and_then(|n| n.parse().ok());
            number.map_or_else(|| Item::Other(line.to_owned()), Item::Line)
        });
        Self { items: items.collect() }
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.items.iter().filter_map(|item| if let Item::Line(n) = item { Some(*n) } else { None }).collect()
    }

    pub fn marks(&self, event: &str) -> Vec<&Value> {
        self.items.iter().filter_map(|item| if let Item::Mark(m) = item { Some(m) } else { None }).filter(|m| m["event"] == event).collect()
    }

    /// Every number once and in order, from `first` to `last`, and no word of a gap.
    #[track_caller]
    pub fn is_exactly(&self, first: u64, last: u64) {
        let numbers = self.numbers();
        assert_eq!(numbers, (first..=last).collect::<Vec<_>>(), "{}", self.faults());
        assert!(self.marks("gap").is_empty(), "a needless gap: {:?}", self.marks("gap"));
    }

    /// Every number at most once and in order, from the first that is shown; each that is missing lies in a gap that was said.
    #[track_caller]
    pub fn is_accounted_for(&self) {
        let (mut before, mut said) = (self.numbers()[0] - 1, false);
        for item in &self.items {
            match item {
                Item::Line(n) => {
                    assert!(*n > before, "{n} after {before}: {}: {:?}", self.faults(), self.items.iter().take(100).collect::<Vec<_>>());
                    assert!(
                        *n == before + 1 || said,
                        "{}..{n} is missing and nothing is said: {:?}",
                        before + 1,
                        self.items.iter().take(100).collect::<Vec<_>>()
                    );
                    (before, said) = (*n, false);
                }
                Item::Mark(mark) => said |= mark["event"] == "gap",
                Item::Other(_) => {}
            }
        }
    }

    /// The first places where the order breaks.
    fn faults(&self) -> String {
        let numbers = self.numbers();
        let breaks = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).take(10).map(|pair| format!("{} → {}", pair[0], pair[1]));
        format!("{} lines, from {:?}; {}", numbers.len(), numbers.first(), breaks.collect::<Vec<_>>().join(", "))
    }
}

/// `obsctl` through a proxy.
pub fn through(proxy: &ApiProxy, namespace: &Namespace, words: &str) -> Obsctl {
    obsctl(&proxy.kubeconfig(), "--namespace").arg(namespace.name()).arg_all(words).arg_all("-o ndjson")
}

/// How often a number has been shown: an object names its text twice.
pub fn shown(live: &Live, number: u64) -> usize {
    live.out().matches(&format!("\"line\":\"line <{number}>")).count()
}

/// Ends a follow that has seen its writer to the end.
#[track_caller]
fn ended(mut live: Live) -> Ran {
    live.says("writer is quiet");
    live.signal("INT");
    live.end(Duration::from_secs(10)).ends(130)
}

const LINES: u32 = 2_000;

/// Follows a writer through a proxy with a fault on the first streams; everything is shown exactly.
#[track_caller]
fn survives(name: &str, fault: ApiFault, times: usize) -> (Ran, ApiProxy) {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace(name);
    let proxy = cluster.fault_proxy();
    proxy.fail("/log follow=true", times, fault);
    // The follow is there before the pod: what it begins with is little.
    let live = through(&proxy, &ns, "logs -l app=web -f --tail -1").start();
    ns.apply(&writer("web", 250, 90, LINES));
    let ran = ended(live);
    Shown::of(&ran, "web").is_exactly(1, u64::from(LINES));
    let breaks = !matches!(fault, ApiFault::Stall(..) | ApiFault::Trickle(..));
    assert!(proxy.asked("/log follow=true").len() >= times + usize::from(breaks), "the fault was not met: {:?}", proxy.asked("/log"));
    (ran, proxy)
}

#[test]
fn a_stream_that_is_cut_in_the_middle_of_a_line() {
    let (ran, _) = survives("cut", ApiFault::Cut(47_777), 3);
    ran.warns(&["the stream broke off", "connecting again", "connected again"]);
}

#[test]
fn a_stream_that_ends_in_order_in_the_middle_of_a_line() {
    survives("clean", ApiFault::End(47_777), 3);
}

#[test]
fn a_stream_that_stalls() {
    survives("stall", ApiFault::Stall(49_999, Duration::from_secs(6)), 1);
}

#[test]
fn a_slow_trickle() {
    survives("trickle", ApiFault::Trickle(1_111, Duration::from_millis(40)), 1);
}

#[test]
fn an_error_of_the_node_under_http_200() {
    let (ran, _) = survives("text", ApiFault::Text(47_777, "failed to create fsnotify watcher: too many open files"), 3);
    ran.warns(&["the node said: failed to create fsnotify watcher"]);
}

#[test]
fn an_error_of_the_server() {
    let (ran, _) = survives("error", ApiFault::Status(500, None), 3);
    ran.warns(&["waits for a stream: Internal error occurred: the lab wants it so (HTTP 500)", "connected again"]);
}

#[test]
fn too_many_requests_are_answered_with_patience() {
    let (ran, proxy) = survives("patience", ApiFault::Status(429, Some(2)), 3);
    let ran = ran.warns(&["waits for a stream: Too many requests", "connected again"]);
    // The same trouble is said once.
    assert_eq!(ran.err.matches("waits for a stream").count(), 1, "{}", ran.err);
    let asked = proxy.asked("/log follow=true");
    for pair in asked.windows(2).take(3) {
        assert!(pair[1].0 - pair[0].0 >= Duration::from_millis(1_900), "{asked:?}");
    }
}

#[test]
fn a_token_that_is_not_accepted_in_the_middle() {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace("token");
    let proxy = cluster.fault_proxy();
    ns.apply(&writer("web", 250, 90, LINES));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = through(&proxy, &ns, "logs web -f --tail -1").start();
    live.says("line <100>");
    proxy.fail("/log follow=true", 3, ApiFault::Status(401, None));
    proxy.hang_up();
    let ran = ended(live).warns(&["does not accept these credentials (401", "connected again"]);
    Shown::of(&ran, "web").is_exactly(1, u64::from(LINES));
}

#[test]
fn a_token_that_runs_out_is_fetched_again() {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace("renewed");
    let proxy = cluster.fault_proxy();
    ns.apply(&writer("web", 100, 90, 2 * LINES));
    ns.wait("pod/web", "condition=Ready", SOON);
    // The plugin counts how often it was asked.
    let dir = tempfile::tempdir().unwrap();
    let (plugin, runs) = (dir.path().join("plugin"), dir.path().join("runs"));
    let answer = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t"}}"#;
    std::fs::write(&plugin, format!("#!/bin/sh\necho run >> {}\necho '{answer}'\n", runs.display())).unwrap();
    std::fs::set_permissions(&plugin, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(proxy.kubeconfig()).unwrap()).unwrap();
    config["users"][0]["user"] =
        serde_json::json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never"}});
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let begun = Instant::now();
    let live = obsctl(&kubeconfig, "logs web -f --tail -1 -o ndjson --namespace").arg(ns.name()).start();
    // Not before the ten seconds for which no plugin is asked again, however far the writer is by then.
    eventually(SOON, || if begun.elapsed() > Duration::from_secs(12) { Ok(()) } else { Err(live.err()) });
    assert_eq!(std::fs::read_to_string(&runs).unwrap().lines().count(), 1);
    proxy.fail("/log follow=true", 1, ApiFault::Status(401, None));
    proxy.hang_up();
    let ran = ended(live);
    Shown::of(&ran, "web").is_exactly(1, u64::from(2 * LINES));
    assert_eq!(std::fs::read_to_string(&runs).unwrap().lines().count(), 2, "{}", ran.err);
    assert!(!ran.err.contains("401"), "{}", ran.err);
}

#[test]
fn a_stream_that_is_half_open_is_noticed_by_its_silence() {
    let begun = Instant::now();
    let (ran, _) = survives("half", ApiFault::HalfOpen(47_777), 1);
    ran.warns(&["the stream is silent for 60 s though newer lines exist"]);
    assert!(begun.elapsed() < Duration::from_secs(110), "{:?}", begun.elapsed());
}

#[test]
fn the_first_reading_is_cut_too() {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace("first");
    let proxy = cluster.fault_proxy();
    ns.apply(&writer("web", 0, 100, 5_000));
    super::wrote(&ns, "web", "writer is quiet");
    proxy.fail("/log", 4, ApiFault::Cut(123_456));
    let ran = ended(through(&proxy, &ns, "logs web -f --tail -1").start());
    Shown::of(&ran, "web").is_exactly(1, 5_000);
    // And without a follow.
    proxy.fail("/log", 2, ApiFault::Cut(123_456));
    proxy.fail("/log", 1, ApiFault::Status(429, Some(1)));
    let ran = through(&proxy, &ns, "logs web --tail -1").run().ends(0);
    Shown::of(&ran, "web").is_exactly(1, 5_000);
}

#[test]
fn a_log_that_is_rotated_while_it_is_followed() {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace("rotated");
    ns.apply(&writer("web", 1_000, 250, 20_000));
    ns.wait("pod/web", "condition=Ready", SOON);
    let ran = ended(admin(&ns, "logs web -f --tail -1 -o ndjson").start());
    Shown::of(&ran, "web").is_exactly(1, 20_000);
    let files = ns.node_log_files("web").len();
    assert!(files > 2, "the log was not rotated: {files} files");
}

#[test]
fn what_is_rotated_away_while_nobody_reads_is_a_gap() {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace("gap");
    let proxy = cluster.fault_proxy();
    ns.apply(&writer("web", 1_000, 250, 0));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = through(&proxy, &ns, "logs web -f --tail -1").start();
    live.says("line <");
    proxy.fail("/log", usize::MAX, ApiFault::Status(500, None));
    proxy.hang_up();
    // Two files further: what was written meanwhile is no longer in the newest.
    let newest = || {
        let last = ns.kubectl(&["logs", "web", "--tail=1"]).unwrap_or_default();
        last.split(['<', '>']).nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
    };
    let cut_off = newest();
    eventually(SOON, || if newest() > cut_off + 12_000 { Ok(()) } else { Err(newest().to_string()) });
    eventually(SOON, || match ns.node_log_files("web").len() {
        0..3 => Err("not rotated yet".to_owned()),
        _ => Ok(()),
    });
    proxy.heal();
    let healed = newest();
    // Not one line of its own: that may lie in the gap.
    let last = || live.out().rsplit_once("\"line\":\"line <").and_then(|(_, rest)| rest.split('>').next()?.parse::<u64>().ok());
    eventually(SOON, || if last() > Some(healed + 1_000) { Ok(()) } else { Err(format!("{:?} of {healed}", last())) });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(20)).ends(130);
    let shown = Shown::of(&ran, "web");
    shown.is_accounted_for();
    assert_eq!(shown.marks("gap").len(), 1, "{:?}", shown.marks("gap"));
    let gap = shown.marks("gap")[0];
    assert!(gap["after"].is_string() && gap["before"].is_string() && gap["why"].as_str().unwrap().contains("rotated"), "{gap}");
}

#[test]
fn what_is_rotated_away_before_a_line_of_it_was_read_is_a_gap_too() {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace("unread");
    let proxy = cluster.fault_proxy();
    let script = "while [ ! -e /tmp/go ]; do usleep 100000; done; exec writer 1000 250 0";
    ns.apply(&super::simple("web", script));
    ns.wait("pod/web", "condition=Ready", SOON);
    let live = through(&proxy, &ns, "logs web -f --tail -1").start();
    // It follows a log in which nothing stands.
    eventually(SOON, || if proxy.asked("/log follow=true").is_empty() { Err(live.err()) } else { Ok(()) });
    proxy.fail("/log", usize::MAX, ApiFault::Status(500, None));
    proxy.hang_up();
    ns.kubectl(&["exec", "web", "--", "touch", "/tmp/go"]).unwrap();
    // The newest file begins with a later line.
    eventually(SOON, || {
        let newest = ns.node_log_files("web").into_iter().find(|file| file.name == "0.log");
        match newest.map(|file| String::from_utf8_lossy(&std::fs::read(file.path).unwrap_or_default()).into_owned()) {
            Some(text) if text.contains("line <") && !text.contains("line <1>") => Ok(()),
            _ => Err("not rotated yet".to_owned()),
        }
    });
    proxy.heal();
    eventually(SOON, || if live.out().contains("\"line\":\"line <") { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(20)).ends(130);
    let shown = Shown::of(&ran, "web");
    assert!(shown.numbers()[0] > 1, "{:?}", shown.numbers().first());
    let gaps = shown.marks("gap");
    assert!(gaps.len() == 1 && matches!(&shown.items[0], Item::Mark(mark) if mark["event"] == "gap"), "{gaps:?}");
    assert!(
        gaps[0]["after"].is_null() && gaps[0]["before"].is_string() && gaps[0]["why"].as_str().unwrap().contains("rotated"),
        "{gaps:?}"
    );
}

#[test]
fn a_container_that_is_restarted_while_nobody_reads() {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace("unseen");
    let proxy = cluster.fault_proxy();
    ns.apply(&writer("web", 250, 90, 0));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = through(&proxy, &ns, "logs web -f --tail -1").start();
    live.says("line <300>");
    proxy.fail("/log", usize::MAX, ApiFault::Status(500, None));
    proxy.hang_up();
    super::wrote(&ns, "web", "line <700>");
    // It may end before kubectl has its answer.
    let _ = ns.kubectl(&["exec", "web", "--", "kill", "-USR1", "1"]);
    let restarted = "jsonpath={.status.containerStatuses[0].restartCount}=1";
    ns.wait("pod/web", restarted, SOON);
    proxy.heal();
    eventually(SOON, || if live.out().contains("\"restarted\"") { Ok(()) } else { Err(format!("{}\n{}", live.err(), live.out().len())) });
    eventually(SOON, || if shown(&live, 200) == 2 { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(10)).ends(130);
    two_lives(&Shown::of(&ran, "web"), 7, "Error");
}

/// Two containers one after the other, each whole, with the end of the first between them.
#[track_caller]
fn two_lives(shown: &Shown, code: i64, reason: &str) {
    let end = shown.items.iter().position(|item| matches!(item, Item::Mark(m) if m["event"] == "ended")).expect("its end is said");
    let (first, second) = shown.items.split_at(end);
    let Item::Mark(mark) = &second[0] else { unreachable!() };
    assert_eq!((&mark["exit_code"], &mark["reason"]), (&code.into(), &reason.into()), "{mark}");
    for life in [first, second] {
        let life = Shown { items: life.to_vec() };
        let last = life.numbers().len() as u64;
        assert!(last > 0, "{:?}", life.items);
        life.is_exactly(1, last);
    }
    assert_eq!((shown.marks("ended").len(), shown.marks("restarted").len()), (1, 1), "{:?}", shown.marks("ended"));
}

#[test]
fn a_container_that_is_restarted_in_the_middle() {
    let cluster = lab::get().cluster();
    let ns = cluster.namespace("lives");
    ns.apply(&writer("web", 400, 90, 0));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = admin(&ns, "logs web -f --tail -1 -o ndjson").start();
    live.says("line <500>");
    // It may end before kubectl has its answer.
    let _ = ns.kubectl(&["exec", "web", "--", "kill", "-USR1", "1"]);
    eventually(SOON, || if shown(&live, 300) == 2 { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(10)).ends(130);
    two_lives(&Shown::of(&ran, "web"), 7, "Error");
}
