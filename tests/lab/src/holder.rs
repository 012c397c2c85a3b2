//! The holder: the process that owns the servers. It answers requests until it is told to end, then tears everything down.
//!
//! Started by a test it ends at the end of file on its standard input: that covers a test that panics, Ctrl-C and SIGKILL.
//! Servers that a test has started itself are in runs of that test's process; those of a dead one the holder sweeps then.
//! Started warm (`lab cluster up`) it ends at SIGTERM. In both cases requests also come over a Unix socket.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cluster::start::Servers;
use crate::failure::{Doing, Failure, Result};
use crate::protocol::{Answer, Part, Request, Switch, Warm};
use crate::run::Run;
use crate::sandbox::Profile;
use crate::sandbox::local::Processes;
use crate::{process, run, wait};

struct Holder {
    // Fields drop in this order: the servers before the run that they live in.
    cluster: Option<Servers>,
    sandboxes: BTreeMap<Profile, Processes>,
    run: Run,
}

/// What every thread that takes requests shares; None once everything is torn down.
type Shared = Arc<Mutex<Option<Holder>>>;

/// Holds until the end. With `state` the holder is warm: it says in that file where it is, and ignores its standard input.
pub fn hold(state: Option<&Path>) -> Result<()> {
    let run = Run::claim()?;
    let socket = socket(&run);
    let listener = UnixListener::bind(&socket).doing(|| format!("listening on {}", socket.display()))?;
    let shared: Shared = Arc::new(Mutex::new(Some(Holder { cluster: None, sandboxes: BTreeMap::new(), run })));

    let mut signals = Signals::new([SIGTERM, SIGINT]).doing(|| "listening for signals")?;
    let ours = Arc::clone(&shared);
    thread::spawn(move || accept(&listener, &ours));
    if let Some(state) = state {
        announce(state, &socket)?;
        signals.forever().next();
        let answer = end(&shared);
        let _ = fs::remove_file(state);
        return answer;
    }
    let ours = Arc::clone(&shared);
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let answer = end(&ours);
            std::process::exit(i32::from(answer.is_err()));
        }
    });
    let parent = rustix::process::getppid();
    serve(std::io::stdin(), std::io::stdout(), &shared);
    let answer = end(&shared);
    // The tests that died had servers of their own, in runs whose locks fall a moment after the end of file.
    let _ = wait::poll(Duration::from_millis(200), || if rustix::process::getppid() == parent { Err("alive".into()) } else { Ok(()) });
    run::sweep();
    answer
}

fn socket(run: &Run) -> PathBuf {
    run.dir().join("lab.sock")
}

/// Appears at once and whole, so that whoever waits for it never reads half of it.
fn announce(state: &Path, socket: &Path) -> Result<()> {
    let pid = i32::try_from(std::process::id()).doing(|| "reading our own number")?;
    let warm = Warm { pid, start: process::start_time(pid).unwrap_or_default(), socket: socket.to_owned() };
    let text = serde_json::to_string(&warm).doing(|| "writing the state")?;
    let half = state.with_extension("new");
    fs::write(&half, text).and_then(|()| fs::rename(&half, state)).doing(|| format!("writing {}", state.display()))
}

fn accept(listener: &UnixListener, shared: &Shared) {
    for connection in listener.incoming().flatten() {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            if let Ok(reader) = connection.try_clone() {
                serve(reader, connection, &shared);
                run::sweep();
            }
        });
    }
}

/// Answers every line until the end of file.
fn serve(reader: impl Read, mut writer: impl Write, shared: &Shared) {
    for line in BufReader::new(reader).lines() {
        let Ok(line) = line else { return };
        let answer = match serde_json::from_str(&line) {
            Ok(request) => match lock(shared).as_mut() {
                Some(holder) => holder.answer(&request),
                None => Err(Failure::new("the lab is being torn down")),
            },
            Err(error) => Err(Failure::new(format!("this is no request: {error}: {line}"))),
        };
        let answer = match answer {
            Ok(value) => Answer::Ok(value),
            Err(failure) => Answer::Error(failure.to_string()),
        };
        let mut text = serde_json::to_string(&answer).unwrap_or_default();
        text.push('\n');
        if writer.write_all(text.as_bytes()).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Option<Holder>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end(shared: &Shared) -> Result<()> {
    match lock(shared).take() {
        Some(holder) => holder.end(),
        None => Ok(()),
    }
}

impl Holder {
    /// One arm per part: a new kind of server adds one here, a variant of [`Part`], and a field.
    fn answer(&mut self, request: &Request) -> Result<Value> {
        match request {
            Request::Need(Part::Cluster) => {
                let cluster = match &mut self.cluster {
                    Some(cluster) => cluster,
                    none => none.insert(Servers::start(&self.run)?),
                };
                cluster.check()?;
                serde_json::to_value(cluster.info()).doing(|| "writing the answer")
            }
            Request::Need(Part::Sandbox(profile)) => {
                let sandbox = match self.sandboxes.remove(profile) {
                    Some(sandbox) => sandbox,
                    None => Processes::start(*profile, &socket(&self.run))?,
                };
                let sandbox = self.sandboxes.entry(*profile).or_insert(sandbox);
                sandbox.check()?;
                serde_json::to_value(sandbox.info()).doing(|| "writing the answer")
            }
            Request::Process { sandbox, name, switch } => {
                let processes = self.sandboxes.get_mut(sandbox).ok_or_else(|| Failure::new(format!("no sandbox {sandbox} is running")))?;
                match switch {
                    Switch::Stop => processes.kill(name)?,
                    Switch::Start => processes.revive(name)?,
                    Switch::Restart => processes.restart(name)?,
                }
                Ok(json!({}))
            }
            Request::Kubelet(switch) => {
                let cluster = self.cluster.as_mut().ok_or_else(|| Failure::new("no cluster is running"))?;
                if matches!(switch, Switch::Stop | Switch::Restart) {
                    cluster.stop_kubelet()?;
                }
                if matches!(switch, Switch::Start | Switch::Restart) {
                    cluster.start_kubelet(&self.run)?;
                }
                Ok(json!({}))
            }
            Request::Apiserver(switch) => {
                let cluster = self.cluster.as_mut().ok_or_else(|| Failure::new("no cluster is running"))?;
                match switch {
                    Switch::Stop => cluster.stop_apiserver()?,
                    Switch::Start | Switch::Restart => {
                        if *switch == Switch::Restart {
                            cluster.stop_apiserver()?;
                        }
                        cluster.start_apiserver(&self.run)?;
                        cluster.await_apiserver()?;
                    }
                }
                Ok(json!({}))
            }
        }
    }

    fn end(self) -> Result<()> {
        let Self { cluster, sandboxes, run } = self;
        // Each is ended whatever the others say; the first complaint is the answer.
        let mut answers: Vec<Result<()>> = sandboxes.into_values().map(Processes::finish).collect();
        answers.extend(cluster.map(|mut cluster| cluster.end()));
        answers.push(run.finish());
        answers.into_iter().collect()
    }
}
