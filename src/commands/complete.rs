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

/// The flags that were typed before the word that is being completed.
fn typed(vars: &Vars) -> Global {
    let words: Vec<String> =
        std::env::args_os().skip_while(|word| word != "--").skip(1).map(|w| w.to_string_lossy().into_owned()).collect();
    let index = vars.raw("_CLAP_COMPLETE_INDEX").and_then(|index| index.to_str()?.parse().ok());
    let before = words.get(..index.unwrap_or(words.len().saturating_sub(1))).unwrap_or_default();
    let mut global = Global::default();
    for (i, word) in before.iter().enumerate() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), before.get(i + 1).cloned()),
        };
        match flag {
            "-e" | "--env" => global.env = value,
            "-n" | "--namespace" => global.namespace = value,
            "--context" => global.context = value,
            "--config" => global.config = value.map(Into::into),
            "--kubeconfig" => global.kubeconfig = value.map(Into::into),
            _ => {}
        }
    }
    global
}

fn candidates(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The environments of the configuration.
pub fn environments() -> Vec<CompletionCandidate> {
    let vars = Vars::capture();
    setup::inputs(&typed(&vars), vars.clone()).map(|i| candidates(config::names(&i))).unwrap_or_default()
}

/// The contexts of the kubeconfig.
pub fn contexts() -> Vec<CompletionCandidate> {
    let vars = Vars::capture();
    candidates(Contexts::read(&setup::kube_ask(&typed(&vars), None, &vars)).names)
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
    let vars = Vars::capture();
    let apps =
        setup::inputs(&typed(&vars), vars.clone()).ok().and_then(|i| config::load(&i).ok()).map(|e| e.apps.into_keys().collect::<Vec<_>>());
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
    let global = typed(&vars);
    let env = setup::inputs(&global, vars.clone()).ok().and_then(|i| config::load(&i).ok());
    if env.as_ref().is_some_and(|env| env.kube.is_none()) {
        return Vec::new();
    }
    let ask = setup::kube_ask(&global, env.as_ref().and_then(|e| e.kube.as_ref()), &vars);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let names = runtime.block_on(async {
        let listed = async {
            match Cluster::connect(&ask, Redactor::default()).await {
                Ok(cluster) => list(cluster).await,
                Err(_) => Vec::new(),
            }
        };
        // In here: the timer needs the runtime already when it is made.
        tokio::time::timeout(PATIENCE, listed).await
    });
    runtime.shutdown_background();
    candidates(names.unwrap_or_default())
}
