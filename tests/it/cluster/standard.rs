//! The pods that tests share which only read, made once.

use super::{QUICK, admin, container, pod, simple, wrote};
use crate::support::{Obsctl, SOON};
use lab::{Namespace, cluster::handle::Exclusive, eventually};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A namespace with pods of every kind, all of which have said what they will.
pub struct Standard {
    pub ns: Namespace,
}

/// What tests share while somebody holds it. It has a lease on the cluster, so that whoever wants that alone takes it away first: kept
/// in a static that nobody empties, it would be waited for without end.
pub struct Kept<T>(Mutex<Option<Arc<T>>>);

impl<T> Kept<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What is kept, made if need be.
    pub fn get(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.lock().get_or_insert_with(|| Arc::new(make())).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static KEPT: Kept<Standard> = Kept::new();

/// The shared namespace.
pub fn standard() -> Arc<Standard> {
    KEPT.get(Standard::make)
}

/// The cluster to oneself: gives the shared namespaces back first, and keeps others from making them again before it is ours.
pub fn alone() -> Exclusive {
    let (mut standard, mut rotated) = (KEPT.lock(), super::rotated::KEPT.lock());
    drop((standard.take(), rotated.take()));
    lab::get().cluster().exclusive()
}

/// Ten lines, a twentieth of a second apart; and one of a request that both pods of the deployment know.
const BACKEND: &str = r#"
for i in 1 2 3 4 5 6 7 8 9 10; do
  echo '{"event": "tick", "level": "info", "n": '$i', "pod": "'$HOSTNAME'", "request_id": "every-'$i'-'$HOSTNAME'"}'
  usleep 50000
done
echo "backend is quiet"
exec sleep 3600"#;

/// Noise of earlier seconds, two requests whose IDs begin alike, one that sends a task, and lines of every level.
const API: &str = r#"
for i in 1 2 3; do echo '{"event": "warming up", "level": "debug", "n": '$i'}'; done
sleep 3
echo '{"event": "request_started", "level": "info", "request_id": "found-1111-2222", "method": "POST", "path": "/api/orders/", "user_id": 4411}'
echo '{"event": "task_enqueued", "level": "info", "request_id": "found-1111-2222", "child_task_id": "7ec25367-0c7c-4a1e-9d5d-1f2a3b4c5d6e", "child_task_name": "mail.send", "queue": "mail"}'
echo '{"event": "request_finished", "level": "info", "request_id": "found-1111-2222", "code": 201, "duration_ms": 12}'
echo '{"event": "request_finished", "level": "info", "request_id": "twin-1234-a", "code": 200}'
echo '{"event": "request_finished", "level": "info", "request_id": "twin-1234-b", "code": 200}'
echo '{"event": "slow", "level": "warning", "request_id": "other-1", "user_id": 4411}'
echo '{"event": "broken", "level": "error", "request_id": "other-2", "user_id": 7}'
echo 'Traceback (most recent call last):'
echo '  File "/app/shop/views.py", line 12, in post'
echo '    charge(order)'
echo 'ValueError: no price'
echo '{"event": "api is quiet", "level": "debug"}'
exec sleep 3600"#;

const WORKER: &str = r#"
echo '{"event": "task_started", "level": "info", "task_id": "7ec25367-0c7c-4a1e-9d5d-1f2a3b4c5d6e", "task_name": "mail.send", "queue": "mail"}'
echo '{"event": "mail_sent", "level": "info", "task_id": "7ec25367-0c7c-4a1e-9d5d-1f2a3b4c5d6e"}'
echo '{"event": "task_succeeded", "level": "info", "task_id": "7ec25367-0c7c-4a1e-9d5d-1f2a3b4c5d6e", "task_name": "mail.send"}'
echo '{"event": "worker is quiet", "level": "info"}'
exec sleep 3600"#;

/// The first life ends, the second stays.
const RESTARTED: &str = r#"
if [ -e /life/first ]; then echo '{"event": "second life", "request_id": "later-5678"}'; exec sleep 3600; fi
touch /life/first
echo '{"event": "first life", "request_id": "crash-5678", "level": "error"}'
exit 3"#;

/// Every life ends.
const CRASHING: &str = r#"echo '{"event": "will crash", "request_id": "loop-9999", "level": "error"}'; exit 1"#;

/// Bytes that are no UTF-8, control sequences, and no ID anywhere.
const ODD: &str = r#"
printf 'caf\351 latin\n'
printf 'red \033[31malarm\033[0m title \033]0;owned\007 bell \007 back \010 c1 \302\233 end\n'
printf 'a\rb carriage\n'
echo 'login password=hunter2secret tokens=812'
echo 'no id at all'
echo 'odd is quiet'
exec sleep 3600"#;

impl Standard {
    /// `obsctl` as the administrator.
    pub fn obsctl(&self, words: &str) -> Obsctl {
        admin(&self.ns, words)
    }

    fn make() -> Self {
        let cluster = lab::get().cluster();
        let ns = cluster.namespace("standard");
        sweep(&ns);
        let mut yaml = String::new();
        for (kind, api, name, more) in [
            ("Deployment", "apps/v1", "backend", "replicas: 2, "),
            ("StatefulSet", "apps/v1", "store", "serviceName: store, "),
            ("DaemonSet", "apps/v1", "agent", ""),
        ] {
            let script = if name == "backend" { BACKEND.to_owned() } else { format!("echo {name} is quiet; exec sleep 3600") };
            yaml.push_str(&format!(
                "---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{more}selector: {{matchLabels: {{app: {name}}}}}, {}}}\n",
                template(name, "", &script)
            ));
        }
        let once = "restartPolicy: Never, ";
        yaml.push_str(&format!(
            "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: import}}\nspec: {{{}}}\n",
            template("import", once, "echo import is quiet")
        ));
        yaml.push_str(&format!(
            "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly}}\nspec: {{schedule: \"0 0 1 1 *\", jobTemplate: {{spec: {{{}}}}}}}\n",
            template("nightly", once, "echo nightly is quiet")
        ));
        yaml.push_str(&simple("api", API));
        yaml.push_str(&simple("crashing", CRASHING));
        yaml.push_str(&simple("odd", ODD));
        let sidecar = container("proxy", "echo from the proxy; exec sleep 3600").replacen('{', "{restartPolicy: Always, ", 1);
        let init = format!("initContainers: [{}, {sidecar}]", container("setup", "echo from the setup"));
        let apps = [container("one", "echo from one; exec sleep 3600"), container("two", "echo from two; exec sleep 3600")];
        yaml.push_str(&pod("many", &init, &apps));
        let life = container("main", RESTARTED).replacen('{', "{volumeMounts: [{name: life, mountPath: /life}], ", 1);
        yaml.push_str(&pod("restarted", "volumes: [{name: life, emptyDir: {}}]", &[life]));
        let nowhere = container("main", "echo never").replace("busybox:1", "nowhere:1");
        yaml.push_str(&pod("waiting", "", &[nowhere]));
        ns.apply(&yaml);
        ns.kubectl(&["create", "job", "--from=cronjob/nightly", "nightly-1"]).unwrap();
        // A task runs after its request.
        wrote(&ns, "api", "api is quiet");
        ns.apply(&simple("worker", WORKER));
        let standard = Self { ns };
        standard.settle();
        standard
    }

    /// Waits until nothing changes any more.
    fn settle(&self) {
        for name in ["worker", "odd"] {
            wrote(&self.ns, name, &format!("{name} is quiet"));
        }
        for (name, text) in [("store-0", "store is quiet"), ("many", "from two"), ("restarted", "second life")] {
            wrote(&self.ns, name, text);
        }
        for label in ["backend", "agent", "import", "nightly"] {
            let pods = eventually(SOON, || {
                let pods = self.pods(label);
                if pods.is_empty() { Err(format!("no pod of {label}")) } else { Ok(pods) }
            });
            for pod in pods {
                wrote(&self.ns, &pod, "is quiet");
            }
        }
        for job in ["import", "nightly-1"] {
            self.ns.wait(&format!("job/{job}"), "condition=Complete", SOON);
        }
        let reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
        self.ns.wait("pod/waiting", &format!("{reason}=ErrImageNeverPull"), SOON);
        self.ns.wait("pod/crashing", &format!("{reason}=CrashLoopBackOff"), SOON);
        // Ready it may have been in its first life.
        self.ns.wait("pod/restarted", "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=3", SOON);
        // The cluster's own word may come long after the first line.
        for label in ["api", "worker", "odd", "many", "store", "agent", "backend"] {
            self.ns.wait(&format!("pod -lapp={label}"), "condition=Ready", SOON);
        }
    }

    /// The pods with this app label.
    pub fn pods(&self, app: &str) -> Vec<String> {
        let label = format!("-lapp={app}");
        let names = self.ns.kubectl(&["get", "pods", &label, "-ojsonpath={.items[*].metadata.name}"]).unwrap();
        names.split_whitespace().map(str::to_owned).collect()
    }
}

pub fn template(name: &str, more: &str, script: &str) -> String {
    let containers = container("main", script);
    format!("template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{{QUICK}, {more}containers: [{containers}]}}}}")
}

/// A process that has ended never gave its shared namespace back: a warm cluster still has it.
fn sweep(own: &Namespace) {
    let all = own.cluster().kubectl(&["get", "namespaces", "-ojsonpath={.items[*].metadata.name}"]).unwrap_or_default();
    for name in all.split_whitespace().filter(|name| *name != own.name()) {
        let owner = name.strip_prefix("standard-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
            let _ = own.cluster().kubectl(&["delete", "namespace", name, "--wait=false"]);
        }
    }
}
