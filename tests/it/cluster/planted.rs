//! Secrets of every kind in everything that a cluster tells: environment variables, arguments, annotations, log lines, last words of
//! containers, events, the headers of probes. None of them is in any byte that any command writes.

use super::{
    QUICK, admin,
    health::{WELL, deployment, namespace, probed, web},
    wrote,
};
use crate::{
    support::SOON,
    whole::planted::{KINDS, clean, clean_text},
};
use serde_json::json;

/// A Deployment whose one pod has them in its environment, its arguments and its annotations, and runs this script.
fn planted(name: &str, script: &str) -> String {
    let variables = KINDS.iter().enumerate().map(|(i, kind)| json!({"name": format!("V{i}"), "value": kind.written}));
    let variables: Vec<_> = variables.chain([json!({"name": "DB_PASSWORD", "value": KINDS[0].secret})]).collect();
    let annotations: serde_json::Map<_, _> =
        KINDS.iter().enumerate().map(|(i, kind)| (format!("example.org/note-{i}"), kind.written.into())).collect();
    let container = json!({
        "name": "main", "image": "lab.test/busybox:1", "imagePullPolicy": "Never", "terminationMessagePolicy": "FallbackToLogsOnError",
        "command": ["sh", "-c", script, KINDS[9].written, KINDS[12].written], "env": variables,
    });
    let whole = deployment(name, 1, &container.to_string());
    whole.replacen(&format!("{{name: {name}}}"), &format!("{{name: {name}, annotations: {}}}", json!(annotations)), 1)
}

#[test]
fn no_secret_of_a_cluster_is_shown() {
    let ns = namespace("planted");
    let say = format!("i=0; while [ $i -lt {} ]; do echo \"ERROR planted $(printenv V$i)\"; i=$((i + 1)); done", KINDS.len());
    ns.apply(&planted("talker", &format!("{say}; echo all said; exec sleep 3600")));
    ns.apply(&planted("crasher", &format!("{say}; exit 3")));
    let header =
        format!("httpHeaders: [{{name: Authorization, value: {}}}, ", json!(KINDS[12].written.trim_start_matches("Authorization: ")));
    ns.apply(&deployment("web", 1, &probed(&web("200 OK", WELL)).replace("httpHeaders: [", &header)));
    ns.apply(&format!(
        "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: job}}\nspec: {{backoffLimit: 0, template: {{spec: {{{QUICK}, restartPolicy: Never, containers: [{}]}}}}}}\n",
        super::container("main", &format!("echo '{}' >&2; exit 4", KINDS[0].written))
    ));
    let pod = ns.kubectl(&["get", "pods", "-l", "app=talker", "-o", "name"]).unwrap().trim().trim_start_matches("pod/").to_owned();
    let now = ns.kubectl(&["get", "pod", &pod, "--output=jsonpath={.metadata.creationTimestamp}"]).unwrap();
    let events: String = KINDS.iter().enumerate().fold(String::new(), |all, (i, kind)| {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("planted-{i}")}, "type": "Warning", "reason": "FailedMount",
            "message": format!("planted {}", kind.written), "firstTimestamp": now, "lastTimestamp": now, "count": 1, "source": {"component": "lab"},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": format!("{pod}-{i}"), "namespace": ns.name()},
        });
        format!("{all}---\n{event}\n")
    });
    ns.apply(&events);
    ns.wait("deploy/web", "condition=Available", SOON);
    ns.wait("job/job", "condition=Failed", SOON);
    wrote(&ns, &pod, "all said");
    lab::eventually(SOON, || {
        let last = "jsonpath={.items[*].status.containerStatuses[*].lastState.terminated.message}";
        let said = ns.kubectl(&["get", "pods", "-l", "app=crasher", "-o", last]).unwrap_or_default();
        if said.contains("planted") { Ok(()) } else { Err(said) }
    });
    let folder = tempfile::tempdir().unwrap();
    for (i, (words, shows)) in [
        ("logs --tail -1", "planted"),
        ("logs deploy/talker -i planted --around 1s", "planted"),
        ("logs --stats", "ERROR"),
        ("logs --leaks", "hidden"),
        ("errors --limit 100", "planted"),
        ("changes --since 1h", "FailedMount"),
        ("health", "web"),
        ("health deploy/talker deploy/crasher", "crasher"),
        ("check", "crasher"),
        ("check --explain", "crasher"),
        ("check init", "checks"),
        ("doctor", "rights"),
        ("config show", ""),
        ("queue depth", ""),
        ("db activity", ""),
        ("incident FILE", "written to"),
    ]
    .iter()
    .enumerate()
    {
        for (j, more) in ["", "-v", "-o json", "--color always"].iter().enumerate() {
            let file = folder.path().join(format!("{i}-{j}.md"));
            let ran = admin(&ns, &format!("{} {more}", words.replace("FILE", &file.display().to_string()))).run();
            let shows = if *more == "-o json" { "" } else { shows };
            assert!(ran.out.contains(shows), "{words} {more} does not show {shows:?}: {ran:#?}");
            clean(&ran);
            clean_text("the file", &std::fs::read_to_string(file).unwrap_or_default());
        }
    }
}
