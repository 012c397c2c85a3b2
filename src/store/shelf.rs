//! A shelf: the state of something that runs for long, in a folder of its own. One process at a time holds it; its file is written whole,
//! so that an end at any moment leaves the state before or the state after.

use super::write;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, ErrorKind, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The largest file that is read, and so the largest that is written.
const LARGEST: u64 = 32 << 20;

/// A held shelf; it is free again when this is dropped, or its process ends in whatever way.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    _lock: File,
}

/// What lay on a shelf.
#[derive(Debug, PartialEq, Eq)]
pub enum Shelved<T> {
    /// Nothing.
    Nothing,
    /// This.
    Found(T),
    /// Something of another version, or broken: it was laid aside, under this name.
    Aside(PathBuf),
}

impl Shelf {
    /// Takes the shelf of this kind and identity. None: another process holds it.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn take(state: &Path, kind: &str, identity: &str) -> io::Result<Option<Self>> {
        let hash: String = Sha256::digest(identity.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let folder = state.join(kind).join(hash);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        // What a process left that was ended in the middle of writing.
        for entry in fs::read_dir(&folder)?.flatten().filter(|e| e.file_name().as_encoded_bytes().starts_with(b".tmp")) {
            let _ = fs::remove_file(entry.path());
        }
        Ok(Some(Self { folder, _lock: lock }))
    }

    /// What lies there.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read<T: DeserializeOwned>(&self, version: u32) -> io::Result<Shelved<T>> {
        let path = self.folder.join("state.json");
        let file = match File::open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Shelved::Nothing),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        let value: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        let ours = value.filter(|v| v.get("version").and_then(serde_json::Value::as_u64) == Some(version.into()));
        if let Some(found) = ours.and_then(|v| serde_json::from_value(v).ok()) {
            return Ok(Shelved::Found(found));
        }
        let aside = self.folder.join("state.json.aside");
        fs::rename(&path, &aside)?;
        Ok(Shelved::Aside(aside))
    }

    /// Lays this there, in place of what was.
    ///
    /// # Errors
    /// The folder cannot be written, or it is larger than can be read again.
    pub fn lay(&self, value: &impl Serialize) -> io::Result<()> {
        let bytes = serde_json::to_vec(value)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::other("larger than 32 MiB"));
        }
        write(&self.folder, &bytes)?.persist(self.folder.join("state.json"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn one_holds_it_and_the_next_finds_what_was_laid_there() {
        let home = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::take(home.path(), "watch", "production").expect("writable").expect("free");
        assert!(Shelf::take(home.path(), "watch", "production").expect("writable").is_none());
        assert!(Shelf::take(home.path(), "watch", "staging").expect("writable").is_some());
        assert_eq!(shelf.read::<Value>(1).expect("readable"), Shelved::Nothing);
        shelf.lay(&json!({"version": 1, "n": 3})).expect("written");
        fs::write(shelf.folder.join(".tmpAbC"), "half").expect("ours");
        let folder = shelf.folder.clone();
        drop(shelf);
        let shelf = Shelf::take(home.path(), "watch", "production").expect("writable").expect("free again");
        assert_eq!(shelf.read::<Value>(1).expect("readable"), Shelved::Found(json!({"version": 1, "n": 3})));
        assert!(!folder.join(".tmpAbC").exists());
    }

    #[test]
    fn what_cannot_be_read_is_laid_aside() {
        let home = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::take(home.path(), "watch", "production").expect("writable").expect("free");
        for text in ["{\"version\":2}", "{\"vers", "[]", ""] {
            fs::write(shelf.folder.join("state.json"), text).expect("ours");
            let Shelved::Aside(aside) = shelf.read::<Value>(1).expect("readable") else { panic!("{text} was read") };
            assert_eq!(fs::read_to_string(aside).expect("kept"), text);
        }
        assert_eq!(shelf.read::<Value>(1).expect("readable"), Shelved::Nothing);
    }
}
