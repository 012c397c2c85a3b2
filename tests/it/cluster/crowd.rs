//! Many pods at once.

use super::{QUICK, admin, container};
use lab::eventually;
use std::time::Duration;

const PODS: usize = 100;

#[test]
fn a_hundred_pods_answer_one_question() {
    let ns = lab::get().cluster().namespace("crowd");
    let script = r#"echo '{"event": "hello from '$HOSTNAME'", "level": "info", "request_id": "crowd-123456"}'; exec sleep 3600"#;
    let containers = container("main", script);
    ns.apply(&format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: crowd}}\nspec: {{replicas: {PODS}, selector: {{matchLabels: {{app: crowd}}}}, \
         template: {{metadata: {{labels: {{app: crowd}}}}, spec: {{{QUICK}, containers: [{containers}]}}}}}}\n"
    ));
    eventually(Duration::from_secs(180), || {
        let ready = ns.kubectl(&["get", "deploy", "crowd", "-ojsonpath={.status.readyReplicas}"]).map_err(|e| e.to_string())?;
        if ready == PODS.to_string() { Ok(()) } else { Err(format!("{ready} of {PODS} pods are ready")) }
    });
    let answer = admin(&ns, "logs -r crowd-1234 -o json").run().ends(0);
    let answer = answer.json();
    assert_eq!(answer["coverage"]["searched"].as_array().unwrap().len(), PODS, "{}", answer["coverage"]);
    assert_eq!((&answer["complete"], &answer["exit_status"]), (&true.into(), &0.into()), "{}", answer["coverage"]);
    let mut pods: Vec<&str> =
        answer["facts"]["attempts"][0]["events"].as_array().unwrap().iter().map(|e| e["by"].as_str().unwrap()).collect();
    pods.sort_unstable();
    pods.dedup();
    assert_eq!(pods.len(), PODS);
    admin(&ns, "logs -r nowhere-1").run().ends(1).shows(&["all 100 records were read", "100 logs read in full"]);
    let ran = admin(&ns, "logs -l app=crowd --tail 1 -f --deadline 8s").run().ends(124);
    assert_eq!(ran.count("hello from"), PODS, "{}", ran.err);
}
