//! `obsctl health` and `obsctl changes` in a real cluster: each pod through its own tunnel.

use super::{QUICK, admin, container};
use crate::support::SOON;
use lab::{
    Namespace, rule,
    sandbox::{PodSandbox, Profile},
};

/// A web server of busybox that says how it is.
pub fn web(status: &str, body: &str) -> String {
    let answer = format!(
        "HTTP/1.1 {status}\\r\\nContent-Type: application/json\\r\\nConnection: close\\r\\nContent-Length: {}\\r\\n\\r\\n{body}",
        body.len()
    );
    let read = r#"while read -r line; do case "$line" in ?) break;; esac; done; cat /tmp/answer"#;
    container(
        "main",
        &format!("mkdir -p /tmp; printf '%b' '{answer}' > /tmp/answer; echo '{read}' > /tmp/say; exec nc -ll -p 8000 -e sh /tmp/say"),
    )
}

pub fn probed(container: &str) -> String {
    let probe = "httpGet: {path: /api/health/, port: 8000, httpHeaders: [{name: Host, value: app.example.org}]}, periodSeconds: 1";
    container.replacen(
        '{',
        &format!("{{ports: [{{containerPort: 8000}}], readinessProbe: {{{probe}}}, livenessProbe: {{tcpSocket: {{port: 8000}}}}, "),
        1,
    )
}

pub fn deployment(name: &str, replicas: u32, container: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{replicas: {replicas}, progressDeadlineSeconds: 5, \
         selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{{QUICK}, containers: [{container}]}}}}}}\n"
    )
}

pub fn service(name: &str, app: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {app}}}, ports: [{{port: 80, targetPort: 8000}}]}}\n"
    )
}

pub(super) const WELL: &str = r#"{"status":"healthy","db":"ok","redis":"ok"}"#;
pub(super) const ILL: &str = r#"{"status":"unhealthy","db":"ok","redis":"error: Error 111 connecting to redis:6379. Connection refused."}"#;

pub fn namespace(hint: &str) -> Namespace {
    lab::get().cluster().namespace(hint)
}

#[test]
fn one_degraded_pod_among_those_that_are_well() {
    let ns = namespace("health");
    ns.apply(&deployment("web", 2, &probed(&web("200 OK", WELL))));
    ns.apply(&service("web", "web"));
    ns.wait("deploy/web", "condition=Available", SOON);
    admin(&ns, "health").run().ends(0).shows(&["2 pods are well", "DB", "REDIS", "ready"]);
    admin(&ns, "health svc/web").run().ends(0).shows(&["2 pods are well"]);
    let ill = probed(&web("503 Service Unavailable", ILL));
    ns.apply(&format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: web-ill, labels: {{app: web}}}}\nspec: {{{QUICK}, containers: [{ill}]}}\n"
    ));
    ns.wait("pod/web-ill", "jsonpath={.status.phase}=Running", SOON);
    let ran = admin(&ns, "health svc/web").run().ends(1);
    let ran = ran.shows(&["FAILED", "redis failed on web-ill", "Connection refused", "not ready", "obsctl logs pod/web-ill"]);
    assert_eq!(ran.out.lines().filter(|l| l.starts_with("web-") && l.contains("  200 ")).count(), 2, "{}", ran.out);
    // A pod without a probe says how it could be asked; a pod that is named is asked.
    ns.apply(&super::simple("bare", "exec sleep 3600"));
    ns.wait("pod/bare", "condition=Ready", SOON);
    admin(&ns, "health pod/bare").run().ends(3).shows(&["it has no HTTP probe, and no path is given"]);
    admin(&ns, "health pod/bare --path / --port 9").run().ends(1).shows(&["nothing listens on port 9 of pod bare"]);
    admin(&ns, "health pod/web-ill").run().ends(1).shows(&["redis failed on web-ill"]);
    admin(&ns, "health nobody").run().ends(2);
}

#[test]
fn a_service_without_pods_and_a_stuck_rollout() {
    let ns = namespace("stuck");
    ns.apply(&deployment("api", 1, &probed(&web("200 OK", WELL))));
    ns.apply(&service("nowhere", "nothing"));
    ns.wait("deploy/api", "condition=Available", SOON);
    admin(&ns, "health svc/nowhere").run().ends(1).shows(&["Service nowhere leads to no pod"]);
    admin(&ns, "health svc/unknown").run().ends(2);
    let next = probed(&web("200 OK", WELL)).replace("busybox:1", "busybox:2");
    ns.apply(&deployment("api", 1, &next));
    ns.wait("deploy/api", "jsonpath={.status.conditions[?(@.type==\"Progressing\")].reason}=ProgressDeadlineExceeded", SOON);
    // On a busy machine the deadline passes before the kubelet has looked for the image.
    let reason = ["get", "pods", "--output=jsonpath={.items[*].status.containerStatuses[0].state.waiting.reason}"];
    lab::eventually(SOON, || match ns.kubectl(&reason).unwrap_or_default() {
        reason if reason.contains("ErrImageNeverPull") => Ok(()),
        reason => Err(reason),
    });
    let ran = admin(&ns, "health api").run().ends(1);
    ran.shows(&["ErrImageNeverPull", "rollout of deploy/api", "1 → 2", "stuck: 1 of 1 updated, 0 of them ready", "CHANGED"]);
    let ran = admin(&ns, "changes --since 10m").run().ends(0);
    ran.shows(&["deploy/api", "1 → 2; stuck: 1 of 1 updated, 0 of them ready"]);
    let json = admin(&ns, "changes -o json").run().ends(0).json();
    assert!(
        json["facts"]["changes"].as_array().is_some_and(|all| all.iter().any(|c| c["kind"] == "rollout" && c["bad"] == true)),
        "{json}"
    );
}

#[test]
fn configuration_by_name_only_and_only_where_it_may_be_listed() {
    let ns = namespace("names");
    ns.apply("---\napiVersion: v1\nkind: Secret\nmetadata: {name: mail-password}\nstringData: {password: Tr0ub4dor-and-3}\n");
    ns.apply("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: mail-settings}\ndata: {host: hidden-value.example}\n");
    let ran = admin(&ns, "changes").run().ends(0).shows(&["secret/mail-password", "configmap/mail-settings", "made"]);
    ran.never_says(&["Tr0ub4dor", "hidden-value", "VHIwdWI0"]);
    let kubeconfig = ns.kubeconfig_for("reader", &[rule("list", "pods,events")]);
    let ran = crate::support::obsctl(&kubeconfig, "changes --namespace").arg(ns.name()).run().ends(0);
    let ran = ran.shows(&["not seen", "secrets", "you may not list them"]);
    ran.never_says(&["mail-password"]);
}

#[test]
fn the_sandbox_with_a_degraded_pod_and_with_a_stuck_rollout() {
    let sandbox = PodSandbox::start(&lab::get().cluster(), Profile::A).unwrap();
    let ask = |words: &str| {
        crate::support::obsctl(sandbox.namespace.cluster().kubeconfig(), words).arg("--config").arg(sandbox.config.to_str().unwrap()).run()
    };
    ask("health backend").ends(0).shows(&["2 pods are well", "DB", "REDIS"]);
    // By the routes of the cluster, and nothing to say about it.
    ask("health backend --deep --fail-on warn").ends(0).shows(&["FROM HERE", "main", "answers in", "PONG in", "heard"]);
    relayed(&sandbox);
    // The real Django behind both pods: a Host that it does not know, and a request that does not say that it came over https.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yaml");
    let text = std::fs::read_to_string(&sandbox.config).unwrap();
    for (more, says, note) in [
        ("host: wrong.example", "refuses this Host (400): it is not in its ALLOWED_HOSTS", "Host refused"),
        ("headers: {X-Forwarded-Proto: http}", "sends everything to https (SECURE_SSL_REDIRECT)", "https only"),
    ] {
        std::fs::write(&config, text.replace("health: /api/health/", &format!("health: {{path: /api/health/, {more}}}"))).unwrap();
        let ran = crate::support::obsctl(sandbox.namespace.cluster().kubeconfig(), "health backend --config").arg(config.to_str().unwrap());
        let ran = ran.run().ends(3).shows(&[says, note]);
        assert_eq!(ran.count("Django"), 1, "{}", ran.out);
    }
    let harmed = sandbox.traffic().harm("degraded-pod", &[]).unwrap();
    ask("health backend --deep").ends(1).shows(&["redis works from here and for 2 others", "backend-degraded", "PONG in"]);
    let ran = ask("health backend").ends(1);
    let ran = ran.shows(&["redis failed on backend-degraded", "obsctl logs pod/backend-degraded"]);
    assert_eq!(ran.out.lines().filter(|l| l.starts_with("backend-") && l.contains(" 200 ")).count(), 2, "{}", ran.out);
    harmed.restore().unwrap();
    let harmed = sandbox.traffic().harm("stuck-rollout", &[]).unwrap();
    ask("health backend").ends(1).shows(&["rollout of deploy/backend", "stuck", "ErrImageNeverPull"]);
    ask("changes").ends(0).shows(&["deploy/backend", "stuck"]);
    harmed.restore().unwrap();
    ask("health backend").ends(0).shows(&["2 pods are well"]);
    // The kubelet believes any certificate, so that this pod is ready.
    let harmed = sandbox.traffic().harm("bad-certificate", &[]).unwrap();
    ask("health deploy/tls-front").ends(0).shows(&["WARN", "its certificate expired on", "the kubelet does not look", "ready"]);
    ask("health deploy/tls-front --fail-on warn").ends(4);
    harmed.restore().unwrap();
}

/// `via: exec`: the databases and the broker are asked through the application's own pod, as a managed one has to be.
fn relayed(sandbox: &PodSandbox) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yaml");
    let text = std::fs::read_to_string(&sandbox.config).unwrap();
    let text = ["DATABASE_URL}", "CELERY_BROKER_URL}"].iter().fold(text, |text, end| text.replace(end, &format!("{end}, via: exec")));
    assert_eq!(text.matches("via: exec").count(), 4, "{text}");
    std::fs::write(&config, text).unwrap();
    let kubeconfig = sandbox.namespace.cluster().kubeconfig();
    let deep = |words: &str| crate::support::obsctl(kubeconfig, words).arg("--config").arg(config.to_str().unwrap()).run();
    // On a busy machine a heartbeat comes late: asked again until the workers were heard.
    let json = lab::eventually(SOON, || match deep("health backend --deep --fail-on warn -o json") {
        ran if ran.status == 0 => Ok(ran.json()),
        ran => Err(ran.out),
    });
    let through = |system: &str| {
        let sources = json["sources"].as_array().unwrap().iter().filter(|source| source["system"] == system);
        sources.map(|source| source["through"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for (system, count) in [("postgresql", 3), ("redis", 1)] {
        let ways = through(system);
        assert!(ways.len() == count && ways.iter().all(|way| way.contains("exec through pod backend-")), "{system} {ways:?}: {json:#}");
    }
    let seen = json["facts"]["from_here"].as_array().unwrap();
    assert!(seen.len() == 5 && seen.iter().all(|part| part["condition"] == "ok"), "{json:#}");
    deep("health backend --deep")
        .ends(0)
        .shows(&["FROM HERE", "primary", "replica", "PONG in", "heard"])
        .never_says(&["Sh0p-App", "not seen"]);
    // Who may not exec is told which right is missing, and the pods are shown all the same.
    let rules = [
        rule("get,list", "pods,services,events,secrets,configmaps,deployments.apps,replicasets.apps,ingresses.networking.k8s.io"),
        rule("get,create", "pods/portforward"),
    ];
    let few = sandbox.namespace.kubeconfig_for("noexec", &rules);
    let ran = crate::support::obsctl(&few, "health backend --deep --config").arg(config.to_str().unwrap()).run();
    ran.shows(&["2 pods are well", "not seen", "exec"]).never_says(&["Sh0p-App"]);
}
