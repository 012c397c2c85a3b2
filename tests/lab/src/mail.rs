//! A mail server of a test's own: Debian's aiosmtpd, which keeps every mail as a file.

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

/// A running mail server. Dropping it ends it.
#[derive(Debug)]
pub struct MailServer {
    child: Child,
    dir: TempDir,
    port: u16,
}

impl MailServer {
    /// One that takes every mail.
    pub fn start() -> Result<Self> {
        Self::with("aiosmtpd.handlers.Mailbox")
    }

    /// One that `puts_off` the first mail, or `refuses` all: the classes of `mail_handlers.py`.
    pub fn that(does: &str) -> Result<Self> {
        Self::with(&format!("mail_handlers.{does}"))
    }

    fn with(handler: &str) -> Result<Self> {
        need::all("a mail server", &[need("/usr/lib/python3/dist-packages/aiosmtpd", "python3-aiosmtpd")])?;
        let (dir, port) = (tempfile::tempdir().doing(|| "making a folder")?, ports::free()?);
        let at = format!("127.0.0.1:{port}");
        let child = Start::new("aiosmtpd", "/usr/bin/python3")
            .args(["-m", "aiosmtpd", "-n", "-l", &at, "-c", handler])
            .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(dir.path().join("mails"))
            .child()?;
        let mut server = Self { child, dir, port };
        wait::poll(Duration::from_secs(20), || match server.child.try_wait() {
            Ok(None) if ports::answers(SocketAddr::from(([127, 0, 0, 1], port))) => Ok(()),
            state => Err(format!("aiosmtpd does not answer on {port}: {state:?}")),
        })?;
        Ok(server)
    }

    /// `smtp://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The mails so far, as they came.
    pub fn mails(&self) -> Vec<String> {
        let Ok(files) = fs::read_dir(self.dir.path().join("mails/new")) else { return Vec::new() };
        files.flatten().filter_map(|file| fs::read_to_string(file.path()).ok()).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
