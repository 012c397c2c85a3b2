//! What a server was told: MONITOR, recorded from a moment on until it is asked for.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::RedisServer;
use crate::failure::{Failure, Result};

const PATIENCE: Duration = Duration::from_secs(30);

static MARKS: AtomicU64 = AtomicU64::new(0);

/// A recording that goes on until it is dropped.
#[derive(Debug)]
pub struct Recording<'a> {
    server: &'a RedisServer,
    child: Child,
    heard: Receiver<String>,
    lines: Mutex<Vec<String>>,
}

impl<'a> Recording<'a> {
    pub(super) fn start(server: &'a RedisServer) -> Result<Self> {
        let mut child = server.command().arg("MONITOR").child()?;
        let out = child.stdout.take().ok_or_else(|| Failure::new("redis-cli has no output"))?;
        let (say, heard) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n').map_while(std::result::Result::ok) {
                if say.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let recording = Self { server, child, heard, lines: Mutex::new(Vec::new()) };
        // It answers OK, and records from then on.
        match recording.heard.recv_timeout(PATIENCE) {
            Ok(line) if line == "OK" => Ok(recording),
            other => Err(Failure::new(format!("MONITOR answered {other:?}"))),
        }
    }

    /// Everything that the server has been told so far, in its own words: `1700000000.1 [0 127.0.0.1:4711] "LLEN" "celery"`.
    ///
    /// # Panics
    /// When the server does not record what it is told.
    pub fn lines(&self) -> Vec<String> {
        // What comes before this mark has been told before we asked.
        let mark = format!("mark-{}-{}", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed));
        self.server.cli(&["ECHO", &mark]);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now() + PATIENCE;
        loop {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(&mark) => break,
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("the recording of the server has stopped"),
            }
        }
        // Every redis-cli of the lab greets with its password, which MONITOR hides.
        lines.iter().filter(|line| !line.contains(r#""AUTH" "(redacted)""#) && !line.contains("mark-")).cloned().collect()
    }

    /// The commands alone, in capitals, without their arguments and without who sent them.
    pub fn commands(&self) -> Vec<String> {
        self.lines().iter().filter_map(|line| Some(line.split_once("] \"")?.1.split('"').next()?.to_uppercase())).collect()
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
