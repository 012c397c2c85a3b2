//! A PostgreSQL server of one's own: any version from 14 to 18, on a free port, gone with the handle.
//!
//! As with [`crate::redis`] the test's own process starts it, in a [`Run`] of its own. Its log holds every statement that it was
//! given (`log_statement = all`), which is how a test shows what was sent and what was not. The lab itself speaks to it over the Unix
//! socket, where everybody is trusted; over TCP the superuser is trusted too and everybody else needs a password.

pub mod binaries;
pub mod bouncer;
pub mod replica;
pub mod session;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::cluster::pki::Pki;
use crate::failure::{Doing, Failure, Result};
use crate::process::{Process, Start};
use crate::run::Run;
use crate::{ports, wait};
pub use binaries::Major;
pub use bouncer::PgBouncer;
pub use session::PgSession;

const PATIENCE: Duration = Duration::from_secs(60);
/// What a test may rely on; its own lines come later and win. Nothing is flushed to disk: the data is gone in a minute anyway.
const SETTINGS: &str = "
fsync = off
shared_buffers = 16MB
max_connections = 40
max_prepared_transactions = 5
wal_level = replica
wal_keep_size = 64MB
hot_standby = on
autovacuum = off
jit = off
track_io_timing = on
shared_preload_libraries = 'pg_stat_statements'
password_encryption = 'scram-sha-256'
log_statement = all
log_line_prefix = '%m [%p] %q%u@%d %a: '
logging_collector = off
timezone = UTC
log_timezone = UTC
lc_messages = C
";

/// What a server is to be beside its version.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Further lines of postgresql.conf.
    pub config: Vec<String>,
    /// Lines of pg_hba.conf before the lab's own: `hostssl all certified 127.0.0.1/32 cert`.
    pub hba: Vec<String>,
    /// TLS with a certificate for `localhost` and 127.0.0.1; the authority is [`PostgresServer::ca`]. Without TLS nobody gets in.
    pub tls: bool,
}

/// A running server. Dropping it ends it and deletes its folder.
#[derive(Debug)]
pub struct PostgresServer {
    // Fields drop in this order: the process before the folder that it lives in.
    process: Mutex<Process>,
    version: Major,
    bin: PathBuf,
    name: String,
    port: u16,
    dir: PathBuf,
    tls: bool,
    made: AtomicUsize,
    run: Arc<Run>,
}

impl PostgresServer {
    /// Starts one in a run of its own and waits until it answers.
    pub fn start(version: Major, options: &PostgresOptions) -> Result<Self> {
        let run = Arc::new(Run::claim()?);
        let bin = binaries::ready(&run, version)?;
        let dir = run.folder("postgres")?;
        binaries::data(&run, version, &bin, &dir.join("data"))?;
        configure(&dir, options)?;
        Self::open(run, version, bin, "postgres", dir, options.tls)
    }

    /// Starts a server in a folder that has its data.
    fn open(run: Arc<Run>, version: Major, bin: PathBuf, name: &str, dir: PathBuf, tls: bool) -> Result<Self> {
        let port = ports::free()?;
        binaries::own(&dir)?;
        let process = Mutex::new(spawn(&run, name, &bin, &dir, port)?);
        let server = Self { process, version, bin, name: name.to_owned(), port, dir, tls, made: AtomicUsize::new(0), run };
        server.await_ready()?;
        Ok(server)
    }

    /// As the superuser, to the database `postgres`: `postgres://postgres@127.0.0.1:port/postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// As the superuser to another database.
    pub fn url_of(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    /// As a role of [`PostgresServer::role`].
    pub fn url_for(&self, role: &str, password: &str, database: &str) -> String {
        self.url_as(&format!("{role}:{password}"), database)
    }

    fn url_as(&self, who: &str, database: &str) -> String {
        let tls = self.ca().map(|ca| format!("?sslmode=verify-full&sslrootcert={}", ca.display())).unwrap_or_default();
        format!("postgres://{who}@127.0.0.1:{}/{database}{tls}", self.port)
    }

    pub fn version(&self) -> Major {
        self.version
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The folder of its Unix socket, `.s.PGSQL.<port>`, where everybody is trusted.
    pub fn socket_folder(&self) -> &Path {
        &self.dir
    }

    /// The certificate of the authority that signed the server's, as a file.
    pub fn ca(&self) -> Option<PathBuf> {
        self.tls.then(|| self.dir.join("tls/ca.pem"))
    }

    /// A client's certificate and its key, as files, for a server with TLS and a `cert` line in its `hba`.
    pub fn client_certificate(&self, role: &str) -> Result<(PathBuf, PathBuf)> {
        let identity = Pki::open(&self.dir.join("tls")).client(role, None)?;
        let certificate = self.run.write(&format!("clients/{role}.pem"), identity.certificate)?;
        let key = self.run.write_secret(&format!("clients/{role}.key"), identity.key)?;
        Ok((certificate, key))
    }

    /// What psql prints for this SQL as the superuser, unaligned and without headings, without the last line break. Several statements
    /// may follow each other; each commits by itself.
    ///
    /// # Panics
    /// At the first error.
    #[track_caller]
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The same for SQL that may fail.
    pub fn try_psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut out = self.command("postgres", database).args(["-v", "ON_ERROR_STOP=1"]).input(sql).output()?;
        while out.ends_with('\n') {
            out.pop();
        }
        Ok(out)
    }

    /// psql over the Unix socket, ready for its words.
    pub fn command(&self, role: &str, database: &str) -> Start {
        Start::new("psql", "/usr/bin/psql")
            .args(["-XAtq", "-p", &self.port.to_string(), "-U", role, "-d", database, "-h"])
            .arg(&self.dir)
            .env("PGOPTIONS", "")
            .env("PGAPPNAME", "lab")
    }

    /// An open session, for a test that needs somebody who holds a lock.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[track_caller]
    pub fn session(&self, role: &str, database: &str, application: &str) -> PgSession {
        let start = self.command(role, database).env("PGAPPNAME", application);
        PgSession::open(&start).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// A new database, empty or a copy of another one to which nobody is connected: its name.
    pub fn database(&self, template: Option<&str>) -> String {
        let name = format!("lab_{}", self.made.fetch_add(1, Ordering::Relaxed) + 1);
        self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {}", template.unwrap_or("template1")));
        name
    }

    /// A role that may log in with this password; `more` is said to it afterwards: `GRANT pg_monitor TO reader`.
    pub fn role(&self, name: &str, password: &str, more: &str) {
        self.psql("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'; {more}"));
    }

    /// Everything that the server has written to its log.
    pub fn log(&self) -> String {
        let log = self.process().log().to_owned();
        String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
    }

    /// The statements that an application was logged with, in order, by either protocol. A statement of several lines keeps them.
    pub fn statements(&self, application: &str) -> Vec<String> {
        statements(&self.log(), application)
    }

    pub fn pid(&self) -> i32 {
        self.process().pid()
    }

    /// As `pg_terminate_backend` does it: one session ends with an error, the others go on.
    pub fn terminate_backend(&self, pid: i32) {
        assert_eq!(self.psql("postgres", &format!("SELECT pg_terminate_backend({pid})")), "t", "backend {pid} is not there");
    }

    /// SIGKILL to a backend: the server takes all sessions down and recovers.
    pub fn kill_backend(&self, pid: i32) -> Result<()> {
        let pid = Pid::from_raw(pid).filter(|_| pid > 1).ok_or_else(|| Failure::new("a backend without a number"))?;
        rustix::process::kill_process(pid, Signal::KILL).doing(|| "killing a backend")
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

    /// Ends it as `pg_ctl stop -m fast` does, if it runs, and starts it again on the same port.
    pub fn restart(&self) -> Result<()> {
        self.end()?;
        *self.process() = spawn(&self.run, &self.name, &self.bin, &self.dir, self.port)?;
        self.await_ready()
    }

    /// SIGINT: sessions are ended, data is written, nobody listens.
    pub fn end(&self) -> Result<()> {
        let mut process = self.process();
        if process.is_alive() {
            process.signal_first(Signal::INT)?;
            process.wait(PATIENCE)?;
        }
        Ok(())
    }

    pub fn await_ready(&self) -> Result<()> {
        self.process().wait_ready(PATIENCE, || self.try_psql("postgres", "SELECT 1").map(drop).map_err(|failure| failure.to_string()))
    }

    /// Waits until this query answers this, as the superuser.
    #[track_caller]
    pub fn eventually(&self, database: &str, sql: &str, answer: &str) {
        wait::eventually(PATIENCE, || match self.try_psql(database, sql) {
            Ok(got) if got == answer => Ok(()),
            Ok(got) => Err(format!("{sql} answers {got:?}, not {answer:?}")),
            Err(failure) => Err(failure.to_string()),
        });
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(run: &Run, name: &str, bin: &Path, dir: &Path, port: u16) -> Result<Process> {
    binaries::as_postgres(Start::new(name, bin.join("postgres")))
        .args(["-c", "listen_addresses=127.0.0.1", "-p", &port.to_string(), "-k"])
        .arg(dir)
        .arg("-D")
        .arg(dir.join("data"))
        .spawn(run)
}

fn configure(dir: &Path, options: &PostgresOptions) -> Result<()> {
    let data = dir.join("data");
    let mut settings = SETTINGS.to_owned();
    let mut rules = options.hba.clone();
    rules.push("local all,replication all trust".into());
    if options.tls {
        let tls = dir.join("tls");
        let pki = Pki::make(&tls)?;
        pki.server("server", &["localhost"], &[IpAddr::V4(Ipv4Addr::LOCALHOST)])?;
        settings += "ssl = on\n";
        for (key, file) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key"), ("ssl_ca_file", "ca.pem")] {
            settings += &format!("{key} = '{}'\n", tls.join(file).display());
        }
        rules.push("hostnossl all all all reject".into());
    }
    rules.push("host all postgres 127.0.0.1/32 trust".into());
    rules.push("host all,replication all 127.0.0.1/32 scram-sha-256".into());
    let settings = options.config.iter().fold(settings, |settings, line| settings + line + "\n");
    let file = data.join("postgresql.conf");
    let old = fs::read_to_string(&file).doing(|| format!("reading {}", file.display()))?;
    fs::write(&file, old + &settings).doing(|| format!("writing {}", file.display()))?;
    fs::write(data.join("pg_hba.conf"), rules.join("\n") + "\n").doing(|| "writing pg_hba.conf")
}

/// Entries begin with the prefix that [`SETTINGS`] gives them; what follows without one belongs to the entry before.
fn statements(log: &str, application: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut ours = false;
    for line in log.lines() {
        if let Some(rest) = line.strip_prefix('\t') {
            if let (true, Some(last)) = (ours, found.last_mut()) {
                last.push('\n');
                last.push_str(rest);
            }
            continue;
        }
        ours = false;
        let Some((who, said)) = line.split_once(": LOG:  ") else { continue };
        if !who.ends_with(&format!(" {application}")) {
            continue;
        }
        let simple = said.strip_prefix("statement: ");
        let extended = || said.strip_prefix("execute ")?.split_once(": ").map(|(_, statement)| statement);
        if let Some(statement) = simple.or_else(extended) {
            found.push(statement.to_owned());
            ours = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn the_log_says_what_was_sent() {
        let log = "2026-11-21 20:00:00.000 UTC [7] postgres@shop obsctl: LOG:  statement: BEGIN\n\
                   2026-11-21 20:00:00.000 UTC [7] postgres@shop obsctl: LOG:  execute s1: SELECT 1\n\t  FROM a\n\
                   2026-11-21 20:00:00.000 UTC [7] postgres@shop obsctl: DETAIL:  parameters: $1 = 'x'\n\
                   2026-11-21 20:00:00.000 UTC [8] postgres@shop web: LOG:  statement: SELECT 2\n\
                   2026-11-21 20:00:00.000 UTC [1] LOG:  checkpoint starting\n";
        assert_eq!(statements(log, "obsctl"), ["BEGIN", "SELECT 1\n  FROM a"]);
    }
}
