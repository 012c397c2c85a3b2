//! Planting faults: `tests/sandbox/traffic.py`, run here or in a web pod, and what it says it planted.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use super::Profile;
use super::local::Info;
use crate::failure::{Doing, Failure, Result};
use crate::hand::Line;
use crate::process::Start;
use crate::protocol::{Part, Request};

/// Seconds for which `slow-queue` keeps the mail worker busy in tests; a person asks for 40.
pub const SLOW_SECONDS: &str = "4";

/// One planted request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// None for an ordinary request.
    pub fault: Option<String>,
    /// None for a fault that no request has.
    pub request_id: Option<String>,
    /// What an operator should find out.
    pub what: String,
    pub tasks: Vec<Task>,
    pub started: String,
    pub ended: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub id: String,
    pub name: Option<String>,
    pub status: Option<String>,
}

/// Where the shop is, seen from the place where the traffic comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `secrets` is the folder of the files that hold the URLs; `holder` the socket of the process that owns the shop's.
    Local { python: PathBuf, urls: Vec<String>, secrets: PathBuf, holder: PathBuf, profile: Profile },
    /// Runs in a web pod, which has the URL of the database in its environment.
    Pods { kubectl: PathBuf, kubeconfig: PathBuf, namespace: String, python: PathBuf },
}

impl Target {
    /// `traffic.py`, ready for its options.
    pub fn command(&self) -> Result<Start> {
        let script = super::sources().join("traffic.py");
        Ok(match self {
            Self::Local { python, urls, secrets, .. } => {
                let mut start = Start::new("traffic", python).arg(script);
                for name in ["DATABASE_URL", "CELERY_BROKER_URL"] {
                    let file = secrets.join(name);
                    start =
                        start.env(name, fs::read_to_string(&file).doing(|| format!("reading {} (is the sandbox up?)", file.display()))?);
                }
                for url in urls {
                    start = start.args(["--url", url]);
                }
                start
            }
            Self::Pods { kubectl, kubeconfig, namespace, python } => Start::new("traffic", kubectl)
                .arg("--kubeconfig")
                .arg(kubeconfig)
                .args(["-n", namespace, "exec", "deploy/backend", "--"])
                .arg(python)
                .arg(script)
                .args(["--pods", "--url", "http://backend:8000"]),
        })
    }
}

/// Where the next seed comes from.
#[derive(Debug)]
pub enum Seeds {
    /// A file with the last one, for a sandbox that several processes drive.
    File(PathBuf),
    Own(AtomicU32),
}

impl Seeds {
    fn next(&self) -> Result<u32> {
        let path = match self {
            Self::Own(last) => return Ok(last.fetch_add(1, Ordering::Relaxed) + 1),
            Self::File(path) => path,
        };
        let doing = || format!("counting in {}", path.display());
        let mut file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path).doing(doing)?;
        file.lock().doing(doing)?;
        let mut text = String::new();
        file.read_to_string(&mut text).doing(doing)?;
        let next = text.trim().parse().unwrap_or(0) + 1;
        file.rewind().and_then(|()| write!(file, "{next}")).doing(doing)?;
        Ok(next)
    }
}

/// A driver that never uses a request ID twice: each call has the next seed.
#[derive(Debug)]
pub struct Traffic {
    target: Target,
    seeds: Seeds,
}

impl Traffic {
    pub fn new(target: Target, seeds: Seeds) -> Self {
        Self { target, seeds }
    }

    /// The port of a process of local ones: `tls-front-1`.
    pub fn port(&self, process: &str) -> Result<u16> {
        let Target::Local { holder, profile, .. } = &self.target else {
            return Err(Failure::new("pods have ports of their own"));
        };
        let info: Info = Line::to_socket(holder)?.ask(&Request::Need(Part::Sandbox(*profile)))?;
        info.ports.get(process).copied().ok_or_else(|| Failure::new(format!("{process} has no port")))
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Plants a fault of `tests/sandbox/faults.json` and waits until its tasks have ended.
    pub fn fault(&self, name: &str) -> Result<Vec<Planted>> {
        self.plant(&["--fault", name, "--slow-seconds", SLOW_SECONDS])
    }

    /// Ordinary requests.
    pub fn ordinary(&self, count: usize) -> Result<Vec<Planted>> {
        self.plant(&["--count", &count.to_string()])
    }

    /// `traffic.py` with these options.
    pub fn plant(&self, options: &[&str]) -> Result<Vec<Planted>> {
        let seed = self.seeds.next()?.to_string();
        let said = self.target.command()?.args(["--seed", &seed]).args(options.iter().copied()).output()?;
        said.lines().map(|line| serde_json::from_str(line).doing(|| format!("reading what was planted: {line}"))).collect()
    }
}
