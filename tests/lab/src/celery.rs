//! Real Celery: applications of every supported version on any broker, their workers, and what is published for them.
//!
//! ```text
//! let redis = get().redis();
//! let app = get().celery(redis.url(), Version::V5_6);
//! let worker = app.worker(WorkerOptions { concurrency: 1, ..WorkerOptions::default() });
//! let gate = app.gate("one");
//! let ids = app.publish(&[Publish::held(&gate).times(5)]);
//! gate.await_running(1);          // one runs, four are prefetched
//! worker.kill9().unwrap();        // … and are lost with it, or not
//! ```
//!
//! The tasks are in `tests/celery_app`. As with [`crate::redis`], everything lives in a run of the test's own process.

pub mod fill;
pub mod publish;
pub mod worker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::failure::{Doing, Failure, Result};
use crate::process::Start;
use crate::run::Run;
use crate::{venv, wait};
pub use fill::filled_id;
pub use publish::Publish;
pub use worker::{Pool, Worker, WorkerOptions};

/// A worker on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A version of Celery, with the newest kombu that works with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V5_3,
    V5_4,
    V5_5,
    V5_6,
}

impl Version {
    pub const ALL: [Self; 4] = [Self::V5_3, Self::V5_4, Self::V5_5, Self::V5_6];

    /// Those that tests are to go through: 5.4 and 5.6; all of them in `make matrix`.
    pub fn tested() -> Vec<Self> {
        if matrix() { Self::ALL.to_vec() } else { vec![Self::V5_4, Self::V5_6] }
    }

    /// The one that tests take which are about something else: 5.6, or what `OBSCTL_CELERY` says, with which `make matrix` sends
    /// them through the others.
    pub fn usual() -> Self {
        let Some(asked) = std::env::var_os("OBSCTL_CELERY") else { return Self::V5_6 };
        let known = Self::ALL.into_iter().find(|version| *asked == *version.to_string());
        known.unwrap_or_else(|| {
            panic!("OBSCTL_CELERY={}: not one of {}", asked.display(), Self::ALL.map(|version| version.to_string()).join(", "))
        })
    }

    /// gevent is tried with 5.6 only.
    pub fn has(self, pool: Pool) -> bool {
        pool != Pool::Gevent || self == Self::V5_6
    }

    /// The environment's interpreter, made if it is missing. gevent has one of its own.
    pub fn python(self, pool: Pool) -> Result<PathBuf> {
        let requirements = match pool {
            _ if !self.has(pool) => return Err(Failure::new(format!("gevent is tried with 5.6, not with {self}"))),
            Pool::Gevent => format!("requirements-{self}-gevent.txt"),
            _ => format!("requirements-{self}.txt"),
        };
        Ok(venv::ready(&sources(), &requirements)?.join("bin/python"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V5_3 => "5.3",
            Self::V5_4 => "5.4",
            Self::V5_5 => "5.5",
            Self::V5_6 => "5.6",
        })
    }
}

/// Whether this is `make matrix`: every version and every pool, not only those that differ most.
pub fn matrix() -> bool {
    std::env::var_os("OBSCTL_MATRIX").is_some_and(|value| value == "1")
}

/// `tests/celery_app` of the repository that this lab was compiled in.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, |tests| tests.join("celery_app"))
}

/// An application: a version, a broker and settings. Dropping it deletes its folder; its workers keep that alive.
#[derive(Clone, Debug)]
pub struct Celery {
    version: Version,
    broker: String,
    settings: Map<String, Value>,
    run: Arc<Run>,
}

impl Celery {
    /// Results go to the broker too, as in most applications.
    pub fn new(broker: impl Into<String>, version: Version) -> Result<Self> {
        let broker = broker.into();
        let settings = json!({
            "result_backend": broker,
            "broker_connection_retry_on_startup": true,
            "worker_prefetch_multiplier": 4,
        });
        let settings = settings.as_object().cloned().unwrap_or_default();
        Ok(Self { version, broker, settings, run: Arc::new(Run::claim()?) })
    }

    /// Any setting of Celery, for the workers and publishers that start from now on.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// `broker_transport_options`: `{"global_keyprefix": "shop:", "visibility_timeout": 5, "sep": ":", "priority_steps": [0, 5]}`.
    #[must_use]
    pub fn transport(self, options: Value) -> Self {
        // The name of a sentinel's primary is wanted in both places.
        let results = options.get("master_name").map(|name| json!({"master_name": name}));
        let app = self.setting("broker_transport_options", options);
        match results {
            Some(results) => app.setting("result_backend_transport_options", results),
            None => app,
        }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// Starts a worker and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[track_caller]
    pub fn worker(&self, options: WorkerOptions) -> Worker {
        let worker = self.start_worker(options).unwrap_or_else(|failure| panic!("{failure}"));
        worker.await_ready().unwrap_or_else(|failure| panic!("{failure}"));
        worker
    }

    /// The same without waiting: several come up at the same time. See [`Worker::await_ready`].
    pub fn start_worker(&self, options: WorkerOptions) -> Result<Worker> {
        Worker::start(self, options)
    }

    /// Publishes in the order of the list, and hands out the ids of the tasks. Half a second for the whole list.
    ///
    /// # Panics
    /// When Celery cannot.
    #[track_caller]
    pub fn publish(&self, what: &[Publish]) -> Vec<String> {
        self.try_publish(what).unwrap_or_else(|failure| panic!("{failure}"))
    }

    pub fn try_publish(&self, what: &[Publish]) -> Result<Vec<String>> {
        let list = serde_json::to_vec(what).doing(|| "writing what to publish")?;
        let said = self.python(Pool::Prefork)?.arg("tool.py").arg("publish").input(list).output()?;
        serde_json::from_str(&said).doing(|| format!("reading {said:?}"))
    }

    /// Tells the workers never to run this task.
    pub fn revoke(&self, id: &str) -> Result<()> {
        self.python(Pool::Prefork)?.args(["tool.py", "revoke", id]).output().map(drop)
    }

    /// What Celery's own `inspect` answers: by worker, `null` when nobody did. For comparison.
    pub fn inspect(&self, method: &str) -> Result<Value> {
        let said = self.python(Pool::Prefork)?.args(["tool.py", "inspect", method]).output()?;
        serde_json::from_str(&said).doing(|| format!("reading {said:?}"))
    }

    /// The `celery` command of this application, ready for its words: `["inspect", "ping"]`.
    pub fn command(&self) -> Result<Start> {
        Ok(self.python(Pool::Prefork)?.args(["-m", "celery", "-A", "lab_app"]))
    }

    /// A gate for tasks that are to run until a test says so.
    pub fn gate(&self, name: &str) -> Gate {
        Gate { path: self.run.dir().join(format!("gate-{name}")) }
    }

    /// The environment's Python among the sources, with the settings as they are now.
    pub(crate) fn python(&self, pool: Pool) -> Result<Start> {
        let config = json!({"broker": self.broker, "settings": self.settings}).to_string();
        // Applications that were made of one another share the run but not the settings.
        let name = format!("celery-{}.json", crate::cluster::build::hex(&fingerprint(&config)));
        let config = self.run.write_secret(&name, config)?;
        Ok(Start::new("python", self.version.python(pool)?)
            .clear_env()
            .folder(sources())
            .env("LAB_CELERY", config)
            .env("PYTHONPATH", sources())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1"))
    }
}

fn fingerprint(text: &str) -> [u8; 8] {
    use sha2::{Digest, Sha256};
    let mut short = [0; 8];
    short.copy_from_slice(&Sha256::digest(text)[..8]);
    short
}

/// What holds tasks: they run until it is opened.
#[derive(Clone, Debug)]
pub struct Gate {
    path: PathBuf,
}

impl Gate {
    /// The path that the task is told.
    pub fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// The ids of the tasks that have begun.
    pub fn running(&self) -> Vec<String> {
        let prefix = format!("{}.started.", self.path.file_name().unwrap_or_default().to_string_lossy());
        let folder = self.path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
        let names = folder.into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned)).collect()
    }

    /// Waits until so many have begun, and hands out their ids.
    ///
    /// # Panics
    /// When they do not.
    #[track_caller]
    pub fn await_running(&self, count: usize) -> Vec<String> {
        wait::eventually(PATIENCE, || {
            let running = self.running();
            if running.len() >= count { Ok(running) } else { Err(format!("{} of {count} tasks have begun", running.len())) }
        })
    }

    /// Lets them end, and whoever comes after them.
    pub fn open(&self) -> Result<()> {
        std::fs::write(&self.path, "").doing(|| format!("opening {}", self.path.display()))
    }
}
