//! Which pods a name means. Pure: the lists are handed in.

use super::model::{Pod, Workload, WorkloadKind};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use std::collections::BTreeMap;

/// A target as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `deployment/x` and its short names.
    Workload(WorkloadKind, String),
    /// `pod/x`, `po/x`.
    Pod(String),
    /// A bare name: an app, then each kind of workload, then a pod.
    Name(String),
    /// A label selector.
    Selector(String),
    /// Every pod.
    All,
}

/// Reads a target.
///
/// # Errors
/// `Usage` for a kind that is none of kubectl's, or an empty name.
pub fn parse(text: &str) -> Result<Target> {
    let Some((kind, name)) = text.split_once('/') else {
        return Ok(Target::Name(text.to_owned()));
    };
    if name.is_empty() || name.contains('/') {
        return Err(Error::new(Kind::Usage, safe!("reading the target {}", Safe::name(text)))
            .what("a target is KIND/NAME, as in deployment/backend"));
    }
    if matches!(kind, "pod" | "pods" | "po") {
        return Ok(Target::Pod(name.to_owned()));
    }
    WorkloadKind::parse(kind).map(|k| Target::Workload(k, name.to_owned())).ok_or_else(|| {
        Error::new(Kind::Usage, safe!("reading the target {}", Safe::name(text)))
            .what(safe!("{} is no kind with pods", Safe::name(kind)))
            .hint(kinds_hint())
    })
}

/// The kinds that a target may name.
pub fn kinds_hint() -> Hint {
    Hint::Try("for pods KIND/NAME with deployment, statefulset, daemonset, job, cronjob or pod (deploy, sts, ds, po, cj)".into())
}

/// The pods of a workload: those that its selector matches, or that it owns through a job or a replica set.
pub fn pods_of<'a>(workload: &Workload, pods: &'a [Pod], jobs_of_cron: &[String]) -> Vec<&'a Pod> {
    pods.iter()
        .filter(|pod| {
            if workload.kind == WorkloadKind::CronJob {
                return pod.owner.as_ref().is_some_and(|(kind, name)| kind == "Job" && jobs_of_cron.contains(name));
            }
            matches(&workload.selector, pod)
        })
        .collect()
}

/// Whether a pod has the labels that a selector asks for. Set-based selectors are understood as Kubernetes does.
pub fn matches(selector: &str, pod: &Pod) -> bool {
    labels_match(selector, &pod.labels)
}

/// Whether labels are those that a selector asks for.
pub fn labels_match(selector: &str, labels: &BTreeMap<String, String>) -> bool {
    !selector.is_empty() && requirements(selector).iter().all(|r| r.holds(labels))
}

/// One requirement of a selector.
struct Requirement {
    key: String,
    values: Option<Vec<String>>,
    wanted: bool,
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let label = labels.get(&self.key);
        let has = match &self.values {
            None => label.is_some(),
            Some(values) => label.is_some_and(|l| values.contains(l)),
        };
        has == self.wanted
    }
}

/// `a=b,c!=d,e in (f,g),!h`.
fn requirements(selector: &str) -> Vec<Requirement> {
    let mut depth = 0usize;
    let parts = selector.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|p| !p.is_empty()).map(requirement).collect()
}

fn requirement(part: &str) -> Requirement {
    let make = |key: &str, values: Option<Vec<String>>, wanted| Requirement { key: key.trim().to_owned(), values, wanted };
    for (word, wanted) in [(" notin ", false), (" in ", true)] {
        if let Some((key, list)) = part.split_once(word) {
            let values = list.trim().trim_matches(|c| c == '(' || c == ')').split(',').map(|v| v.trim().to_owned()).collect();
            return make(key, Some(values), wanted);
        }
    }
    for (word, wanted) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = part.split_once(word) {
            return make(key, Some(vec![value.trim().to_owned()]), wanted);
        }
    }
    match part.strip_prefix('!') {
        Some(key) => make(key, None, false),
        None => make(part, None, true),
    }
}

/// The error for a name that means nothing here, with what is near.
pub fn unknown(name: &str, namespace: &str, near: &[String]) -> Error {
    let error = Error::new(Kind::NotFound, safe!("looking up {}", Safe::name(name)))
        .what(safe!("no app, workload or pod of that name in namespace {}", Safe::name(namespace)));
    let shared = |a: &str| a.chars().zip(name.chars()).take_while(|(x, y)| x == y).count();
    let mut close: Vec<&String> = near.iter().filter(|n| shared(n) >= 2 || n.contains(name)).collect();
    close.sort_by_key(|n| std::cmp::Reverse(shared(n)));
    close.truncate(5);
    let names: Vec<Safe> =
        if close.is_empty() { near.iter().take(8).map(Safe::name).collect() } else { close.into_iter().map(Safe::name).collect() };
    if names.is_empty() {
        error.hint(Hint::Try(safe!("there is no pod at all in namespace {}: -n names another, -A looks in all", Safe::name(namespace))))
    } else {
        error.hint(Hint::Try(safe!("there are: {}", Safe::join(&names, ", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(labels: &[(&str, &str)]) -> Pod {
        Pod {
            namespace: "shop".into(),
            name: "p".into(),
            uid: "u".into(),
            labels: labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            owner: Some(("Job".into(), "nightly-1".into())),
            node: None,
            phase: "Running".into(),
            reason: None,
            created: None,
            deleting: false,
            containers: vec![],
        }
    }

    #[test]
    fn reads_kubectl_s_words() {
        assert_eq!(parse("deploy/x").ok(), Some(Target::Workload(WorkloadKind::Deployment, "x".into())));
        assert_eq!(parse("po/x").ok(), Some(Target::Pod("x".into())));
        assert_eq!(parse("backend").ok(), Some(Target::Name("backend".into())));
        for bad in ["service/x", "deploy/", "a/b/c"] {
            assert_eq!(parse(bad).err().map(|e| e.kind()), Some(Kind::Usage), "{bad}");
        }
    }

    #[test]
    fn selectors_mean_what_they_mean_in_kubernetes() {
        let p = pod(&[("app", "backend"), ("tier", "web")]);
        for (selector, yes) in [
            ("app=backend", true),
            ("app==backend,tier!=db", true),
            ("app in (x, backend),tier", true),
            ("app notin (backend)", false),
            ("!gone,app", true),
            ("!app", false),
            ("other!=x", true),
            ("", false),
        ] {
            assert_eq!(matches(selector, &p), yes, "{selector}");
        }
    }

    #[test]
    fn a_cron_job_owns_pods_through_its_jobs() {
        let pods = [pod(&[])];
        let cron = Workload { kind: WorkloadKind::CronJob, name: "nightly".into(), selector: String::new() };
        assert_eq!(pods_of(&cron, &pods, &["nightly-1".into()]).len(), 1);
        assert!(pods_of(&cron, &pods, &[]).is_empty());
    }

    #[test]
    fn a_mistyped_name_lists_what_is_near() {
        let error = unknown("bakend", "shop", &["backend".into(), "celery".into()]);
        assert!(matches!(&error.hints()[0], Hint::Try(t) if t.contains("backend") && !t.contains("celery")));
    }
}
