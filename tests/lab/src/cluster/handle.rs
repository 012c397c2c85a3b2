//! The cluster in a test's hands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::access::{self, Rule};
use super::lease::Lease;
use super::namespace::Namespace;
use super::pki::Pki;
use super::proxy::ApiProxy;
use super::{Info, config, start};
use crate::failure::{Failure, Result};
use crate::hand::Lab;
use crate::process::Start;
use crate::protocol::{Request, Switch};
use crate::wait;

/// The running cluster; cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    lab: &'static Lab,
    info: Info,
}

impl Cluster {
    pub(crate) fn new(lab: &'static Lab, info: Info) -> Self {
        Self { lab, info }
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The administrator's kubeconfig (context `lab`, namespace `default`).
    pub fn kubeconfig(&self) -> &Path {
        &self.info.kubeconfig
    }

    /// A namespace of one's own, in which pods can be made at once. It holds a shared lease on the cluster.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn namespace(&self, hint: &str) -> Namespace {
        Namespace::make(self, hint, Some(self.shared())).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Use together with others, without a namespace.
    ///
    /// # Panics
    /// When the run's folder is gone.
    pub fn shared(&self) -> Lease {
        Lease::shared(&self.info.dir).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Use alone: waits until every namespace and every lease is given back. Never call it while holding one.
    ///
    /// # Panics
    /// When the run's folder is gone.
    pub fn exclusive(&self) -> Exclusive {
        let lease = Lease::exclusive(&self.info.dir).unwrap_or_else(|failure| panic!("{failure}"));
        Exclusive { cluster: self.clone(), stopped: false, silent: false, _lease: lease }
    }

    /// A proxy before the API server that terminates TLS and fails as it is told; its own kubeconfig is the administrator's.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn fault_proxy(&self) -> ApiProxy {
        ApiProxy::start(&self.pki(), &self.info).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// kubectl as the administrator: its standard output, or what it complained about.
    pub fn kubectl(&self, words: &[&str]) -> Result<String> {
        self.kubectl_command().args(words.iter().copied()).output()
    }

    /// kubectl as the administrator, not yet started (for `port-forward`, `logs -f`, a standard input).
    pub fn kubectl_command(&self) -> Start {
        start::kubectl(&self.info)
    }

    /// Waits as `kubectl wait` does: `what` is `pod/web`, `deploy/backend`, `pod -l app=web`; `until` is `condition=Ready`,
    /// `create`, `delete` or `jsonpath=…`.
    ///
    /// # Panics
    /// When the deadline passes first.
    #[track_caller]
    pub fn wait(&self, namespace: &str, what: &str, until: &str, deadline: Duration) {
        let until = format!("--for={until}");
        let timeout = format!("--timeout={}s", deadline.as_secs().max(1));
        let mut words = vec!["-n", namespace, "wait", &until, &timeout];
        words.extend(what.split_whitespace());
        // kubectl fails at once on what does not exist yet.
        let answer = wait::poll(deadline, || self.kubectl(&words).map(drop).map_err(|failure| failure.to_string()));
        if let Err(failure) = answer {
            let state = self.kubectl(&["-n", namespace, "get", "pods,events"]).unwrap_or_else(|failure| failure.to_string());
            panic!("{what} in {namespace}: {failure}\n{state}");
        }
    }

    /// A kubeconfig of a user who may do exactly this in the whole cluster. `name` must be the test's own.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn kubeconfig_for(&self, name: &str, rules: &[Rule<'_>]) -> PathBuf {
        let make = || {
            self.apply(&access::cluster_role(name, rules).to_string())?;
            self.user_kubeconfig(name, "default")
        };
        make().unwrap_or_else(|failure| panic!("a kubeconfig for {name}: {failure}"))
    }

    /// A kubeconfig of a certificate for this user name, who may do what was bound to that name.
    pub(crate) fn user_kubeconfig(&self, user: &str, namespace: &str) -> Result<PathBuf> {
        let entry = self.pki().client(user, None)?.user();
        self.write_kubeconfig(user, namespace, &entry)
    }

    pub(crate) fn token_kubeconfig(&self, name: &str, namespace: &str, token: &str) -> Result<PathBuf> {
        self.write_kubeconfig(name, namespace, &json!({"token": token}))
    }

    fn write_kubeconfig(&self, name: &str, namespace: &str, user: &Value) -> Result<PathBuf> {
        let text = self.pki().kubeconfig(&self.info.api, namespace, user)?;
        access::write(&self.info.dir, name, &text)
    }

    pub(crate) fn pki(&self) -> Pki {
        Pki::open(&self.info.dir.join("pki"))
    }

    /// `kubectl apply` of these documents.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        self.kubectl_command().args(["apply", "--filename=-"]).input(yaml).output().map(drop)
    }

    /// Where the node keeps the pods' logs, readable from this machine.
    pub fn pod_logs(&self) -> PathBuf {
        config::pod_logs(&self.info.dir)
    }
}

/// The cluster to oneself. Giving it back starts what was stopped.
pub struct Exclusive {
    cluster: Cluster,
    stopped: bool,
    silent: bool,
    _lease: Lease,
}

impl Exclusive {
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A namespace under this lease.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn namespace(&self, hint: &str) -> Namespace {
        Namespace::make(&self.cluster, hint, None).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Kills the API server, as a crash does. The node and its pods go on.
    pub fn stop_apiserver(&mut self) {
        self.stopped = true;
        self.switch(Switch::Stop).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Starts it and waits until it is ready.
    pub fn start_apiserver(&mut self) {
        self.switch(Switch::Start).unwrap_or_else(|failure| panic!("{failure}"));
        self.stopped = false;
    }

    /// Kills the kubelet, as a crash does. Its containers go on; in 40 seconds the node counts as not ready.
    pub fn stop_kubelet(&mut self) {
        self.silent = true;
        self.ask(&Request::Kubelet(Switch::Stop)).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Starts it and waits until the node is ready.
    pub fn start_kubelet(&mut self) {
        self.ask(&Request::Kubelet(Switch::Start)).unwrap_or_else(|failure| panic!("{failure}"));
        self.silent = false;
    }

    fn switch(&self, switch: Switch) -> std::result::Result<(), Failure> {
        self.ask(&Request::Apiserver(switch))
    }

    fn ask(&self, request: &Request) -> std::result::Result<(), Failure> {
        self.cluster.lab.try_ask::<Value>(request).map(drop)
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if self.stopped
            && let Err(failure) = self.switch(Switch::Start)
        {
            eprintln!("lab: starting the API server again: {failure}");
        }
        if self.silent
            && let Err(failure) = self.ask(&Request::Kubelet(Switch::Start))
        {
            eprintln!("lab: starting the kubelet again: {failure}");
        }
    }
}
