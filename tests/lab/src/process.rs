//! Starting, awaiting and stopping the processes of real servers.
//!
//! Each gets a process group of its own, a log file in the run's folder and a record there, so that it ends with the run
//! even when the program that started it is killed. Processes are only ever signalled by their own number.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::failure::{Doing, Failure, Result};
use crate::run::{Leftover, Run};
use crate::{need, wait};

/// How long a server may take to end by itself when its handle is dropped.
const GRACE: Duration = Duration::from_secs(3);

/// A process about to be started.
#[derive(Clone, Debug)]
pub struct Start {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    clear: bool,
    folder: Option<PathBuf>,
    user: Option<String>,
    enter: Vec<OsString>,
    piped: bool,
    input: Option<Vec<u8>>,
}

impl Start {
    /// `name` is what messages and the log file call it; `program` is a path or a bare name.
    pub fn new(name: impl Into<String>, program: impl Into<OsString>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            clear: false,
            folder: None,
            user: None,
            enter: Vec::new(),
            piped: false,
            input: None,
        }
    }

    /// Another name for messages and the log file.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The same with another word in place of this one.
    #[must_use]
    pub fn replaced(mut self, word: &str, by: &str) -> Self {
        for argument in self.arguments.iter_mut().filter(|argument| *argument == word) {
            *argument = by.into();
        }
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Nothing of our own environment but PATH.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.clear = true;
        self
    }

    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Runs it as this user of /etc/passwd (PostgreSQL refuses to run as root).
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into());
        self
    }

    /// Runs it in a named network namespace, with `nsenter`: `ip netns exec` would remount /sys and hide the control groups.
    #[must_use]
    pub fn netns(self, name: &str) -> Self {
        self.enter([format!("--net=/run/netns/{name}")])
    }

    /// Runs it under `nsenter` with these options.
    #[must_use]
    pub fn enter<S: Into<OsString>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.enter.extend(options.into_iter().map(Into::into));
        self
    }

    /// Gives it a pipe as its standard input, held by the handle: a program that watches it learns that we died.
    #[must_use]
    pub fn piped(mut self) -> Self {
        self.piped = true;
        self
    }

    /// What [`Start::output`] writes to its standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// A child that is in nobody's records, with pipes to its standard input, output and error, for a test that talks to it.
    pub fn child(&self) -> Result<Child> {
        self.command()?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .doing(|| format!("starting {}", self.name))
    }

    pub fn spawn(self, run: &Run) -> Result<Process> {
        let log = run.folder("logs")?.join(format!("{}.log", self.name));
        let file = OpenOptions::new().create(true).append(true).open(&log).doing(|| format!("opening {}", log.display()))?;
        let errors = file.try_clone().doing(|| format!("opening {}", log.display()))?;
        let mut command = self.command()?;
        command.stdin(if self.piped { Stdio::piped() } else { Stdio::null() }).stdout(file).stderr(errors).process_group(0);
        let mut child = command.spawn().doing(|| format!("starting {} ({})", self.name, self.program.display()))?;
        let group = i32::try_from(child.id()).doing(|| "reading a process number")?;
        let start = start_time(group).unwrap_or_default();
        run.record(&Leftover::Process { pid: group, start })?;
        let stdin = child.stdin.take();
        Ok(Process { name: self.name, log, child, group, stdin, ended: false })
    }

    /// Runs it to its end and hands out what it printed; a bad exit status is a failure that quotes its errors.
    pub fn output(&self) -> Result<String> {
        let output = self.collect()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!("{} ended with {}: {}", self.name, output.status, errors.trim())))
    }

    /// Runs it to its end: the exit status, and what it printed.
    pub fn ended(&self) -> Result<(i32, String)> {
        let output = self.collect()?;
        let status = output.status.code().ok_or_else(|| Failure::new(format!("{} ended with {}", self.name, output.status)))?;
        Ok((status, String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    fn collect(&self) -> Result<Output> {
        let Some(input) = self.input.clone() else {
            return self.command()?.stdin(Stdio::null()).output().doing(|| format!("running {}", self.name));
        };
        let mut child = self.child()?;
        let stdin = child.stdin.take();
        // On a thread of its own: it may answer before it has read everything. It may also close early, which its status explains.
        let writer = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let output = child.wait_with_output().doing(|| format!("running {}", self.name));
        let _ = writer.join();
        output
    }

    fn command(&self) -> Result<Command> {
        let mut command = if self.enter.is_empty() {
            Command::new(&self.program)
        } else {
            let mut command = Command::new(need::program("nsenter")?);
            command.args(&self.enter).arg("--").arg(&self.program);
            command
        };
        command.args(&self.arguments);
        if self.clear {
            command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(user) = &self.user {
            let (uid, gid) = ids(user)?;
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    group: i32,
    stdin: Option<ChildStdin>,
    ended: bool,
}

impl Process {
    pub fn pid(&self) -> i32 {
        self.group
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How many bytes it has written; a later process of the same name writes behind them.
    pub fn log_length(&self) -> usize {
        fs::metadata(&self.log).map_or(0, |file| usize::try_from(file.len()).unwrap_or(usize::MAX))
    }

    /// The end of its log, for messages.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    pub fn is_alive(&mut self) -> bool {
        !self.ended && matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until `ready` answers `Ok`. Fails at the deadline, or as soon as the process has ended, with its last words.
    pub fn wait_ready(&mut self, deadline: Duration, mut ready: impl FnMut() -> std::result::Result<(), String>) -> Result<()> {
        let mut dead = None;
        let answer = wait::poll(deadline, || {
            if !self.is_alive() {
                dead = self.child.try_wait().ok().flatten();
                return Ok(false);
            }
            ready().map(|()| true)
        });
        match answer {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(format!(
                "{} ended before it was ready ({}); the end of {}:\n{}",
                self.name,
                dead.map_or_else(|| "stopped".to_owned(), |status| status.to_string()),
                self.log.display(),
                self.log_tail()
            ))),
            Err(last) => {
                Err(Failure::new(format!("{} is not ready {last}; the end of {}:\n{}", self.name, self.log.display(), self.log_tail())))
            }
        }
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self, deadline: Duration) -> Result<()> {
        wait::poll(deadline, || if self.is_alive() { Err(format!("{} is still running", self.name)) } else { Ok(()) })?;
        self.ended = true;
        Ok(())
    }

    /// A signal to its whole process group.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        rustix::process::kill_process_group(group(self.group)?, signal).doing(|| format!("sending {signal:?} to {}", self.name))
    }

    /// SIGTERM to the first process alone, as a container's runtime does: what it does about its children is its own matter.
    pub fn end(&mut self, deadline: Duration) -> Result<()> {
        let first = Pid::from_raw(self.group).ok_or_else(|| Failure::new("a process without a number"))?;
        rustix::process::kill_process(first, Signal::TERM).doing(|| format!("ending {}", self.name))?;
        self.wait(deadline)
    }

    /// SIGKILL to its whole process group, which is gone afterwards.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.stop(Duration::ZERO)
    }

    /// SIGTERM to its process group, then SIGKILL after the grace period; returns when the whole group is gone.
    pub fn stop(&mut self, grace: Duration) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        drop(self.stdin.take());
        let group = group(self.group)?;
        // One that a test has stopped would hear the signal when it is woken only.
        let _ = rustix::process::kill_process_group(group, Signal::CONT);
        for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, Duration::from_secs(10))] {
            // It may have ended by itself; what counts is that the group is empty afterwards.
            let _ = rustix::process::kill_process_group(group, signal);
            let empty = wait::poll(patience, || {
                let _ = self.child.try_wait();
                empty(group)
            });
            if empty.is_ok() {
                self.ended = true;
                return Ok(());
            }
        }
        Err(Failure::new(format!("{} (process group {}) survived SIGKILL", self.name, self.group)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(failure) = self.stop(GRACE) {
            eprintln!("lab: {failure}");
        }
    }
}

/// When a process was started, in clock ticks since boot: with its number it is unique. None if there is none.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets and may hold anything; the third follows the last bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next() == Some("Z") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Ends a process group that is not a child of ours.
pub(crate) fn end_group(pid: i32, grace: Duration) -> Result<()> {
    let group = group(pid)?;
    for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, Duration::from_secs(10))] {
        let _ = rustix::process::kill_process_group(group, signal);
        if wait::poll(patience, || empty(group)).is_ok() {
            return Ok(());
        }
    }
    Err(Failure::new(format!("process group {pid} survived SIGKILL")))
}

/// Runs a short command to its end.
pub fn run(words: &[&str]) -> Result<String> {
    let (program, arguments) = words.split_first().ok_or_else(|| Failure::new("an empty command"))?;
    Start::new(words.join(" "), need::program(program)?).args(arguments).output()
}

fn group(pid: i32) -> Result<Pid> {
    // Number 1 as a group would mean every process on the machine.
    Pid::from_raw(pid).filter(|_| pid > 1).ok_or_else(|| Failure::new(format!("{pid} is not the number of a process of ours")))
}

/// Whether nobody of the group runs any more. A zombie, which waits for its parent to notice, does not count.
fn empty(group: Pid) -> std::result::Result<(), String> {
    if rustix::process::test_kill_process_group(group) == Err(rustix::io::Errno::SRCH) {
        return Ok(());
    }
    let number = group.as_raw_nonzero().to_string();
    let runs = fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        fields.next().is_some_and(|state| state != "Z") && fields.nth(1) == Some(&number)
    });
    if runs { Err("it is still there".to_owned()) } else { Ok(()) }
}

fn ids(user: &str) -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").doing(|| "reading /etc/passwd")?;
    users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&user))
        .and_then(|fields| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))
        .ok_or_else(|| Failure::new(format!("this machine has no user {user}: run `make setup`")))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Start, start_time};
    use crate::run::Run;

    #[test]
    fn a_server_is_awaited_and_stopped_with_its_children() {
        let run = Run::claim().unwrap();
        let mut server = Start::new("server", "sh")
            .args(["-c", "sleep 300 & echo $! > child; touch ready; wait"])
            .folder(run.dir())
            .spawn(&run)
            .unwrap();
        let ready = run.dir().join("ready");
        server.wait_ready(Duration::from_secs(5), || if ready.exists() { Ok(()) } else { Err("not yet".into()) }).unwrap();
        let child: i32 = std::fs::read_to_string(run.dir().join("child")).unwrap().trim().parse().unwrap();
        assert!(start_time(child).is_some());
        server.stop(Duration::from_secs(2)).unwrap();
        assert_eq!(start_time(child), None);
        assert!(!server.is_alive());
    }

    #[test]
    fn one_that_ignores_sigterm_is_killed() {
        let run = Run::claim().unwrap();
        let mut server = Start::new("deaf", "sh")
            .args(["-c", "trap '' TERM; touch ready; while :; do sleep 0.1; done"])
            .folder(run.dir())
            .spawn(&run)
            .unwrap();
        let ready = run.dir().join("ready");
        server.wait_ready(Duration::from_secs(5), || if ready.exists() { Ok(()) } else { Err("not yet".into()) }).unwrap();
        let begun = Instant::now();
        server.stop(Duration::from_millis(300)).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn one_that_dies_early_says_its_last_words() {
        let run = Run::claim().unwrap();
        let mut server = Start::new("short", "sh").args(["-c", "echo cannot bind >&2; exit 3"]).spawn(&run).unwrap();
        let failure = server.wait_ready(Duration::from_secs(5), || Err("no answer".into())).unwrap_err().to_string();
        assert!(failure.contains("short ended before it was ready (exit status: 3)"), "{failure}");
        assert!(failure.contains("cannot bind"), "{failure}");
    }

    #[test]
    fn the_next_run_ends_what_a_dead_one_left() {
        let run = Run::claim().unwrap();
        let server = Start::new("orphan", "sleep").arg("300").spawn(&run).unwrap();
        let pid = server.pid();
        std::mem::forget(server);
        // The records say enough: cleaning needs no handle.
        run.finish().unwrap();
        assert_eq!(start_time(pid), None);
    }

    #[test]
    fn a_process_number_alone_is_not_trusted() {
        assert!(start_time(i32::try_from(std::process::id()).unwrap()).is_some());
        assert!(super::end_group(1, Duration::ZERO).is_err());
    }
}
