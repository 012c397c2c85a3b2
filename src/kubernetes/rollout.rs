//! Rollouts: which revision of a Deployment followed which, with what images, and how far it has come. Pure over the objects.

use crate::{
    safe,
    text::{Redactor, Safe},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::PodTemplateSpec,
};
use serde::Serialize;

/// The annotation that numbers the revisions of a Deployment.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The revisions that a replica set had before: it was rolled back to.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// What `kubectl rollout restart` writes.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// How long without progress a rollout has to be before it is called stuck, where Kubernetes has not yet said so.
const PATIENCE: SignedDuration = SignedDuration::from_mins(3);

/// One rollout: the newest of its Deployment, or one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolloutState {
    /// The Deployment.
    pub deployment: String,
    /// Its namespace.
    pub namespace: String,
    /// When it began.
    pub begun: Timestamp,
    /// What it changed: `0.56.2 → 0.57.0`.
    pub says: Safe,
    /// Whether it went back to an earlier revision.
    pub back: bool,
    /// Whether nothing was before it.
    pub first: bool,
    /// How far it is; none for one that a later one followed.
    pub now: Option<RolloutProgress>,
}

/// How far a rollout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolloutProgress {
    /// The replica set that is to be.
    pub replica_set: String,
    /// How many pods there should be.
    pub wanted: i32,
    /// How many are of the new revision.
    pub updated: i32,
    /// How many of those take requests.
    pub ready: i32,
    /// Whether it goes on no more.
    pub stuck: bool,
}

impl RolloutProgress {
    /// Whether every pod is of the new revision and takes requests.
    pub fn done(&self) -> bool {
        self.ready >= self.wanted
    }
}

/// The rollouts of the Deployments, oldest first.
pub fn rollouts(deployments: &[Deployment], sets: &[ReplicaSet], now: Timestamp, redact: &Redactor) -> Vec<RolloutState> {
    let mut found = Vec::new();
    for deployment in deployments {
        let uid = deployment.metadata.uid.as_deref();
        let mut own: Vec<(i64, &ReplicaSet)> = sets
            .iter()
            .filter(|s| uid.is_some() && s.metadata.owner_references.iter().flatten().any(|o| Some(o.uid.as_str()) == uid))
            .filter_map(|s| Some((annotation(s, REVISION)?.parse().ok()?, s)))
            .collect();
        own.sort_by_key(|(revision, _)| *revision);
        for (i, (_, set)) in own.iter().enumerate() {
            let newest = i + 1 == own.len();
            let before = i.checked_sub(1).and_then(|i| own.get(i)).map(|(_, set)| *set);
            let back = annotation(set, HISTORY).is_some();
            // A replica set that came back is older than its rollout, whose beginning only the Deployment knows.
            let begun = if back { progressing(deployment, "since") } else { set.metadata.creation_timestamp.as_ref().map(|t| t.0) };
            let Some(begun) = begun.filter(|_| newest || !back) else { continue };
            found.push(RolloutState {
                deployment: deployment.metadata.name.clone().unwrap_or_default(),
                namespace: deployment.metadata.namespace.clone().unwrap_or_default(),
                begun,
                says: what(before, set, redact),
                back,
                first: before.is_none(),
                now: newest.then(|| progress(deployment, set, begun, now)),
            });
        }
    }
    found.sort_by_key(|r| r.begun);
    found
}

fn annotation<'a>(set: &'a ReplicaSet, key: &str) -> Option<&'a str> {
    set.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// When the Progressing condition changed last.
fn progressing(deployment: &Deployment, of: &str) -> Option<Timestamp> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|c| c.type_ == "Progressing")?;
    let time = if of == "since" { &condition.last_transition_time } else { &condition.last_update_time };
    condition.last_update_time.as_ref().or(time.as_ref()).map(|t| t.0)
}

fn progress(deployment: &Deployment, set: &ReplicaSet, begun: Timestamp, now: Timestamp) -> RolloutProgress {
    let status = deployment.status.as_ref();
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let of_set = set.status.as_ref();
    let (updated, ready) = (of_set.map_or(0, |s| s.replicas), of_set.and_then(|s| s.ready_replicas).unwrap_or(0));
    let gave_up = status.and_then(|s| s.conditions.as_ref()).is_some_and(|all| {
        all.iter().any(|c| c.type_ == "Progressing" && (c.status == "False" || c.reason.as_deref() == Some("ProgressDeadlineExceeded")))
    });
    let last = progressing(deployment, "update").unwrap_or(begun).max(begun);
    let paused = deployment.spec.as_ref().and_then(|s| s.paused) == Some(true);
    let stuck = ready < wanted && !paused && (gave_up || now.duration_since(last) > PATIENCE);
    RolloutProgress { replica_set: set.metadata.name.clone().unwrap_or_default(), wanted, updated, ready, stuck }
}

/// What a revision changed, in a few words.
fn what(before: Option<&ReplicaSet>, after: &ReplicaSet, redact: &Redactor) -> Safe {
    let template = |set: &ReplicaSet| set.spec.as_ref().and_then(|s| s.template.clone());
    let Some(new) = template(after) else { return "rolled out".into() };
    let Some(old) = before.and_then(template) else {
        // A rollback gives the revision that it returns to a new number, and the one it leaves has none before it then.
        let first = annotation(after, REVISION).is_none_or(|revision| revision == "1");
        let images: Vec<Safe> = images(&new).iter().map(|(_, image)| Safe::name(if first { tag(image) } else { image.as_str() })).collect();
        return safe!("{}, {}", if first { "first revision" } else { "rolled out" }, Safe::join(&images, ", "));
    };
    let (old_images, new_images) = (images(&old), images(&new));
    let changed: Vec<Safe> = new_images
        .iter()
        .filter_map(|(name, image)| {
            let was = old_images.iter().find(|(n, _)| n == name).map(|(_, image)| image)?;
            (was != image).then(|| {
                let same_place = repository(was) == repository(image);
                let (from, to) = if same_place { (tag(was), tag(image)) } else { (was.as_str(), image.as_str()) };
                let of = if new_images.len() > 1 { safe!("{} ", Safe::name(name)) } else { Safe::EMPTY };
                safe!("{}{} → {}", of, Safe::name(from), Safe::name(to))
            })
        })
        .collect();
    if !changed.is_empty() {
        return Safe::join(&changed, ", ");
    }
    let restarted = |t: &PodTemplateSpec| t.metadata.as_ref().and_then(|m| m.annotations.as_ref()).and_then(|a| a.get(RESTARTED)).cloned();
    if restarted(&old) != restarted(&new) {
        return "restarted (kubectl rollout restart)".into();
    }
    let variables = variables(&old, &new);
    if variables.is_empty() {
        return "its pod template changed, the images did not".into();
    }
    // Names only: a value can be a secret. Names are redacted as text all the same.
    let shown: Vec<Safe> = variables.iter().take(4).map(|name| redact.safe(name.as_bytes())).collect();
    let more = if variables.len() > shown.len() { ", …" } else { "" };
    safe!("variables changed: {}{}", Safe::join(&shown, ", "), more)
}

fn images(template: &PodTemplateSpec) -> Vec<(String, String)> {
    let containers = template.spec.iter().flat_map(|s| &s.containers);
    containers.map(|c| (c.name.clone(), c.image.clone().unwrap_or_default())).collect()
}

/// The names of the variables that are not as they were.
fn variables(old: &PodTemplateSpec, new: &PodTemplateSpec) -> Vec<String> {
    let of = |t: &PodTemplateSpec| -> Vec<_> {
        t.spec.iter().flat_map(|s| &s.containers).flat_map(|c| c.env.clone().unwrap_or_default()).collect()
    };
    let (old, new) = (of(old), of(new));
    let mut names: Vec<String> =
        new.iter().filter(|e| !old.contains(e)).chain(old.iter().filter(|e| !new.contains(e))).map(|e| e.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// `0.57.0` of `registry:5000/shop/web:0.57.0`; of a digest its beginning; without either the last part of the name.
pub fn tag(image: &str) -> &str {
    if let Some((_, digest)) = image.split_once('@') {
        let short = digest.strip_prefix("sha256:").unwrap_or(digest);
        return short.get(..12).unwrap_or(short);
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').map_or(last, |(_, tag)| tag)
}

fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let from = image.rfind('/').map_or(0, |i| i + 1);
    match image.get(from..).and_then(|last| last.find(':')) {
        Some(colon) => image.get(..from + colon).unwrap_or(image),
        None => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_behind_registries_with_ports() {
        for (image, is, of) in [
            ("registry.example:5000/shop/web:0.57.0", "0.57.0", "registry.example:5000/shop/web"),
            ("web", "web", "web"),
            ("shop/web@sha256:0123456789abcdef", "0123456789ab", "shop/web"),
            ("localhost:5000/web", "web", "localhost:5000/web"),
        ] {
            assert_eq!((tag(image), repository(image)), (is, of), "{image}");
        }
    }
}
