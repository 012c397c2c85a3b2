//! `errors`, `logs --stats` and `logs --leaks` on pods: what is there, what a rollout brought, what may not be seen.

use super::{QUICK, admin, simple, standard::standard, written, wrote};
use crate::support::{SOON, obsctl};
use lab::{Namespace, eventually, rule};

#[test]
fn errors_of_pods_with_their_places_and_the_next_command() {
    let shared = standard();
    let ns = shared.ns.name();
    let ran = shared.obsctl("errors api").run().ends(0);
    let ran = ran.shows(&[
        "1 error of 1 kind",
        "ValueError",
        "shop/views.py:12 post",
        "no price",
        "by api",
        &format!("obsctl logs -r other-2 -n {ns}"),
    ]);
    ran.never_says(&["rollout", "COVERAGE"]);
    // All apps: what cannot be read is said beside what is there.
    let all = eventually(SOON, || {
        let ran = shared.obsctl("errors").run().ends(0);
        // Between two lives of a crashing container the node has no log to give: it is there, or it is said to be missing.
        assert!(ran.out.contains("will crash") || ran.out.contains("crashing"), "{ran:?}");
        if ran.out.contains("will crash") { Ok(ran) } else { Err(ran.out) }
    });
    let all = all.shows(&["ValueError", "will crash", "COVERAGE", "not started"]);
    assert!(!all.out.contains("NEW"), "{}", all.out);
    let answer = shared.obsctl("errors api -o json").run().ends(0).json();
    let kind = &answer["facts"]["kinds"][0];
    assert_eq!((&kind["count"], &kind["places"][0]["name"], &kind["novelty"]), (&1.into(), &"api".into(), &"old".into()), "{answer:#}");
    assert_eq!(kind["places"][0]["release"], "1");
    shared.obsctl("errors deploy/backend").run().ends(0).shows(&["no errors: 22 records of 2 logs"]).never_says(&["COVERAGE", "──"]);
    shared.obsctl("errors no-such-app").run().ends(2);
}

#[test]
fn figures_of_pods() {
    let shared = standard();
    let lines = shared.pods("backend").iter().map(|pod| written(&shared.ns, pod).len()).sum::<usize>();
    let answer = shared.obsctl("logs deploy/backend --stats --of n --by pod -o json").run().ends(0).json();
    assert_eq!(answer["facts"]["records"], lines, "{answer:#}");
    let rows = answer["facts"]["measures"][0]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((&row["count"], &row["p50"], &row["p95"], &row["max"]), (&10.into(), &5.0.into(), &10.0.into(), &10.0.into()));
    }
    shared.obsctl("logs api --stats --of duration_ms --by event").run().ends(0).shows(&["request_finished", "12", "ERROR", "EVENT"]);
    let ran = shared.obsctl("logs odd --leaks").run().ends(0).shows(&["had to be hidden", "secret"]);
    ran.never_says(&["hunter2secret", "812"]);
    shared.obsctl("logs deploy/backend --leaks").run().ends(0).shows(&["nothing had to be hidden: 22 records of 2 logs"]);
}

#[test]
fn what_may_not_be_seen_is_named() {
    let shared = standard();
    let lister = shared.ns.kubeconfig_for("errlister", &[rule("get,list", "pods,deployments.apps")]);
    let right = format!("get on pods/log in namespace {}", shared.ns.name());
    for (words, says) in [
        ("errors deploy/backend", "nothing could be read"),
        ("logs deploy/backend --stats", "nothing could be read"),
        ("logs deploy/backend --leaks", "nothing could be read"),
    ] {
        let ran = eventually(SOON, || {
            let ran = obsctl(&lister, words).run();
            if ran.err.contains("needs list on pods") || ran.out.contains("needs list on pods") { Err(format!("{ran:?}")) } else { Ok(ran) }
        });
        ran.ends(3).shows(&[says, &right]).never_says(&["no errors"]);
    }
    // The logs may be read, the rollouts not: the answer stands, and what it cannot tell is said.
    let reader = shared.ns.kubeconfig_for("errreader", &[rule("get,list", "pods"), rule("get", "pods/log")]);
    let ran = eventually(SOON, || {
        let ran = obsctl(&reader, "errors pod/api").run();
        if ran.status == 0 { Ok(ran) } else { Err(format!("{ran:?}")) }
    });
    ran.shows(&["ValueError"]).warns(&["the rollouts may not be listed"]);
}

#[test]
fn a_namespace_without_pods_has_no_errors_and_says_why() {
    let ns = lab::get().cluster().namespace("viewless");
    admin(&ns, "errors").run().ends(0).shows(&["no pod is there"]).never_says(&["no errors"]);
    admin(&ns, "logs --stats").run().ends(0).shows(&["no pod is there"]);
    admin(&ns, "logs --leaks").run().ends(0).shows(&["no pod is there"]);
    ns.apply(&simple("quiet", "echo '{\"event\": \"fine\", \"level\": \"info\"}'; exec sleep 3600"));
    wrote(&ns, "quiet", "fine");
    ns.wait("pod/quiet", "condition=Ready", SOON);
    admin(&ns, "errors").run().ends(0).shows(&["no errors: 1 record of 1 log"]).never_says(&["COVERAGE"]);
}

/// A Deployment of one pod whose old pod stays until the new one is ready.
fn deploy(ns: &Namespace, release: &str, ready: &str, script: &str) {
    let script = serde_json::to_string(script).unwrap();
    ns.apply(&format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {{app: web}}}}\n  \
         strategy: {{rollingUpdate: {{maxUnavailable: 0, maxSurge: 1}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec: \
         {{{QUICK}, containers: [{{name: main, image: \"lab.test/busybox:1\", imagePullPolicy: Never, command: [sh, -c, {script}], \
         env: [{{name: RELEASE, value: \"{release}\"}}], readinessProbe: {{exec: {{command: [{ready}]}}, periodSeconds: 1}}}}]}}\n"
    ));
}

const OLD: &str = r#"
echo '{"event": "old trouble 17", "level": "error"}'
while true; do echo '{"event": "alive", "level": "info"}'; sleep 1; done"#;
const NEW: &str = r#"
echo '{"event": "old trouble 18", "level": "error"}'
echo '{"event": "broken", "level": "error", "request_id": "fresh-4711"}'
echo 'Traceback (most recent call last):'
echo '  File "/app/shop/views.py", line 34, in margin'
echo '    return 100 / price'
echo 'ZeroDivisionError: division by zero'
while true; do echo '{"event": "alive", "level": "info"}'; sleep 1; done"#;

#[test]
fn what_a_rollout_brought_is_new_only_where_the_logs_reach_back() {
    let ns = lab::get().cluster().namespace("brought");
    deploy(&ns, "1", "\"true\"", OLD);
    let pods = || -> Vec<String> {
        let names = ns.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"]).unwrap();
        names.split_whitespace().map(str::to_owned).collect()
    };
    eventually(SOON, || if pods().len() == 1 { Ok(()) } else { Err(format!("{:?}", pods())) });
    let old = pods().remove(0);
    // Long enough that the old log begins before the second in which the rollout does.
    eventually(SOON, || match written(&ns, &old).iter().filter(|(_, line)| line.contains("alive")).count() {
        0..3 => Err(format!("{old} has not written enough")),
        _ => Ok(()),
    });
    // The new pod never gets ready, so that the old one stays: a rollout in the middle.
    deploy(&ns, "2", "\"false\"", NEW);
    eventually(SOON, || if pods().len() == 2 { Ok(()) } else { Err(format!("{:?}", pods())) });
    let new = pods().into_iter().find(|p| *p != old).unwrap();
    wrote(&ns, &new, "ZeroDivisionError");
    // The node's file is there before the API knows that the container runs.
    let ran = eventually(SOON, || {
        let ran = admin(&ns, "errors").run().ends(0);
        if ran.out.contains("not started") { Err(ran.out) } else { Ok(ran) }
    });
    let ran = ran.shows(&[
        "1 kind is new since the rollout of",
        "NEW since the rollout of",
        "deploy/web",
        "variables changed: RELEASE",
        "obsctl logs -r fresh-4711",
    ]);
    let answer = admin(&ns, "errors -o json").run().ends(0).json();
    let kinds = answer["facts"]["kinds"].as_array().unwrap();
    let told: Vec<String> =
        kinds.iter().map(|k| format!("{} {} {}", k["cause"]["by"].as_str().unwrap(), k["count"], k["novelty"].as_str().unwrap())).collect();
    assert_eq!(told, ["exception 1 new", "message 2 old"], "{answer:#}\n{}", ran.out);
    assert_eq!((&answer["findings"][0]["code"], &answer["verdict"]), (&"new-error".into(), &"warning".into()));
    // So says the runbook.
    let runbook = || admin(&ns, "check --only errors -o json").run().json()["facts"]["checks"].clone();
    let check = runbook();
    assert!(check.to_string().contains("is new since the rollout of") && check[0]["status"] == "warning", "{check:#}");
    // Once the old pod is gone its log is gone too: nobody can know.
    deploy(&ns, "3", "\"true\"", NEW);
    eventually(SOON, || if pods().len() == 1 { Ok(()) } else { Err(format!("{:?}", pods())) });
    wrote(&ns, &pods().remove(0), "ZeroDivisionError");
    let ran = admin(&ns, "errors").run().ends(0).shows(&["first seen after the rollout of", "are gone"]);
    ran.never_says(&["NEW since"]);
    let check = runbook();
    assert_eq!(check[0]["status"], "ok", "{check:#}");
}
