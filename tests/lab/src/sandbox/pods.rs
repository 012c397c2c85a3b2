//! The sandbox as pods of the real cluster, in a namespace of its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use serde_json::{Value, json};

use super::description::{Description, Part, Ready, Values, Where};
use super::manifests::{self, Place};
use super::parts::Parts;
use super::traffic::{Seeds, Target, Traffic};
use super::{Profile, config};
use crate::cluster::handle::Cluster;
use crate::cluster::images;
use crate::cluster::namespace::Namespace;
use crate::failure::{Doing, Failure, Result};
use crate::process::Start;
use crate::run::Run;
use crate::wait;

/// Beside other tests a dozen Python processes take their time.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running sandbox. Dropping it deletes its namespace, without waiting for that.
pub struct PodSandbox {
    pub namespace: Namespace,
    pub profile: Profile,
    /// An `obsctl.yaml` for it; the kubeconfig is the cluster's.
    pub config: PathBuf,
    traffic: Traffic,
}

impl PodSandbox {
    pub fn start(cluster: &Cluster, profile: Profile) -> Result<Self> {
        let description = Description::read()?;
        let parts = Parts::ready(&Run::claim()?, &description)?;
        let namespace = cluster.namespace("shop");
        let values = manifests::values(&description, profile)?;
        apply(&namespace, manifests::ground(&description, &values)?)?;
        let place = place(&namespace, &parts)?;

        // First what others need, then the others: a pod that starts before its database only crashes and backs off.
        let (first, then): (Vec<&Part>, Vec<&Part>) = description.parts(Where::Pods).partition(|part| part.needs.is_empty());
        for wave in [first, then] {
            let objects: Result<Vec<Value>> = wave.iter().map(|part| manifests::workload(&description, part, &values, &place)).collect();
            apply(&namespace, objects?)?;
            for part in wave {
                wait_ready(&namespace, part)?;
            }
        }

        let config = cluster.info().dir.join(format!("obsctl-{}.yaml", namespace.name()));
        fs::write(&config, config::pods("lab", namespace.name())).doing(|| format!("writing {}", config.display()))?;
        let target = Target::Pods {
            kubectl: cluster.info().kubectl.clone(),
            kubeconfig: cluster.kubeconfig().to_owned(),
            namespace: namespace.name().to_owned(),
            python: parts.python,
        };
        Ok(Self { traffic: Traffic::new(target, Seeds::Own(AtomicU32::new(0))), namespace, profile, config })
    }

    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Leaves it running when this process ends; its target says how to drive it.
    pub fn keep(self) -> Target {
        let target = self.traffic.target().clone();
        std::mem::forget(self);
        target
    }
}

impl Drop for PodSandbox {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.config);
    }
}

fn apply(namespace: &Namespace, objects: Vec<Value>) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    namespace.command().args(["apply", "--filename=-"]).input(list.to_string()).output().map(drop)
}

fn place(namespace: &Namespace, parts: &Parts) -> Result<Place> {
    let services = namespace.kubectl(&["get", "services", "--output=json"])?;
    let services: Value = serde_json::from_str(&services).doing(|| "reading the Services")?;
    let mut addresses = Values::new();
    for service in services["items"].as_array().into_iter().flatten() {
        if let (Some(name), Some(address)) = (service["metadata"]["name"].as_str(), service["spec"]["clusterIP"].as_str()) {
            addresses.insert(name.to_owned(), address.to_owned());
        }
    }
    let owner = fs::metadata(&parts.data).doing(|| format!("looking at {}", parts.data.display()))?.uid();
    Ok(Place {
        namespace: namespace.name().to_owned(),
        image: images::BUSYBOX.to_owned(),
        venv: parts.venv.display().to_string(),
        sandbox: super::sources().display().to_string(),
        python: parts.python.display().to_string(),
        template: parts.data.display().to_string(),
        postgres_user: owner,
        addresses,
    })
}

fn wait_ready(namespace: &Namespace, part: &Part) -> Result<()> {
    let tell = |failure: &Failure| {
        let state = namespace.kubectl(&["get", "pods"]).unwrap_or_default();
        let logs = logs(namespace, part).output().unwrap_or_default();
        Failure::new(format!("{} is not ready: {failure}\n{state}\n{logs}", part.name))
    };
    let words = match &part.ready {
        // The data folder is migrated already: the job only shows what a deployment has.
        _ if part.job => return Ok(()),
        Some(Ready::Tcp | Ready::Http(_) | Ready::Https(_)) => {
            return kubectl_wait(namespace, "condition=available", &format!("deployment/{}", part.name)).map_err(|failure| tell(&failure));
        }
        Some(Ready::Log(words)) => words,
        None => return Ok(()),
    };
    // The node's own files: kubectl would need more of the machine than what it waits for.
    let answer = wait::poll(PATIENCE, || {
        let seen = node_logs(namespace, part).iter().filter(|path| contains(path, words)).count();
        if seen >= part.replicas { Ok(()) } else { Err(format!("{seen} of {} logs have {words:?}", part.replicas)) }
    });
    answer.map_err(|failure| tell(&failure))
}

/// The log files of an app's pods on the node: `<namespace>_<app>-<hash>-<hash>_<uid>/<container>/0.log`.
fn node_logs(namespace: &Namespace, part: &Part) -> Vec<PathBuf> {
    let prefix = format!("{}_{}-", namespace.name(), part.name);
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    entries(namespace.cluster().pod_logs())
        .filter(|pod| pod.file_name().to_string_lossy().starts_with(&prefix))
        // `celery-` begins `celery-mail-` too: the container's name tells them apart.
        .map(|pod| pod.path().join(&part.name))
        .flat_map(entries)
        .map(|file| file.path())
        .collect()
}

fn contains(path: &Path, words: &str) -> bool {
    fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(words))
}

fn logs(namespace: &Namespace, part: &Part) -> Start {
    namespace.command().args(["logs", "--tail=500", "--selector", &format!("app={}", part.name)])
}

fn kubectl_wait(namespace: &Namespace, until: &str, what: &str) -> Result<()> {
    let timeout = format!("--timeout={}s", PATIENCE.as_secs());
    namespace.kubectl(&["wait", &format!("--for={until}"), &timeout, what]).map(drop)
}
