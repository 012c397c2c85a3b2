//! `obsctl changes` over what really happened: rollouts, scaling, ends of containers, an eviction, a node in trouble, jobs, configuration.

use super::{QUICK, admin, container, health, pod};
use crate::support::{SOON, obsctl};
use lab::{Namespace, eventually, process, rule};
use serde_json::Value;

/// A condition of the node as its problem detector writes it; taken away again, whatever comes.
struct Trouble<'a>(&'a Namespace);

impl<'a> Trouble<'a> {
    fn plant(ns: &'a Namespace) -> Self {
        let condition = r#"{"type":"LabDiskDeadlock","status":"True","reason":"Planted","message":"the disk does not answer","lastTransitionTime":"NOW","lastHeartbeatTime":"NOW"}"#;
        let now = process::run(&["date", "-u", "+%Y-%m-%dT%H:%M:%SZ"]).unwrap();
        let patch = format!("{{\"status\":{{\"conditions\":[{}]}}}}", condition.replace("NOW", now.trim()));
        let node = Self::node(ns);
        ns.kubectl(&["patch", &node, "--subresource=status", "--type=strategic", "--patch", &patch]).unwrap();
        Self(ns)
    }

    fn node(ns: &Namespace) -> String {
        ns.kubectl(&["get", "nodes", "-oname"]).unwrap().trim().to_owned()
    }
}

impl Drop for Trouble<'_> {
    fn drop(&mut self) {
        let patch = r#"{"status":{"conditions":[{"type":"LabDiskDeadlock","$patch":"delete"}]}}"#;
        let _ = self.0.kubectl(&["patch", &Self::node(self.0), "--subresource=status", "--type=strategic", "--patch", patch]);
    }
}

/// Pods that matter more than others, as the whole cluster knows them.
struct Important<'a>(String, &'a Namespace);

impl<'a> Important<'a> {
    fn make(ns: &'a Namespace) -> Self {
        ns.kubectl(&["create", "priorityclass", ns.name(), "--value=1000"]).unwrap();
        Self(ns.name().to_owned(), ns)
    }
}

impl Drop for Important<'_> {
    fn drop(&mut self) {
        let _ = self.1.kubectl(&["delete", "priorityclass", &self.0]);
    }
}

fn job(name: &str, script: &str) -> String {
    format!(
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec: {{backoffLimit: 0, template: {{spec: {{{QUICK}, restartPolicy: Never, \
         containers: [{}]}}}}}}\n",
        container("main", script)
    )
}

/// The changes of a kind: `pod/x says`.
fn of(json: &Value, kind: &str) -> Vec<String> {
    let all = json["facts"]["changes"].as_array().unwrap().iter().filter(|c| c["kind"] == kind);
    all.map(|c| format!("{} {}", c["of"].as_str().unwrap(), c["says"].as_str().unwrap())).collect()
}

#[test]
fn everything_that_happened_is_a_line_in_time_order() {
    let ns = health::namespace("changes");
    ns.apply(&health::deployment("api", 1, &health::probed(&health::web("200 OK", health::WELL))));
    ns.apply(&job("migrate-57", "echo done"));
    ns.apply(&job("report", "echo no; exit 4"));
    ns.apply(&pod("crashing", "", &[container("main", "sleep 1; echo bye; exit 3")]));
    let greedy = container("main", "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done");
    ns.apply(&pod("greedy", "", &[greedy.replacen('{', "{resources: {limits: {memory: 16Mi}}, ", 1)]));
    // The node has no room for both, and the second one matters more.
    let large = |name: &str, more: &str| {
        let sleeps = container("main", "exec sleep 3600");
        pod(name, more, &[sleeps.replacen('{', "{resources: {requests: {cpu: 1200m}}, ", 1)])
    };
    ns.apply(&large("victim", ""));
    ns.wait("pod/victim", "condition=Ready", SOON);
    let important = Important::make(&ns);
    ns.apply(&large("important", &format!("priorityClassName: {}", important.0)));
    ns.wait("deploy/api", "condition=Available", SOON);
    ns.kubectl(&["scale", "deploy/api", "--replicas=2"]).unwrap();
    ns.wait("deploy/api", "jsonpath={.status.readyReplicas}=2", SOON);
    ns.kubectl(&["set", "env", "deploy/api", "MODE=new", "PASSWORD=Tr0ub4dor-and-3"]).unwrap();
    ns.apply("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: mail-settings}\ndata: {host: hidden-value.example}\n");
    let _trouble = Trouble::plant(&ns);
    let json = eventually(SOON, || {
        let json = admin(&ns, "changes --since 10m -o json").run().ends(0).json();
        let complete = !of(&json, "oom_kill").is_empty()
            && of(&json, "eviction").iter().any(|c| c.contains("victim"))
            && of(&json, "restart").iter().any(|c| c.contains("crashing"))
            && of(&json, "scaling").iter().any(|c| c.contains("deploy/api"))
            && of(&json, "job").len() == 2;
        if complete { Ok(json) } else { Err(format!("{:#}", json["facts"])) }
    });
    let has = |kind: &str, text: &str| assert!(of(&json, kind).iter().any(|c| c.contains(text)), "{kind} {text}: {:#}", json["facts"]);
    has("rollout", "deploy/api first revision, 1");
    has("rollout", "variables changed: MODE, PASSWORD");
    has("scaling", "deploy/api scaled from 1 to 2");
    has("oom_kill", "pod/greedy OOMKilled at its memory limit 16Mi");
    has("restart", "pod/crashing ended with status 3");
    has("eviction", "pod/victim Preempted: Preempted by");
    has("job", "job/report failed (BackoffLimitExceeded)");
    has("job", "job/migrate-57 complete");
    has("node", "LabDiskDeadlock: the disk does not answer");
    has("config", "configmap/mail-settings made");
    let at = |change: &serde_json::Value| change["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let times: Vec<jiff::Timestamp> = json["facts"]["changes"].as_array().unwrap().iter().map(at).collect();
    assert!(times.is_sorted(), "{times:?}");
    let all = json.to_string();
    assert!(!all.contains("Tr0ub4dor") && !all.contains("hidden-value"), "{all}");
    // Under bad news, what is near to it: not the crashes of others.
    let ran = admin(&ns, "health pod/crashing --path / --port 9").run();
    let changed = ran.out.split_once("CHANGED").map_or("", |(_, rest)| rest).to_owned();
    assert!(changed.contains("pod/crashing") && changed.contains("LabDiskDeadlock"), "{}", ran.out);
    // Who may only look at pods is told what is not seen, and by whom it could be.
    let kubeconfig = ns.kubeconfig_for("looker", &[rule("list", "pods")]);
    let ran = obsctl(&kubeconfig, "changes --namespace").arg(ns.name()).run().ends(0);
    let ran = ran.shows(&["pod/greedy", "not seen  deployments", "not seen  events", "not seen  secrets", "not seen  nodes"]);
    ran.never_says(&["mail-settings"]);
    let kubeconfig = ns.kubeconfig_for("nobody", &[]);
    obsctl(&kubeconfig, "changes --namespace").arg(ns.name()).run().ends(3);
}
