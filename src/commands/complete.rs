//! Live completion for shells: environments, contexts, namespaces, apps and pods. Gives up after a second and never prints: a shell that
//! waits or shows an error while somebody types is worse than no completion.

use super::setup;
use crate::{
    cli::Global,
    config::{self, Vars},
    connect::kube::{Ask, Cluster, Contexts},
    text::Redactor,
};
use clap_complete::CompletionCandidate;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(1);

fn candidates(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The environments of the configuration.
pub fn environments() -> Vec<CompletionCandidate> {
    setup::inputs(&Global::default(), Vars::capture()).map(|i| candidates(config::names(&i))).unwrap_or_default()
}

/// The contexts of the kubeconfig.
pub fn contexts() -> Vec<CompletionCandidate> {
    let vars = Vars::capture();
    candidates(Contexts::read(&setup::kube_ask(&Global::default(), None, &vars)).names)
}

/// The namespaces of the cluster.
pub fn namespaces() -> Vec<CompletionCandidate> {
    from_cluster(async |cluster| {
        let ask = Ask::new("listing namespaces".into(), "/api/v1/namespaces".into(), "list", "namespaces", None);
        let all: Vec<Namespace> = cluster.list(&ask).await.unwrap_or_default();
        all.into_iter().filter_map(|n| n.metadata.name).collect()
    })
}

/// Apps of the configuration, the pods' app labels, and pods.
pub fn targets() -> Vec<CompletionCandidate> {
    let apps = setup::inputs(&Global::default(), Vars::capture())
        .ok()
        .and_then(|i| config::load(&i).ok())
        .map(|e| e.apps.into_keys().collect::<Vec<_>>());
    let mut all = candidates(apps.unwrap_or_default());
    all.extend(from_cluster(async |cluster| {
        let namespace = cluster.namespace.clone();
        let path = format!("/api/v1/namespaces/{}/pods", crate::connect::kube::encode(&namespace));
        let ask = Ask::new("listing pods".into(), path, "list", "pods", Some(&namespace));
        let pods: Vec<Pod> = cluster.list(&ask).await.unwrap_or_default();
        let mut names: Vec<String> = pods.into_iter().filter_map(|p| p.metadata.name).map(|n| format!("pod/{n}")).collect();
        names.sort();
        names
    }));
    all
}

fn from_cluster(list: impl AsyncFnOnce(Cluster) -> Vec<String>) -> Vec<CompletionCandidate> {
    let vars = Vars::capture();
    let env = setup::inputs(&Global::default(), vars.clone()).ok().and_then(|i| config::load(&i).ok());
    let ask = setup::kube_ask(&Global::default(), env.as_ref().and_then(|e| e.kube.as_ref()), &vars);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let names = runtime.block_on(tokio::time::timeout(PATIENCE, async {
        match Cluster::connect(&ask, Redactor::default()).await {
            Ok(cluster) => list(cluster).await,
            Err(_) => Vec::new(),
        }
    }));
    runtime.shutdown_background();
    candidates(names.unwrap_or_default())
}
