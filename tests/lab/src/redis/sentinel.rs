//! Real sentinels: a primary, a replica and those who watch them.
//!
//! A sentinel is a redis-server that is told so; it writes into its own configuration file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{RedisOptions, RedisServer};
use crate::failure::{Doing, Failure, Result};
use crate::process::{Process, Start};
use crate::run::Run;
use crate::{need, ports, wait};

const PATIENCE: Duration = Duration::from_secs(60);
/// Sentinels that agree make a failover.
const SENTINELS: usize = 3;

/// Three sentinels over a primary and its replica. Dropping it ends all of them.
#[derive(Debug)]
pub struct Sentinels {
    watchers: Vec<(u16, Process)>,
    servers: [RedisServer; 2],
    password: Option<String>,
}

impl Sentinels {
    /// The name by which the sentinels know what they watch.
    pub const MASTER: &str = "mymaster";

    /// The servers get these options; the sentinels ask for no password.
    pub fn start(options: RedisOptions) -> Result<Self> {
        let run = Arc::new(Run::claim()?);
        let password = options.password.clone();
        let mut options = options;
        options.config.extend(["replica-announce-ip 127.0.0.1".to_owned(), "repl-diskless-sync-delay 0".to_owned()]);
        options.config.extend(password.iter().map(|password| format!("masterauth {password}")));
        let primary = RedisServer::start_in(Arc::clone(&run), "redis-1", options.clone())?;
        options.config.push(format!("replicaof 127.0.0.1 {}", primary.port()));
        let replica = RedisServer::start_in(Arc::clone(&run), "redis-2", options)?;
        wait::poll(PATIENCE, || if linked(&replica) { Ok(()) } else { Err("the replica has no primary".into()) })?;
        let mut watchers = Vec::new();
        for number in 1..=SENTINELS {
            watchers.push(watcher(&run, number, primary.port(), password.as_deref())?);
        }
        let sentinels = Self { watchers, servers: [primary, replica], password };
        wait::poll(PATIENCE, || sentinels.agreed().map_err(|failure| failure.to_string()))?;
        Ok(sentinels)
    }

    /// As Celery takes it: `sentinel://:password@127.0.0.1:1;sentinel://…/0`, with `master_name` beside it.
    pub fn url(&self) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        let each: Vec<String> = self.watchers.iter().map(|(port, _)| format!("sentinel://{password}127.0.0.1:{port}")).collect();
        each.join(";") + "/0"
    }

    /// The ports of the sentinels.
    pub fn ports(&self) -> Vec<u16> {
        self.watchers.iter().map(|(port, _)| *port).collect()
    }

    /// The server that the sentinels now call the primary.
    ///
    /// # Panics
    /// When the first sentinel does not know.
    pub fn primary(&self) -> &RedisServer {
        let port = self.primary_port().unwrap_or_else(|failure| panic!("{failure}"));
        self.servers.iter().find(|server| server.port() == port).unwrap_or_else(|| panic!("no server of ours has port {port}"))
    }

    /// The one that is not the primary now.
    pub fn replica(&self) -> &RedisServer {
        let [first, second] = &self.servers;
        if self.primary().port() == first.port() { second } else { first }
    }

    /// Both, the one that was the primary at the start first.
    pub fn servers(&self) -> &[RedisServer; 2] {
        &self.servers
    }

    /// Tells the sentinels to fail over, and returns when they and the new primary say so.
    pub fn failover(&self) -> Result<()> {
        let before = self.primary_port()?;
        self.ask(0, &["SENTINEL", "FAILOVER", Self::MASTER])?;
        self.await_other(before)
    }

    /// Kills the primary, and returns when the sentinels have found out and made the replica the primary: some four seconds.
    pub fn kill_primary(&self) -> Result<()> {
        let before = self.primary_port()?;
        self.primary().kill()?;
        self.await_other(before)
    }

    fn await_other(&self, before: u16) -> Result<()> {
        wait::poll(PATIENCE, || {
            for number in 0..self.watchers.len() {
                let port = self.port_by(number).map_err(|failure| failure.to_string())?;
                let new = self.servers.iter().find(|server| server.port() == port && port != before);
                let role = new.map(|server| server.try_cli(&["ROLE"])).transpose().map_err(|failure| failure.to_string())?;
                if !role.is_some_and(|role| role.starts_with("master")) {
                    return Err(format!("sentinel {number} still names {port}"));
                }
            }
            Ok(())
        })
    }

    fn primary_port(&self) -> Result<u16> {
        self.port_by(0)
    }

    fn port_by(&self, sentinel: usize) -> Result<u16> {
        let answer = self.ask(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::MASTER])?;
        let port = answer.lines().nth(1).ok_or_else(|| Failure::new(format!("a sentinel answered {answer:?}")))?;
        port.parse().doing(|| format!("reading {answer:?}"))
    }

    /// Whether every sentinel knows the others and the replica: before that none of them may fail over.
    fn agreed(&self) -> Result<()> {
        for number in 0..self.watchers.len() {
            let answer = self.ask(number, &["SENTINEL", "MASTER", Self::MASTER])?;
            let lines: Vec<&str> = answer.lines().collect();
            let figure = |name: &str| lines.iter().position(|line| *line == name).and_then(|at| lines.get(at + 1)?.parse::<usize>().ok());
            if figure("num-slaves") != Some(1) || figure("num-other-sentinels") != Some(SENTINELS - 1) {
                return Err(Failure::new(format!("sentinel {number} does not know the others")));
            }
        }
        Ok(())
    }

    fn ask(&self, sentinel: usize, words: &[&str]) -> Result<String> {
        let port = self.watchers.get(sentinel).map(|(port, _)| port.to_string()).unwrap_or_default();
        Start::new("redis-cli", "redis-cli").args(["-e", "-h", "127.0.0.1", "-p", &port]).args(words.iter().copied()).output()
    }
}

fn watcher(run: &Run, number: usize, primary: u16, password: Option<&str>) -> Result<(u16, Process)> {
    let port = ports::free()?;
    let name = format!("sentinel-{number}");
    let master = Sentinels::MASTER;
    let mut lines = vec![
        format!("port {port}"),
        "bind 127.0.0.1".to_owned(),
        format!("dir {}", run.folder(&name)?.display()),
        "sentinel announce-ip 127.0.0.1".to_owned(),
        format!("sentinel monitor {master} 127.0.0.1 {primary} 2"),
        format!("sentinel down-after-milliseconds {master} 2000"),
        format!("sentinel failover-timeout {master} 5000"),
    ];
    lines.extend(password.map(|password| format!("sentinel auth-pass {master} {password}")));
    let config = run.write_secret(&format!("{name}/sentinel.conf"), lines.join("\n") + "\n")?;
    let mut process = Start::new(&name, need::program("redis-server")?).arg(config).arg("--sentinel").spawn(run)?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    process.wait_ready(PATIENCE, || if ports::answers(address) { Ok(()) } else { Err("nobody listens".into()) })?;
    Ok((port, process))
}

fn linked(replica: &RedisServer) -> bool {
    replica.info("master_link_status").is_some_and(|status| status == "up")
}
