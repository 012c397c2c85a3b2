//! The sandbox as local processes on free ports, each with a log file of its own. Needs no root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::description::{Description, Part, Ready, Values, Where, fill};
use super::parts::{PGBIN, Parts, postgres_user};
use super::traffic::{Seeds, Target, Traffic};
use super::{Profile, config, front};
use crate::failure::{Doing, Failure, Result};
use crate::ports;
use crate::postgres::binaries::own;
use crate::process::{Process, Start};
use crate::run::Run;

/// Alone on two cores the slowest part needs some five seconds; beside a compiler it needs many more.
const PATIENCE: Duration = Duration::from_secs(180);
/// A worker in the middle of a long task would wait for its end.
const GRACE: Duration = Duration::from_secs(2);

/// What one needs to know of a running sandbox; the holder's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Holds `obsctl.yaml`, `logs/` and `secrets/`.
    pub dir: PathBuf,
    pub profile: Profile,
    /// The log files: the process (`backend-1`) and where its lines are.
    pub logs: Vec<(String, PathBuf)>,
    /// Base URLs of the web processes.
    pub urls: Vec<String>,
    /// An `obsctl.yaml` for it.
    pub config: PathBuf,
    /// By process (`postgres-1`, `redis-1`).
    pub ports: BTreeMap<String, u16>,
    pub target: Target,
}

/// The sandbox in a test's hands.
#[derive(Debug)]
pub struct LocalSandbox {
    info: Info,
    traffic: Traffic,
}

impl LocalSandbox {
    pub fn new(info: Info) -> Self {
        // Beside the sandbox itself, so that tests of several processes do not plant the same IDs.
        let traffic = Traffic::new(info.target.clone(), Seeds::File(info.dir.join("seed")));
        Self { info, traffic }
    }

    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Where a secret of production.json lies as a file.
    pub fn secret(&self, secret: &str, key: &str) -> PathBuf {
        self.info.dir.join("secrets").join(secret).join(key)
    }
}

impl Deref for LocalSandbox {
    type Target = Info;

    fn deref(&self) -> &Info {
        &self.info
    }
}

/// The running processes, in the holder. Dropping them ends them and deletes their folder.
#[derive(Debug)]
pub struct Processes {
    info: Info,
    processes: Vec<Process>,
    /// How each was started, and those that were not, by name.
    programs: BTreeMap<String, Prepared>,
    /// How often a worker was replaced by a new one.
    restarts: usize,
    /// Those that a test has killed: nobody complains about them.
    killed: BTreeSet<String>,
    /// How many of the first are needed by the others.
    servers: usize,
    run: Run,
}

impl Processes {
    /// Starts them in a run of their own; `holder` is the socket of the process that does so.
    pub fn start(profile: Profile, holder: &Path) -> Result<Self> {
        let run = Run::claim()?;
        let description = Description::read()?;
        let parts = Parts::ready(&run, &description)?;
        let plan = Plan::make(&run, &description, &parts, profile)?;
        let secrets = write_secrets(&run, &description, &plan.values)?;
        let mut processes = Vec::new();
        if let Err(failure) = plan.start(&run, &parts, &mut processes) {
            stop(&mut processes, plan.servers());
            return Err(failure);
        }
        let prepared = plan.prepare()?;
        let web = plan.programs.iter().filter(|program| program.part.name == "backend");
        let urls: Vec<String> = web.map(|program| format!("http://127.0.0.1:{}", program.port)).collect();
        let named = plan.programs.iter().zip(&processes);
        let info = Info {
            dir: run.dir().to_owned(),
            profile,
            logs: named.map(|(program, process)| (program.name.clone(), process.log().to_owned())).collect(),
            config: run.write("obsctl.yaml", config::local(&run.dir().join("logs"), &urls, &secrets))?,
            ports: plan
                .programs
                .iter()
                .chain(&plan.idle)
                .filter(|program| program.port > 0)
                .map(|program| (program.name.clone(), program.port))
                .collect(),
            target: Target::Local { python: parts.python.clone(), urls: urls.clone(), secrets, holder: holder.to_owned(), profile },
            urls,
        };
        Ok(Self { info, servers: plan.servers(), processes, programs: prepared, restarts: 0, killed: BTreeSet::new(), run })
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Fails if one of them has ended, with its last words.
    pub fn check(&mut self) -> Result<()> {
        for process in &mut self.processes {
            if !self.killed.contains(process.name()) && !process.is_alive() {
                return Err(Failure::new(format!("a process has ended; the end of {}:\n{}", process.log().display(), process.log_tail())));
            }
        }
        Ok(())
    }

    /// SIGKILL for one and its children.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let process = self.processes.iter_mut().find(|process| process.name() == name);
        let process = process.ok_or_else(|| Failure::new(format!("the sandbox has no process {name}")))?;
        self.killed.insert(name.to_owned());
        if process.is_alive() { process.kill() } else { Ok(()) }
    }

    /// Replaces a worker as a deployment does: the new one is ready, under a name of its own, before the old one is ended in order, with
    /// patience for its running task.
    pub fn restart(&mut self, name: &str) -> Result<()> {
        let program = self.programs.get(name).ok_or_else(|| Failure::new(format!("production.json has no process {name}")))?;
        let process = self.processes.iter_mut().find(|process| process.name() == name);
        let process = process.ok_or_else(|| Failure::new(format!("the sandbox has no process {name}")))?;
        let (worker, next) = (format!("{name}@%h"), format!("{name}-{}@%h", self.restarts + 1));
        let mut new = program.start.clone().replaced(&worker, &next).spawn(&self.run)?;
        wait_ready(program.ready.as_ref(), program.port, process.log_length(), &mut new)?;
        self.restarts += 1;
        std::mem::swap(process, &mut new);
        new.end(PATIENCE)
    }

    /// Starts one that was killed, or one that does not run by itself, and waits until it is ready.
    pub fn revive(&mut self, name: &str) -> Result<()> {
        let program = self.programs.get(name).ok_or_else(|| Failure::new(format!("production.json has no process {name}")))?;
        let at = self.processes.iter().position(|process| process.name() == name);
        if at.and_then(|at| self.processes.get_mut(at)).is_some_and(Process::is_alive) {
            return Ok(());
        }
        let begun = at.and_then(|at| self.processes.get(at)).map_or(0, Process::log_length);
        let mut process = program.start.clone().spawn(&self.run)?;
        wait_ready(program.ready.as_ref(), program.port, begun, &mut process)?;
        self.killed.remove(name);
        match at.and_then(|at| self.processes.get_mut(at)) {
            Some(dead) => *dead = process,
            None => self.processes.push(process),
        }
        Ok(())
    }

    /// Ends them and says what could not be cleaned.
    pub fn finish(self) -> Result<()> {
        let Self { mut processes, servers, run, .. } = self;
        stop(&mut processes, servers);
        run.finish()
    }
}

/// All at once: one after the other, their grace would add up. What the others need goes last.
fn stop(processes: &mut [Process], servers: usize) {
    let (servers, clients) = processes.split_at_mut(processes.len().min(servers));
    for group in [clients, servers] {
        thread::scope(|scope| {
            for process in group {
                scope.spawn(|| {
                    if let Err(failure) = process.stop(GRACE) {
                        eprintln!("lab: {failure}");
                    }
                });
            }
        });
    }
}

/// One process to be started.
struct Program<'a> {
    part: &'a Part,
    name: String,
    port: u16,
}

/// How one is started at any time.
#[derive(Debug)]
struct Prepared {
    start: Start,
    ready: Option<Ready>,
    port: u16,
}

struct Plan<'a> {
    /// Those that the description has none of run when somebody asks for them.
    idle: Vec<Program<'a>>,
    dir: PathBuf,
    programs: Vec<Program<'a>>,
    values: Values,
    variables: BTreeMap<String, Values>,
}

impl<'a> Plan<'a> {
    fn make(run: &Run, description: &'a Description, parts: &Parts, profile: Profile) -> Result<Self> {
        let mut values = description.passwords.clone();
        values.extend(front::values()?);
        let mut know = |name: &str, value: String| values.insert(name.to_owned(), value);
        know("python", parts.python.display().to_string());
        know("sandbox", super::sources().display().to_string());
        know("pgbin", PGBIN.to_owned());
        know("profile", profile.to_string());
        know("release", description.release.clone());
        know("hosts", ",127.0.0.1,localhost".to_owned());
        know("bind", "127.0.0.1".to_owned());
        know("data", run.dir().join("postgres").display().to_string());
        let (mut programs, mut idle) = (Vec::new(), Vec::new());
        for part in description.parts(Where::Local) {
            for number in 1..=part.replicas {
                let port = if part.port.is_some() { ports::free()? } else { 0 };
                know(&part.name, format!("127.0.0.1:{port}"));
                know(&format!("{}.host", part.name), "127.0.0.1".to_owned());
                know(&format!("{}.port", part.name), port.to_string());
                programs.push(Program { part, name: format!("{}-{number}", part.name), port });
            }
            if part.replicas == 0 {
                let port = if part.port.is_some() { ports::free()? } else { 0 };
                if part.scratch {
                    run.folder(&part.name)?;
                }
                idle.push(Program { part, name: format!("{}-1", part.name), port });
            }
        }
        let mut variables = BTreeMap::new();
        for part in description.parts(Where::Local) {
            let filled: Result<Values> =
                description.variables(part)?.into_iter().map(|(name, value)| Ok((name, fill(&value, &values)?))).collect();
            variables.insert(part.name.clone(), filled?);
        }
        Ok(Self { dir: run.dir().to_owned(), idle, programs, values, variables })
    }

    fn servers(&self) -> usize {
        self.programs.iter().take_while(|program| program.part.needs.is_empty()).count()
    }

    /// In the order of the description; whatever is not needed by another comes up at the same time as its neighbours.
    fn start(&self, run: &Run, parts: &Parts, processes: &mut Vec<Process>) -> Result<()> {
        let mut ready = vec![false; self.programs.len()];
        for (at, program) in self.programs.iter().enumerate() {
            for (before, other) in self.programs[..at].iter().enumerate() {
                if program.part.needs.contains(&other.part.name) && !ready[before] {
                    wait_ready(other.part.ready.as_ref(), other.port, 0, &mut processes[before])?;
                    ready[before] = true;
                }
            }
            if program.part.data {
                parts.copy_data(&run.dir().join(&program.part.name))?;
            }
            if program.part.scratch {
                own(&run.folder(&program.part.name)?)?;
            }
            processes.push(self.command(program)?.spawn(run)?);
        }
        for (at, program) in self.programs.iter().enumerate().filter(|(at, _)| !ready[*at]) {
            wait_ready(program.part.ready.as_ref(), program.port, 0, &mut processes[at])?;
        }
        Ok(())
    }

    fn prepare(&self) -> Result<BTreeMap<String, Prepared>> {
        let all = self.programs.iter().chain(&self.idle);
        all.map(|program| {
            let prepared = Prepared { start: self.command(program)?, ready: program.part.ready.clone(), port: program.port };
            Ok((program.name.clone(), prepared))
        })
        .collect()
    }

    fn command(&self, program: &Program<'_>) -> Result<Start> {
        let mut values = self.values.clone();
        values.insert("port".to_owned(), program.port.to_string());
        values.insert("scratch".to_owned(), self.dir.join(&program.part.name).display().to_string());
        values.insert("worker".to_owned(), format!("{}@%h", program.name));
        let words: Result<Vec<String>> = program.part.command.iter().map(|word| fill(word, &values)).collect();
        let words = words?;
        let (command, arguments) = words.split_first().ok_or_else(|| Failure::new(format!("{} has no command", program.name)))?;
        let mut start = Start::new(&program.name, command).args(arguments).clear_env().folder(super::sources().join("shop"));
        for (name, value) in self.variables.get(&program.part.name).into_iter().flatten() {
            start = start.env(name, value);
        }
        if program.part.user.is_some()
            && let Some(user) = postgres_user()
        {
            // The repository may lie where only we can go.
            start = start.user(user).folder("/");
        }
        Ok(start)
    }
}

/// What its log says counts from the byte `begun` on: before that are the words of one that is dead.
fn wait_ready(ready: Option<&Ready>, port: u16, begun: usize, process: &mut Process) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let log = process.log().to_owned();
    match ready {
        None => Ok(()),
        Some(Ready::Tcp | Ready::Https(_)) => {
            process.wait_ready(PATIENCE, || if ports::answers(address) { Ok(()) } else { Err("nobody listens".into()) })
        }
        Some(Ready::Http(path)) => process.wait_ready(PATIENCE, || get(address, path)),
        Some(Ready::Log(words)) => process.wait_ready(PATIENCE, || {
            let text = fs::read(&log).unwrap_or_default();
            let new = text.get(begun..).unwrap_or_default();
            if String::from_utf8_lossy(new).contains(words.as_str()) { Ok(()) } else { Err(format!("its log has no {words:?}")) }
        }),
    }
}

/// Asks as the proxy before the shop would.
fn get(address: SocketAddr, path: &str) -> std::result::Result<(), String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok(answer) if answer.split(char::is_whitespace).nth(1) == Some("200") => Ok(()),
        Ok(answer) => Err(answer.lines().next().unwrap_or("an empty answer").to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Each key is a file: `secrets/DATABASE_URL` for the application's own, `secrets/<secret>/<key>` for all.
fn write_secrets(run: &Run, description: &Description, values: &Values) -> Result<PathBuf> {
    let folder = run.folder("secrets")?;
    for (secret, keys) in &description.secrets {
        for (key, value) in keys {
            let value = fill(value, values)?;
            run.folder(&format!("secrets/{secret}"))?;
            write_private(&folder.join(secret).join(key), &value)?;
            if secret == "backend-env" {
                write_private(&folder.join(key), &value)?;
            }
        }
    }
    Ok(folder)
}

fn write_private(path: &Path, content: &str) -> Result<()> {
    let file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes())).doing(|| format!("writing {}", path.display()))
}
