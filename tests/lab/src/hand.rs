//! What a test takes the lab by: one [`Lab`] per test process, started at first use.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::de::DeserializeOwned;

use crate::celery::{Celery, Version};
use crate::cluster::Info;
use crate::cluster::handle::Cluster;
use crate::failure::{Doing, Failure, Result};
use crate::protocol::{Answer, Part, Request};
use crate::redis::{RedisOptions, RedisServer, Sentinels};
use crate::sandbox::{LocalSandbox, Profile};
use crate::warm;

/// A line to the holder. It is asked one thing at a time.
pub struct Line {
    reader: Box<dyn BufRead + Send>,
    writer: Box<dyn Write + Send>,
}

impl Line {
    pub fn new(reader: impl Read + Send + 'static, writer: impl Write + Send + 'static) -> Self {
        Self { reader: Box::new(BufReader::new(reader)), writer: Box::new(writer) }
    }

    pub fn to_socket(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).doing(|| format!("connecting to {}", socket.display()))?;
        let reader = stream.try_clone().doing(|| "opening the line")?;
        Ok(Self::new(reader, stream))
    }

    pub fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T> {
        let mut text = serde_json::to_string(request).doing(|| "writing a request")?;
        text.push('\n');
        self.writer.write_all(text.as_bytes()).and_then(|()| self.writer.flush()).doing(|| "asking the holder")?;
        let mut line = String::new();
        self.reader.read_line(&mut line).doing(|| "hearing the holder")?;
        if line.is_empty() {
            return Err(Failure::new("the holder has ended; its last words are on the standard error"));
        }
        match serde_json::from_str(&line).doing(|| format!("reading the holder's answer {line:?}"))? {
            Answer::Ok(value) => serde_json::from_value(value).doing(|| "reading the holder's answer"),
            Answer::Error(error) => Err(Failure::new(error)),
        }
    }
}

/// The lab of this test process: a holder of its own, or the warm one that `OBSCTL_LAB` names.
///
/// Its line keeps the holder's standard input open until this process ends, in whatever way.
pub struct Lab {
    line: Mutex<Option<Line>>,
    cluster: OnceLock<Info>,
    holder: Mutex<Option<Child>>,
}

/// The one lab of this process. It is never dropped: the end of the process is what ends it.
///
/// # Panics
/// When it cannot be started: a lab that is missing is a failure, never a silent skip.
pub fn get() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| Lab::open().unwrap_or_else(|failure| panic!("the lab cannot be opened: {failure}")))
}

impl Lab {
    fn open() -> Result<Self> {
        if let Some(state) = std::env::var_os("OBSCTL_LAB").filter(|state| !state.is_empty()) {
            return Self::warm(Path::new(&state));
        }
        Self::start()
    }

    /// The warm lab of this state file.
    pub fn warm(state: &Path) -> Result<Self> {
        Ok(Self::new(Line::to_socket(&warm::find(state)?.socket)?, None))
    }

    /// A lab with a holder of its own, whatever `OBSCTL_LAB` says: for tests of the lab itself.
    pub fn start() -> Result<Self> {
        let mut holder = start(&binary()?)?;
        let (Some(stdin), Some(stdout)) = (holder.stdin.take(), holder.stdout.take()) else {
            return Err(Failure::new("the holder has no pipes"));
        };
        Ok(Self::new(Line::new(stdout, stdin), Some(holder)))
    }

    fn new(line: Line, holder: Option<Child>) -> Self {
        Self { line: Mutex::new(Some(line)), cluster: OnceLock::new(), holder: Mutex::new(holder) }
    }

    /// The number of our own holder's process.
    pub fn holder(&self) -> Option<u32> {
        lock(&self.holder).as_ref().map(Child::id)
    }

    /// Hangs up, as the end of this process does, and waits until our own holder has torn everything down.
    pub fn close(&self) -> Result<()> {
        drop(lock(&self.line).take());
        let Some(mut holder) = lock(&self.holder).take() else { return Ok(()) };
        let status = holder.wait().doing(|| "waiting for the holder")?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("the holder ended with {status}"))) }
    }

    /// Asks the holder for anything, and fails the test with its reason.
    ///
    /// # Panics
    /// When the holder answers with an error.
    pub fn ask<T: DeserializeOwned>(&self, request: &Request) -> T {
        self.try_ask(request).unwrap_or_else(|failure| panic!("the lab cannot do {request:?}: {failure}"))
    }

    pub fn try_ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        lock(&self.line).as_mut().ok_or_else(|| Failure::new("the lab is closed"))?.ask(request)
    }

    /// The real Kubernetes, started at first use.
    pub fn cluster(&'static self) -> Cluster {
        Cluster::new(self, self.cluster.get_or_init(|| self.ask(&Request::Need(Part::Cluster))).clone())
    }

    /// The sandbox as local processes with this log profile, started at first use; needs no root.
    pub fn sandbox_local(&self, profile: Profile) -> LocalSandbox {
        LocalSandbox::new(self.ask(&Request::Need(Part::Sandbox(profile))))
    }

    /// A redis-server of one's own, without password and persistence, gone with the handle.
    ///
    /// # Panics
    /// When it does not start.
    pub fn redis(&self) -> RedisServer {
        self.redis_with(RedisOptions::default())
    }

    /// One that is told what to be.
    ///
    /// # Panics
    /// When it does not start.
    pub fn redis_with(&self, options: RedisOptions) -> RedisServer {
        RedisServer::start(options).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// A Celery application on this broker: workers and publishers.
    ///
    /// # Panics
    /// When it has no place on this machine.
    pub fn celery(&self, broker: impl Into<String>, version: Version) -> Celery {
        Celery::new(broker, version).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// A primary, its replica and three sentinels.
    ///
    /// # Panics
    /// When they do not start.
    pub fn sentinels(&self) -> Sentinels {
        Sentinels::start(RedisOptions::default()).unwrap_or_else(|failure| panic!("{failure}"))
    }
}

/// A test that panicked while it asked has had its answer; the next may ask.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a holder of this binary whose life hangs on the pipe that is its standard input.
fn start(binary: &Path) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    Command::new(binary)
        .arg("hold")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C ends the tests; the pipe then ends the holder, after which it must be able to clean.
        .process_group(0)
        .spawn()
        .doing(|| format!("starting {}", binary.display()))
}

/// The lab's binary, built into the target folder in which this test lies.
fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe().doing(|| "finding this test's own binary")?;
    let target = test
        .ancestors()
        .find(|folder| folder.ends_with("debug") || folder.ends_with("release"))
        .and_then(Path::parent)
        .ok_or_else(|| Failure::new(format!("{} does not lie in a target folder", test.display())))?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "lab", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null())
        .output()
        .doing(|| "building the lab")?;
    if !output.status.success() {
        return Err(Failure::new(format!("building the lab: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(target.join("debug/lab"))
}
