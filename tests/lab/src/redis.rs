//! A redis-server of one's own: as many as a test wants, each on a free port, gone with the handle.
//!
//! The test's own process starts it, in a [`Run`] of its own, so that no test waits for another's server. Should that process be
//! killed, the holder learns it by the end of file on its standard input and ends what is left (see [`crate::run::sweep`]).
//!
//! Beside the users that a test asks for there is always one named `lab`, which may do everything: it is how [`RedisServer::cli`]
//! speaks to a server whose passwords and rules the test has made as strange as it likes.

pub mod monitor;
pub mod sentinel;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use crate::cluster::pki::Pki;
use crate::failure::Result;
use crate::need::{self, Need, need};
use crate::ports;
use crate::process::{Process, Start};
use crate::run::Run;
pub use monitor::Recording;
pub use sentinel::Sentinels;

/// Beside a compiler even a server that starts in milliseconds takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
const NEEDS: [Need; 2] = [need("redis-server", "redis-server"), need("redis-cli", "redis-tools")];
/// The user of the lab's own, and its password.
const LAB: &str = "lab";

/// What a server is to be. The default is what most tests want: no password, no persistence, one port.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// `requirepass`: the password of the default user.
    pub password: Option<String>,
    /// Lines of the ACL, `user reader on >secret ~* -@all +llen`.
    pub acl: Vec<String>,
    /// A Unix socket as well: [`RedisServer::socket`].
    pub socket: bool,
    /// TLS, and nothing else, on its port; the authority is [`RedisServer::ca`], the names are `localhost` and 127.0.0.1.
    pub tls: bool,
    /// 16 when it is not said.
    pub databases: Option<u32>,
    /// `64mb`, and what happens there: `noeviction`, `allkeys-lru`.
    pub maxmemory: Option<(String, String)>,
    /// Further lines of redis.conf; a later one wins.
    pub config: Vec<String>,
}

/// How often a command was called and how long the server worked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandStat {
    pub calls: u64,
    pub usec: u64,
}

/// A running server. Dropping it ends it and deletes its folder.
#[derive(Debug)]
pub struct RedisServer {
    // Fields drop in this order: the process before the folder that it lives in.
    process: Mutex<Process>,
    options: RedisOptions,
    port: u16,
    name: String,
    dir: PathBuf,
    run: Arc<Run>,
}

impl RedisServer {
    /// Starts one in a run of its own and waits until it answers.
    pub fn start(options: RedisOptions) -> Result<Self> {
        Self::start_in(Arc::new(Run::claim()?), "redis", options)
    }

    /// Starts one beside others of the same run, told apart by name.
    pub(crate) fn start_in(run: Arc<Run>, name: &str, options: RedisOptions) -> Result<Self> {
        need::all("a Redis", &NEEDS)?;
        let dir = run.folder(name)?;
        let port = ports::free()?;
        if options.tls {
            let names = ["localhost"];
            Pki::make(&dir.join("tls"))?.server("redis", &names, &[IpAddr::V4(Ipv4Addr::LOCALHOST)])?;
        }
        let config = write_config(&run, name, &dir, port, &options)?;
        let process = Mutex::new(spawn(&run, name, &config)?);
        let server = Self { process, options, port, name: name.to_owned(), dir, run };
        server.await_ready()?;
        Ok(server)
    }

    /// What an application's configuration would hold, for database 0: `redis://:password@127.0.0.1:port/0`.
    pub fn url(&self) -> String {
        self.url_of(0)
    }

    /// The same for another database.
    pub fn url_of(&self, database: u32) -> String {
        let password = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        self.url_as(&password, database)
    }

    /// The same for a user of the ACL.
    pub fn url_for(&self, user: &str, password: &str, database: u32) -> String {
        self.url_as(&format!("{user}:{password}@"), database)
    }

    fn url_as(&self, who: &str, database: u32) -> String {
        let address = format!("{who}127.0.0.1:{}/{database}", self.port);
        match self.ca() {
            Some(ca) => format!("rediss://{address}?ssl_cert_reqs=required&ssl_ca_certs={}", ca.display()),
            None => format!("redis://{address}"),
        }
    }

    /// In Celery's form, `redis+socket:///path?virtual_host=0`; for a server that was asked to have a socket.
    pub fn socket_url(&self, database: u32) -> String {
        let password = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis+socket://{password}{}?virtual_host={database}", self.socket().display())
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("redis.sock")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate of the authority that signed the server's, as a file.
    pub fn ca(&self) -> Option<PathBuf> {
        self.options.tls.then(|| self.dir.join("tls/ca.pem"))
    }

    /// The server's own folder: `dump.rdb` lies there.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What redis-cli prints for a command, without the last line break; raw, as into a pipe.
    ///
    /// # Panics
    /// When the server answers with an error.
    #[track_caller]
    pub fn cli<S: AsRef<str>>(&self, words: &[S]) -> String {
        self.try_cli(words).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The same for one that may fail.
    pub fn try_cli<S: AsRef<str>>(&self, words: &[S]) -> Result<String> {
        let mut out = self.command().arg("-e").args(words.iter().map(|word| word.as_ref())).output()?;
        while out.ends_with('\n') {
            out.pop();
        }
        Ok(out)
    }

    /// Sends commands in Redis' own protocol (see [`resp`]) through `redis-cli --pipe`; returns when all are answered.
    pub fn pipe(&self, commands: Vec<u8>) -> Result<()> {
        self.command().arg("--pipe").input(commands).output().map(drop)
    }

    /// redis-cli as the lab's own user, ready for its words.
    pub fn command(&self) -> Start {
        let start = Start::new("redis-cli", "redis-cli").env("REDISCLI_AUTH", LAB).args(["--user", LAB, "--no-auth-warning"]);
        match self.ca() {
            Some(ca) => start.args(["-h", "localhost", "-p", &self.port.to_string(), "--tls", "--cacert"]).arg(ca),
            None => start.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]),
        }
    }

    pub fn pid(&self) -> i32 {
        self.process().pid()
    }

    /// SIGSTOP: connections stay open, and nobody answers.
    pub fn stop(&self) -> Result<()> {
        self.process().signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn cont(&self) -> Result<()> {
        self.process().signal(Signal::CONT)
    }

    /// SIGKILL: connections are reset, and nobody listens.
    pub fn kill(&self) -> Result<()> {
        self.process().kill()
    }

    /// Ends it, if it runs, and starts it again on the same port. Only what it has saved is still there.
    pub fn restart(&self) -> Result<()> {
        self.restart_unready()?;
        self.await_ready()
    }

    /// The same without waiting: a server with much to read answers LOADING for a while.
    pub fn restart_unready(&self) -> Result<()> {
        let mut process = self.process();
        process.stop(Duration::from_secs(10))?;
        *process = spawn(&self.run, &self.name, &self.dir.join("redis.conf"))?;
        Ok(())
    }

    /// Records every command that the server is given from now on.
    pub fn monitor(&self) -> Result<Recording<'_>> {
        Recording::start(self)
    }

    /// By command, in small letters (`config|get`), since the start or [`RedisServer::reset_stats`].
    pub fn commandstats(&self) -> BTreeMap<String, CommandStat> {
        let info = self.cli(&["INFO", "commandstats"]);
        let lines = info.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'));
        lines
            .filter_map(|(name, figures)| {
                let figure =
                    |name: &str| figures.split(',').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('=')?.parse().ok());
                Some((name.to_owned(), CommandStat { calls: figure("calls")?, usec: figure("usec")? }))
            })
            .collect()
    }

    /// One figure of INFO: `total_net_output_bytes`.
    pub fn info(&self, name: &str) -> Option<String> {
        let info = self.cli(&["INFO", "everything"]);
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    }

    /// Counts from nought again, everything that INFO counts.
    pub fn reset_stats(&self) {
        self.cli(&["CONFIG", "RESETSTAT"]);
    }

    pub fn await_ready(&self) -> Result<()> {
        self.process().wait_ready(PATIENCE, || match self.try_cli(&["PING"]) {
            Ok(answer) if answer == "PONG" => Ok(()),
            Ok(answer) => Err(answer),
            Err(failure) => Err(failure.to_string()),
        })
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command in Redis' own protocol.
pub fn resp<S: AsRef<[u8]>>(words: &[S]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn spawn(run: &Run, name: &str, config: &Path) -> Result<Process> {
    Start::new(name, need::program("redis-server")?).arg(config).spawn(run)
}

/// Passwords go into a file that only we may read, never into a list of arguments.
fn write_config(run: &Run, name: &str, dir: &Path, port: u16, options: &RedisOptions) -> Result<PathBuf> {
    let mut lines = vec![
        "bind 127.0.0.1".to_owned(),
        "save \"\"".to_owned(),
        "appendonly no".to_owned(),
        "daemonize no".to_owned(),
        format!("dir {}", dir.display()),
        format!("user {LAB} on >{LAB} ~* &* +@all"),
    ];
    if options.tls {
        lines.extend(["port 0".to_owned(), format!("tls-port {port}"), "tls-auth-clients no".to_owned()]);
        for (key, file) in [("tls-cert-file", "redis.pem"), ("tls-key-file", "redis.key"), ("tls-ca-cert-file", "ca.pem")] {
            lines.push(format!("{key} {}", dir.join("tls").join(file).display()));
        }
    } else {
        lines.push(format!("port {port}"));
    }
    lines.extend(options.password.iter().map(|password| format!("requirepass {password}")));
    lines.extend(options.acl.iter().cloned());
    if options.socket {
        lines.push(format!("unixsocket {}", dir.join("redis.sock").display()));
    }
    lines.extend(options.databases.iter().map(|databases| format!("databases {databases}")));
    if let Some((size, policy)) = &options.maxmemory {
        lines.extend([format!("maxmemory {size}"), format!("maxmemory-policy {policy}")]);
    }
    lines.extend(options.config.iter().cloned());
    run.write_secret(&format!("{name}/redis.conf"), lines.join("\n") + "\n")
}
