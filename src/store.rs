//! The state folder: what obsctl remembers from one run to the next. A file appears whole or not at all, and only its owner can read it.

mod queues;
mod shelf;

pub use queues::{BrokerMemory, QueueMemory, TailMemory, broker_memory, remember_broker};
pub use shelf::{Shelf, Shelved};

use crate::text::MaskKey;
use std::{
    fs::{self, DirBuilder},
    io::{self, ErrorKind, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

/// The user's own key of masks: the one in the state folder, made at first use. Equal values have equal masks in all runs of a user.
///
/// # Errors
/// The folder or the file cannot be read or written.
pub fn mask_key(folder: &Path) -> io::Result<MaskKey> {
    let path = folder.join("mask-key");
    match read_key(&path) {
        Ok(Some(key)) => Ok(key),
        // A file that holds no key is of no use to anybody; what masks it made before is lost already.
        Ok(None) => {
            let key = MaskKey::random();
            write(folder, key.as_bytes())?.persist(&path)?;
            Ok(key)
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let key = MaskKey::random();
            match write(folder, key.as_bytes())?.persist_noclobber(&path) {
                Ok(_) => Ok(key),
                // Another run was first: its key is the user's.
                Err(e) if e.error.kind() == ErrorKind::AlreadyExists => Ok(read_key(&path)?.unwrap_or(key)),
                Err(e) => Err(e.error),
            }
        }
        Err(e) => Err(e),
    }
}

/// Writes a file where the user wants it: whole or not at all, readable by its owner only.
///
/// # Errors
/// It cannot be written there.
pub fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(|_| ()).map_err(|e| e.error)
}

/// Writes a file for other programs: whole or not at all, readable by everybody, as what a shell's `>` makes usually is.
///
/// # Errors
/// It cannot be written there.
pub fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A device or a pipe is written to, not replaced.
    if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let mut file = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(|_| ()).map_err(|e| e.error)
}

fn read_key(path: &Path) -> io::Result<Option<MaskKey>> {
    Ok(<[u8; 32]>::try_from(fs::read(path)?).ok().map(MaskKey::from_bytes))
}

/// A whole file beside the one that it will become; `tempfile` makes it readable for its owner only.
fn write(folder: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, thread};

    #[test]
    fn the_key_stays_and_is_its_owners() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("state/obsctl");
        let key = mask_key(&folder).expect("a key");
        assert_eq!(mask_key(&folder).expect("a key"), key);
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("mask-key"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
    }

    #[test]
    fn a_file_that_holds_no_key_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        for rest in ["", "too short", "this is much too long to be a key of the masks"] {
            fs::write(folder.path().join("mask-key"), rest).expect("our file");
            let key = mask_key(folder.path()).expect("a key");
            assert_eq!(mask_key(folder.path()).expect("a key"), key);
        }
    }

    #[test]
    fn runs_that_start_together_agree() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys: Vec<MaskKey> = thread::scope(|scope| {
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| mask_key(folder.path()).expect("a key"))).collect();
            runs.into_iter().map(|run| run.join().expect("no panic")).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_said() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(mask_key(&file.path().join("obsctl")).is_err());
    }
}
