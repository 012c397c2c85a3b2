//! Pods, containers and what became of them, reduced to what an operator asks about. Serialize only: this is public JSON.

use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// A pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What owns it directly: kind and name.
    pub owner: Option<(String, String)>,
    /// Its node, once it has one.
    pub node: Option<String>,
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    pub phase: String,
    /// Why it is where it is: `Evicted`, `Unschedulable`.
    pub reason: Option<Safe>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// All its containers: init, sidecar, app, ephemeral, in the order in which they run.
    pub containers: Vec<Container>,
}

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs to its end before the others.
    Init,
    /// An init container with `restartPolicy: Always`.
    Sidecar,
    /// An ordinary one.
    App,
    /// Added for debugging.
    Ephemeral,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What it is in the pod.
    pub role: Role,
    /// The image as the pod asked for it.
    pub image: String,
    /// The runtime's ID of the current one.
    pub id: Option<String>,
    /// What it does now.
    pub state: State,
    /// How the one before ended.
    pub before: Option<End>,
    /// How often it was restarted.
    pub restarts: u32,
    /// Whether it takes part: its readiness probe says so, or it has none and runs.
    pub ready: bool,
    /// The memory that it may have, as its specification writes it: `512Mi`.
    pub memory_limit: Option<Safe>,
}

/// What a container does now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not started, and why: `ContainerCreating`, `ImagePullBackOff`, `CrashLoopBackOff`.
    Waiting(Safe),
    /// Running since.
    Running(Option<Timestamp>),
    /// Ended.
    Terminated(End),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct End {
    /// Its exit code.
    pub code: i32,
    /// `OOMKilled`, `Error`, `Completed`.
    pub reason: Option<Safe>,
    /// When it had started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub at: Option<Timestamp>,
    /// The runtime's ID.
    pub id: Option<String>,
}

impl Pod {
    /// `shop/backend-7f9c-x2lq`.
    pub fn path(&self) -> Safe {
        crate::safe!("{}/{}", Safe::name(&self.namespace), Safe::name(&self.name))
    }
}

impl Container {
    /// Whether it ever wrote anything: it runs, it ended, or one before it did.
    pub fn has_run(&self) -> bool {
        !matches!(self.state, State::Waiting(_)) || self.before.is_some()
    }

    /// Why it does not run, where it does not.
    pub fn waits_for(&self) -> Option<&Safe> {
        match &self.state {
            State::Waiting(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether it ended and waits to be started again: what is called the container before is then this very one.
    pub fn is_the_one_before(&self) -> bool {
        self.id.is_some() && self.before.as_ref().is_some_and(|end| end.id == self.id)
    }
}

/// A thing that owns pods.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `CronJob`, `ReplicaSet`.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
    /// Its selector as a query string; empty where ownership alone tells.
    pub selector: String,
}

/// The kinds of workloads, in the order in which a bare name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum WorkloadKind {
    /// deploy
    Deployment,
    /// sts
    StatefulSet,
    /// ds
    DaemonSet,
    /// job
    Job,
    /// cj
    CronJob,
}

impl WorkloadKind {
    /// All of them, in look-up order.
    pub const ALL: [Self; 5] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::Job, Self::CronJob];

    /// The API path's group and plural: `apis/apps/v1`, `deployments`.
    pub fn path(self) -> (&'static str, &'static str) {
        match self {
            Self::Deployment => ("apis/apps/v1", "deployments"),
            Self::StatefulSet => ("apis/apps/v1", "statefulsets"),
            Self::DaemonSet => ("apis/apps/v1", "daemonsets"),
            Self::Job => ("apis/batch/v1", "jobs"),
            Self::CronJob => ("apis/batch/v1", "cronjobs"),
        }
    }

    /// The word before the slash.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Job => "job",
            Self::CronJob => "cronjob",
        }
    }

    /// Reads kubectl's words, short, singular and plural.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "deployment" | "deployments" | "deploy" => Self::Deployment,
            "statefulset" | "statefulsets" | "sts" => Self::StatefulSet,
            "daemonset" | "daemonsets" | "ds" => Self::DaemonSet,
            "job" | "jobs" => Self::Job,
            "cronjob" | "cronjobs" | "cj" => Self::CronJob,
            _ => return None,
        })
    }
}

/// A pod that existed and is gone: known from an event only.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GonePod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was last heard of.
    pub last_heard: Option<Timestamp>,
}
