//! Starting and ending the cluster's servers, in the holder.

use std::net::IpAddr;
use std::time::Duration;

use super::config::{API_SERVICE, CONTAINERD, Files};
use super::pki::Pki;
use super::{Info, NODE, build, images};
use crate::failure::{Failure, Result};
use crate::need::{self, Need, need};
use crate::process::{Process, Start};
use crate::run::{Leftover, Run};
use crate::space::Space;

const NEEDS: [Need; 14] = [
    need("etcd", "etcd-server"),
    need("containerd", "containerd"),
    need("containerd-shim-runc-v2", "containerd"),
    need("ctr", "containerd"),
    need("runc", "runc"),
    need("/usr/lib/cni/bridge", "containernetworking-plugins"),
    need("/usr/lib/cni/host-local", "containernetworking-plugins"),
    need("/bin/busybox", "busybox-static"),
    need("ip", "iproute2"),
    need("iptables", "iptables"),
    need("conntrack", "conntrack"),
    need("gcc", "gcc"),
    need("nsenter", "util-linux"),
    need("unshare", "util-linux"),
];

/// The servers of one cluster. Dropping it ends them.
#[derive(Debug)]
pub struct Servers {
    space: Space,
    apiserver: Option<Process>,
    kubelet: Option<Process>,
    others: Vec<Process>,
    apiserver_flags: Vec<String>,
    kubelet_flags: Vec<String>,
    info: Info,
}

impl Servers {
    pub fn start(run: &Run) -> Result<Self> {
        need::root("the test cluster")?;
        need::all("the test cluster", &NEEDS)?;
        let binaries = build::binaries()?;
        let archive = images::archive()?;
        let space = Space::make(run)?;
        let files = Files { run, address: space.node_address() };
        run.record(&Leftover::Cgroup(files.cgroup()))?;
        credentials(&files)?;
        let info = Info {
            kubeconfig: files.kubeconfig("admin"),
            dir: run.dir().to_owned(),
            node: NODE.to_owned(),
            api: files.api(),
            kubectl: binaries.join("kubectl"),
        };
        let (apiserver_flags, kubelet_flags) = (files.apiserver(), files.kubelet()?);
        let mut servers = Self { space, apiserver: None, kubelet: None, others: Vec::new(), apiserver_flags, kubelet_flags, info };
        servers.bring_up(run, &files, &binaries, &archive)?;
        Ok(servers)
    }

    fn bring_up(&mut self, run: &Run, files: &Files<'_>, binaries: &std::path::Path, archive: &std::path::Path) -> Result<()> {
        let component = |space: &Space, name: &str, flags: Vec<String>| space.command(name, binaries.join(name)).args(flags).spawn(run);
        self.others.push(self.space.command("etcd", "etcd").args(files.etcd()).spawn(run)?);
        self.start_apiserver(run)?;
        let containerd = files.containerd()?;
        let mut containerd = self.space.command("containerd", "containerd").arg("--config").arg(containerd).spawn(run)?;
        // The two wait for different things: the images are in before the API server answers.
        let ctr = |words: &[&str]| self.space.command("ctr", "ctr").args(["--address", CONTAINERD, "-n", "k8s.io"]).args(words);
        containerd.wait_ready(Duration::from_secs(20), || ctr(&["version"]).output().map(drop).map_err(|f| f.to_string()))?;
        ctr(&["images", "import"]).arg(archive).output()?;
        self.others.push(containerd);
        self.await_apiserver()?;
        self.others.push(component(&self.space, "kube-controller-manager", files.controller_manager())?);
        self.others.push(component(&self.space, "kube-scheduler", files.scheduler())?);
        self.others.push(component(&self.space, "kube-proxy", files.proxy())?);
        kubectl(&self.info).args(["create", "--filename=-"]).input(DNS).output()?;
        self.start_kubelet(run)
    }

    /// Starts the kubelet and waits until the node is ready.
    pub fn start_kubelet(&mut self, run: &Run) -> Result<()> {
        if self.kubelet.is_some() {
            return Ok(());
        }
        let binary = self.info.kubectl.with_file_name("kubelet");
        let mut kubelet = self.space.command("kubelet", binary).args(self.kubelet_flags.clone()).spawn(run)?;
        // kubectl fails at once while there is no node, then watches it: one process instead of many.
        let node = format!("node/{NODE}");
        let ready = kubelet.wait_ready(Duration::from_secs(90), || {
            let ready = self.kubectl(&["wait", "--for=condition=Ready", "--timeout=5s", &node]);
            ready.map(drop).map_err(|failure| failure.to_string())
        });
        self.kubelet = Some(kubelet);
        ready
    }

    /// At once, as a crash does it. Containers go on.
    pub fn stop_kubelet(&mut self) -> Result<()> {
        match self.kubelet.take() {
            Some(mut kubelet) => kubelet.stop(Duration::ZERO),
            None => Ok(()),
        }
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Fails if a server has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        let all = self.others.iter_mut().chain(&mut self.apiserver).chain(&mut self.kubelet);
        match all.filter_map(|server| (!server.is_alive()).then(|| server.log_tail())).next() {
            None if self.space.is_alive() => Ok(()),
            None => Err(Failure::new("the cluster's space has ended")),
            Some(words) => Err(Failure::new(format!("a server of the cluster has ended; its last words:\n{words}"))),
        }
    }

    pub fn start_apiserver(&mut self, run: &Run) -> Result<()> {
        if self.apiserver.is_none() {
            let binary = self.info.kubectl.with_file_name("kube-apiserver");
            self.apiserver = Some(self.space.command("kube-apiserver", binary).args(self.apiserver_flags.clone()).spawn(run)?);
        }
        Ok(())
    }

    pub fn await_apiserver(&mut self) -> Result<()> {
        let Some(mut apiserver) = self.apiserver.take() else { return Ok(()) };
        let address = (self.space.node_address(), super::config::API_PORT).into();
        let ready = apiserver.wait_ready(Duration::from_secs(60), || {
            // A connection costs nothing, a kubectl a tenth of a second of CPU.
            if !crate::ports::answers(address) {
                return Err(format!("nothing listens on {address}"));
            }
            self.kubectl(&["get", "--raw=/readyz"]).map(drop).map_err(|failure| failure.to_string())
        });
        self.apiserver = Some(apiserver);
        ready
    }

    /// At once, as a crash does it.
    pub fn stop_apiserver(&mut self) -> Result<()> {
        match self.apiserver.take() {
            Some(mut apiserver) => apiserver.stop(Duration::ZERO),
            None => Ok(()),
        }
    }

    fn kubectl(&self, words: &[&str]) -> Result<String> {
        kubectl(&self.info).args(words.iter().copied()).output()
    }

    /// Ends every process of the cluster, containers included, in one stroke; then the handles have nothing left to wait for.
    pub fn end(&mut self) -> Result<()> {
        self.space.end()?;
        self.apiserver = None;
        self.kubelet = None;
        self.others.clear();
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Err(failure) = self.end() {
            eprintln!("lab: {failure}");
        }
    }
}

/// The address that pods are given for DNS. Nobody answers behind it, so names fail at once and do not hang.
const DNS: &str = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kube-dns", "namespace": "kube-system"},
  "spec": {"clusterIP": "10.96.0.10", "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]}}"#;

/// kubectl as the administrator.
pub fn kubectl(info: &Info) -> Start {
    Start::new("kubectl", &info.kubectl)
        .clear_env()
        .env("KUBECONFIG", &info.kubeconfig)
        .env("HOME", info.dir.join("home"))
        .env("KUBECACHEDIR", info.dir.join("home/kubectl-cache"))
}

/// Keys, certificates and a kubeconfig for each server and for the administrator.
fn credentials(files: &Files<'_>) -> Result<()> {
    let pki = Pki::make(&files.run.dir().join("pki"))?;
    let address = IpAddr::from(files.address);
    let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"];
    pki.server("apiserver", &names, &[address, API_SERVICE.into(), IpAddr::from([127, 0, 0, 1])])?;
    pki.server("kubelet", &[NODE], &[address])?;
    let kubelet = pki.client("kube-apiserver-kubelet-client", Some("system:masters"))?;
    files.run.write("pki/apiserver-kubelet.pem", &kubelet.certificate)?;
    files.run.write_secret("pki/apiserver-kubelet.key", &kubelet.key)?;
    let node = format!("system:node:{NODE}");
    for (name, user, group) in [
        ("admin", "lab-admin", Some("system:masters")),
        ("controller-manager", "system:kube-controller-manager", None),
        ("scheduler", "system:kube-scheduler", None),
        ("proxy", "system:kube-proxy", None),
        ("kubelet", node.as_str(), Some("system:nodes")),
    ] {
        let identity = pki.client(user, group)?;
        let text = pki.kubeconfig(&files.api(), "default", &identity.user())?;
        files.run.write_secret(&format!("{name}.kubeconfig"), text)?;
    }
    Ok(())
}
