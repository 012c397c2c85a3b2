//! `--follow`: lines as they come, pods that come and go, and how it ends.

use super::{admin, container, pod, simple, standard::standard, wrote};
use crate::support::SOON;
use lab::{Namespace, cluster::NODE, eventually};
use std::time::Duration;

/// A pod that says what is written to its pipe.
fn speaker(name: &str) -> String {
    simple(name, "mkfifo /tmp/say; echo ready; while :; do cat /tmp/say; done")
}

fn say(namespace: &Namespace, pod: &str, text: &str) {
    namespace.kubectl(&["exec", pod, "--", "sh", "-c", &format!("echo '{text}' > /tmp/say")]).unwrap();
}

#[test]
fn ctrl_c_sigterm_and_the_deadline_end_it() {
    let shared = standard();
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let mut live = shared.obsctl("logs api -f").start();
        live.says("api is quiet");
        live.signal(signal);
        let ran = live.end(Duration::from_secs(5)).ends(status);
        assert_eq!(ran.count("api is quiet"), 1, "{}", ran.out);
        assert_eq!(ran.err.lines().count(), 2, "where, and since when: {}", ran.err);
        ran.never_says(&["no pod is there", "nothing to read"]);
    }
    let ran = shared.obsctl("logs api -f --deadline 2s").run().ends(124).shows(&["api is quiet"]);
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    // An object has no end in a follow, a stream of objects has one, also then.
    let objects = shared.obsctl("logs api -f --deadline 2s -o ndjson").run().ends(124).ndjson();
    let end = objects.last().unwrap();
    assert_eq!((&end["kind"], &end["exit_status"]), (&"end".into(), &124.into()), "{end}");
}

#[test]
fn lines_come_as_they_are_written_through_filters_too() {
    let ns = lab::get().cluster().namespace("lines");
    ns.apply(&speaker("web"));
    wrote(&ns, "web", "ready");
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut all = admin(&ns, "logs web -f").start();
    let mut some = admin(&ns, "logs web -f -i wanted").start();
    let mut one = admin(&ns, "logs web -f -r id-123456").start();
    all.says("ready");
    say(&ns, "web", "nothing special");
    all.says("nothing special");
    say(&ns, "web", "a wanted line");
    some.says("a wanted line");
    say(&ns, "web", r#"{"event": "hello", "request_id": "id-123456-7"}"#);
    one.says("hello");
    for (live, lines) in [(all, 4), (some, 1)] {
        live.signal("INT");
        let ran = live.end(Duration::from_secs(5)).ends(130);
        assert_eq!(ran.out.lines().count(), lines, "{}\n{}", ran.out, ran.err);
    }
    // A request is told as far as it is known, also when it is left.
    one.signal("INT");
    let ran = one.end(Duration::from_secs(5)).ends(130).shows(&["OPEN", "no line says that it was answered"]);
    assert!(ran.out.lines().next().is_some_and(|line| line.contains("hello")), "{}", ran.out);
}

#[test]
fn pods_that_come_later_join_and_those_that_go_do_not_end_it() {
    let ns = lab::get().cluster().namespace("scale");
    ns.apply(&deployment("web", "echo \"hello from $HOSTNAME\"; exec sleep 3600"));
    ns.wait("deploy/web", "condition=Available", SOON);
    let mut live = admin(&ns, "logs deploy/web -f").start();
    live.says("hello from");
    ns.kubectl(&["scale", "deploy/web", "--replicas=3"]).unwrap();
    eventually(SOON, || match live.out().matches("hello from").count() {
        3 => Ok(()),
        n => Err(format!("{n} pods have joined: {}\n{}", live.out(), live.err())),
    });
    ns.kubectl(&["delete", "pod", "--all", "--wait=false"]).unwrap();
    eventually(SOON, || match live.out().matches("hello from").count() {
        6 => Ok(()),
        n => Err(format!("{n} pods have spoken: {}\n{}", live.out(), live.err())),
    });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5)).ends(130);
    assert_eq!(ran.count("hello from"), 6, "nothing twice: {}", ran.out);
    assert!(ran.err.contains("joined"), "{}", ran.err);
}

#[test]
fn a_pod_deleted_in_the_middle_is_said_and_a_new_one_of_its_name_joins() {
    let ns = lab::get().cluster().namespace("deleted");
    ns.apply(&speaker("web"));
    ns.apply(&speaker("other"));
    for name in ["web", "other"] {
        ns.wait(&format!("pod/{name}"), "condition=Ready", SOON);
    }
    let mut live = admin(&ns, "logs -f").start();
    eventually(SOON, || if live.out().matches("ready").count() == 2 { Ok(()) } else { Err(live.out()) });
    ns.kubectl(&["delete", "pod", "web"]).unwrap();
    eventually(SOON, || if live.err().contains("web: ended") { Ok(()) } else { Err(live.err()) });
    say(&ns, "other", "still here");
    live.says("still here");
    ns.apply(&speaker("web"));
    ns.wait("pod/web", "condition=Ready", SOON);
    say(&ns, "web", "back again");
    live.says("back again");
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5)).ends(130);
    assert_eq!((ran.count("back again"), ran.count("still here"), ran.count("ready")), (1, 1, 3), "{}", ran.out);
}

#[test]
fn a_container_that_restarts_is_followed_on() {
    let ns = lab::get().cluster().namespace("restart");
    let life = container("main", "echo \"a life began\"; until [ -e /life/end ]; do usleep 100000; done; rm /life/end; exit 1");
    let life = life.replacen('{', "{volumeMounts: [{name: life, mountPath: /life}], ", 1);
    ns.apply(&pod("web", "volumes: [{name: life, emptyDir: {}}]", &[life]));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = admin(&ns, "logs web -f").start();
    live.says("a life began");
    ns.kubectl(&["exec", "web", "--", "touch", "/life/end"]).unwrap();
    eventually(
        SOON,
        || if live.out().matches("a life began").count() == 2 { Ok(()) } else { Err(format!("{}\n{}", live.out(), live.err())) },
    );
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5)).ends(130);
    assert_eq!(ran.count("a life began"), 2, "{}", ran.out);
}

#[test]
fn a_finished_job_is_shown_whole_and_ends_it() {
    let shared = standard();
    let ran = shared.obsctl("logs job/import -f").start().end(SOON).ends(0);
    assert_eq!(ran.count("import is quiet"), 1, "{}\n{}", ran.out, ran.err);
}

#[test]
fn a_line_of_a_mebibyte_arrives_whole() {
    let ns = lab::get().cluster().namespace("long");
    ns.apply(&speaker("web"));
    ns.wait("pod/web", "condition=Ready", SOON);
    // Followed, because the node rotates such a line away within seconds.
    let mut live = admin(&ns, "logs web -f -o ndjson").start();
    live.says("ready");
    let script = "{ printf BEGIN; head -c 1048576 /dev/zero | tr '\\0' x; echo END; echo after; } > /tmp/say";
    ns.kubectl(&["exec", "web", "--", "sh", "-c", script]).unwrap();
    live.says("\"after\"");
    live.signal("INT");
    let ran = live.end(Duration::from_secs(10)).ends(130);
    let lines: Vec<String> = ran.ndjson().iter().filter_map(|o| o["line"].as_str().map(str::to_owned)).collect();
    let long = lines.iter().find(|line| line.starts_with("BEGIN")).unwrap();
    assert_eq!((long.len(), long.ends_with("END"), lines.len()), (1_048_576 + 8, true, 3), "{NODE}");
}

fn deployment(name: &str, script: &str) -> String {
    let spec = super::standard::template(name, "", script);
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{selector: {{matchLabels: {{app: {name}}}}}, {spec}}}\n"
    )
}

#[test]
fn in_order_of_arrival_every_line_comes_too() {
    let ns = lab::get().cluster().namespace("arrival");
    ns.apply(&super::exact::writer("web", 100, 90, 300));
    ns.wait("pod/web", "condition=Ready", SOON);
    let mut live = admin(&ns, "logs web -f --tail -1 --order arrival -o ndjson").start();
    live.says("writer is quiet");
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5)).ends(130);
    super::exact::Shown::of(&ran, "web").is_exactly(1, 300);
}
