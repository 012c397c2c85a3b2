//! Python environments, each made once from a file of full pins and kept in the cache under the file's hash.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::cluster::build::{cache, fingerprint};
use crate::failure::{Doing, Result};
use crate::need::{self, need};
use crate::process::Start;

/// The environment of this file: its folder. Half a minute the first time.
pub fn ready(folder: &Path, requirements: &str) -> Result<PathBuf> {
    // Debian's own: pods see the machine's /usr and nothing else.
    let needs = [need("/usr/bin/python3", "python3"), need("/usr/share/python-wheels", "python3-venv")];
    need::all("a Python environment", &needs)?;
    let venv = cache()?.join(format!("venv-{}", fingerprint(folder, &[requirements])?));
    // An environment knows its own path and cannot be moved into its place: this file says that it is whole.
    let whole = venv.join("whole");
    if whole.exists() {
        return Ok(venv);
    }
    let _lock = lock(&venv)?;
    if whole.exists() {
        return Ok(venv);
    }
    eprintln!("lab: making {} (half a minute, once)", venv.display());
    let _ = fs::remove_dir_all(&venv);
    Start::new("venv", "/usr/bin/python3").args(["-m", "venv"]).arg(&venv).output()?;
    Start::new("pip install", venv.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "-r"])
        .arg(folder.join(requirements))
        .output()?;
    fs::write(&whole, "").doing(|| format!("writing {}", whole.display()))?;
    Ok(venv)
}

/// Held while something is made in the cache: a second run waits for the first.
pub fn lock(path: &Path) -> Result<File> {
    let path = path.with_extension("lock");
    let file = File::create(&path).doing(|| format!("opening {}", path.display()))?;
    file.lock().doing(|| format!("waiting for {}", path.display()))?;
    Ok(file)
}
