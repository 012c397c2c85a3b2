//! A run: the folder, the number and the lock of one set of servers, and the list of what must not outlive them.
//!
//! Runs live in `/tmp/obsctl-lab/N` (short, because Unix sockets allow 107 bytes). N is the smallest number whose lock is
//! free; names and addresses on the machine derive from it, so two runs can live side by side. The kernel drops a lock
//! when its owner dies, however it dies: whoever can lock the folder of a dead run ends what it left behind, by the
//! records in `leftovers.jsonl`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::{Doing, Failure, Result};
use crate::{process, wait};

/// Numbers become the third byte of an IPv4 address.
const NUMBERS: std::ops::RangeInclusive<u8> = 1..=99;

/// Something on the machine that a run made and that outlives its processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leftover {
    /// The first process of a process group, told apart from a later one with the same number by its start time.
    Process { pid: i32, start: u64 },
    /// A network interface.
    Link(String),
    /// A folder below every control group hierarchy.
    Cgroup(String),
}

/// A claimed run. Dropping it ends what is recorded and deletes the folder.
#[derive(Debug)]
pub struct Run {
    number: u8,
    dir: PathBuf,
    _lock: File,
}

impl Run {
    /// Sweeps what dead runs left, then takes the first free number.
    pub fn claim() -> Result<Self> {
        let base = base();
        make_private(&base)?;
        sweep_dead(&base);
        let mut last = Failure::new("no number was tried");
        for number in NUMBERS {
            match Self::take(&base, number) {
                Ok(Some(run)) => return Ok(run),
                Ok(None) => {}
                Err(failure) => last = failure,
            }
        }
        Err(Failure::new(format!("every run folder in {} is taken or unusable: {last}", base.display())))
    }

    fn take(base: &Path, number: u8) -> Result<Option<Self>> {
        let Some(lock) = try_lock(base, number)? else { return Ok(None) };
        let dir = base.join(number.to_string());
        if dir.exists() {
            clean(&dir)?;
        }
        make_private(&dir)?;
        Ok(Some(Self { number, dir, _lock: lock }))
    }

    /// The number that makes names and addresses unique on this machine.
    pub fn number(&self) -> u8 {
        self.number
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A folder of that name in the run's folder, made if it is not there.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.dir.join(name);
        fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
        Ok(folder)
    }

    /// Writes a file into the run's folder and says where it is.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let file = self.dir.join(name);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).doing(|| format!("making {}", folder.display()))?;
        }
        fs::write(&file, content).doing(|| format!("writing {}", file.display()))?;
        Ok(file)
    }

    /// The same for a file that only we may read.
    pub fn write_secret(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let file = self.write(name, "")?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).doing(|| format!("closing {}", file.display()))?;
        self.write(name, content)
    }

    /// Says, before or just after it is made, that this must be ended with the run.
    pub fn record(&self, leftover: &Leftover) -> Result<()> {
        let path = self.dir.join("leftovers.jsonl");
        let mut line = serde_json::to_vec(leftover).doing(|| "writing a record")?;
        line.push(b'\n');
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(&line))
            .doing(|| format!("recording in {}", path.display()))
    }

    /// Ends the run and says what could not be cleaned. Dropping does the same, silently.
    pub fn finish(self) -> Result<()> {
        clean(&self.dir)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.dir.exists()
            && let Err(failure) = clean(&self.dir)
        {
            eprintln!("lab: {failure}");
        }
    }
}

/// Only root's runs make interfaces and control groups, which the number names: others have a row of numbers of their own.
fn base() -> PathBuf {
    let user = rustix::process::geteuid();
    PathBuf::from(if user.is_root() { "/tmp/obsctl-lab".to_owned() } else { format!("/tmp/obsctl-lab-{}", user.as_raw()) })
}

/// The folder holds private keys, and only root's own folder can be trusted with a list of processes to end.
fn make_private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    match fs::DirBuilder::new().mode(0o711).create(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let owner = fs::symlink_metadata(folder).doing(|| format!("looking at {}", folder.display()))?;
            if owner.is_dir() && owner.uid() == rustix::process::geteuid().as_raw() {
                Ok(())
            } else {
                Err(Failure::new(format!("{} belongs to somebody else", folder.display())))
            }
        }
        Err(error) => Err(Failure::new(format!("making {}: {error}", folder.display()))),
    }
}

/// The lock lies beside the folder, so that the folder can be deleted while it is held.
fn try_lock(base: &Path, number: u8) -> Result<Option<File>> {
    let path = base.join(format!("{number}.lock"));
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path).doing(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(Failure::new(format!("locking {}: {error}", path.display()))),
    }
}

/// Ends what dead runs left. Whoever learns that a process with runs of its own has died calls this.
pub fn sweep() {
    sweep_dead(&base());
}

fn sweep_dead(base: &Path) {
    for number in NUMBERS {
        let dir = base.join(number.to_string());
        if dir.exists()
            && let Ok(Some(_lock)) = try_lock(base, number)
            && let Err(failure) = clean(&dir)
        {
            eprintln!("lab: sweeping the dead run {}: {failure}", dir.display());
        }
    }
}

/// Ends everything that is recorded in a run's folder, unmounts below it, and deletes it.
fn clean(dir: &Path) -> Result<()> {
    let records = fs::read_to_string(dir.join("leftovers.jsonl")).unwrap_or_default();
    let leftovers: Vec<Leftover> = records.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for leftover in &leftovers {
        if let Leftover::Process { pid, start } = leftover
            && process::start_time(*pid) == Some(*start)
        {
            process::end_group(*pid, Duration::from_secs(2))?;
        }
    }
    for leftover in &leftovers {
        match leftover {
            Leftover::Process { .. } => {}
            Leftover::Link(name) => delete_link(name)?,
            Leftover::Cgroup(name) => delete_cgroup(name)?,
        }
    }
    for mount in mounts_below(dir) {
        rustix::mount::unmount(&mount, rustix::mount::UnmountFlags::DETACH).doing(|| format!("unmounting {}", mount.display()))?;
    }
    // A process that has just been killed may still be closing its files.
    wait::poll(Duration::from_secs(5), || fs::remove_dir_all(dir).or_else(gone).map_err(|error| error.to_string()))
        .doing(|| format!("deleting {}", dir.display()))
}

fn gone(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn delete_link(name: &str) -> Result<()> {
    if !Path::new("/sys/class/net").join(name).exists() {
        return Ok(());
    }
    let answer = process::run(&["ip", "link", "delete", name]);
    // The kernel deletes it too, some moments after the last process of its namespace has ended.
    if Path::new("/sys/class/net").join(name).exists() { answer.map(drop) } else { Ok(()) }
}

fn delete_cgroup(name: &str) -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).doing(|| "listing /sys/fs/cgroup")?;
    let mut folders: Vec<PathBuf> = hierarchies.flatten().map(|entry| entry.path().join(name)).collect();
    folders.push(root.join(name));
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        wait::poll(Duration::from_secs(5), || remove_cgroup_tree(folder).or_else(gone).map_err(|error| error.to_string()))
            .doing(|| format!("deleting the control group {}", folder.display()))?;
    }
    Ok(())
}

/// A control group is a folder whose files cannot be deleted: only folders are, the deepest first.
fn remove_cgroup_tree(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_cgroup_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// The mount points at or below a folder, the deepest first.
fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut mounts: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|path| PathBuf::from(path.replace("\\040", " ")))
        .filter(|path| path.starts_with(dir))
        .collect();
    mounts.reverse();
    mounts
}

#[cfg(test)]
mod tests {
    use super::{Leftover, Run};

    #[test]
    fn runs_live_side_by_side_and_leave_nothing() {
        let first = Run::claim().unwrap();
        let second = Run::claim().unwrap();
        assert_ne!(first.number(), second.number());
        let folder = first.folder("data").unwrap();
        assert!(folder.is_dir());
        first.finish().unwrap();
        assert!(!folder.exists());
        assert!(second.dir().exists());
    }

    #[test]
    fn records_are_read_back() {
        let line = serde_json::to_string(&Leftover::Process { pid: 7, start: 9 }).unwrap();
        assert_eq!(line, r#"{"process":{"pid":7,"start":9}}"#);
        let line = serde_json::to_string(&Leftover::Link("veth1".into())).unwrap();
        assert_eq!(line, r#"{"link":"veth1"}"#);
    }
}
