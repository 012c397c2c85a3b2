//! Live cluster → the objects that `changes` reads. Only LIST; of ConfigMaps and Secrets the server sends names and times alone.

use super::{
    changes::ClusterObjects,
    collect::Scope,
    rollout::{self, RolloutState},
    serving::noted,
};
use crate::{
    answer::{Coverage, Missing, Part, Why},
    connect::kube::{Ask, Cluster},
    error::{Kind, Result},
    safe,
    text::Redactor,
};
use futures_util::future::{join, join5};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        batch::v1::Job,
        core::v1::{Event, Node, Pod},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct RawMeta {
    #[serde(default)]
    metadata: ObjectMeta,
}

/// Everything that changes can be read from. What may not be listed is a gap of the coverage.
///
/// # Errors
/// As `Cluster::list`, but for refusals.
pub async fn objects(cluster: &Cluster, scope: &Scope) -> Result<(ClusterObjects, Coverage)> {
    let ask = |group: &str, plural: &'static str| {
        Ask::new(safe!("listing the {} of {}", plural, scope.shown()), scope.path(group, plural), "list", plural, scope.namespace())
    };
    let nodes = Ask::new("listing the nodes".into(), "/api/v1/nodes".into(), "list", "nodes", None);
    let (deployments, sets) = (ask("apis/apps/v1", "deployments"), ask("apis/apps/v1", "replicasets"));
    let (pods, events, jobs) = (ask("api/v1", "pods"), ask("api/v1", "events"), ask("apis/batch/v1", "jobs"));
    let (maps, secrets) = (ask("api/v1", "configmaps").metadata_only(), ask("api/v1", "secrets").metadata_only());
    let workloads = join5(
        cluster.list::<Deployment>(&deployments),
        cluster.list::<ReplicaSet>(&sets),
        cluster.list::<Pod>(&pods),
        cluster.list::<Event>(&events),
        cluster.list::<Job>(&jobs),
    );
    let around = async { tokio::join!(cluster.list::<Node>(&nodes), cluster.list::<RawMeta>(&maps), cluster.list::<RawMeta>(&secrets)) };
    let ((deployments, sets, pods, events, jobs), (nodes, maps, secrets)) = join(workloads, around).await;
    let mut coverage = Coverage::default();
    let metas = |all: Vec<RawMeta>| all.into_iter().map(|m| m.metadata).collect();
    let objects = ClusterObjects {
        deployments: noted(deployments, "deployments", &mut coverage)?,
        replica_sets: noted(sets, "replicasets", &mut coverage)?,
        pods: noted(pods, "pods", &mut coverage)?,
        events: noted(events, "events", &mut coverage)?,
        jobs: noted(jobs, "jobs", &mut coverage)?,
        nodes: seen(nodes, "nodes", &mut coverage)?,
        config_maps: metas(seen(maps, "configmaps", &mut coverage)?),
        secrets: metas(seen(secrets, "secrets", &mut coverage)?),
    };
    Ok((objects, coverage))
}

/// The rollouts alone: none where Deployments and their replica sets may not be listed, and the coverage says so.
///
/// # Errors
/// As `Cluster::list`, but for refusals.
pub async fn rollouts(cluster: &Cluster, scope: &Scope, now: Timestamp, redact: &Redactor) -> Result<(Vec<RolloutState>, Coverage)> {
    let ask = |plural: &'static str| {
        let path = scope.path("apis/apps/v1", plural);
        Ask::new(safe!("listing the {} of {}", plural, scope.shown()), path, "list", plural, scope.namespace())
    };
    let (deployments, sets) = (ask("deployments"), ask("replicasets"));
    let (deployments, sets) = join(cluster.list::<Deployment>(&deployments), cluster.list::<ReplicaSet>(&sets)).await;
    let mut coverage = Coverage::default();
    let (deployments, sets) = (seen(deployments, "deployments", &mut coverage)?, seen(sets, "replicasets", &mut coverage)?);
    Ok((rollout::rollouts(&deployments, &sets, now, redact), coverage))
}

/// As `noted`, but nothing asks for the right that is missing: that to list Secrets and ConfigMaps is the right to read them, and that to
/// list nodes is the whole cluster's.
fn seen<T>(result: Result<Vec<T>>, what: &'static str, coverage: &mut Coverage) -> Result<Vec<T>> {
    match result {
        Err(error) if error.kind() == Kind::Denied => {
            let part = Part { system: "kubernetes", name: what.into() };
            let why = Why::Unreachable("not seen: you may not list them".into());
            coverage.miss(Missing { part, why, hint: None });
            Ok(Vec::new())
        }
        other => noted(other, what, coverage),
    }
}
