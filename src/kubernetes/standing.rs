//! How one pod or job stands at this moment: what a follow asks when a stream has ended. Lists with a name in them, because whoever may list
//! pods need not be allowed to get one.

use super::{
    collect::{self, Scope},
    model::{Pod, WorkloadKind},
};
use crate::{
    connect::kube::{Ask, Cluster, encode},
    error::{Kind, Result},
    safe,
    text::Safe,
};
use k8s_openapi::api::{batch::v1::Job, core::v1};

/// A pod now.
pub struct PodNow {
    /// The pod.
    pub pod: Pod,
    /// What its containers wait for, in the node's words: `back-off 10s restarting failed container`.
    pub waiting: Vec<(String, Safe)>,
}

/// The pod of that name; none when there is none.
///
/// # Errors
/// As `Cluster::list`.
pub async fn of(cluster: &Cluster, pod: &Pod) -> Result<Option<PodNow>> {
    let path = format!("/api/v1/namespaces/{}/pods?fieldSelector=metadata.name%3D{}", encode(&pod.namespace), encode(&pod.name));
    let ask = Ask::new(safe!("looking at {}", pod.path()), path, "list", "pods", Some(&pod.namespace));
    let raw: Vec<v1::Pod> = cluster.list(&ask).await?;
    let Some(raw) = raw.into_iter().next() else { return Ok(None) };
    let status = raw.status.clone().unwrap_or_default();
    let all = [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
    let waiting = all.into_iter().flatten().flatten().filter_map(|status| {
        let waits = status.state?.waiting?;
        let says = match waits.message {
            // The pod's own name and ID at the end say nothing new.
            Some(message) => match message.split_once(" container=") {
                Some((says, _)) => safe!("{} container", cluster.redactor().safe(says.as_bytes())),
                None => cluster.redactor().safe(message.as_bytes()).clipped(200),
            },
            None => Safe::name(waits.reason?),
        };
        Some((status.name, says))
    });
    Ok(Some(PodNow { waiting: waiting.collect(), pod: collect::pod(raw, cluster) }))
}

/// Whether a job has ended, or is gone; never true of what is no job.
///
/// # Errors
/// As `Cluster::get`.
pub async fn is_over(cluster: &Cluster, scope: &Scope, kind: WorkloadKind, name: &str) -> Result<bool> {
    let (WorkloadKind::Job, Scope::Namespace(namespace)) = (kind, scope) else { return Ok(false) };
    let path = format!("/apis/batch/v1/namespaces/{}/jobs/{}", encode(namespace), encode(name));
    let ask = Ask::new(safe!("looking at job/{}", Safe::name(name)), path, "get", "jobs", Some(namespace));
    match cluster.get::<Job>(&ask).await {
        Ok(job) => Ok(job
            .status
            .and_then(|s| s.conditions)
            .is_some_and(|all| all.iter().any(|c| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True"))),
        Err(e) if e.kind() == Kind::NotFound => Ok(true),
        Err(e) => Err(e),
    }
}
