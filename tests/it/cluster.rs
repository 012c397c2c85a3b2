//! `obsctl logs` against a real Kubernetes. A test holds one namespace at a time, the shared one or its own: one that waits for the
//! cluster alone waits until all are given back.

mod alone;
mod changes;
mod check;
mod crowd;
mod doctor;
mod errors;
mod exact;
mod follow;
mod health;
mod planted;
mod probing;
mod queue;
mod reach;
mod records;
mod requests;
mod rights;
mod rotated;
mod standard;
mod stitch;
mod stories;
mod targets;
mod views;
mod watch;

use crate::support::{Obsctl, SOON, obsctl};
use jiff::Timestamp;
use lab::Namespace;

/// `obsctl` as the administrator, in a namespace.
fn admin(namespace: &Namespace, words: &str) -> Obsctl {
    obsctl(namespace.cluster().kubeconfig(), "--namespace").arg(namespace.name()).arg_all(words)
}

/// One busybox container that runs a script.
fn container(name: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!("{{name: {name}, image: \"lab.test/busybox:1\", imagePullPolicy: Never, command: [sh, -c, {script}]}}")
}

/// What every pod's specification begins with.
const QUICK: &str = "terminationGracePeriodSeconds: 1, automountServiceAccountToken: false, enableServiceLinks: false";

/// A pod with these containers; `more` is further YAML of its specification.
fn pod(name: &str, more: &str, containers: &[String]) -> String {
    let more = if more.is_empty() { String::new() } else { format!("{more}, ") };
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{{QUICK}, {more}containers: [{}]}}\n",
        containers.join(", ")
    )
}

/// A pod of one container that runs a script.
fn simple(name: &str, script: &str) -> String {
    pod(name, "", &[container("main", script)])
}

/// What a pod really wrote, read from the node's own files: time and text, container by container.
fn written(namespace: &Namespace, pod: &str) -> Vec<(Timestamp, String)> {
    let mut lines = Vec::new();
    for file in namespace.node_log_files(pod) {
        let bytes = std::fs::read(&file.path).unwrap();
        let mut part = String::new();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let mut words = line.splitn(4, ' ');
            let (at, _stream, kind) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            part.push_str(words.next().unwrap_or_default());
            if kind == "F" {
                lines.push((at.parse().unwrap(), std::mem::take(&mut part)));
            }
        }
    }
    lines
}

/// Waits until a pod has written this.
#[track_caller]
fn wrote(namespace: &Namespace, pod: &str, text: &str) {
    lab::eventually(SOON, || match written(namespace, pod).iter().any(|(_, line)| line.contains(text)) {
        true => Ok(()),
        false => Err(format!("{pod} has not written {text:?}: {}", namespace.kubectl(&["get", "pods"]).unwrap_or_default())),
    });
}
