//! Pods and workloads: what the objects of a namespace show, as a sighting. What is on its way, a rollout under way or a pod that has just
//! started, is no news; what was killed, waits in vain, or is stuck, is.

use super::{MissingFigure, Sighting};
use crate::{
    answer::{Coverage, Finding, Hint, Severity},
    checks::model::{Figure, Unanswered, Unit},
    kubernetes::{
        changes::{self, ChangeKind, ClusterObjects},
        rollout::{self, RolloutState},
        serving::{self, Serving},
        target::labels_match,
    },
    safe,
    text::{Redactor, Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use std::collections::{BTreeMap, BTreeSet};

/// For so long a pod may be not ready before it is news: starting takes a while, and a probe may miss once.
const PATIENCE: SignedDuration = SignedDuration::from_secs(90);
/// Restarts in the window from which on it is no accident.
const MANY: u64 = 3;
/// A run that ends before this was a short one.
const SHORT: SignedDuration = SignedDuration::from_mins(10);
/// Waiting for one of these is waiting in vain.
const IN_VAIN: [&str; 8] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// Which pods a check is about.
#[derive(Clone, Debug)]
pub struct PodSelection {
    /// What it is called.
    pub name: String,
    /// By labels.
    pub selector: Option<String>,
    /// By what owns them: `deployment/backend`, or a bare name.
    pub workload: Option<String>,
}

/// What is looked at.
pub struct ClusterLook<'a> {
    /// The objects.
    pub objects: &'a ClusterObjects,
    /// What could not be read.
    pub coverage: &'a Coverage,
    /// None: everything.
    pub only: &'a [PodSelection],
    /// How far back restarts, events and jobs count.
    pub since: SignedDuration,
    /// Only events with this reason are counted.
    pub reason: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// A workload and its pods.
struct Group<'a> {
    name: String,
    deployment: Option<&'a Deployment>,
    pods: Vec<Serving>,
}

/// Of the objects.
pub fn sighting(look: &ClusterLook<'_>, redact: &Redactor) -> Sighting {
    let mut seen = Sighting::default();
    let from = look.now.checked_sub(look.since).unwrap_or(look.now);
    let refused: BTreeSet<&str> = look.coverage.missing.iter().map(|m| m.part.name.as_str()).collect();
    let groups = groups(look, refused.contains("deployments"));
    let rollouts = rollout::rollouts(&look.objects.deployments, &look.objects.replica_sets, look.now, redact);
    for group in &groups {
        workload(group, &rollouts, look, from, &mut seen);
    }
    events(look, &groups, from, redact, &mut seen);
    for (what, figures) in [
        ("pods", &["ready", "unready", "restarts", "oom", "image", "version", "releases"][..]),
        ("jobs", &["failed_jobs"]),
        ("events", &["events"]),
        ("deployments", &["rollout"]),
    ] {
        let Some(missing) = look.coverage.missing.iter().find(|m| m.part.name.as_str() == what) else { continue };
        for figure in figures {
            // What was counted of something that could not be read is no count.
            seen.figures.retain(|f| f.name.as_str() != *figure || what == "deployments");
            let says = safe!("{}: {}", what, missing.why.says());
            seen.missing.push(MissingFigure { figure, why: Unanswered::NoPermission, says, hint: missing.hint.clone(), partly: false });
        }
    }
    seen
}

fn groups<'a>(look: &ClusterLook<'a>, no_deployments: bool) -> Vec<Group<'a>> {
    let set_of: BTreeMap<&str, &str> =
        look.objects.replica_sets.iter().filter_map(|s| Some((s.metadata.name.as_deref()?, owner(&s.metadata)?.1))).collect();
    let mut groups: BTreeMap<String, Group<'a>> = BTreeMap::new();
    for deployment in &look.objects.deployments {
        let name = deployment.metadata.name.clone().unwrap_or_default();
        let labels = deployment.spec.as_ref().and_then(|s| s.template.metadata.as_ref()).and_then(|m| m.labels.clone()).unwrap_or_default();
        if wanted(look.only, &name, &labels) {
            groups.insert(name.clone(), Group { name, deployment: Some(deployment), pods: Vec::new() });
        }
    }
    for raw in &look.objects.pods {
        let pod = serving::serving(raw, None);
        let name = match owner(&raw.metadata) {
            Some(("ReplicaSet", set)) => {
                set_of.get(set).map_or_else(|| set.rsplit_once('-').map_or(set, |(d, _)| d).to_owned(), |d| (*d).to_owned())
            }
            // A job's pods are its own business, and it says itself when it failed.
            Some(("Job", _)) => continue,
            Some((_, name)) => name.to_owned(),
            None => pod.name.clone(),
        };
        if pod.phase == "Succeeded" || !wanted(look.only, &name, &pod.labels) {
            continue;
        }
        let _ = no_deployments;
        groups.entry(name.clone()).or_insert_with(|| Group { name, deployment: None, pods: Vec::new() }).pods.push(pod);
    }
    groups.into_values().collect()
}

fn owner(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Option<(&str, &str)> {
    let owner = meta.owner_references.as_ref()?.iter().find(|o| o.controller == Some(true)).or(meta.owner_references.as_ref()?.first())?;
    Some((owner.kind.as_str(), owner.name.as_str()))
}

fn wanted(only: &[PodSelection], workload: &str, labels: &BTreeMap<String, String>) -> bool {
    let fits = |s: &PodSelection| match (&s.selector, &s.workload) {
        (Some(selector), _) => labels_match(selector, labels),
        (None, Some(named)) => named.rsplit('/').next() == Some(workload),
        (None, None) => s.name == workload,
    };
    only.is_empty() || only.iter().any(fits)
}

fn workload(group: &Group<'_>, rollouts: &[RolloutState], look: &ClusterLook<'_>, from: Timestamp, seen: &mut Sighting) {
    let of = || Safe::name(&group.name);
    let living: Vec<&Serving> = group.pods.iter().filter(|p| !p.leaving && p.phase != "Failed").collect();
    let ready = living.iter().filter(|p| p.ready).count() as u64;
    let spec = group.deployment.and_then(|d| d.spec.as_ref());
    let wanted = match spec {
        Some(spec) => u64::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0),
        None => living.len() as u64,
    };
    let state = rollouts.iter().rev().find(|r| r.deployment == group.name && group.deployment.is_some()).and_then(|r| r.now.clone());
    let rolling = state.as_ref().is_some_and(|s| !s.done() && !s.stuck);
    seen.figures.push(Figure::number("ready", of(), Unit::Share, if wanted == 0 { 1.0 } else { ready as f64 / wanted as f64 }));
    seen.figures.push(Figure::count("unready", of(), wanted.saturating_sub(ready)));
    let mut tags: BTreeSet<&str> = BTreeSet::new();
    for pod in &living {
        let pod_name = || Safe::name(&pod.name);
        seen.figures.push(Figure::text("image", pod_name(), Safe::name(&pod.image)));
        seen.figures.push(Figure::text("version", pod_name(), Safe::name(rollout::tag(&pod.image))));
        tags.insert(&pod.image);
    }
    seen.figures.push(Figure::count("releases", of(), tags.len() as u64));
    let mut worst: Vec<Finding> = Vec::new();
    if let Some(state) = &state {
        let word = if state.done() {
            "done"
        } else if state.stuck {
            "stuck"
        } else {
            "under way"
        };
        seen.figures.push(Figure::text("rollout", of(), word.into()));
        if state.stuck {
            let waits = living.iter().flat_map(|p| &p.waits).map(|(_, w)| safe!(": {}", w)).next().unwrap_or_default();
            let says = safe!(
                "rollout of {} is stuck: {} of {} updated, {} of them ready{}",
                of(),
                state.updated,
                state.wanted,
                state.ready,
                waits
            );
            let hint = Hint::Run(safe!("obsctl changes --since 1h"));
            seen.found(Some(of()), Finding::new("rollout-stuck", Severity::Failed, says).next(hint));
        }
    }
    for pod in &living {
        worst.extend(of_pod(pod, look.now, from, seen));
    }
    if tags.len() > 1 && !rolling && state.as_ref().is_none_or(|s| !s.stuck) {
        let names: Vec<Safe> = tags.iter().map(|t| Safe::name(rollout::tag(t))).collect();
        seen.found(Some(of()), Finding::new("releases-differ", Severity::Warning, safe!("{} runs {}", of(), Safe::join(&names, " and "))));
    }
    if ready < wanted && worst.iter().all(|f| f.code == "pod-restarted") {
        let newest = living.iter().filter(|p| !p.ready).filter_map(|p| p.since).max();
        let long = newest.is_none_or(|since| look.now.duration_since(since) >= PATIENCE);
        let missing = (living.len() as u64) < wanted;
        let severity = match () {
            () if rolling || !(long || missing) => Severity::Info,
            () if ready == 0 || !missing => Severity::Failed,
            () => Severity::Warning,
        };
        let names: Vec<Safe> = living.iter().filter(|p| !p.ready).take(3).map(|p| Safe::name(&p.name)).collect();
        let which = if names.is_empty() { Safe::EMPTY } else { safe!(": not {}", Safe::join(&names, ", ")) };
        let mut finding = Finding::new("pods-not-ready", severity, safe!("{} has {} of {} pods ready{}", of(), ready, wanted, which));
        if let Some(pod) = living.iter().find(|p| !p.ready) {
            finding = finding.next(Hint::Run(safe!("obsctl logs pod/{} --since 10m", Safe::name(&pod.name))));
        }
        worst.push(finding);
    }
    for finding in worst {
        seen.found(Some(of()), finding);
    }
}

/// What is wrong with one pod: killed, crashing, waiting in vain.
fn of_pod(pod: &Serving, now: Timestamp, from: Timestamp, seen: &mut Sighting) -> Option<Finding> {
    let name = Safe::name(&pod.name);
    let recent = pod.ends.iter().filter(|(_, end)| end.at.is_some_and(|at| at >= from));
    let ends: Vec<_> = recent.collect();
    let oom = ends.iter().filter(|(_, end)| end.reason.as_deref() == Some("OOMKilled")).count() as u64;
    // Of each container the API keeps the last end only; a loop shows in how often it was restarted.
    // A long run between two ends is no loop, however many there were since the pod was made.
    let short = |end: &crate::kubernetes::model::End| end.started.zip(end.at).is_some_and(|(from, to)| to.duration_since(from) < SHORT);
    let restarts = match ends.iter().any(|(_, end)| short(end)) {
        true => u64::from(pod.restarts).max(ends.len() as u64),
        false => ends.len() as u64,
    };
    seen.figures.push(Figure::count("restarts", name.clone(), restarts));
    seen.figures.push(Figure::count("oom", name.clone(), oom));
    let logs = || Hint::Run(safe!("obsctl logs pod/{} --previous", name));
    let ago = |at: Option<Timestamp>| at.map(|at| safe!(" {} ago", units::duration(now.duration_since(at)))).unwrap_or_default();
    let ended = |finding: Finding| match ends.last() {
        Some((container, end)) => {
            let reason = end.reason.clone().unwrap_or_else(|| "ended".into());
            finding.evidence(safe!("container {}: {}, status {}{}", Safe::name(container), reason, end.code, ago(end.at)))
        }
        None => finding,
    };
    if let Some((_, end)) = ends.iter().find(|(_, end)| end.reason.as_deref() == Some("OOMKilled")) {
        let times = if pod.restarts > 1 { safe!(", restarted {} times", pod.restarts) } else { Safe::EMPTY };
        let says = safe!("{} was OOMKilled{}{}", name, ago(end.at), times);
        return Some(ended(Finding::new("pod-oom-killed", Severity::Failed, says)).next(logs()));
    }
    if let Some((container, reason)) = pod.waits.iter().find(|(_, reason)| IN_VAIN.contains(&reason.as_str())) {
        let times = if pod.restarts > 0 { safe!(", restarted {} times", pod.restarts) } else { Safe::EMPTY };
        let says = safe!("{} waits in {}{}", name, reason, times);
        let finding = Finding::new("pod-waits-in-vain", Severity::Failed, says).evidence(safe!("container {}", Safe::name(container)));
        return Some(ended(finding).next(if pod.restarts > 0 { logs() } else { Hint::Run("obsctl changes --since 1h".into()) }));
    }
    let failed = ends.iter().any(|(_, end)| end.code != 0 && end.code != 143);
    if failed {
        let severity = if restarts >= MANY { Severity::Failed } else { Severity::Warning };
        let code = if restarts >= MANY { "pod-crash-loops" } else { "pod-restarted" };
        let says = safe!("{} was restarted, {} in all", name, units::plural(usize::try_from(restarts).unwrap_or(0), "time", "times"));
        return Some(ended(Finding::new(code, severity, says)).next(logs()));
    }
    None
}

/// Evictions, jobs that failed, what finds no place; and the count of warnings.
fn events(look: &ClusterLook<'_>, groups: &[Group<'_>], from: Timestamp, redact: &Redactor, seen: &mut Sighting) {
    let whose =
        |name: &str| groups.iter().find(|g| g.name == name || name.strip_prefix(g.name.as_str()).is_some_and(|r| r.starts_with('-')));
    let counted = look.objects.events.iter().filter(|event| {
        event.type_.as_deref() == Some("Warning")
            && serving::event_time(event).is_some_and(|at| at >= from)
            && look.reason.is_none_or(|reason| event.reason.as_deref() == Some(reason))
            && (look.only.is_empty() || whose(event.involved_object.name.as_deref().unwrap_or_default()).is_some())
    });
    let counted: Vec<_> = counted.collect();
    seen.figures.push(Figure::count("events", Safe::EMPTY, counted.len() as u64));
    for event in counted.iter().rev().take(3) {
        let message = redact.safe(event.message.as_deref().unwrap_or_default().trim().as_bytes()).clipped(160);
        let reason = Safe::name(event.reason.as_deref().unwrap_or_default());
        seen.evidence.push(safe!("{} {}: {}", Safe::name(event.involved_object.name.as_deref().unwrap_or_default()), reason, message));
    }
    let all = changes::changes(look.objects, from, look.now, redact);
    let bare = |of: &Safe| of.split_once('/').map_or(of.to_string(), |(_, name)| name.to_owned());
    let of_ours = all.iter().filter(|c| c.bad && (look.only.is_empty() || whose(&bare(&c.of)).is_some()));
    let mut jobs = 0;
    for change in of_ours {
        let (code, severity) = match change.kind {
            ChangeKind::Job => {
                jobs += 1;
                ("job-failed", Severity::Warning)
            }
            ChangeKind::Eviction => ("pod-evicted", Severity::Failed),
            ChangeKind::Node => ("node-in-trouble", Severity::Failed),
            // A pod with a node says itself what its containers wait for; one that no node takes has none that could.
            ChangeKind::Trouble if unplaced(look.objects, &bare(&change.of)) => ("pod-not-placed", Severity::Failed),
            _ => continue,
        };
        seen.found(
            whose(&bare(&change.of)).map(|g| Safe::name(&g.name)),
            Finding::new(code, severity, safe!("{}: {}", change.of, change.says)),
        );
    }
    seen.figures.push(Figure::count("failed_jobs", Safe::EMPTY, jobs));
}

/// Whether this pod is there, and no node has taken it.
fn unplaced(objects: &ClusterObjects, name: &str) -> bool {
    let mut named = objects.pods.iter().filter(|pod| pod.metadata.name.as_deref() == Some(name));
    named.any(|pod| pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_none()))
}
