//! `obsctl watch` over a real cluster: rollouts that are well and stuck, pods that are ill, that go and come, and a cluster that cannot be
//! asked. An alert is told once, its end is told once, and nothing else is.

use super::{admin, health, standard};
use crate::support::{Live, Obsctl, SOON, obsctl};
use lab::{
    Namespace, eventually, get, ports, rule,
    sandbox::{PodSandbox, Profile},
    web::{Act, Nginx, Scripted, answer},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// Where the state of a watch lives, and what it told.
struct Post(TempDir);

impl Post {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The part of a configuration that has a program keep each alert, one a line.
    fn channel(&self) -> String {
        let told = self.0.path().join("told");
        format!("    notify: {{channels: {{own: {{command: [sh, -c, 'cat >> {0}; echo >> {0}']}}}}}}\n", told.display())
    }

    fn config(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("c.yaml");
        fs::write(&path, text).unwrap();
        path
    }

    fn remember(&self, obsctl: Obsctl) -> Obsctl {
        obsctl.var("XDG_STATE_HOME", self.0.path().join("state").to_str().unwrap())
    }

    /// What was told: `firing backend: redis failed, …`.
    fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join("told")).unwrap_or_default();
        let alerts = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        alerts
            .map(|a| format!("{} {}: {}", a["alert"]["state"].as_str().unwrap(), a["alert"]["subject"].as_str().unwrap(), a["alert"]))
            .collect()
    }

    #[track_caller]
    fn comes_to(&self, count: usize) -> Vec<String> {
        eventually(SOON, || if self.told().len() >= count { Ok(self.told()) } else { Err(format!("{:#?}", self.told())) })
    }

    fn kept(&self) -> String {
        let found = glob::glob(&format!("{}/state/obsctl/watch/*/state.json", self.0.path().display())).unwrap().flatten().next();
        found.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    }

    /// Waits until so many more rounds are over, by the length of the histories.
    #[track_caller]
    fn rounds(&self, subject: &str, more: usize) {
        let length = || {
            let kept: serde_json::Value = serde_json::from_str(&self.kept()).unwrap_or_default();
            kept["watch"]["subjects"][subject]["history"].as_array().map_or(0, Vec::len)
        };
        let before = length();
        eventually(SOON, || if length() >= (before + more).min(90) { Ok(()) } else { Err(self.kept()) });
    }
}

#[track_caller]
fn begins(told: &[String], at: usize, with: &str, holds: &[&str]) {
    let alert = &told[at];
    assert!(alert.starts_with(with), "{alert}");
    holds.iter().for_each(|text| assert!(alert.contains(text), "lacks {text:?}: {alert}"));
}

#[test]
fn a_production_through_a_rolling_restart_a_degraded_pod_a_kill_and_a_stuck_rollout() {
    let sandbox = PodSandbox::start(&get().cluster(), Profile::A).unwrap();
    let (ns, post) = (&sandbox.namespace, Post::new());
    let text = fs::read_to_string(&sandbox.config).unwrap().replace("    apps:\n", &format!("{}    apps:\n", post.channel()));
    let config = post.config(&text);
    let watch = || {
        let words = obsctl(ns.cluster().kubeconfig(), "watch backend --interval 700ms --config").arg(config.to_str().unwrap());
        post.remember(words).start()
    };
    let live = watch();
    post.rounds("backend", 2);
    ns.kubectl(&["rollout", "restart", "deployment/backend"]).unwrap();
    ns.kubectl(&["rollout", "status", "deployment/backend", "--timeout=120s"]).unwrap();
    post.rounds("backend", 4);
    assert_eq!((live.out().as_str(), post.told()), ("", Vec::new()), "{}", live.err());

    let harmed = sandbox.traffic().harm("degraded-pod", &[]).unwrap();
    begins(&post.comes_to(1), 0, "firing backend", &["redis failed, on 1 of 3 pods: backend-degraded", "deploy/backend  restarted"]);
    post.rounds("backend", 3);
    live.signal("KILL");
    let ran = live.end(SOON);
    assert_eq!((ran.status, ran.count("FAILED  ")), (137, 1), "{}", ran.out);
    let mut live = watch();
    post.rounds("backend", 3);
    assert_eq!(post.told().len(), 1, "told again: {:#?}", post.told());
    harmed.restore().unwrap();
    begins(&post.comes_to(2), 1, "resolved backend", &["well after", "\"key\":\"backend#1\""]);
    live.says("ok again  backend");

    let harmed = sandbox.traffic().harm("stuck-rollout", &[]).unwrap();
    let told = post.comes_to(3);
    begins(&told, 2, "firing backend", &["its container waits: ErrImageNeverPull", "no-such-release:2", "\"key\":\"backend#2\""]);
    harmed.restore().unwrap();
    begins(&post.comes_to(4), 3, "resolved backend", &["well after"]);
    post.rounds("backend", 3);
    live.signal("INT");
    live.end(SOON).ends(130).shows(&["2 subjects are well", "backend", "the cluster's API"]);
    assert_eq!(post.told().len(), 4, "{:#?}", post.told());
}

fn started(post: &Post, ns: &Namespace, words: &str) -> Live {
    let text = format!("environments:\n  lab:\n    kube: {{context: lab, namespace: {}}}\n{}", ns.name(), post.channel());
    let config = post.config(&text);
    post.remember(admin(ns, words).arg("--config").arg(config.to_str().unwrap())).start()
}

#[test]
fn pods_that_go_for_good_and_come_again() {
    let (ns, post) = (super::health::namespace("comings"), Post::new());
    ns.apply(&health::deployment("web", 2, &health::probed(&health::web("200 OK", health::WELL))));
    ns.apply(
        &super::pod("lonely", "", &[health::probed(&health::web("503 Service Unavailable", health::ILL))])
            .replace("app: lonely", "role: lonely"),
    );
    ns.wait("deploy/web", "condition=Available", SOON);
    ns.wait("pod/lonely", "jsonpath={.status.phase}=Running", SOON);
    let live = started(&post, &ns, "watch deploy/web pod/lonely --interval 500ms --fail-after 2");
    begins(&post.comes_to(1), 0, "firing pod/lonely", &["redis failed"]);
    // A pod alone that goes is missed by nobody, and whoever was called for it is told so.
    ns.kubectl(&["delete", "pod", "lonely", "--wait=true"]).unwrap();
    begins(&post.comes_to(2), 1, "resolved pod/lonely", &["it is watched no longer"]);
    // One of two pods that is deleted comes again; nobody is told.
    ns.kubectl(&["delete", "pod", "--selector=app=web", "--field-selector=status.phase=Running", "--wait=false"]).unwrap();
    ns.wait("deploy/web", "condition=Available", SOON);
    ns.kubectl(&["scale", "deploy/web", "--replicas=0"]).unwrap();
    begins(&post.comes_to(3), 2, "firing web", &["nothing is left of it: no pod"]);
    ns.kubectl(&["scale", "deploy/web", "--replicas=3"]).unwrap();
    begins(&post.comes_to(4), 3, "resolved web", &["well after"]);
    live.signal("INT");
    live.end(SOON).ends(130);
    assert_eq!(post.told().len(), 4, "{:#?}", post.told());
}

#[test]
fn a_token_that_runs_out_is_asked_for_anew() {
    let (ns, post) = (super::health::namespace("tokens"), Post::new());
    ns.apply(&health::deployment("web", 1, &health::probed(&health::web("200 OK", health::WELL))));
    ns.wait("deploy/web", "condition=Available", SOON);
    let rules = [
        rule("get,list", "pods,services,events,deployments.apps,replicasets.apps,ingresses.networking.k8s.io"),
        rule("get,create", "pods/portforward"),
    ];
    let (first, second) = (ns.kubeconfig_of_account("first", &rules), ns.kubeconfig_of_account("second", &rules));
    // JSON is YAML, and the lab writes it.
    let read = |of: &Path| serde_json::from_str::<serde_json::Value>(&fs::read_to_string(of).unwrap()).unwrap();
    let token = |of: &Path| read(of)["users"][0]["user"]["token"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let (made, kubeconfig) = (folder.path().join("made"), folder.path().join("kubeconfig"));
    let give = |of: &Path| {
        let credential =
            serde_json::json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": token(of)}});
        fs::write(&made, credential.to_string()).unwrap();
    };
    give(&first);
    // The same user, by a program that gives what lies there now.
    let exec = serde_json::json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": [made], "interactiveMode": "Never"}});
    let mut text = read(&first);
    text["users"][0]["user"] = exec;
    fs::write(&kubeconfig, text.to_string()).unwrap();
    let words = obsctl(&kubeconfig, "watch deploy/web --interval 500ms --namespace").arg(ns.name());
    let live = post.remember(words).start();
    post.rounds("web", 2);
    give(&second);
    // The server remembers a token for some seconds.
    ns.kubectl(&["delete", "serviceaccount", "first"]).unwrap();
    let before = Instant::now();
    while before.elapsed() < Duration::from_secs(15) {
        post.rounds("web", 1);
    }
    live.signal("INT");
    live.end(SOON).ends(130).shows(&["2 subjects are well", "100.0 %"]).never_says(&["FAILED", "not seen"]);
}

#[test]
fn a_secret_that_is_rotated_is_read_anew_once_the_old_value_is_refused() {
    let (ns, post) = (super::health::namespace("rotated"), Post::new());
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    // Basic authentication: the same user with the first password, and with the second.
    let (first, second) = (("first-77", "d2F0Y2hlcjpmaXJzdC03Nw=="), ("other-88", "d2F0Y2hlcjpvdGhlci04OA=="));
    let takes = |(password, _): (&str, &str)| fs::write(&users, format!("watcher:{{PLAIN}}{password}\n")).unwrap();
    let secret = |(_, header): (&str, &str)| {
        ns.apply(&format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: probe}}\nstringData: {{authorization: Basic {header}}}\n"));
    };
    takes(first);
    secret(first);
    let port = ports::free().unwrap();
    let location = format!("location / {{ auth_basic x; auth_basic_user_file {}; try_files /none =204; }}", users.display());
    let _nginx = Nginx::start(&format!("server {{ listen 127.0.0.1:{port}; {location} }}"), port).unwrap();
    let text = format!(
        "environments:\n  lab:\n    kube: {{context: lab, namespace: {}}}\n    apps: {{site: {{url: 'http://127.0.0.1:{port}', health: {{path: /h, \
         headers: {{Authorization: {{secret: probe, key: authorization}}}}}}}}}}\n{}",
        ns.name(),
        post.channel()
    );
    let config = post.config(&text);
    let words = obsctl(ns.cluster().kubeconfig(), "watch site --interval 300ms --fail-after 1 --config").arg(config.to_str().unwrap());
    let live = post.remember(words).start();
    let name = format!("http://127.0.0.1:{port}/h");
    post.rounds(&name, 3);
    secret(second);
    post.rounds(&name, 2);
    takes(second);
    post.rounds(&name, 5);
    live.signal("INT");
    live.end(SOON).ends(130).shows(&["1 subject is well", "100.0 %"]).never_says(&["FAILED", "first-77", "d2F0Y2hl"]);
    assert!(post.told().is_empty(), "{:#?}", post.told());
}

#[test]
fn a_cluster_that_cannot_be_asked_is_said_and_the_sign_of_life_stops() {
    let mut alone = standard::alone();
    let (ns, post) = (alone.namespace("blind"), Post::new());
    ns.apply(&health::deployment("web", 1, &health::probed(&health::web("200 OK", health::WELL))));
    ns.wait("deploy/web", "condition=Available", SOON);
    let switch = Scripted::start(|_| Act::Say(answer("200 OK", "text/plain", "OK"))).unwrap();
    let words = format!("watch deploy/web --interval 500ms --timeout 2s --ping {}", switch.url("/uuid"));
    let mut live = started(&post, &ns, &words);
    eventually(SOON, || if switch.asked().len() > 2 { Ok(()) } else { Err(live.err()) });
    alone.stop_apiserver();
    begins(&post.comes_to(1), 0, "firing the cluster's API", &["nobody sees the pods"]);
    let heard = switch.asked().len();
    assert!(live.err().contains("the pods are not seen"), "{}", live.err());
    post.rounds("web", 3);
    assert_eq!(switch.asked().len(), heard, "it gives a sign of life though it sees nothing");
    alone.start_apiserver();
    begins(&post.comes_to(2), 1, "resolved the cluster's API", &[]);
    live.says("ok again  the cluster's API");
    eventually(SOON, || if switch.asked().len() > heard { Ok(()) } else { Err(live.err()) });
    live.signal("INT");
    live.end(SOON).ends(130).warns(&["the pods are seen again"]);
    assert_eq!(post.told().len(), 2, "{:#?}", post.told());
}
