//! A namespace of one's own: what a test works in.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::access::{self, Rule};
use super::config::ISSUER;
use super::handle::Cluster;
use super::lease::Lease;
use crate::failure::{Doing, Result};
use crate::process::Start;
use crate::wait;

/// A namespace that is deleted, without waiting for it, when this is dropped.
pub struct Namespace {
    cluster: Cluster,
    name: String,
    _lease: Option<Lease>,
}

/// A log file as it lies on the node: the independent reading of what a pod said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeLog {
    pub uid: String,
    pub container: String,
    /// `0.log`, `1.log` (after a restart), `0.log.20261121-152526` (rotated), later `….gz`.
    pub name: String,
    pub path: PathBuf,
}

impl Namespace {
    pub(crate) fn make(cluster: &Cluster, hint: &str, lease: Option<Lease>) -> Result<Self> {
        let name = format!("{hint}-{}", access::unique());
        cluster.kubectl(&["create", "namespace", &name])?;
        let namespace = Self { cluster: cluster.clone(), name, _lease: lease };
        // Pods are refused until the controller has made their default account.
        wait::poll(Duration::from_secs(20), || {
            namespace.kubectl(&["get", "serviceaccount", "default"]).map_err(|failure| failure.to_string())
        })?;
        Ok(namespace)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// `kubectl apply` of these documents in this namespace.
    ///
    /// # Panics
    /// When the cluster refuses them.
    #[track_caller]
    pub fn apply(&self, yaml: &str) {
        let answer = self.command().args(["apply", "--filename=-"]).input(yaml).output();
        if let Err(failure) = answer {
            panic!("{failure}");
        }
    }

    /// kubectl in this namespace: its standard output, or what it complained about.
    pub fn kubectl(&self, words: &[&str]) -> Result<String> {
        self.command().args(words.iter().copied()).output()
    }

    /// kubectl in this namespace, not yet started.
    pub fn command(&self) -> Start {
        self.cluster.kubectl_command().args(["--namespace", &self.name])
    }

    /// As [`Cluster::wait`]: `wait("pod/web", "condition=Ready", …)`.
    ///
    /// # Panics
    /// When the deadline passes first.
    #[track_caller]
    pub fn wait(&self, what: &str, until: &str, deadline: Duration) {
        self.cluster.wait(&self.name, what, until, deadline);
    }

    /// A kubeconfig of a user, known by a certificate, who may do exactly this in this namespace.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn kubeconfig_for(&self, user: &str, rules: &[Rule<'_>]) -> PathBuf {
        self.apply(&access::role(&self.name, user, &access::user(user), rules).to_string());
        self.cluster.user_kubeconfig(user, &self.name).unwrap_or_else(|failure| panic!("a kubeconfig for {user}: {failure}"))
    }

    /// A kubeconfig of a service account, known by a token, who may do exactly this in this namespace.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn kubeconfig_of_account(&self, account: &str, rules: &[Rule<'_>]) -> PathBuf {
        let make = || {
            self.kubectl(&["create", "serviceaccount", account])?;
            self.apply(&access::role(&self.name, account, &access::service_account(&self.name, account), rules).to_string());
            let token = self.kubectl(&["create", "token", account])?;
            self.cluster.token_kubeconfig(account, &self.name, token.trim())
        };
        make().unwrap_or_else(|failure| panic!("a kubeconfig of {account}: {failure}"))
    }

    /// A kubeconfig of the default service account whose token was good until an hour ago.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn kubeconfig_expired(&self) -> PathBuf {
        let make = || {
            let uid = self.kubectl(&["get", "serviceaccount", "default", "-ojsonpath={.metadata.uid}"])?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).doing(|| "reading the clock")?.as_secs();
            let token = self.cluster.pki().token(&json!({
                "iss": ISSUER,
                "aud": [ISSUER],
                "sub": format!("system:serviceaccount:{}:default", self.name),
                "iat": now - 7200,
                "nbf": now - 7200,
                "exp": now - 3600,
                "kubernetes.io": {"namespace": self.name, "serviceaccount": {"name": "default", "uid": uid}},
            }))?;
            self.cluster.token_kubeconfig("expired", &self.name, &token)
        };
        make().unwrap_or_else(|failure| panic!("an expired kubeconfig: {failure}"))
    }

    /// Every log file of a pod of that name that is on the node now, also of earlier pods of the same name.
    pub fn node_log_files(&self, pod: &str) -> Vec<NodeLog> {
        let prefix = format!("{}_{pod}_", self.name);
        let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
        let text = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut files = Vec::new();
        for folder in entries(self.cluster.pod_logs()) {
            let Some(uid) = text(&folder).strip_prefix(&prefix).map(str::to_owned) else { continue };
            for container in entries(folder.path()) {
                for file in entries(container.path()) {
                    files.push(NodeLog { uid: uid.clone(), container: text(&container), name: text(&file), path: file.path() });
                }
            }
        }
        files.sort();
        files
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Without its kubeconfig the run is over, and kubectl would look for a cluster elsewhere.
        if self.cluster.kubeconfig().exists()
            && let Err(failure) = self.kubectl(&["delete", "namespace", &self.name, "--wait=false", "--ignore-not-found"])
        {
            eprintln!("lab: {failure}");
        }
    }
}
