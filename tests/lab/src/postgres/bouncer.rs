//! PgBouncer in transaction mode before a server: a session of its clients is another backend's with every transaction.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{PATIENCE, PostgresServer, binaries};
use crate::failure::Result;
use crate::need::{self, need};
use crate::ports;
use crate::process::{Process, Start};
use crate::run::Run;

/// Dropping it ends it. It leads to every database of its server.
#[derive(Debug)]
pub struct PgBouncer {
    // Fields drop in this order: the process before the folder that it lives in.
    _process: Process,
    port: u16,
    _run: Arc<Run>,
}

impl PostgresServer {
    /// A pool of this many connections per database and user, for these roles with their passwords. Whoever finds it exhausted waits
    /// for two seconds and is sent away.
    pub fn bouncer(&self, pool: usize, users: &[(&str, &str)]) -> Result<PgBouncer> {
        need::all("PgBouncer", &[need("pgbouncer", "pgbouncer")])?;
        let port = ports::free()?;
        let name = format!("pgbouncer-{port}");
        let list: Vec<String> = users.iter().map(|(user, password)| format!("\"{user}\" \"{password}\"")).collect();
        let dir = self.run.folder(&name)?;
        let list = self.run.write_secret(&format!("{name}/users.txt"), list.join("\n") + "\n")?;
        let lines = [
            "[databases]".to_owned(),
            format!("* = host={} port={}", self.dir.display(), self.port),
            "[pgbouncer]".to_owned(),
            "listen_addr = 127.0.0.1".to_owned(),
            format!("listen_port = {port}"),
            format!("unix_socket_dir = {}", dir.display()),
            "auth_type = scram-sha-256".to_owned(),
            format!("auth_file = {}", list.display()),
            "pool_mode = transaction".to_owned(),
            format!("default_pool_size = {pool}"),
            "query_wait_timeout = 2".to_owned(),
        ];
        let config = self.run.write_secret(&format!("{name}/pgbouncer.ini"), lines.join("\n") + "\n")?;
        binaries::own(&dir)?;
        let mut process = binaries::as_postgres(Start::new(&name, need::program("pgbouncer")?)).arg(config).spawn(&self.run)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        process.wait_ready(PATIENCE, || if ports::answers(address) { Ok(()) } else { Err("nobody listens".into()) })?;
        Ok(PgBouncer { _process: process, port, _run: Arc::clone(&self.run) })
    }
}

impl PgBouncer {
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}
