//! A Prometheus of a test's own: Debian's, which scrapes itself.

use std::fs;
use std::net::SocketAddr;
use std::process::Child;
use std::time::Duration;

use tempfile::TempDir;

use crate::failure::{Doing, Result};
use crate::need::{self, need};
use crate::ports;
use crate::process::Start;
use crate::wait;

/// A running Prometheus. Dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Prometheus {
    /// Ready when it answers; its first scrape comes within the second.
    pub fn start() -> Result<Self> {
        need::all("Prometheus", &[need("prometheus", "prometheus")])?;
        let (dir, port) = (tempfile::tempdir().doing(|| "making a folder")?, ports::free()?);
        let conf = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: own, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        );
        fs::write(dir.path().join("prometheus.yml"), conf).doing(|| "writing prometheus.yml")?;
        let child = Start::new("prometheus", need::program("prometheus")?)
            .folder(dir.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .child()?;
        let mut server = Self { child, port, _dir: dir };
        wait::poll(Duration::from_secs(60), || match server.child.try_wait() {
            Ok(None) if ports::answers(SocketAddr::from(([127, 0, 0, 1], port))) => Ok(()),
            state => Err(format!("Prometheus does not answer on {port}: {state:?}")),
        })?;
        Ok(server)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
