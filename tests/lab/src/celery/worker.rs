//! A real worker, which can be killed, stopped and shut down as pods are.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use super::{Celery, PATIENCE, matrix};
use crate::failure::{Doing, Result};
use crate::process::Process;
use crate::run::Run;
use crate::wait;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pool {
    #[default]
    Prefork,
    Threads,
    Solo,
    Gevent,
}

impl Pool {
    /// Those that tests are to go through; gevent too in `make matrix`, which only [`super::Version::V5_6`] is tried with.
    pub fn tested() -> Vec<Self> {
        let mut pools = vec![Self::Prefork, Self::Threads, Self::Solo];
        pools.extend(matrix().then_some(Self::Gevent));
        pools
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Prefork => "prefork",
            Self::Threads => "threads",
            Self::Solo => "solo",
            Self::Gevent => "gevent",
        }
    }
}

/// What a worker is told on its command line.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// `w1`: the part of its hostname before `@lab`.
    pub name: String,
    pub pool: Pool,
    pub concurrency: usize,
    pub queues: Vec<String>,
    /// None: what the application says, which is early.
    pub acks_late: Option<bool>,
    /// How many tasks per slot are fetched beforehand; 0 is without a limit.
    pub prefetch_multiplier: u32,
    /// `-E`: an event for each task.
    pub events: bool,
    /// Further words.
    pub arguments: Vec<String>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            name: "w1".to_owned(),
            pool: Pool::Prefork,
            concurrency: 2,
            queues: vec!["celery".to_owned()],
            acks_late: None,
            prefetch_multiplier: 4,
            events: false,
            arguments: Vec::new(),
        }
    }
}

/// A running worker. Dropping it kills it: nobody waits for its tasks.
#[derive(Debug)]
pub struct Worker {
    process: Mutex<Process>,
    hostname: String,
    // Its log lies there.
    _run: Arc<Run>,
}

impl Worker {
    pub(super) fn start(app: &Celery, options: WorkerOptions) -> Result<Self> {
        let app = app.clone().setting("worker_prefetch_multiplier", options.prefetch_multiplier);
        let app = match options.acks_late {
            Some(late) => app.setting("task_acks_late", late),
            None => app,
        };
        let hostname = format!("{}@lab", options.name);
        let concurrency = options.concurrency.to_string();
        let queues = options.queues.join(",");
        let mut start = app
            .python(options.pool)?
            .named(format!("worker-{}", options.name))
            // Before it is ready it would wait a second for the other workers' answers; a test has none to wait for.
            .args(["-m", "celery", "-A", "lab_app", "worker", "--without-mingle", "--loglevel", "INFO"])
            .args(["-n", &hostname, "-P", options.pool.name(), "-c", &concurrency, "-Q", &queues])
            .args(&options.arguments);
        if options.events {
            start = start.arg("-E");
        }
        let process = Mutex::new(start.spawn(&app.run)?);
        Ok(Self { process, hostname, _run: app.run })
    }

    /// Returns when it takes tasks.
    pub fn await_ready(&self) -> Result<()> {
        let words = format!("{} ready.", self.hostname);
        let log = self.process().log().to_owned();
        self.process().wait_ready(PATIENCE, || {
            let text = fs::read(&log).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(&words) { Ok(()) } else { Err(format!("its log has no {words:?}")) }
        })
    }

    /// `w1@lab`.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Its main process, which leads the group of its children.
    pub fn pid(&self) -> i32 {
        self.process().pid()
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.process().log()).unwrap_or_default()).into_owned()
    }

    /// Waits until its log holds these words.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn says(&self, words: &str) {
        wait::eventually(PATIENCE, || {
            if self.log().contains(words) { Ok(()) } else { Err(format!("{} never said {words:?}:\n{}", self.hostname, self.log())) }
        });
    }

    /// SIGKILL for it and its children, as the kernel does when memory runs out or a node dies.
    pub fn kill9(&self) -> Result<()> {
        self.process().kill()
    }

    /// SIGSTOP for it and its children: it is subscribed, and silent.
    pub fn stop(&self) -> Result<()> {
        self.process().signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn cont(&self) -> Result<()> {
        self.process().signal(Signal::CONT)
    }

    /// Tells it to shut down, and does not wait: it takes no further task and ends those that run.
    pub fn begin_shutdown(&self) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(self.pid());
        pid.map_or(Ok(()), |pid| rustix::process::kill_process(pid, Signal::TERM)).doing(|| format!("ending {}", self.hostname))
    }

    /// The same, and returns when it has ended.
    pub fn shutdown(&self) -> Result<()> {
        self.process().end(PATIENCE)
    }

    pub fn is_alive(&self) -> bool {
        self.process().is_alive()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut process = self.process();
        if process.is_alive() {
            let _ = process.kill();
        } else {
            // What is left of its group.
            let _ = process.stop(Duration::ZERO);
        }
    }
}
