//! Live cluster → pods and workloads. Only GET and LIST.

use super::{
    model::{Container, End, GonePod, Pod, Role, State, Workload, WorkloadKind},
    target::{self, Target},
};
use crate::{
    answer::Hint,
    connect::kube::{Ask, Cluster, encode},
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use futures_util::future::{join, join_all};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        batch::v1::{CronJob, Job},
        core::v1::{self, Event},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use std::collections::BTreeMap;

/// Where to look: one namespace, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One namespace.
    Namespace(String),
    /// `-A`.
    All,
}

impl Scope {
    /// The path of a list.
    pub fn path(&self, group: &str, plural: &str) -> String {
        match self {
            Self::Namespace(ns) => format!("/{group}/namespaces/{}/{plural}", encode(ns)),
            Self::All => format!("/{group}/{plural}"),
        }
    }
    /// The namespace; none for all.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Namespace(ns) => Some(ns),
            Self::All => None,
        }
    }
    /// For people: the namespace's name, or `*`.
    pub fn shown(&self) -> Safe {
        Safe::name(self.namespace().unwrap_or("*"))
    }
}

/// A name that stands for a selector or a workload: an app of the configuration.
#[derive(Clone, Debug)]
pub struct AppName {
    /// Its name.
    pub name: String,
    /// Its selector.
    pub selector: Option<String>,
    /// Its workload, `deployment/x`.
    pub workload: Option<String>,
    /// The container that matters, if only one does.
    pub container: Option<String>,
}

/// A pod that was asked for, and as what.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The pod.
    pub pod: Pod,
    /// The app or workload by which it was found.
    pub app: Option<String>,
    /// Only this container of it.
    pub container: Option<String>,
}

/// All pods of a scope, narrowed by a selector where one is given.
///
/// # Errors
/// As `Cluster::list`.
pub async fn pods(cluster: &Cluster, scope: &Scope, selector: Option<&str>) -> Result<Vec<Pod>> {
    let mut path = scope.path("api/v1", "pods");
    if let Some(selector) = selector {
        path.push_str(&format!("?labelSelector={}", encode(selector)));
    }
    let ask = Ask::new(safe!("listing the pods of {}", scope.shown()), path, "list", "pods", scope.namespace());
    let raw: Vec<v1::Pod> = cluster.list(&ask).await?;
    Ok(raw.into_iter().map(|p| pod(p, cluster)).collect())
}

/// The pods that the targets mean; none: every app of the environment, else every pod. One batch of requests side by side.
///
/// # Errors
/// `NotFound` for a name that means nothing, with what is near; `Usage` for a malformed target; else as `Cluster::list`.
pub async fn choose(cluster: &Cluster, scope: &Scope, targets: &[Target], apps: &[AppName]) -> Result<Vec<Chosen>> {
    let mut wanted: Vec<(Target, Option<&AppName>)> = Vec::new();
    for target in targets {
        match target {
            Target::Name(name) => match apps.iter().find(|a| a.name == *name) {
                Some(app) => wanted.push((of_app(app)?, Some(app))),
                None => wanted.push((target.clone(), None)),
            },
            other => wanted.push((other.clone(), None)),
        }
    }
    if targets.is_empty() {
        for app in apps.iter().filter(|a| a.selector.is_some() || a.workload.is_some()) {
            wanted.push((of_app(app)?, Some(app)));
        }
        if wanted.is_empty() {
            wanted.push((Target::All, None));
        }
    }
    // A selector alone is narrowed by the server; names need the whole list, which the coverage wants as well.
    let only_selector = match wanted.as_slice() {
        [(Target::Selector(s), _)] => Some(s.clone()),
        _ => None,
    };
    let lookups = join_all(wanted.iter().map(|(t, _)| workloads(cluster, scope, t)));
    let (all, found) = join(pods(cluster, scope, only_selector.as_deref()), lookups).await;
    let all = all?;
    if all.is_empty() {
        namespace_exists(cluster, scope).await?;
    }
    let mut chosen: Vec<Chosen> = Vec::new();
    for ((target, app), found) in wanted.iter().zip(found) {
        let owner = app.map(|a| a.name.clone());
        let picked: Vec<(&Pod, Option<String>)> = match target {
            Target::All => all.iter().map(|p| (p, None)).collect(),
            Target::Selector(selector) => {
                all.iter().filter(|p| only_selector.is_some() || target::matches(selector, p)).map(|p| (p, None)).collect()
            }
            Target::Pod(name) => {
                let one = all.iter().find(|p| p.name == *name);
                vec![(one.ok_or_else(|| near(name, scope, &all))?, None)]
            }
            Target::Workload(_, name) | Target::Name(name) => {
                let a_pod = || all.iter().find(|p| p.name == *name).filter(|_| matches!(target, Target::Name(_)));
                let found = match found {
                    // What may not be looked up may be what is meant, unless a pod has the name.
                    Err(e) if e.kind() == Kind::Denied && a_pod().is_some() => None,
                    found => found?,
                };
                match found {
                    Some((workload, jobs)) => {
                        target::pods_of(&workload, &all, &jobs).into_iter().map(|p| (p, Some(workload.name.clone()))).collect()
                    }
                    None => vec![(a_pod().ok_or_else(|| near(name, scope, &all))?, None)],
                }
            }
        };
        for (pod, workload) in picked {
            if !chosen.iter().any(|c| c.pod.uid == pod.uid) {
                let container = app.and_then(|a| a.container.clone());
                chosen.push(Chosen { pod: pod.clone(), app: owner.clone().or(workload), container });
            }
        }
    }
    Ok(chosen)
}

/// A mistyped namespace is an empty list to the API; to the user it is a mistake. Where it may not be asked, nothing is claimed.
async fn namespace_exists(cluster: &Cluster, scope: &Scope) -> Result<()> {
    let Scope::Namespace(name) = scope else { return Ok(()) };
    let shown = Safe::name(name);
    let ask = Ask::new(safe!("looking for namespace {}", shown), format!("/api/v1/namespaces/{}", encode(name)), "get", "namespaces", None);
    match cluster.get::<v1::Namespace>(&ask).await {
        Err(e) if e.kind() == Kind::NotFound => Err(Error::new(Kind::NotFound, safe!("looking for namespace {}", shown))
            .to(cluster.provenance())
            .what("there is none of that name")
            .hint(Hint::Run("kubectl get namespaces".into()))),
        _ => Ok(()),
    }
}

fn of_app(app: &AppName) -> Result<Target> {
    match (&app.selector, &app.workload) {
        (Some(selector), _) => Ok(Target::Selector(selector.clone())),
        (None, Some(workload)) => target::parse(workload),
        (None, None) => Ok(Target::Selector(format!("app={}", app.name))),
    }
}

fn near(name: &str, scope: &Scope, pods: &[Pod]) -> Error {
    let mut names: Vec<String> = pods.iter().flat_map(|p| p.labels.get("app").into_iter().chain([&p.name])).cloned().collect();
    names.sort();
    names.dedup();
    target::unknown(name, scope.namespace().unwrap_or("*"), &names)
}

/// The workload of a target, with the jobs of a cron job; none when no kind knows the name. Refusals count only where nothing else answers.
async fn workloads(cluster: &Cluster, scope: &Scope, target: &Target) -> Result<Option<(Workload, Vec<String>)>> {
    let (kinds, name): (&[WorkloadKind], &str) = match target {
        Target::Workload(kind, name) => (std::slice::from_ref(kind), name),
        Target::Name(name) => (&WorkloadKind::ALL, name),
        _ => return Ok(None),
    };
    let Scope::Namespace(namespace) = scope else {
        return Err(Error::new(Kind::Usage, safe!("looking up {}", Safe::name(name)))
            .what("a name needs one namespace: with -A use -l, or no target"));
    };
    let answers = join_all(kinds.iter().map(|kind| workload(cluster, namespace, *kind, name))).await;
    let mut refused = None;
    for answer in answers {
        match answer {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            // A refused kind does not end the search: another may have the name.
            Err(e) if e.kind() == Kind::Denied => {
                refused.get_or_insert(e);
            }
            Err(e) => return Err(e),
        }
    }
    refused.map_or(Ok(None), Err)
}

async fn workload(cluster: &Cluster, namespace: &str, kind: WorkloadKind, name: &str) -> Result<Option<(Workload, Vec<String>)>> {
    let (group, plural) = kind.path();
    let path = format!("/{group}/namespaces/{}/{plural}/{}", encode(namespace), encode(name));
    let ask = Ask::new(safe!("looking up {}/{}", kind.word(), Safe::name(name)), path, "get", plural, Some(namespace));
    let selector = match kind {
        WorkloadKind::Deployment => absent(cluster.get::<Deployment>(&ask).await)?.map(|d| d.spec.map(|s| s.selector)),
        WorkloadKind::StatefulSet => absent(cluster.get::<StatefulSet>(&ask).await)?.map(|d| d.spec.map(|s| s.selector)),
        WorkloadKind::DaemonSet => absent(cluster.get::<DaemonSet>(&ask).await)?.map(|d| d.spec.map(|s| s.selector)),
        WorkloadKind::Job => absent(cluster.get::<Job>(&ask).await)?.map(|d| d.spec.and_then(|s| s.selector)),
        WorkloadKind::CronJob => absent(cluster.get::<CronJob>(&ask).await)?.map(|_| None),
    };
    let Some(selector) = selector else { return Ok(None) };
    let mut jobs = Vec::new();
    if kind == WorkloadKind::CronJob {
        let path = format!("/apis/batch/v1/namespaces/{}/jobs", encode(namespace));
        let ask = Ask::new(safe!("listing the jobs of cronjob/{}", Safe::name(name)), path, "list", "jobs", Some(namespace));
        let all: Vec<Job> = cluster.list(&ask).await?;
        let owned = |j: &Job| j.metadata.owner_references.iter().flatten().any(|o| o.kind == "CronJob" && o.name == name);
        jobs = all.into_iter().filter(owned).filter_map(|j| j.metadata.name).collect();
    }
    let selector = selector.map(|s| query(&s)).unwrap_or_default();
    Ok(Some((Workload { kind, name: name.to_owned(), selector }, jobs)))
}

fn absent<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// A selector object as the query string.
fn query(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten().map(|(k, v)| format!("{k}={v}"));
    let expressions = selector.match_expressions.iter().flatten().map(|e| {
        let values = e.values.clone().unwrap_or_default().join(",");
        match e.operator.as_str() {
            "In" => format!("{} in ({values})", e.key),
            "NotIn" => format!("{} notin ({values})", e.key),
            "DoesNotExist" => format!("!{}", e.key),
            _ => e.key.clone(),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Pods that events of the last hour name and that are no longer there: their logs are lost to the API.
///
/// # Errors
/// As `Cluster::list`; `Denied` where events may not be listed.
pub async fn gone(cluster: &Cluster, scope: &Scope, present: &[Pod]) -> Result<Vec<GonePod>> {
    let path = format!("{}?fieldSelector={}", scope.path("api/v1", "events"), encode("involvedObject.kind=Pod"));
    let ask = Ask::new(safe!("listing the events of {}", scope.shown()), path, "list", "events", scope.namespace());
    let events: Vec<Event> = cluster.list(&ask).await?;
    let mut gone: BTreeMap<(String, String), Option<Timestamp>> = BTreeMap::new();
    for event in events {
        let object = event.involved_object;
        let (Some(name), Some(namespace)) = (object.name, object.namespace) else { continue };
        if present.iter().any(|p| p.name == name && p.namespace == namespace) {
            continue;
        }
        let at = event.last_timestamp.map(|t| t.0).or(event.event_time.map(|t| t.0)).or(event.metadata.creation_timestamp.map(|t| t.0));
        let last = gone.entry((namespace, name)).or_default();
        *last = (*last).max(at);
    }
    Ok(gone.into_iter().map(|((namespace, name), last_heard)| GonePod { namespace, name, last_heard }).collect())
}

/// The API's pod, reduced.
pub fn pod(raw: v1::Pod, cluster: &Cluster) -> Pod {
    let words = |text: Option<String>| text.filter(|t| !t.is_empty()).map(|t| cluster.redactor().safe(t.as_bytes()));
    let meta = raw.metadata;
    let spec = raw.spec.unwrap_or_default();
    let status = raw.status.unwrap_or_default();
    let owner = meta.owner_references.into_iter().flatten().find(|o| o.controller == Some(true)).map(|o| (o.kind, o.name));
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    let reason = words(status.reason.clone()).or_else(|| unscheduled.and_then(|c| words(c.message.clone())));
    let state_of = |name: &str| {
        [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses]
            .into_iter()
            .flatten()
            .flatten()
            .find(|s| s.name == name)
    };
    let of = |name: &str, image: Option<String>, role: Role, resources: Option<v1::ResourceRequirements>| {
        let known = state_of(name);
        Container {
            name: name.to_owned(),
            role,
            image: image.unwrap_or_default(),
            id: known.and_then(|s| s.container_id.clone()),
            state: known
                .and_then(|s| s.state.clone())
                .map_or_else(|| State::Waiting(reason.clone().unwrap_or_else(|| "no status yet".into())), state),
            before: known.and_then(|s| s.last_state.clone()).and_then(|s| s.terminated).map(end),
            restarts: known.map_or(0, |s| u32::try_from(s.restart_count).unwrap_or(0)),
            ready: known.is_some_and(|s| s.ready),
            memory_limit: resources.and_then(|r| r.limits?.remove("memory")).map(|limit| Safe::name(limit.0)),
        }
    };
    let mut containers = Vec::new();
    for c in spec.init_containers.iter().flatten() {
        let role = if c.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init };
        containers.push(of(&c.name, c.image.clone(), role, c.resources.clone()));
    }
    containers.extend(spec.containers.iter().map(|c| of(&c.name, c.image.clone(), Role::App, c.resources.clone())));
    containers.extend(spec.ephemeral_containers.iter().flatten().map(|c| of(&c.name, c.image.clone(), Role::Ephemeral, None)));
    Pod {
        namespace: meta.namespace.unwrap_or_default(),
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        labels: meta.labels.unwrap_or_default(),
        owner,
        node: spec.node_name,
        phase: status.phase.unwrap_or_default(),
        reason,
        created: meta.creation_timestamp.map(|t| t.0),
        deleting: meta.deletion_timestamp.is_some(),
        containers,
    }
}

fn state(raw: v1::ContainerState) -> State {
    if let Some(running) = raw.running {
        return State::Running(running.started_at.map(|t| t.0));
    }
    if let Some(ended) = raw.terminated {
        return State::Terminated(end(ended));
    }
    let reason = raw.waiting.and_then(|w| w.reason);
    State::Waiting(reason.map_or_else(|| "waiting".into(), Safe::name))
}

fn end(raw: v1::ContainerStateTerminated) -> End {
    End {
        code: raw.exit_code,
        reason: raw.reason.map(Safe::name),
        started: raw.started_at.map(|t| t.0),
        at: raw.finished_at.map(|t| t.0),
        id: raw.container_id,
    }
}
