//! What the queues of a broker were when obsctl last looked: lengths, and the marks of the messages that were next to run. One small file
//! per broker, named by a hash, without credentials or content; what is older than a few days is forgotten.

use super::write;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

const VERSION: u32 = 1;
/// The largest file that is read, and so the largest that is written.
const LARGEST: u64 = 4 << 20;
/// Queues that are remembered at most.
const QUEUES: usize = 2000;
/// For how long.
const DAYS: SignedDuration = SignedDuration::from_hours(72);

/// What is remembered of one broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokerMemory {
    version: u32,
    /// Its queues by name.
    pub queues: BTreeMap<String, QueueMemory>,
}

/// What is remembered of one queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueMemory {
    /// When it was last looked at, by the server's clock.
    pub at: Timestamp,
    /// Its length then.
    pub waiting: u64,
    /// What was next to run then, by priority step.
    pub tails: BTreeMap<u8, TailMemory>,
}

/// A message that was next to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailMemory {
    /// Its delivery tag.
    pub mark: String,
    /// When it was first seen there.
    pub since: Timestamp,
}

/// What was remembered of a broker; nothing where nothing was, or of another version.
///
/// # Errors
/// The file is there and cannot be read.
pub fn broker_memory(folder: &Path, broker: &str) -> io::Result<BrokerMemory> {
    let file = match File::open(path(folder, broker)) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(BrokerMemory::default()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    let memory: BrokerMemory = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(if memory.version == VERSION { memory } else { BrokerMemory::default() })
}

/// Remembers this until the next run. Of two runs at a time the later one's is kept.
///
/// # Errors
/// The folder cannot be written.
pub fn remember_broker(folder: &Path, broker: &str, memory: &BrokerMemory, now: Timestamp) -> io::Result<()> {
    let mut memory = BrokerMemory { version: VERSION, queues: memory.queues.clone() };
    memory.queues.retain(|_, queue| now.duration_since(queue.at) < DAYS);
    if memory.queues.len() > QUEUES {
        let mut times: Vec<Timestamp> = memory.queues.values().map(|queue| queue.at).collect();
        times.sort();
        if let Some(oldest) = times.iter().rev().nth(QUEUES - 1).copied() {
            memory.queues.retain(|_, queue| queue.at >= oldest);
        }
    }
    let bytes = serde_json::to_vec(&memory)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("the queues' names are too long to be remembered"));
    }
    write(&folder.join("queues"), &bytes)?.persist(path(folder, broker))?;
    Ok(())
}

fn path(folder: &Path, broker: &str) -> PathBuf {
    let hash: String = Sha256::digest(broker.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    folder.join("queues").join(format!("{hash}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_there_in_the_next_run_and_forgotten_after_days() {
        let home = tempfile::tempdir().expect("a folder");
        let at = |s: i64| Timestamp::from_second(s).expect("a time");
        let queue = |s| QueueMemory { at: at(s), waiting: 3, tails: BTreeMap::from([(0, TailMemory { mark: "a".into(), since: at(s) })]) };
        assert_eq!(broker_memory(home.path(), "redis:6379/0").expect("nothing yet"), BrokerMemory::default());
        let mut memory = BrokerMemory::default();
        memory.queues.insert("mail".into(), queue(1_000_000));
        memory.queues.insert("old".into(), queue(1_000_000 - 4 * 86_400));
        remember_broker(home.path(), "redis:6379/0", &memory, at(1_000_010)).expect("a writable folder");
        let again = broker_memory(home.path(), "redis:6379/0").expect("it was written");
        assert_eq!(again.queues.keys().collect::<Vec<_>>(), ["mail"]);
        assert_eq!(again.queues.get("mail"), Some(&queue(1_000_000)));
        assert_eq!(broker_memory(home.path(), "redis:6379/1").expect("another broker"), BrokerMemory::default());
    }

    #[test]
    fn a_file_that_makes_no_sense_is_nothing_and_a_folder_that_cannot_be_is_said() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join("queues")).expect("ours");
        for text in ["", "{", r#"{"version":9,"queues":{}}"#] {
            std::fs::write(path(home.path(), "x"), text).expect("ours");
            assert_eq!(broker_memory(home.path(), "x").expect("readable"), BrokerMemory::default());
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(remember_broker(file.path(), "x", &BrokerMemory::default(), Timestamp::UNIX_EPOCH).is_err());
    }
}
