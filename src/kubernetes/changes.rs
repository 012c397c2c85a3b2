//! What changed in a namespace, one line each, oldest first: rollouts, scaling, configuration, restarts, evictions, nodes, jobs. Pure: the
//! objects are handed in. Of ConfigMaps and Secrets there are names and times, nothing else.

use super::{
    rollout::{self, RolloutState},
    serving::event_time,
};
use crate::{
    safe,
    text::{Redactor, Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        batch::v1::Job,
        core::v1::{ContainerStateTerminated, Event, Node, Pod},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What kind of change it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A new revision of a workload.
    Rollout,
    /// More or fewer pods.
    Scaling,
    /// A ConfigMap or a Secret.
    Config,
    /// A container ended and was started again.
    Restart,
    /// A container was killed at its memory limit.
    OomKill,
    /// A pod was driven from its node.
    Eviction,
    /// A node is in trouble, or no longer.
    Node,
    /// A job ended.
    Job,
    /// Something cannot be started: no room, no image, no volume.
    Trouble,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: ChangeKind,
    /// Of what: `deploy/backend`.
    pub of: Safe,
    /// What.
    pub says: Safe,
    /// Whether it is bad news.
    pub bad: bool,
}

/// The objects that changes are read from. Lists that could not be had are empty.
#[derive(Clone, Debug, Default)]
pub struct ClusterObjects {
    /// Deployments.
    pub deployments: Vec<Deployment>,
    /// Their replica sets.
    pub replica_sets: Vec<ReplicaSet>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// Events.
    pub events: Vec<Event>,
    /// Jobs.
    pub jobs: Vec<Job>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// ConfigMaps, without what they hold.
    pub config_maps: Vec<ObjectMeta>,
    /// Secrets, without what they hold.
    pub secrets: Vec<ObjectMeta>,
}

/// What changed since, oldest first.
pub fn changes(objects: &ClusterObjects, since: Timestamp, now: Timestamp, redact: &Redactor) -> Vec<Change> {
    let rollouts = rollout::rollouts(&objects.deployments, &objects.replica_sets, now, redact);
    let mut all: Vec<Change> = rollouts.iter().map(of_rollout).collect();
    all.extend(objects.pods.iter().flat_map(|pod| restarts(pod, redact)));
    all.extend(configuration("configmap", &objects.config_maps));
    all.extend(configuration("secret", &objects.secrets));
    all.extend(objects.jobs.iter().filter_map(|job| of_job(job, redact)));
    all.extend(objects.nodes.iter().flat_map(|node| of_node(node, redact)));
    all.extend(of_events(objects, &rollouts, redact));
    all.retain(|change| change.at >= since);
    all.sort_by(|a, b| (a.at, a.kind, &a.of).cmp(&(b.at, b.kind, &b.of)));
    all.dedup();
    all
}

/// The changes that are nearest to these pods, so many at most, oldest first: those of the pods themselves, their workloads, the configuration
/// and the nodes come before the others, whose crashes would fill every list; then the newer before the older.
pub fn nearest<'a>(all: &'a [Change], pods: &[&str], most: usize) -> Vec<&'a Change> {
    let concerns = |change: &Change| {
        let name = change.of.split_once('/').map_or("", |(_, name)| name);
        let theirs = |pod: &str| pod.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        matches!(change.kind, ChangeKind::Config | ChangeKind::Node) || pods.iter().any(|pod| theirs(pod))
    };
    let mut chosen: Vec<&Change> = all.iter().collect();
    chosen.sort_by_key(|change| (concerns(change), change.at));
    chosen.drain(..chosen.len().saturating_sub(most));
    chosen.sort_by_key(|change| change.at);
    chosen
}

fn of_rollout(rollout: &RolloutState) -> Change {
    let back = if rollout.back { "rolled back: " } else { "" };
    let (state, bad) = match &rollout.now {
        Some(now) if now.stuck => (safe!("; stuck: {} of {} updated, {} of them ready", now.updated, now.wanted, now.ready), true),
        Some(now) if !now.done() => (safe!("; under way: {} of {} ready", now.ready, now.wanted), false),
        _ => (Safe::EMPTY, false),
    };
    Change {
        at: rollout.begun,
        kind: ChangeKind::Rollout,
        of: safe!("deploy/{}", Safe::name(&rollout.deployment)),
        says: safe!("{}{}{}", back, rollout.says, state),
        bad,
    }
}

fn pod_name(pod: &Pod) -> Safe {
    safe!("pod/{}", Safe::name(pod.metadata.name.as_deref().unwrap_or_default()))
}

/// How the containers of a pod ended; of each the API keeps the last end only.
fn restarts(pod: &Pod, redact: &Redactor) -> Vec<Change> {
    let status = pod.status.iter();
    let containers = status.flat_map(|s| [&s.init_container_statuses, &s.container_statuses]).flatten().flatten();
    let many = pod.spec.as_ref().is_some_and(|s| s.containers.len() > 1);
    let mut found = Vec::new();
    for container in containers {
        let of_state = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| state.as_ref().and_then(|s| s.terminated.clone());
        for (ended, current) in [(of_state(&container.last_state), false), (of_state(&container.state), true)] {
            let Some(ended) = ended else { continue };
            let Some(at) = ended.finished_at.as_ref().map(|t| t.0) else { continue };
            let bad = ended.exit_code != 0;
            // What ran to its end and stays there is no restart.
            if current && !bad {
                continue;
            }
            let oom = ended.reason.as_deref() == Some("OOMKilled");
            let who = if many { safe!("container {} ", Safe::name(&container.name)) } else { Safe::EMPTY };
            let limit = limit(pod, &container.name).filter(|_| oom).map(|l| safe!(" at its memory limit {}", l)).unwrap_or_default();
            let restarts = usize::try_from(container.restart_count).unwrap_or(0);
            let times = if restarts > 1 { safe!(", {} in all", units::plural(restarts, "restart", "restarts")) } else { Safe::EMPTY };
            found.push(Change {
                at,
                kind: if oom { ChangeKind::OomKill } else { ChangeKind::Restart },
                of: pod_name(pod),
                says: safe!("{}{}{}{}", who, how(&ended, redact), limit, times),
                bad,
            });
        }
    }
    found
}

/// `OOMKilled`, `ended with status 1: its last words`, `killed by signal 9`.
fn how(ended: &ContainerStateTerminated, redact: &Redactor) -> Safe {
    let words = ended.message.as_deref().map(str::trim).filter(|m| !m.is_empty());
    let words = words.and_then(|m| m.lines().last()).map(|m| safe!(": {}", redact.safe(m.as_bytes()).clipped(160))).unwrap_or_default();
    match (ended.reason.as_deref(), ended.exit_code) {
        (Some("OOMKilled"), _) => "OOMKilled".into(),
        (_, 0) => "ended by itself with status 0".into(),
        (_, code @ 129..=192) => safe!("killed by signal {}{}", code - 128, words),
        (_, code) => safe!("ended with status {}{}", code, words),
    }
}

fn limit(pod: &Pod, container: &str) -> Option<Safe> {
    let found = pod.spec.as_ref()?.containers.iter().find(|c| c.name == container)?;
    found.resources.as_ref()?.limits.as_ref()?.get("memory").map(|q| Safe::name(&q.0))
}

/// The newest time at which somebody wrote to an object.
fn written(meta: &ObjectMeta) -> Option<Timestamp> {
    let by_hand = meta.managed_fields.iter().flatten().filter(|f| f.subresource.is_none()).filter_map(|f| f.time.as_ref().map(|t| t.0));
    by_hand.chain(meta.creation_timestamp.as_ref().map(|t| t.0)).max()
}

fn configuration(kind: &'static str, all: &[ObjectMeta]) -> Vec<Change> {
    let changes = all.iter().filter_map(|meta| {
        let name = meta.name.as_deref()?;
        if name == "kube-root-ca.crt" {
            return None;
        }
        let at = written(meta)?;
        let new = meta.creation_timestamp.as_ref().is_some_and(|t| t.0 == at);
        // Helm keeps each revision of a release in a Secret of its own.
        if let Some((release, revision)) = name.strip_prefix("sh.helm.release.v1.").and_then(|rest| rest.rsplit_once(".v")) {
            let says = safe!("revision {}", Safe::name(revision));
            return Some(Change { at, kind: ChangeKind::Config, of: safe!("helm/{}", Safe::name(release)), says, bad: false });
        }
        let says = if new { "made" } else { "changed; pods read it when they start" };
        Some(Change { at, kind: ChangeKind::Config, of: safe!("{}/{}", kind, Safe::name(name)), says: says.into(), bad: false })
    });
    changes.collect()
}

/// Jobs that failed, and migrations that ended well.
fn of_job(job: &Job, redact: &Redactor) -> Option<Change> {
    let name = job.metadata.name.as_deref()?;
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let of = |kind: &str| conditions.iter().find(|c| c.type_ == kind && c.status == "True");
    let change = |at, says, bad| Change { at, kind: ChangeKind::Job, of: safe!("job/{}", Safe::name(name)), says, bad };
    if let Some(failed) = of("Failed") {
        let why = redact.safe(failed.message.as_deref().unwrap_or_default().as_bytes()).clipped(160);
        let reason = Safe::name(failed.reason.as_deref().unwrap_or("Failed"));
        return Some(change(failed.last_transition_time.as_ref()?.0, safe!("failed ({}): {}", reason, why), true));
    }
    let at = of("Complete").filter(|_| name.contains("migrat"))?.last_transition_time.as_ref()?.0;
    Some(change(at, "complete".into(), false))
}

fn of_node(node: &Node, redact: &Redactor) -> Vec<Change> {
    let name = safe!("node/{}", Safe::name(node.metadata.name.as_deref().unwrap_or_default()));
    let conditions = node.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let changes = conditions.filter_map(|c| {
        let bad = if c.type_ == "Ready" { c.status != "True" } else { c.status == "True" };
        // Of the pressures that are over, the time at which they ended says little.
        if !bad && c.type_ != "Ready" {
            return None;
        }
        let at = c.last_transition_time.as_ref()?.0;
        let why = redact.safe(c.message.as_deref().unwrap_or_default().as_bytes()).clipped(120);
        let says = match (c.type_.as_str(), bad) {
            ("Ready", false) => "ready".into(),
            ("Ready", true) => safe!("not ready: {}", why),
            (kind, _) => safe!("{}: {}", Safe::name(kind), why),
        };
        Some(Change { at, kind: ChangeKind::Node, of: name.clone(), says, bad })
    });
    changes.collect()
}

/// What only events tell. Repeated ones are one line, at the time of the last.
fn of_events(objects: &ClusterObjects, rollouts: &[RolloutState], redact: &Redactor) -> Vec<Change> {
    let mut grouped: BTreeMap<(Safe, String), (Change, i32)> = BTreeMap::new();
    for event in &objects.events {
        let (Some(reason), Some(at)) = (event.reason.as_deref(), event_time(event)) else { continue };
        let object = &event.involved_object;
        let name = object.name.as_deref().unwrap_or_default();
        let kind = match reason {
            "ScalingReplicaSet" if part_of_rollout(rollouts, &objects.events, event, at) => continue,
            "ScalingReplicaSet" | "SuccessfulRescale" => ChangeKind::Scaling,
            "Evicted" | "Preempted" | "TaintManagerEviction" | "Preempting" => ChangeKind::Eviction,
            "NodeNotReady" | "Rebooted" | "SystemOOM" => ChangeKind::Node,
            "FailedScheduling" | "FailedMount" | "FailedAttachVolume" | "FailedCreate" | "Failed" | "FailedCreatePodSandBox" => {
                ChangeKind::Trouble
            }
            _ => continue,
        };
        let of = safe!("{}/{}", Safe::name(short(object.kind.as_deref().unwrap_or_default())), Safe::name(name));
        let message = redact.safe(event.message.as_deref().unwrap_or_default().trim().as_bytes()).clipped(200);
        let says = match (reason, scaled(event.message.as_deref().unwrap_or_default())) {
            ("ScalingReplicaSet", Some((from, to))) => safe!("scaled from {} to {}", from, to),
            ("SuccessfulRescale", _) => safe!("autoscaled: {}", message),
            _ => safe!("{}: {}", Safe::name(reason), message),
        };
        let times = event.count.or(event.series.as_ref().and_then(|s| s.count)).unwrap_or(1);
        let change = Change { at, kind, of: of.clone(), says, bad: kind != ChangeKind::Scaling };
        // Each scaling is a line of its own; of the rest the newest stands for all.
        let key = if kind == ChangeKind::Scaling { format!("{reason}{at}") } else { reason.to_owned() };
        let entry = grouped.entry((of, key)).or_insert_with(|| (change.clone(), 0));
        entry.1 += times;
        if entry.0.at < at {
            entry.0 = change;
        }
    }
    let all = grouped.into_values().map(|(change, times)| {
        if times > 1 && change.kind != ChangeKind::Scaling {
            Change { says: safe!("{} (× {})", change.says, times), ..change }
        } else {
            change
        }
    });
    all.collect()
}

/// Whether a Deployment was rolling out at that time: its replica sets are scaled then, and that is one thing. It is over when the set before is
/// down to nought, or, where there was none, once the first one was scaled up; whatever is scaled after that somebody wanted.
/// So is a set that grows and is not the one that is to be.
fn part_of_rollout(rollouts: &[RolloutState], events: &[Event], event: &Event, at: Timestamp) -> bool {
    let window = SignedDuration::from_mins(10);
    let (deployment, message) = (event.involved_object.name.as_deref().unwrap_or_default(), event.message.as_deref().unwrap_or_default());
    let of = |r: &&RolloutState| r.deployment == deployment && at >= r.begun && at.duration_since(r.begun) <= window;
    let Some(rollout) = rollouts.iter().rev().find(of) else { return false };
    let grows = scaled(message).is_some_and(|(from, to)| to > from);
    if grows && rollout.now.as_ref().is_some_and(|now| !message.split_whitespace().any(|word| word == now.replica_set)) {
        return false;
    }
    let ends = |event: &Event| {
        let (from, to) = scaled(event.message.as_deref().unwrap_or_default())?;
        let own = event.reason.as_deref() == Some("ScalingReplicaSet") && event.involved_object.name.as_deref() == Some(deployment);
        let last = if rollout.first { from == 0 } else { to == 0 };
        event_time(event).filter(|time| own && last && *time >= rollout.begun)
    };
    events.iter().filter_map(ends).min().is_none_or(|end| at <= end)
}

/// `Scaled up replica set web-5b6d from 3 to 5`; until Kubernetes 1.28 `… to 5 from 3`.
fn scaled(message: &str) -> Option<(u32, u32)> {
    let number = |after: &str| message.split_once(after)?.1.split_whitespace().next()?.parse().ok();
    Some((number(" from ")?, number(" to ")?))
}

/// kubectl's short word of a kind.
fn short(kind: &str) -> String {
    match kind {
        "Deployment" => "deploy".into(),
        "HorizontalPodAutoscaler" => "hpa".into(),
        "ReplicaSet" => "rs".into(),
        "StatefulSet" => "sts".into(),
        "DaemonSet" => "ds".into(),
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of<T: serde::de::DeserializeOwned>(values: Value) -> Vec<T> {
        serde_json::from_value(values).expect("objects")
    }

    fn lines(objects: &ClusterObjects, since: &str) -> Vec<String> {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let all = changes(objects, at(since), at("2026-11-21T03:00:00Z"), &Redactor::default());
        all.iter().map(|c| format!("{} {} {}{}", c.at.strftime("%H:%M"), c.of, c.says, if c.bad { " !" } else { "" })).collect()
    }

    fn set(name: &str, revision: &str, image: &str, created: &str, ready: i32) -> Value {
        json!({"metadata": {"name": name, "annotations": {"deployment.kubernetes.io/revision": revision}, "creationTimestamp": created,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "backend", "uid": "d"}]},
            "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
            "status": {"replicas": 1, "readyReplicas": ready}})
    }

    #[test]
    fn a_stuck_rollout_is_named_with_its_images() {
        let objects = ClusterObjects {
            deployments: of(json!([{"metadata": {"name": "backend", "uid": "d"}, "spec": {"replicas": 2, "selector": {}, "template": {}},
                "status": {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "lastUpdateTime": "2026-11-21T02:51:00Z"}]}}])),
            replica_sets: of(json!([
                set("b-2", "2", "shop/web:0.57.0", "2026-11-21T02:49:00Z", 0),
                set("b-1", "1", "shop/web:0.56.2", "2026-11-20T00:00:00Z", 2)
            ])),
            events: of(json!([
                {"metadata": {}, "involvedObject": {"kind": "Deployment", "name": "backend"}, "reason": "ScalingReplicaSet",
                 "message": "Scaled up replica set b-2 to 1 from 0", "lastTimestamp": "2026-11-21T02:49:00Z"},
                {"metadata": {}, "involvedObject": {"kind": "Deployment", "name": "backend"}, "reason": "ScalingReplicaSet",
                 "message": "Scaled up replica set b-1 to 5 from 2", "lastTimestamp": "2026-11-21T02:30:00Z"}])),
            ..ClusterObjects::default()
        };
        assert_eq!(
            lines(&objects, "2026-11-21T02:00:00Z"),
            ["02:30 deploy/backend scaled from 2 to 5", "02:49 deploy/backend 0.56.2 → 0.57.0; stuck: 1 of 2 updated, 0 of them ready !"]
        );
    }

    #[test]
    fn what_is_scaled_after_a_rollout_is_over_is_a_change_of_its_own() {
        let event = |at: &str, message: &str| {
            json!({"metadata": {}, "involvedObject": {"kind": "Deployment", "name": "backend"}, "reason": "ScalingReplicaSet",
                "message": message, "lastTimestamp": format!("2026-11-21T02:{at}:00Z")})
        };
        let deployments =
            of(json!([{"metadata": {"name": "backend", "uid": "d"}, "spec": {"replicas": 3, "selector": {}, "template": {}}}]));
        let mut objects = ClusterObjects {
            deployments,
            replica_sets: of(json!([set("b-1", "1", "shop/web:0.56.2", "2026-11-21T02:00:00Z", 3)])),
            events: of(json!([event("00", "Scaled up replica set b-1 from 0 to 1"), event("02", "Scaled up replica set b-1 to 3 from 1")])),
            ..ClusterObjects::default()
        };
        assert_eq!(
            lines(&objects, "2026-11-21T01:00:00Z"),
            ["02:00 deploy/backend first revision, 0.56.2", "02:02 deploy/backend scaled from 1 to 3"]
        );
        objects.replica_sets.extend(of::<ReplicaSet>(json!([set("b-2", "2", "shop/web:0.57.0", "2026-11-21T02:04:00Z", 3)])));
        objects.events.extend(of::<Event>(json!([
            event("04", "Scaled up replica set b-2 to 1 from 0"),
            event("05", "Scaled down replica set b-1 to 0 from 3"),
            event("07", "Scaled up replica set b-2 to 5 from 3")
        ])));
        assert_eq!(
            lines(&objects, "2026-11-21T02:03:00Z"),
            ["02:04 deploy/backend 0.56.2 → 0.57.0", "02:07 deploy/backend scaled from 3 to 5"]
        );
        // Kubernetes gives whole seconds: scaled first, and rolled out in the same one.
        objects.events.extend(of::<Event>(json!([event("04", "Scaled up replica set b-1 from 3 to 4")])));
        assert!(lines(&objects, "2026-11-21T02:03:00Z").contains(&"02:04 deploy/backend scaled from 3 to 4".to_owned()));
    }

    #[test]
    fn what_is_near_comes_before_what_is_new() {
        let change = |minute: i8, kind, of: &str| Change {
            at: jiff::civil::date(2026, 11, 21).at(2, minute, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("in time").timestamp(),
            kind,
            of: Safe::name(of),
            says: "x".into(),
            bad: false,
        };
        let all = [
            change(1, ChangeKind::Rollout, "deploy/backend"),
            change(2, ChangeKind::Config, "configmap/mail"),
            change(3, ChangeKind::Rollout, "deploy/back"),
            change(4, ChangeKind::Restart, "pod/importer-5bb8-x"),
            change(5, ChangeKind::Restart, "pod/backend-7f9c-x2lq"),
            change(6, ChangeKind::Restart, "pod/importer-5bb8-x"),
        ];
        let near = |most| nearest(&all, &["backend-7f9c-x2lq"], most).iter().map(|c| c.of.to_string()).collect::<Vec<_>>();
        assert_eq!(near(3), ["deploy/backend", "configmap/mail", "pod/backend-7f9c-x2lq"]);
        assert_eq!(near(4), ["deploy/backend", "configmap/mail", "pod/backend-7f9c-x2lq", "pod/importer-5bb8-x"]);
    }

    #[test]
    fn restarts_evictions_nodes_and_jobs_are_lines_in_time_order() {
        let objects = ClusterObjects {
            pods: of(
                json!([{"metadata": {"name": "celery-1"}, "spec": {"containers": [{"name": "w", "resources": {"limits": {"memory": "512Mi"}}}]},
                "status": {"containerStatuses": [{"name": "w", "ready": true, "restartCount": 3, "image": "", "imageID": "", "state": {"running": {}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-21T02:53:00Z"}}}]}}]),
            ),
            config_maps: of(
                json!([{"name": "mail-settings", "creationTimestamp": "2026-11-01T00:00:00Z", "managedFields": [{"time": "2026-11-21T02:41:00Z"}]},
                {"name": "kube-root-ca.crt", "creationTimestamp": "2026-11-21T02:41:00Z"}]),
            ),
            secrets: of(json!([{"name": "sh.helm.release.v1.shop.v12", "creationTimestamp": "2026-11-21T02:48:00Z"}])),
            jobs: of(
                json!([{"metadata": {"name": "migrate-57"}, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
                "message": "Job has reached the specified backoff limit", "lastTransitionTime": "2026-11-21T02:50:00Z"}]}}]),
            ),
            nodes: of(
                json!([{"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "MemoryPressure", "status": "True", "message": "low", "lastTransitionTime": "2026-11-21T02:52:00Z"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-10-01T00:00:00Z"}]}}]),
            ),
            events: of(
                json!([{"metadata": {}, "involvedObject": {"kind": "Pod", "name": "web-1"}, "reason": "FailedScheduling", "count": 7,
                "message": "0/3 nodes are available", "lastTimestamp": "2026-11-21T02:54:00Z"},
                {"metadata": {}, "involvedObject": {"kind": "Pod", "name": "web-0"}, "reason": "Evicted", "message": "The node was low on memory", "lastTimestamp": "2026-11-21T02:52:30Z"}]),
            ),
            ..ClusterObjects::default()
        };
        assert_eq!(
            lines(&objects, "2026-11-21T02:00:00Z"),
            [
                "02:41 configmap/mail-settings changed; pods read it when they start",
                "02:48 helm/shop revision 12",
                "02:50 job/migrate-57 failed (BackoffLimitExceeded): Job has reached the specified backoff limit !",
                "02:52 node/n1 MemoryPressure: low !",
                "02:52 pod/web-0 Evicted: The node was low on memory !",
                "02:53 pod/celery-1 OOMKilled at its memory limit 512Mi, 3 restarts in all !",
                "02:54 pod/web-1 FailedScheduling: 0/3 nodes are available (× 7) !",
            ]
        );
        assert_eq!(lines(&objects, "2026-11-21T02:53:30Z").len(), 1);
    }
}
