//! The pods beside the workers: what Kubernetes knows of each, where the environment has a cluster.

use crate::{
    answer::{Missing, Part, Provenance, Why},
    celery::model::{PodEnd, PodSeen},
    error::{Error, Result},
    kubernetes::{
        collect::{Scope, pods},
        model::{Container, Pod, Role, State},
    },
    session::Session,
    text::Safe,
};

/// The pods of the namespace; none where the environment has no cluster, or nobody said that this broker belongs to it.
pub(super) async fn of(session: &Session) -> Option<Result<(Vec<PodSeen>, Provenance), Missing>> {
    session.env.name.as_ref()?;
    session.env.kube.as_ref()?;
    let found = async {
        let cluster = session.cluster().await?;
        let found = pods(&cluster, &Scope::Namespace(cluster.namespace.clone()), None).await?;
        Ok::<_, Error>((found.iter().map(observed).collect(), cluster.provenance()))
    };
    Some(session.unless_stopped("listing the pods of the workers".into(), found).await.map_err(|error| Missing {
        part: Part { system: "kubernetes", name: "the pods of the workers".into() },
        why: Why::Unreachable(error.says()),
        hint: error.hints().first().cloned(),
    }))
}

/// What matters of a pod to its worker.
fn observed(pod: &Pod) -> PodSeen {
    let apps = || pod.containers.iter().filter(|c| c.role == Role::App);
    let end = |container: &Container| {
        let end = match &container.state {
            State::Terminated(end) => Some(end),
            _ => container.before.as_ref(),
        }?;
        Some(PodEnd { reason: end.reason.clone().unwrap_or_else(|| "ended".into()), at: end.at })
    };
    let last = apps().filter_map(|c| end(c).map(|end| (c, end))).max_by_key(|(_, end)| end.at);
    PodSeen {
        name: Safe::name(&pod.name),
        namespace: Safe::name(&pod.namespace),
        ready: apps().all(|c| c.ready),
        running: apps().all(|c| matches!(c.state, State::Running(_))),
        reason: pod.reason.clone().or_else(|| apps().find_map(|c| c.waits_for().cloned())),
        restarts: apps().map(|c| c.restarts).max().unwrap_or_default(),
        memory_limit: last.as_ref().and_then(|(container, _)| container.memory_limit.clone()),
        last_end: last.map(|(_, end)| end),
        deleting: pod.deleting,
    }
}
