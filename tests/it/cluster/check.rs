//! `obsctl check` in a real cluster: every figure of pods and workloads as it should be and not, what may not be seen, a cluster that is
//! away; and the built-in runbook on the whole shop, with one harm at a time.

use super::{
    QUICK, container,
    health::{WELL, deployment, namespace, probed, web},
};
use crate::{
    check::{came_out, of, outcomes, sorted},
    support::{Obsctl, Ran, SOON, obsctl},
};
use lab::{
    Namespace, eventually, rule,
    sandbox::{PodSandbox, Profile},
};
use std::path::Path;
use tokio::time::Instant;

/// A file of checks, in a namespace.
fn file(kubeconfig: &Path, namespace: &Namespace, checks: &str, words: &str) -> Obsctl {
    obsctl(kubeconfig, "check checks.yaml --namespace").arg(namespace.name()).arg_all(words).file("checks.yaml", checks)
}

const KINDS: &str = "checks:
  - {name: web, kubernetes: web}
  - {name: ill, kubernetes: ill}
  - {name: web by kind, kubernetes: deploy/web}
  - {name: all, kubernetes: all}
  - {name: absent, kubernetes: nothing, fail: unready > 0}
  - {name: ready, kubernetes: web, want: ready == 100%}
  - {name: ready ill, kubernetes: ill, fail: ready < 100%}
  - {name: unready, kubernetes: web, fail: unready > 0}
  - {name: unready ill, kubernetes: ill, fail: unready > 0}
  - {name: image, kubernetes: web, want: 'image == lab.test/busybox:1'}
  - {name: image ill, kubernetes: [web, ill], want: 'image == lab.test/busybox:1'}
  - {name: version, kubernetes: web, want: version == 1}
  - {name: version ill, kubernetes: web, want: version == 2}
  - {name: releases, kubernetes: web, fail: releases > 1}
  - {name: releases ill, kubernetes: [web, two], fail: releases > 1}
  - {name: rollout, kubernetes: web, want: rollout == done}
  - {name: rollout ill, kubernetes: ill, want: rollout == done}
  - {name: restarts, kubernetes: web, fail: restarts > 0}
  - {name: restarts ill, kubernetes: loop, fail: restarts > 0}
  - {name: oom, kubernetes: loop, fail: oom > 0}
  - {name: oom ill, kubernetes: hungry, fail: oom > 0}
  - {name: jobs, kubernetes: all, fail: failed_jobs > 1}
  - {name: jobs ill, kubernetes: all, fail: failed_jobs > 0}
  - {name: events, kubernetes: all, reason: NoSuchReason, fail: events > 0}
  - {name: events ill, kubernetes: loop, reason: BackOff, fail: events > 0}
";

/// A pod that ends again and again.
fn crashing(name: &str, script: &str, limits: &str) -> String {
    deployment(name, 1, &container("main", script).replacen('{', &format!("{{{limits}"), 1))
}

fn job(name: &str, script: &str) -> String {
    format!(
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec: {{backoffLimit: 0, template: {{spec: {{{QUICK}, \
         restartPolicy: Never, containers: [{}]}}}}}}\n",
        container("main", script)
    )
}

#[test]
fn pods_rollouts_releases_jobs_and_events() {
    let ns = namespace("check");
    let admin = ns.cluster().kubeconfig().to_owned();
    ns.apply(&deployment("web", 2, &probed(&web("200 OK", WELL))));
    ns.apply(&deployment("ill", 1, &probed(&web("200 OK", WELL)).replace("busybox:1", "busybox:2")));
    ns.apply(&crashing("loop", "echo gone; exit 3", ""));
    ns.apply(&crashing("hungry", "exec tail /dev/zero", "resources: {limits: {memory: 16Mi}}, "));
    ns.apply(&job("good", "exit 0"));
    ns.apply(&job("bad", "exit 4"));
    // One pod that is of another release than the others of its set.
    ns.apply(&deployment("two", 1, &probed(&web("200 OK", WELL))));
    ns.wait("deploy/web", "condition=Available", SOON);
    ns.wait("deploy/two", "condition=Available", SOON);
    ns.wait("job/good", "condition=Complete", SOON);
    ns.wait("job/bad", "condition=Failed", SOON);
    ns.wait("deploy/ill", "jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=ProgressDeadlineExceeded", SOON);
    let next = probed(&web("200 OK", WELL)).replace("busybox:1", "busybox:2");
    ns.apply(&deployment("two", 1, &next));
    ns.wait("deploy/two", "jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=ProgressDeadlineExceeded", SOON);
    let names = ["web", "ready", "unready", "image", "version", "releases", "rollout", "restarts", "oom", "jobs", "events", "web by kind"];
    let ill =
        ["ill", "all", "ready ill", "unready ill", "image ill", "version ill", "releases ill", "rollout ill", "restarts ill", "oom ill"];
    let mut wanted: Vec<(&str, &str, &str)> = names.iter().map(|name| (*name, "ok", "")).collect();
    wanted.extend(ill.iter().chain(&["jobs ill", "events ill"]).map(|name| (*name, "failed", "")));
    wanted.push(("absent", "unknown", "no-data"));
    // Crashes come one by one, and the node does not always know of an OOM kill what it was: all of it is seen within a time.
    let ran = eventually(SOON, || {
        let ran = file(&admin, &ns, KINDS, "-o json").run();
        if outcomes(&ran) == sorted(&wanted) { Ok(ran) } else { Err(ran.out) }
    });
    let answer = ran.ends(1).json();
    assert!(of(&answer, "ill")["says"].as_str().is_some_and(|says| says.contains("rollout of ill is stuck")), "{answer:#}");
    assert_eq!(of(&answer, "version ill")["figures"].as_array().map(Vec::len), Some(2), "on every pod: {answer:#}");
    assert!(of(&answer, "oom ill")["says"].as_str().is_some_and(|says| says.contains("hungry-") && says.contains("oom 1")), "{answer:#}");
}

#[test]
fn what_may_not_be_seen_is_unknown_and_a_cluster_that_is_away_is_one_line() {
    let ns = namespace("check-rights");
    ns.apply(&deployment("web", 1, &probed(&web("200 OK", WELL))));
    ns.wait("deploy/web", "condition=Available", SOON);
    let checks = "checks:
  - {name: pods, kubernetes: web, fail: unready > 0}
  - {name: version, kubernetes: web, want: version == 1}
  - {name: rollout, kubernetes: web, want: rollout == done}
  - {name: restarts, kubernetes: web, fail: restarts > 0}
  - {name: jobs, kubernetes: all, fail: failed_jobs > 0}
  - {name: events, kubernetes: all, fail: events > 1000}
  - {name: after, kubernetes: web, needs: pods}
";
    let nothing = ns.kubeconfig_for("blind", &[rule("get", "configmaps")]);
    let ran = file(&nothing, &ns, checks, "-o json").run().ends(3);
    let refused = |name: &'static str| (name, "unknown", "no-permission");
    let all = ["pods", "version", "rollout", "restarts", "jobs", "events"].map(refused);
    came_out(&ran, &[&all[..], &[("after", "skipped", "no-permission")]].concat());
    // What is missing is named with the right that would help.
    file(&nothing, &ns, checks, "").run().ends(3).shows(&["list on pods"]);
    let some = ns.kubeconfig_for("some", &[rule("list", "pods,replicasets.apps,deployments.apps")]);
    let ran = eventually(SOON, || {
        let ran = file(&some, &ns, checks, "-o json").run();
        if of(&ran.json(), "pods")["status"] == "ok" { Ok(ran) } else { Err(ran.out) }
    });
    let seen = |name: &'static str| (name, "ok", "");
    // The verdict on all of it is none where a part may not be seen.
    let (well, hidden) = (["pods", "version", "rollout", "restarts"].map(seen), ["jobs", "events", "after"].map(refused));
    came_out(&ran, &[&well[..], &hidden[..]].concat());

    let dir = tempfile::tempdir().unwrap();
    let away = dir.path().join("config");
    let text = std::fs::read_to_string(ns.cluster().kubeconfig()).unwrap();
    let at = ns.cluster().info().api.clone();
    assert!(text.contains(&at), "{text}");
    std::fs::write(&away, text.replace(&at, &format!("https://127.0.0.1:{}", lab::ports::free().unwrap()))).unwrap();
    let ran = file(&away, &ns, checks, "-o json").run();
    // One cause, one line.
    let for_it = |name: &'static str| (name, "skipped", "unreachable");
    let others = ["version", "rollout", "restarts", "jobs", "events", "after"].map(for_it);
    came_out(&ran, &[&[("pods", "unknown", "unreachable")], &others[..]].concat());
    let ran = ran.ends(3);
    assert_eq!(ran.json()["facts"]["causes"][0]["skipped"].as_array().map(Vec::len), Some(6), "{}", ran.out);
}

/// A harm, the check whose line has to be the first, what the line says, and the others that it may reach.
struct Harm {
    name: &'static str,
    check: &'static str,
    says: &'static [&'static str],
    reaches: &'static [&'static str],
}

const HARMS: [Harm; 3] = [
    Harm { name: "degraded-pod", check: "pods", says: &["backend-degraded"], reaches: &["health", "errors", "restarts"] },
    Harm {
        name: "stuck-rollout",
        check: "rollout",
        says: &["rollout of backend is stuck", "ErrImageNeverPull"],
        reaches: &["pods", "release"],
    },
    Harm { name: "oom", check: "restarts", says: &["celery-export-", "OOMKilled"], reaches: &["workers", "queues", "events", "pods"] },
];

fn first(ran: &Ran) -> String {
    // The verdict, over as many lines as it needs.
    ran.out.lines().skip(1).take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_shop_is_well_and_one_harm_at_a_time_is_named_first() {
    let sandbox = PodSandbox::start(&lab::get().cluster(), Profile::A).unwrap();
    let ask = |words: &str| {
        obsctl(sandbox.namespace.cluster().kubeconfig(), "check").arg("--config").arg(sandbox.config.to_str().unwrap()).arg_all(words).run()
    };
    // The shop's importer crashes from the beginning.
    eventually(SOON, || {
        let ran = ask("");
        let line = first(&ran);
        let named = line.starts_with("FAIL ") && line.contains(" restarts: importer-");
        if named { Ok(()) } else { Err(format!("crash-loop: {}{}", ran.out, ran.err)) }
    });
    sandbox.namespace.kubectl(&["delete", "deployment", "importer", "--wait=true"]).unwrap();
    let well = || {
        eventually(SOON * 2, || {
            let ran = ask("");
            if ran.status == 0 && first(&ran).starts_with("OK ") { Ok(()) } else { Err(format!("{}{}", ran.out, ran.err)) }
        });
    };
    well();
    cron_job(&sandbox);
    let traffic = sandbox.traffic();
    for harm in &HARMS {
        let harmed = match harm.name {
            "oom" => {
                traffic.fault("oom").unwrap();
                None
            }
            name => Some(traffic.harm(name, &[]).unwrap()),
        };
        let planted = Instant::now();
        let others = eventually(SOON * 2, || {
            let (ran, told) = (ask(""), ask("-o json"));
            let line = first(&ran);
            let named =
                line.starts_with("FAIL ") && line.contains(&format!(" {}: ", harm.check)) && harm.says.iter().all(|s| line.contains(s));
            if !named {
                return Err(format!("{}: {}{}", harm.name, ran.out, ran.err));
            }
            let answer = told.json();
            let ill = answer["facts"]["checks"].as_array().unwrap().iter().filter(|c| c["status"] != "ok");
            let others: Vec<String> = ill.map(|c| c["name"].as_str().unwrap().to_owned()).filter(|name| name != harm.check).collect();
            let wrongly = others.iter().any(|name| !harm.reaches.contains(&name.as_str()));
            if wrongly { Err(format!("{}: also {others:?}: {}", harm.name, ran.out)) } else { Ok(others) }
        });
        lab::say(&format!("{}: named first after {:.1} s, beside {}", harm.name, planted.elapsed().as_secs_f64(), others.join(", ")));
        if let Some(harmed) = harmed {
            harmed.restore().unwrap();
            well();
        }
    }
}

/// The example of the documentation, as it stands but for its image: the pod sees the machine's programs, and obsctl among them.
fn cron_job(sandbox: &PodSandbox) {
    let ns = &sandbox.namespace;
    let binary = Path::new(env!("CARGO_BIN_EXE_obsctl"));
    let folders = [("usr", "/usr"), ("lib", "/lib"), ("lib64", "/lib64"), ("bin", binary.parent().unwrap().to_str().unwrap())];
    let mounts: String = folders
        .iter()
        .map(|(name, path)| format!("{{name: {name}, mountPath: {}}}, ", if *name == "bin" { "/opt" } else { path }))
        .collect();
    let volumes: String = folders.iter().map(|(name, path)| format!("{{name: {name}, hostPath: {{path: {path}}}}}, ")).collect();
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/cronjob.yaml")).unwrap();
    let example = example
        .replace("image: registry.example.org/obsctl:latest", "image: lab.test/busybox:1")
        .replace("command: [obsctl,", "command: [/opt/obsctl,")
        .replace("volumeMounts: [", &format!("volumeMounts: [{mounts}"))
        .replace("volumes: [", &format!("volumes: [{volumes}"))
        // Only when it is told to.
        .replace("spec:\n  schedule:", "spec:\n  suspend: true\n  schedule:");
    ns.apply(&example);
    let run = |name: &str, condition: &str| {
        ns.kubectl(&["create", "job", "--from=cronjob/obsctl-check", name]).unwrap();
        let said = || ns.kubectl(&["logs", &format!("job/{name}"), "--tail=-1"]).unwrap_or_default();
        let ended = eventually(SOON, || {
            let state = ns.kubectl(&["get", "job", name, "--output=jsonpath={.status.conditions[*].type}"]).unwrap_or_default();
            let ended = ["Complete", "Failed"].iter().any(|word| state.split(' ').any(|condition| condition == *word));
            if ended { Ok(state) } else { Err(format!("{name}: {state}: {}", said())) }
        });
        let said = said();
        ns.kubectl(&["delete", "job", name, "--wait=true"]).unwrap();
        if ended.split(' ').any(|word| word == condition) { Ok(said) } else { Err(format!("{name}: {ended}: {said}")) }
    };
    let said = eventually(SOON * 2, || run("well", "Complete"));
    assert!(said.contains("OK    all is as it should be") && said.contains("[exit 0]"), "{said}");
    assert!(!said.contains("not seen"), "the Role of the example is enough: {said}");
    let harmed = sandbox.traffic().harm("degraded-pod", &[]).unwrap();
    let said = eventually(SOON * 2, || match run("ill", "Failed") {
        Ok(said) if said.contains("FAIL  pods: ") => Ok(said),
        Ok(other) | Err(other) => Err(other),
    });
    assert!(said.contains("backend-degraded") && said.contains("[exit 1]"), "{said}");
    harmed.restore().unwrap();
}
