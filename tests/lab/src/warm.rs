//! `lab cluster up` and `lab cluster down`: a lab that outlives the command, for working on tests without waiting.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cluster::Info;
use crate::failure::{Doing, Failure, Result};
use crate::hand::Line;
use crate::protocol::{Part, Request, Warm};
use crate::{process, wait};

/// `.lab` in the repository.
pub fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map_or_else(PathBuf::new, |root| root.join(".lab"))
}

fn state(folder: &Path) -> PathBuf {
    folder.join("lab.json")
}

/// The warm lab that a state file names, if it lives.
pub fn find(state: &Path) -> Result<Warm> {
    let text = fs::read_to_string(state).doing(|| format!("reading {} (is the lab up? `make cluster` starts it)", state.display()))?;
    let warm: Warm = serde_json::from_str(&text).doing(|| format!("reading {}", state.display()))?;
    if process::start_time(warm.pid) == Some(warm.start) {
        Ok(warm)
    } else {
        Err(Failure::new(format!("the lab that {} names is dead: `make cluster` starts a new one", state.display())))
    }
}

/// Starts a holder that stays, or finds the one that is there.
pub fn holder(folder: &Path) -> Result<PathBuf> {
    let state = state(folder);
    if find(&state).is_ok() {
        return Ok(state);
    }
    fs::create_dir_all(folder).doing(|| format!("making {}", folder.display()))?;
    let _ = fs::remove_file(&state);
    let path = folder.join("holder.log");
    let log = File::create(&path).doing(|| format!("opening {}", path.display()))?;
    let errors = log.try_clone().doing(|| "opening the log")?;
    let lab = std::env::current_exe().doing(|| "finding the lab's own binary")?;
    let mut child = Command::new(lab)
        .args(["hold", "--state"])
        .arg(&state)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .doing(|| "starting the holder")?;
    wait::poll(Duration::from_secs(30), || match (find(&state), child.try_wait()) {
        (Ok(_), _) => Ok(true),
        (_, Ok(Some(_))) => Ok(false),
        (Err(failure), _) => Err(failure.to_string()),
    })
    .and_then(|alive| {
        let words = fs::read_to_string(&path).unwrap_or_default();
        if alive { Ok(state) } else { Err(Failure::new(format!("the holder ended: {words}"))) }
    })
}

/// Brings a warm cluster up and says what to put into the shell.
pub fn cluster_up(folder: &Path) -> Result<String> {
    let state = holder(folder)?;
    let mut line = Line::to_socket(&find(&state)?.socket)?;
    let info: Info = line.ask(&Request::Need(Part::Cluster))?;
    Ok(format!("export KUBECONFIG={}\nexport OBSCTL_LAB={}", info.kubeconfig.display(), state.display()))
}

/// Ends the warm lab with everything in it.
pub fn down(folder: &Path) -> Result<()> {
    let state = state(folder);
    if !state.exists() {
        return Ok(());
    }
    if let Ok(warm) = find(&state) {
        let pid = rustix::process::Pid::from_raw(warm.pid).ok_or_else(|| Failure::new("a lab without a number"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).doing(|| format!("signalling the holder {}", warm.pid))?;
        wait::poll(Duration::from_secs(60), || match process::start_time(warm.pid) {
            Some(start) if start == warm.start => Err(format!("the holder {} is still tearing down", warm.pid)),
            _ => Ok(()),
        })?;
    }
    let _ = fs::remove_file(&state);
    Ok(())
}
