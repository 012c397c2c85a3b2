//! What the machine must have. Everything that is missing is said at once, with the command that installs it.
//!
//! A missing server is a failure of the test that needs it, never a silent skip.

use std::env;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// Servers live in the sbin folders, which are not always in a user's PATH.
const ALSO: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/postgresql/15/bin"];

/// One thing that must be there: a program by its bare name or a file by its absolute path, and its Debian package.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub what: &'static str,
    pub package: &'static str,
}

pub const fn need(what: &'static str, package: &'static str) -> Need {
    Need { what, package }
}

/// Where a program is.
pub fn program(name: &str) -> Result<PathBuf> {
    find(name).ok_or_else(|| Failure::new(format!("the program {name} is not installed: run `make setup`")))
}

/// Fails with the full list of what is missing.
pub fn all(purpose: &str, needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| find(need.what).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what: Vec<&str> = missing.iter().map(|need| need.what).collect();
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    Err(Failure::new(format!(
        "{purpose} needs {}, which this machine does not have: run `make setup`, or `apt-get update && apt-get install -y {}`",
        what.join(", "),
        packages.join(" "),
    )))
}

/// Namespaces, mounts and control groups belong to root.
pub fn root(purpose: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Failure::new(format!("{purpose} needs root: it makes a network namespace, mounts and control groups")))
    }
}

fn find(what: &str) -> Option<PathBuf> {
    if what.starts_with('/') {
        return Path::new(what).exists().then(|| PathBuf::from(what));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(ALSO.iter().map(PathBuf::from)).map(|folder| folder.join(what)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::{all, need, program};

    #[test]
    fn everything_missing_is_named_with_its_package() {
        let failure =
            all("the cluster", &[need("sh", "dash"), need("no-such-a", "pkg-b"), need("/no/such", "pkg-a")]).unwrap_err().to_string();
        assert_eq!(
            failure,
            "the cluster needs no-such-a, /no/such, which this machine does not have: run `make setup`, or \
             `apt-get update && apt-get install -y pkg-a pkg-b`"
        );
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(program("sh").unwrap().is_absolute());
        assert!(program("no-such-a").unwrap_err().to_string().contains("make setup"));
    }
}
