//! The configuration files and flags of the cluster's servers. Each line that is not a default is here for a reason that
//! was learned by a failed start (see the cluster's facts in the project's notes) or that makes tests quick.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::NODE;
use crate::failure::Result;
use crate::run::Run;

pub const API_PORT: u16 = 6443;
pub const SERVICES: &str = "10.96.0.0/16";
pub const PODS: &str = "10.244.0.0/16";
/// The address of the Service `kubernetes`.
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
pub const CONTAINERD: &str = "/run/containerd/containerd.sock";

/// The run's folders and files that flags name.
pub struct Files<'a> {
    pub run: &'a Run,
    pub address: Ipv4Addr,
}

impl Files<'_> {
    pub fn api(&self) -> String {
        format!("https://{}:{API_PORT}", self.address)
    }

    /// The control group below which every container of this run lives.
    pub fn cgroup(&self) -> String {
        format!("obsctl-lab-{}", self.run.number())
    }

    fn pki(&self, name: &str) -> String {
        self.run.dir().join("pki").join(name).display().to_string()
    }

    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.run.dir().join(format!("{name}.kubeconfig"))
    }

    fn with_kubeconfig(&self, name: &str) -> String {
        format!("--kubeconfig={}", self.kubeconfig(name).display())
    }

    /// containerd. `restrict_oom_score_adj`: without it every pod fails where the machine lacks CAP_SYS_RESOURCE.
    pub fn containerd(&self) -> Result<PathBuf> {
        let root = self.run.dir().join("containerd");
        let cni = self.cni()?;
        let text = format!(
            r#"version = 2
root = "{root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{CONTAINERD}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
    max_conf_num = 1
"#,
            root = root.display(),
            pause = super::images::PAUSE,
            cni = cni.display(),
        );
        self.run.write("containerd.toml", text)
    }

    /// Pods sit on one bridge. No masquerading: nothing leaves the space.
    fn cni(&self) -> Result<PathBuf> {
        let network = json!({
            "cniVersion": "0.4.0",
            "name": "lab",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "cni0",
                    "isGateway": true,
                    "hairpinMode": true,
                    "ipMasq": false,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": self.run.folder("cni/data")?,
                        "ranges": [[{"subnet": PODS}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
            ],
        });
        self.run.write("cni/net.d/10-lab.conflist", network.to_string())?;
        self.run.folder("cni/net.d")
    }

    /// etcd's data is in memory and is never synchronised: it lives as long as the run.
    pub fn etcd(&self) -> Vec<String> {
        flags(&[
            "--data-dir=/run/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--log-level=warn",
            "--logger=zap",
        ])
    }

    pub fn apiserver(&self) -> Vec<String> {
        let mut all = flags(&[
            "--etcd-servers=http://127.0.0.1:2379",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            // The server refuses to proxy to a node on a loopback address, and a name would not resolve.
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
        ]);
        all.extend([
            format!("--advertise-address={}", self.address),
            format!("--secure-port={API_PORT}"),
            format!("--service-cluster-ip-range={SERVICES}"),
            format!("--client-ca-file={}", self.pki("ca.pem")),
            format!("--tls-cert-file={}", self.pki("apiserver.pem")),
            format!("--tls-private-key-file={}", self.pki("apiserver.key")),
            format!("--kubelet-certificate-authority={}", self.pki("ca.pem")),
            format!("--kubelet-client-certificate={}", self.pki("apiserver-kubelet.pem")),
            format!("--kubelet-client-key={}", self.pki("apiserver-kubelet.key")),
            format!("--service-account-issuer={ISSUER}"),
            format!("--service-account-key-file={}", self.pki("sa.pub")),
            format!("--service-account-signing-key-file={}", self.pki("sa.key")),
        ]);
        all
    }

    pub fn controller_manager(&self) -> Vec<String> {
        vec![
            self.with_kubeconfig("controller-manager"),
            // Each controller with the rights of its own account; the manager's own are too few.
            "--use-service-account-credentials=true".to_owned(),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            "--profiling=false".to_owned(),
            format!("--service-account-private-key-file={}", self.pki("sa.key")),
            format!("--root-ca-file={}", self.pki("ca.pem")),
        ]
    }

    pub fn scheduler(&self) -> Vec<String> {
        vec![
            self.with_kubeconfig("scheduler"),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            "--profiling=false".to_owned(),
        ]
    }

    /// kube-proxy: every limit of connection tracking stays what the machine has (0).
    pub fn proxy(&self) -> Vec<String> {
        let mut all = flags(&[
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",
            "--conntrack-min=0",
            "--conntrack-tcp-timeout-established=0s",
            "--conntrack-tcp-timeout-close-wait=0s",
            "--conntrack-udp-timeout=0s",
            "--conntrack-udp-timeout-stream=0s",
            "--healthz-bind-address=127.0.0.1:10256",
            "--metrics-bind-address=127.0.0.1:10249",
            // A new Service works at once.
            "--iptables-min-sync-period=100ms",
        ]);
        all.extend([self.with_kubeconfig("proxy"), format!("--hostname-override={NODE}"), format!("--cluster-cidr={PODS}")]);
        all
    }

    /// The kubelet. Logs rotate at 1 MiB, looked at every 3 s; a crashing container is restarted after 3 s, not 5 minutes.
    pub fn kubelet(&self) -> Result<Vec<String>> {
        let resolver = self.run.write("resolv.conf", "# there is no DNS\n")?;
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address.to_string(),
            "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false}, "x509": {"clientCAFile": self.pki("ca.pem")}},
            "authorization": {"mode": "AlwaysAllow"},
            "tlsCertFile": self.pki("kubelet.pem"),
            "tlsPrivateKeyFile": self.pki("kubelet.key"),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{}", self.cgroup()),
            "cgroupsPerQOS": false,
            "enforceNodeAllocatable": [],
            "failSwapOn": false,
            "failCgroupV1": false,
            "localStorageCapacityIsolation": false,
            "evictionHard": {},
            "imageGCHighThresholdPercent": 100,
            "makeIPTablesUtilChains": false,
            "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
            "podLogsDir": "/var/log/pods",
            // For figures of whole logs: a file that does not rotate while it is measured.
            "containerLogMaxSize": std::env::var("OBSCTL_LAB_LOG_SIZE").unwrap_or_else(|_| "1Mi".to_owned()),
            "containerLogMaxFiles": 5,
            "containerLogMonitorInterval": "3s",
            "maxPods": 250,
            "registryPullQPS": 0,
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
            "eventRecordQPS": 0,
            "serializeImagePulls": false,
            "resolvConf": resolver,
            // Without an address every pod gets a warning event. See the Service of that address for what it is.
            "clusterDNS": ["10.96.0.10"],
            "clusterDomain": "cluster.local",
            "featureGates": {"KubeletCrashLoopBackOffMax": true},
            "crashLoopBackOff": {"maxContainerRestartPeriod": "3s"},
        });
        let file = self.run.write("kubelet.json", config.to_string())?;
        Ok(vec![
            self.with_kubeconfig("kubelet"),
            format!("--config={}", file.display()),
            format!("--node-ip={}", self.address),
            format!("--hostname-override={NODE}"),
            format!("--root-dir={}", self.run.dir().join("kubelet").display()),
        ])
    }
}

/// Where the node's own files of the pods' logs are, seen from outside.
pub fn pod_logs(dir: &Path) -> PathBuf {
    dir.join("log/pods")
}

fn flags(all: &[&str]) -> Vec<String> {
    all.iter().map(|flag| (*flag).to_owned()).collect()
}
