//! What stands between the user and the cluster: the kubeconfig, the network, TLS, credentials.

use super::simple;
use crate::support::{SOON, obsctl};
use std::{fs, net::TcpListener, path::PathBuf, time::Duration};
use tempfile::TempDir;

const SECRET: &str = "s3cr3t-t0ken-value";

/// A folder with one kubeconfig in it.
fn written(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    fs::write(&path, text).unwrap();
    (dir, path)
}

/// A kubeconfig for a server on this machine, with a token.
fn for_port(port: u16) -> (TempDir, PathBuf) {
    written(&format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\n\
         clusters: [{{name: c, cluster: {{server: \"https://127.0.0.1:{port}\"}}}}]\n\
         contexts: [{{name: prod, context: {{cluster: c, user: u, namespace: shop}}}}, {{name: staging, context: {{cluster: c, user: u}}}}]\n\
         users: [{{name: u, user: {{token: {SECRET}}}}}]\n"
    ))
}

#[test]
fn a_context_that_does_not_exist_lists_those_that_do() {
    let (_dir, kubeconfig) = for_port(1);
    obsctl(&kubeconfig, "logs --context prd").run().ends(2).warns(&["no context prd", "prod", "staging"]).never_says(&[SECRET]);
}

#[test]
fn a_missing_kubeconfig_is_named() {
    let (dir, _) = written("");
    let missing = dir.path().join("nowhere");
    obsctl(&missing, "logs").run().ends(2).warns(&["reading the kubeconfig", "nowhere"]);
    obsctl(&missing, "logs").arg("--kubeconfig").arg(&missing.to_string_lossy()).run().ends(2).warns(&["nowhere", "No such file"]);
}

#[test]
fn a_kubeconfig_that_is_none_is_named_without_its_content() {
    for text in
        ["", "---\n", "\0\u{1}\u{2}garbage", "just words s3cr3t-t0ken-value", "users: {s3cr3t-t0ken-value: [", "[1, 2, s3cr3t-t0ken-value]"]
    {
        let (_dir, kubeconfig) = written(text);
        let ran = obsctl(&kubeconfig, "logs").run().ends(2).warns(&["error: reading the kubeconfig", "config"]).never_says(&[SECRET]);
        let sentence = ran.err.trim_end().lines().next().unwrap();
        assert!(!sentence.ends_with("/config"), "{text:?}: the file is named and nothing is said about it: {sentence}");
    }
}

#[test]
fn a_kubeconfig_with_a_wrong_value_never_shows_its_secrets() {
    let text = format!("apiVersion: v1\nkind: Config\nusers: [{{name: u, user: {{token: [{SECRET}]}}}}]\n");
    let (_dir, kubeconfig) = written(&text);
    obsctl(&kubeconfig, "logs").run().ends(2).warns(&["config:3:"]).never_says(&[SECRET]);
}

#[test]
fn a_closed_port_is_said() {
    let (_dir, kubeconfig) = for_port(lab::ports::free().unwrap());
    let ran = obsctl(&kubeconfig, "logs -r abc123")
        .run()
        .ends(3)
        .warns(&["refuses connections", "https://127.0.0.1:", "try"])
        .never_says(&[SECRET]);
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
}

#[test]
fn a_server_that_never_answers_has_a_limit() {
    // Nobody accepts: the kernel completes the connection and that is all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_dir, kubeconfig) = for_port(silent.local_addr().unwrap().port());
    let live = obsctl(&kubeconfig, "logs").start();
    let ran = obsctl(&kubeconfig, "logs --deadline 1s").run().ends(124);
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
    let ran = live.end(Duration::from_secs(40)).ends(3).warns(&["no answer from https://127.0.0.1:", "within 15 s"]).never_says(&[SECRET]);
    assert!(ran.took > Duration::from_secs(10), "{:?}", ran.took);
}

#[test]
fn ctrl_c_ends_a_connection_that_never_comes() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let (_dir, kubeconfig) = for_port(silent.local_addr().unwrap().port());
    let live = obsctl(&kubeconfig, "logs").start();
    let held = lab::eventually(SOON, || silent.accept().map_err(|error| error.to_string()));
    live.signal("INT");
    live.end(Duration::from_secs(5)).ends(130);
    drop(held);
}

#[test]
fn a_server_with_another_ca_is_not_trusted() {
    let lab = lab::get().cluster();
    let _lease = lab.shared();
    // The right server, and a kubeconfig that trusts only the system's authorities.
    let port = lab.info().api.rsplit(':').next().unwrap().to_owned();
    let host = lab.info().api.trim_start_matches("https://").split(':').next().unwrap().to_owned();
    let (_dir, kubeconfig) = for_port(1);
    let text = fs::read_to_string(&kubeconfig).unwrap().replace("127.0.0.1:1", &format!("{host}:{port}"));
    fs::write(&kubeconfig, text).unwrap();
    obsctl(&kubeconfig, "logs").run().ends(3).warns(&["TLS with https://", "certificate-authority"]).never_says(&[SECRET]);
}

#[test]
fn an_expired_token_says_so() {
    let ns = lab::get().cluster().namespace("expired");
    ns.apply(&simple("web", "echo hello; exec sleep 3600"));
    let kubeconfig = ns.kubeconfig_expired();
    for words in ["logs", "logs -r abc123", "logs -f", "logs web"] {
        obsctl(&kubeconfig, words).run().ends(3).warns(&["does not accept these credentials", "log in again"]);
    }
    let ran = obsctl(&kubeconfig, "logs -r abc123 -o json").run().ends(3);
    assert!(ran.out.is_empty() || ran.json()["exit_status"] == 3, "{}", ran.out);
}

#[test]
fn a_namespace_without_pods_is_said() {
    let ns = lab::get().cluster().namespace("empty");
    super::admin(&ns, "logs").run().ends(0).warns(&["no pod"]);
    super::admin(&ns, "logs -r abc123").run().ends(3).shows(&["no pod"]);
    super::admin(&ns, "logs web").run().ends(2).warns(&["no pod at all in namespace"]);
}
