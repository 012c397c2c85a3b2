//! The lab's own test: the cluster is a real one, and nothing of it remains.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::cluster::NODE;
use lab::run::Run;
use lab::{Cluster, Lab, Namespace, eventually, rule};

/// Far more than a quiet machine needs: the tests must also pass beside a build.
const SOON: Duration = Duration::from_secs(90);

/// What a Kubernetes on this machine would usually change.
const PLACES: [&str; 9] = [
    "/var/log/pods",
    "/var/log/containers",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/run/containerd",
    "/run/netns",
    "/opt/containerd",
    "/etc/cni/net.d",
];
const SETTINGS: [&str; 4] =
    ["/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops", "/proc/sys/net/ipv4/ip_forward"];

#[test]
fn a_cluster_is_real_and_leaves_nothing() {
    let machine = Machine::look();
    let begun = Instant::now();
    let lab: &'static Lab = Box::leak(Box::new(Lab::start().unwrap()));
    let cluster = lab.cluster();
    eprintln!("node Ready after {:?}", begun.elapsed());
    let namespace = cluster.namespace("lab");
    namespace.apply(PODS);

    logs_and_exec(&namespace);
    port_forward(&namespace);
    service(&namespace);
    oom(&namespace);
    machine_python(&namespace);
    rotation(&cluster, &namespace);
    access(&cluster, &namespace);
    drop(namespace);
    apiserver(&cluster);

    let traces = Traces::of(&cluster.info().dir);
    assert!(traces.processes().len() > 10, "the servers and the containers are seen");
    let begun = Instant::now();
    lab.close().unwrap();
    eprintln!("torn down after {:?}", begun.elapsed());
    traces.are_gone();
    machine.is_unchanged();
}

#[test]
fn a_killed_holder_leaves_nothing_after_the_next_run() {
    let machine = Machine::look();
    let lab: &'static Lab = Box::leak(Box::new(Lab::start().unwrap()));
    let cluster = lab.cluster();
    let namespace = cluster.namespace("killed");
    namespace.apply(PODS);
    namespace.wait("pod/web", "condition=Ready", SOON);
    let traces = Traces::of(&cluster.info().dir);
    assert!(traces.processes().len() > 10);

    let holder = rustix::process::Pid::from_raw(i32::try_from(lab.holder().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(holder, rustix::process::Signal::KILL).unwrap();
    assert!(lab.close().unwrap_err().to_string().contains("signal: 9"));
    // The first process of the space sees its pipe close: no server outlives the holder, swept or not.
    eventually(SOON, || {
        let left = traces.processes();
        if left.is_empty() { Ok(()) } else { Err(format!("still running: {left:?}")) }
    });
    assert!(traces.dir.exists());
    Run::claim().unwrap().finish().unwrap();
    traces.are_gone();
    machine.is_unchanged();
}

fn logs_and_exec(namespace: &Namespace) {
    namespace.wait("pod/web", "condition=Ready", SOON);
    assert_eq!(namespace.kubectl(&["logs", "web"]).unwrap(), "hello from web\n");
    assert_eq!(namespace.kubectl(&["exec", "web", "--", "sh", "-c", "echo $((6 * 7))"]).unwrap(), "42\n");
    let through = namespace.command().args(["exec", "-i", "web", "--", "cat"]).input("through\n").output().unwrap();
    assert_eq!(through, "through\n");
    let files = namespace.node_log_files("web");
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(fs::read_to_string(&files[0].path).unwrap().ends_with(" stdout F hello from web\n"));
}

fn port_forward(namespace: &Namespace) {
    let port = lab::ports::free().unwrap();
    let mut forward = namespace.command().args(["port-forward", "pod/web", &format!("{port}:8080")]).child().unwrap();
    let answer = eventually(SOON, || fetch(port).map_err(|error| error.to_string()));
    assert!(answer.ends_with("served\n"), "{answer}");
    forward.kill().unwrap();
    forward.wait().unwrap();
}

fn fetch(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn service(namespace: &Namespace) {
    let address = namespace.kubectl(&["get", "service", "web", "-ojsonpath={.spec.clusterIP}"]).unwrap();
    let url = format!("http://{address}:80/index.html");
    namespace.wait("pod/client", "condition=Ready", SOON);
    // A name fails at once: there is no DNS, and that does not hang.
    let begun = Instant::now();
    assert!(namespace.kubectl(&["exec", "client", "--", "nslookup", "web"]).is_err());
    assert!(begun.elapsed() < Duration::from_secs(10));
    let warnings = namespace.kubectl(&["get", "events", "--field-selector=type=Warning,involvedObject.name=client", "-oname"]).unwrap();
    assert_eq!(warnings, "");
    // From another pod, and from the pod itself through the Service.
    for pod in ["client", "web"] {
        let fetch = ["exec", pod, "--", "timeout", "3", "wget", "-qO-", &url];
        let answer = eventually(SOON, || namespace.kubectl(&fetch).map_err(|failure| failure.to_string()));
        assert_eq!(answer, "served\n");
    }
}

fn oom(namespace: &Namespace) {
    let reason = ["get", "pod", "greedy", "-ojsonpath={.status.containerStatuses[0].lastState.terminated.reason}"];
    eventually(SOON, || {
        let reason = namespace.kubectl(&reason).map_err(|failure| failure.to_string())?;
        if reason == "OOMKilled" { Ok(()) } else { Err(format!("the greedy pod's last end: {reason:?}")) }
    });
    eventually(SOON, || {
        let files = namespace.node_log_files("greedy");
        if files.iter().any(|file| file.name != "0.log") { Ok(()) } else { Err(format!("no log of a restart: {files:?}")) }
    });
}

fn machine_python(namespace: &Namespace) {
    namespace.wait("pod/python", "jsonpath={.status.phase}=Succeeded", SOON);
    assert_eq!(namespace.kubectl(&["logs", "python"]).unwrap(), "1\n");
}

fn rotation(cluster: &Cluster, namespace: &Namespace) {
    namespace.wait("pod/chatty", "condition=Ready", SOON);
    let uid = namespace.kubectl(&["get", "pod", "chatty", "-ojsonpath={.metadata.uid}"]).unwrap();
    let folder = format!("/api/v1/nodes/{NODE}/proxy/logs/pods/{}_chatty_{uid}/main/", namespace.name());
    eventually(SOON, || {
        let page = cluster.kubectl(&["get", "--raw", &folder]).map_err(|failure| failure.to_string())?;
        if page.contains("0.log.2") && page.contains(".gz") { Ok(()) } else { Err(format!("not rotated twice: {page}")) }
    });
}

fn access(cluster: &Cluster, namespace: &Namespace) {
    let with = |kubeconfig: &Path, words: &[&str]| {
        let command = cluster.kubectl_command().env("KUBECONFIG", kubeconfig).args(words.iter().copied());
        command.output().map_err(|failure| failure.to_string())
    };
    let reader = [rule("get,list", "pods,pods/log")];
    let named = namespace.kubeconfig_for("dev", &reader);
    let account = namespace.kubeconfig_of_account("robot", &reader);
    for kubeconfig in [&named, &account] {
        // The authorizer learns of a new role some milliseconds later.
        let pods = eventually(SOON, || with(kubeconfig, &["get", "pods", "-oname"]));
        assert!(pods.contains("pod/web"));
        let refused = with(kubeconfig, &["get", "secrets"]).unwrap_err();
        assert!(refused.contains("Forbidden"), "{refused}");
    }
    let everywhere = cluster.kubeconfig_for("auditor", &[rule("get", "nodes/proxy"), rule("list", "deployments.apps")]);
    eventually(SOON, || with(&everywhere, &["get", "deployments", "-A"]));
    let refused = with(&namespace.kubeconfig_expired(), &["get", "pods"]).unwrap_err();
    assert!(refused.contains("provide credentials") || refused.contains("Unauthorized"), "{refused}");
}

fn apiserver(cluster: &Cluster) {
    let mut alone = cluster.exclusive();
    let namespace = alone.namespace("alone");
    alone.stop_apiserver();
    assert!(namespace.kubectl(&["get", "pods"]).unwrap_err().to_string().contains("refused"));
    alone.start_apiserver();
    // The controllers and the kubelet have found it again.
    namespace.apply(PODS);
    namespace.wait("pod/web", "condition=Ready", SOON);
}

/// What can be seen of a run on this machine.
struct Traces {
    dir: PathBuf,
    number: String,
    spaces: BTreeSet<PathBuf>,
}

impl Traces {
    fn of(dir: &Path) -> Self {
        let mut traces =
            Self { dir: dir.to_owned(), number: dir.file_name().unwrap().to_str().unwrap().to_owned(), spaces: BTreeSet::new() };
        // Namespaces of those that are recognised by their words or control group find those that are not.
        let ours = traces.processes();
        traces.spaces = ours.iter().filter_map(|pid| network(pid)).filter(|space| Some(space) != network("self").as_ref()).collect();
        traces
    }

    fn processes(&self) -> BTreeSet<String> {
        let ours = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        ours.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())).filter(|pid| self.is_ours(pid)).collect()
    }

    fn is_ours(&self, pid: &str) -> bool {
        let read = |name: &str| String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default()).into_owned();
        let dir = format!("{}/", self.dir.display());
        read("cmdline").contains(&dir)
            || read("cgroup").contains(&format!("/obsctl-lab-{}/", self.number))
            || network(pid).is_some_and(|space| self.spaces.contains(&space))
    }

    fn are_gone(&self) {
        // What has ended is still listed until the machine's first process has taken note of it.
        eventually(SOON, || match self.processes() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?} are left")),
        });
        assert!(!self.dir.exists());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.to_str().unwrap()), "{mounts}");
        assert!(!Path::new("/sys/class/net").join(format!("obslab{}", self.number)).exists());
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            assert!(!hierarchy.path().join(format!("obsctl-lab-{}", self.number)).exists());
        }
    }
}

fn network(pid: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// The state of the machine that a run must not change.
struct Machine {
    places: Vec<(PathBuf, Option<BTreeSet<PathBuf>>)>,
    settings: Vec<String>,
}

impl Machine {
    fn look() -> Self {
        let list = |place: &str| fs::read_dir(place).ok().map(|entries| entries.flatten().map(|entry| entry.path()).collect());
        Self {
            places: PLACES.iter().map(|place| (PathBuf::from(place), list(place))).collect(),
            settings: SETTINGS.iter().map(|setting| fs::read_to_string(setting).unwrap()).collect(),
        }
    }

    fn is_unchanged(&self) {
        let now = Self::look();
        assert_eq!(self.places, now.places);
        assert_eq!(self.settings, now.settings);
    }
}

/// `web` serves and is served by a Service; `greedy` outgrows its memory; `chatty` outgrows its log; `python` is the machine's own.
const PODS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: lab.test/busybox:1
    imagePullPolicy: Never
    command: [sh, -c, "mkdir /tmp/www; echo served > /tmp/www/index.html; echo hello from web; exec httpd -f -p 8080 -h /tmp/www"]
    readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "lab.test/busybox:1", imagePullPolicy: Never, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: lab.test/busybox:1
    imagePullPolicy: Never
    command: [sh, -c, "echo eating; tail /dev/zero"]
    resources: {limits: {memory: 24Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: chatty}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: lab.test/busybox:1
    imagePullPolicy: Never
    command: [sh, -c, "while :; do seq 1 60000; sleep 1; done"]
---
apiVersion: v1
kind: Pod
metadata: {name: python}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: lab.test/busybox:1
    imagePullPolicy: Never
    command: [/usr/bin/python3, -c, "import ssl, json; print(1)"]
    volumeMounts:
    - {name: usr, mountPath: /usr, readOnly: true}
    - {name: lib, mountPath: /lib, readOnly: true}
    - {name: lib64, mountPath: /lib64, readOnly: true}
  volumes:
  - {name: usr, hostPath: {path: /usr}}
  - {name: lib, hostPath: {path: /lib}}
  - {name: lib64, hostPath: {path: /lib64}}
"#;
