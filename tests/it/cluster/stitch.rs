//! Containers that end and begin again: one stream, with what happened in its place; and follows that end by themselves.

use super::{
    QUICK, admin, container,
    exact::{Item, Shown, shown, through, writing},
    pod, simple,
    standard::standard,
    wrote,
};
use crate::support::SOON;
use lab::{ApiFault, Namespace, eventually};
use std::time::Duration;

#[test]
fn previous_and_current_are_one_stream() {
    let shared = standard();
    let ran = shared.obsctl("logs restarted --tail -1 -o ndjson").run().ends(0);
    let shown = Shown::of(&ran, "restarted").items;
    let words: Vec<String> = shown
        .iter()
        .map(|item| match item {
            Item::Mark(mark) => format!("{} {}", mark["event"].as_str().unwrap(), mark["exit_code"]),
            Item::Other(line) if line.contains("first life") => "first life".into(),
            Item::Other(line) if line.contains("second life") => "second life".into(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(words, ["first life", "ended 3", "restarted null", "second life"]);
    let ran = shared.obsctl("logs restarted --tail -1").run().ends(0);
    ran.shows(&["first life", "── container ended: exit code 3 (Error)", "── container started again (restart 1)", "second life"]);
    // As kubectl has it: that container and nothing else.
    let ran = shared.obsctl("logs restarted --previous --tail -1").run().ends(0).shows(&["first life"]);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    // Lines as they were written, and nothing among them.
    let ran = shared.obsctl("logs restarted --raw --tail -1").run().ends(0).warns(&["container ended: exit code 3"]);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
}

#[test]
fn the_last_crash_is_shown_once() {
    let shared = standard();
    for words in ["logs crashing --tail -1", "logs crashing -i crash", "logs crashing"] {
        // It comes and goes every three seconds: whichever container is there, no life is shown twice.
        for _ in 0..5 {
            // Between two lives the node has no log to give, and says so.
            let ran = eventually(SOON, || {
                let ran = shared.obsctl(words).arg_all("-o ndjson").run();
                if ran.status == 3 { Err(ran.out) } else { Ok(ran.ends(0)) }
            });
            let objects = ran.ndjson();
            let mut lives: Vec<&str> = objects.iter().filter(|o| o["kind"] == "record").map(|o| o["at"].as_str().unwrap()).collect();
            let all = lives.len();
            lives.dedup();
            assert!(all > 0 && all == lives.len(), "{words}: {}", ran.out);
            // Who asks for some lines is not told what else happened.
            let told = objects.iter().any(|o| o["event"] == "ended" && o["exit_code"] == 1);
            assert!(told != words.contains("-i"), "{words}: {}", ran.out);
        }
    }
}

/// A pod whose container counts its lives, a line each, and crashes.
fn crashing(name: &str) -> Namespace {
    let ns = lab::get().cluster().namespace(name);
    let script = "n=$(cat /life/n 2>/dev/null || echo 0); n=$((n + 1)); echo $n > /life/n; echo \"line <$n> of a short life\"; exit 1";
    let life = container("main", script).replacen('{', "{volumeMounts: [{name: life, mountPath: /life}], ", 1);
    ns.apply(&pod("web", "volumes: [{name: life, emptyDir: {}}]", &[life]));
    wrote(&ns, "web", "line <1>");
    ns
}

/// So long the lives of a slow API are watched.
const ENOUGH: Duration = Duration::from_secs(75);

#[test]
fn a_slow_api_never_gives_the_lines_of_one_life_to_another() {
    let ns = crashing("slowlives");
    let proxy = ns.cluster().fault_proxy();
    proxy.fail("/api", usize::MAX, ApiFault::Stall(0, Duration::from_millis(2_000)));
    let live = through(&proxy, &ns, "logs web -f --tail -1").start();
    // What obsctl knows of the pod is always older than a life, and some lives are over before they could be read. On a machine that has
    // much else to do that may be nearly all of them.
    let enough = || if live.out().matches("\"restarted\"").count() > 2 { Ok(()) } else { Err(live.err()) };
    let _ = lab::wait::poll(ENOUGH, enough);
    eventually(SOON, || if live.out().contains("line <") { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(10)).ends(130);
    Shown::of(&ran, "web").is_accounted_for();
}

#[test]
fn every_life_of_a_crashing_container_is_followed() {
    let ns = crashing("crashloop");
    let mut live = admin(&ns, "logs web -f --tail -1 -o ndjson").start();
    live.says("line <6>");
    eventually(SOON, || if live.out().matches("\"ended\"").count() > 5 { Ok(()) } else { Err(live.out()) });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(10)).ends(130);
    let shown = Shown::of(&ran, "web");
    // Which life is the first to be seen, and whether the one before it could be, is a matter of moments.
    shown.is_accounted_for();
    assert!(shown.numbers().len() >= 5, "{}\n{}", ran.out, ran.err);
    assert!(shown.marks("ended").iter().all(|mark| mark["exit_code"] == 1), "{}", ran.out);
    let waits = shown.marks("back_off");
    assert!(!waits.is_empty() && waits[0]["says"].as_str().unwrap().contains("back-off"), "{waits:?}");
}

#[test]
fn out_of_memory_is_said_in_place() {
    let ns = lab::get().cluster().namespace("oom");
    let script = "echo about to grow; exec tail /dev/zero";
    let hungry = container("main", script).replacen('{', "{resources: {limits: {memory: 24Mi}}, ", 1);
    ns.apply(&pod("web", "restartPolicy: Never", &[hungry]));
    let live = admin(&ns, "logs po/web -f --tail -1").start();
    eventually(SOON, || if live.out().contains("OOMKilled") { Ok(()) } else { Err(format!("{}\n{}", live.out(), live.err())) });
    let shown = live.out();
    assert!(shown.contains("about to grow") && shown.contains("── container ended: exit code 137, SIGKILL (OOMKilled)"), "{shown}");
    live.signal("INT");
    live.end(Duration::from_secs(5));
    // And without a follow.
    admin(&ns, "logs web --tail -1").run().ends(0).shows(&["about to grow", "137, SIGKILL (OOMKilled)"]);
}

#[test]
fn following_a_job_ends_with_the_job() {
    let ns = lab::get().cluster().namespace("job");
    let containers = container("main", "for i in 1 2 3 4 5 6 7 8 9 10; do echo \"line <$i>\"; usleep 300000; done");
    ns.apply(&format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: import}}\nspec: {{completions: 2, parallelism: 1, template: {{metadata: {{labels: {{app: import}}}}, \
         spec: {{{QUICK}, restartPolicy: Never, containers: [{containers}]}}}}}}\n"
    ));
    eventually(SOON, || match ns.kubectl(&["get", "pods", "-lapp=import", "-oname"]) {
        Ok(names) if !names.is_empty() => Ok(()),
        other => Err(format!("no pod yet: {other:?}")),
    });
    let ran = admin(&ns, "logs job/import -f --tail -1 -o ndjson").start().end(SOON).ends(0);
    assert_eq!(
        (ran.count("\"line\":\"line <1>"), ran.count("\"line\":\"line <10>"), ran.count("\"line\"")),
        (2, 2, 20),
        "{}\n{}",
        ran.out,
        ran.err
    );
}

#[test]
fn tail_of_a_follow_counts_records_and_never_begins_in_a_traceback() {
    let ns = lab::get().cluster().namespace("tail");
    let frames = "  File \\\"/app/views.py\\\", line 1, in post\\n    charge()\\n";
    let record = format!(
        "{{\\\"event\\\": \\\"broken\\\", \\\"n\\\": %d}}\\nTraceback (most recent call last):\\n{}ValueError: no\\n",
        frames.repeat(60)
    );
    let script = format!(
        "i=0; while [ $i -lt 12 ]; do i=$((i + 1)); printf \"{record}\" $i; done; while :; do cat /tmp/say 2>/dev/null; usleep 100000; done"
    );
    ns.apply(&simple("web", &script));
    wrote(&ns, "web", "\"n\": 12");
    for n in [3, 0] {
        let mut live = admin(&ns, "logs web -f -o ndjson").arg_all(&format!("--tail {n}")).start();
        if n > 0 {
            live.says("broken");
        }
        // Said until it is heard: nothing tells when a follow of nothing has begun.
        eventually(SOON, || {
            let say = "echo '{\"event\": \"after\"}' > /tmp/say; usleep 150000; rm /tmp/say";
            ns.kubectl(&["exec", "web", "--", "sh", "-c", say]).map_err(|e| e.to_string())?;
            if live.out().contains("\"after\"") { Ok(()) } else { Err(live.err()) }
        });
        live.signal("INT");
        let ran = live.end(Duration::from_secs(5)).ends(130);
        let records: Vec<serde_json::Value> = ran.ndjson().into_iter().filter(|o| o["kind"] == "record").collect();
        let old = records.iter().filter(|o| o["message"] == "broken").count();
        assert_eq!(old, n, "--tail {n}: {}", ran.out);
        assert!(records.iter().all(|o| o["message"] != "broken" || o["more"].as_array().unwrap().len() == 122), "{}", ran.out);
        assert!(records.iter().all(|o| matches!(o["message"].as_str(), Some("broken" | "after"))), "{}", ran.out);
    }
}

#[test]
fn a_rollout_of_fifty_pods_loses_nothing() {
    const PODS: usize = 50;
    let ns = lab::get().cluster().namespace("rollout");
    // It is the pods that count: few lines leave a small machine the strength to start a hundred of them.
    let containers = writing(3, 90, 0);
    ns.apply(&format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{replicas: {PODS}, selector: {{matchLabels: {{app: web}}}}, \
         template: {{metadata: {{labels: {{app: web}}}}, spec: {{{QUICK}, containers: [{containers}]}}}}}}\n"
    ));
    ns.kubectl(&["rollout", "status", "deploy/web", "--timeout=180s"]).unwrap();
    let live = admin(&ns, "logs deploy/web -f --tail -1 -o ndjson").start();
    // Every one of them is followed: of a pod that goes before it was ever read nothing can be shown.
    eventually(SOON, || match live.out().matches("\"line\":\"line <10>").count() {
        n if n >= PODS => Ok(()),
        n => Err(format!("{n} pods are followed: {}", live.err())),
    });
    ns.kubectl(&["rollout", "restart", "deploy/web"]).unwrap();
    ns.kubectl(&["rollout", "status", "deploy/web", "--timeout=300s"]).unwrap();
    eventually(SOON, || match live.out().matches("\"line\":\"writer ends").count() {
        n if n >= PODS => Ok(()),
        n => Err(format!("{n} pods have ended: {}", live.err())),
    });
    // And so is every one of the new.
    eventually(SOON, || match live.out().matches("\"line\":\"line <10>").count() {
        n if n >= 2 * PODS => Ok(()),
        n => Err(format!("{n} pods are followed: {}", live.err())),
    });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(20)).ends(130);
    let mut pods: Vec<String> = ran.ndjson().iter().filter_map(|o| o["name"].as_str().map(str::to_owned)).collect();
    pods.sort_unstable();
    pods.dedup();
    assert_eq!(pods.len(), 2 * PODS, "{}", ran.err);
    for pod in pods {
        let shown = Shown::of(&ran, &pod);
        shown.is_exactly(1, shown.numbers().len() as u64);
    }
}

#[test]
fn a_pod_that_is_replaced_is_followed_by_the_next_of_its_name() {
    let ns = lab::get().cluster().namespace("replaced");
    let containers = writing(100, 90, 0);
    ns.apply(&format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: web}}\nspec: {{serviceName: web, selector: {{matchLabels: {{app: web}}}}, \
         template: {{metadata: {{labels: {{app: web}}}}, spec: {{{QUICK}, containers: [{containers}]}}}}}}\n"
    ));
    eventually(SOON, || ns.kubectl(&["get", "pod", "web-0"]).map_err(|e| e.to_string()));
    ns.wait("pod/web-0", "condition=Ready", SOON);
    let mut live = admin(&ns, "logs sts/web -f --tail -1 -o ndjson").start();
    live.says("line <200>");
    ns.kubectl(&["delete", "pod", "web-0"]).unwrap();
    live.says("writer ends");
    eventually(SOON, || if shown(&live, 200) == 2 { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(10)).ends(130);
    let shown = Shown::of(&ran, "web-0");
    let end = shown.items.iter().position(|item| *item == Item::Other("writer ends".into())).expect("its last word");
    let (first, second) = shown.items.split_at(end);
    for life in [first, second] {
        let life = Shown { items: life.to_vec() };
        life.is_exactly(1, life.numbers().len() as u64);
    }
    assert!(ran.err.contains("web-0: ended") && ran.err.contains("web-0: joined"), "{}", ran.err);
}
