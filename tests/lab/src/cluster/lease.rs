//! Who may use the cluster now: many tests side by side, or one alone that harms the node or the API server.
//!
//! Two file locks in the run's folder, so that the rule holds between threads and between test processes that share a warm
//! cluster. A test that wants the cluster alone first takes the gate: those who come later wait behind it, so it is never
//! starved by a stream of others.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::failure::{Doing, Result};
use crate::wait;

/// Held while the cluster is in use. Dropping it gives the cluster back.
#[derive(Debug)]
pub struct Lease {
    _lock: File,
    _gate: Option<File>,
}

impl Lease {
    /// Together with others.
    pub fn shared(dir: &Path) -> Result<Self> {
        let gate = open(dir, "gate.lock")?;
        patiently("the gate of the cluster", || gate.try_lock_shared())?;
        let lock = open(dir, "use.lock")?;
        patiently("the cluster", || lock.try_lock_shared())?;
        Ok(Self { _lock: lock, _gate: None })
    }

    /// Alone. A thread that already holds a lease would wait for itself.
    pub fn exclusive(dir: &Path) -> Result<Self> {
        let gate = open(dir, "gate.lock")?;
        patiently("the gate of the cluster", || gate.try_lock())?;
        let lock = open(dir, "use.lock")?;
        patiently("everybody to leave the cluster", || lock.try_lock())?;
        Ok(Self { _lock: lock, _gate: Some(gate) })
    }
}

/// A lease that nobody gives back is a test that fails and says so, not one that hangs for ever.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

fn patiently(what: &str, attempt: impl Fn() -> std::result::Result<(), TryLockError>) -> Result<()> {
    wait::poll(PATIENCE, || attempt().map_err(|_| format!("somebody has not given it back: waiting for {what}")))
}

fn open(dir: &Path, name: &str) -> Result<File> {
    let path = dir.join(name);
    OpenOptions::new().create(true).write(true).truncate(false).open(&path).doing(|| format!("opening {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::Lease;

    #[test]
    fn one_alone_waits_for_the_others() {
        let run = crate::run::Run::claim().unwrap();
        let dir = run.dir().to_owned();
        let first = Lease::shared(&dir).unwrap();
        let second = Lease::shared(&dir).unwrap();
        let (say, hear) = mpsc::channel();
        let alone = thread::spawn(move || {
            let lease = Lease::exclusive(&dir).unwrap();
            say.send(()).unwrap();
            drop(lease);
        });
        drop(first);
        assert!(hear.recv_timeout(Duration::from_millis(200)).is_err());
        drop(second);
        hear.recv_timeout(Duration::from_secs(5)).unwrap();
        alone.join().unwrap();
    }
}
