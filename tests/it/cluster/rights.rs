//! What a Role does not allow: refusals name the verb, the resource and the namespace, and what they hide is never taken for absent.

use super::{simple, standard::standard, wrote};
use crate::support::{Ran, SOON, obsctl};
use lab::{eventually, rule};
use std::path::Path;

/// The authorizer learns of a new role some milliseconds later: runs until what the role allows is allowed.
fn once_allowed(kubeconfig: &Path, words: &str, still: &str) -> Ran {
    eventually(SOON, || {
        let ran = obsctl(kubeconfig, words).run();
        if ran.err.contains(still) || ran.out.contains(still) { Err(format!("{still}: {ran:?}")) } else { Ok(ran) }
    })
}

#[test]
fn without_pods_log_nothing_is_read_and_the_right_is_named() {
    let shared = standard();
    let kubeconfig = shared.ns.kubeconfig_for("lister", &[rule("get,list", "pods,deployments.apps")]);
    let right = format!("get on pods/log in namespace {}", shared.ns.name());
    let ran = once_allowed(&kubeconfig, "logs deploy/backend", "needs list on pods");
    let ran = ran.ends(3).warns(&[&format!("refused: needs {right}"), &format!("grant  {right}")]);
    assert_eq!(ran.out, "");
    // One cause, one line: two pods are refused.
    assert_eq!(ran.err.matches("refused").count(), 1, "{}", ran.err);
    obsctl(&kubeconfig, "logs -r found-1111").run().ends(3).shows(&["no log could be read", &right]).never_says(&["no record carries"]);
    obsctl(&kubeconfig, "logs -f deploy/backend --deadline 20s").run().ends(3).warns(&[&right]);
}

#[test]
fn without_list_pods_the_right_is_named() {
    let shared = standard();
    let kubeconfig = shared.ns.kubeconfig_for("reader", &[rule("get", "pods,pods/log")]);
    let right = format!("list on pods in namespace {}", shared.ns.name());
    for words in ["logs", "logs -r found-1111", "logs -l app=api", "logs -f"] {
        obsctl(&kubeconfig, words).run().ends(3).warns(&[&format!("needs {right}"), &format!("grant  {right}")]);
    }
    obsctl(&kubeconfig, "logs -A").run().ends(3).warns(&["list on pods in the cluster"]);
}

#[test]
fn without_workloads_a_pod_can_still_be_named() {
    let shared = standard();
    let kubeconfig = shared.ns.kubeconfig_for("podreader", &[rule("list", "pods"), rule("get", "pods/log")]);
    once_allowed(&kubeconfig, "logs api --tail -1", "needs list on pods").ends(0).shows(&["api is quiet"]);
    let right = format!("get on deployments in namespace {}", shared.ns.name());
    obsctl(&kubeconfig, "logs deploy/backend").run().ends(3).warns(&[&right]);
    // A workload may be meant: "does not exist" would be a guess.
    obsctl(&kubeconfig, "logs backend").run().ends(3).warns(&[&right]);
}

#[test]
fn an_id_that_one_refused_pod_may_hold_is_not_absent() {
    let ns = lab::get().cluster().namespace("partial");
    for name in ["open", "closed"] {
        ns.apply(&simple(name, &format!("echo '{{\"event\": \"x\", \"request_id\": \"{name}-123456\"}}'; exec sleep 3600")));
    }
    let kubeconfig = ns.kubeconfig_for("partial", &[rule("list", "pods")]);
    ns.apply(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: one}\n\
         rules: [{apiGroups: [\"\"], resources: [pods/log], resourceNames: [open], verbs: [get]}]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: one}\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: one}\n\
         subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: partial}]\n",
    );
    for name in ["open", "closed"] {
        wrote(&ns, name, "123456");
        ns.wait(&format!("pod/{name}"), "condition=Ready", SOON);
    }
    let ran = once_allowed(&kubeconfig, "logs -r nowhere-1", "no log could be read").ends(3);
    let ran = ran.shows(&["not found in what could be read", "closed", "refused: needs get on pods/log"]);
    assert!(!ran.out.contains("all 1 record"), "{}", ran.out);
    // What can be seen is found; with --strict the rest counts.
    obsctl(&kubeconfig, "logs -r open-123").run().ends(0).shows(&["open-123456", "refused"]);
    obsctl(&kubeconfig, "logs -r open-123 --strict").run().ends(3).shows(&["open-123456"]);
    let ran = obsctl(&kubeconfig, "logs -r closed-12 -o json").run().ends(3);
    let answer = ran.json();
    assert_eq!((&answer["verdict"], &answer["complete"]), (&"unknown".into(), &false.into()), "{answer}");
    assert_eq!(answer["coverage"]["missing"][0]["why"]["refused"]["resource"], "pods/log", "{answer}");
    // The same for a filter.
    obsctl(&kubeconfig, "logs -i nowhere").run().ends(3).warns(&["nothing matches in what could be read"]);
}
