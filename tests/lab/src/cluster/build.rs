//! The Kubernetes binary: built once from `tests/cluster` with Go, kept in the user's cache under a hash of its sources.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::failure::{Doing, Failure, Result};
use crate::process::Start;

const VERSION: &str = "v1.34.4";
const COMPONENTS: [&str; 6] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"];

/// `tests/cluster` of the repository that this lab was compiled in.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, |tests| tests.join("cluster"))
}

/// `~/.cache/obsctl-lab`.
pub fn cache() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .ok_or_else(|| Failure::new("neither XDG_CACHE_HOME nor HOME says where the cache folder is"))?;
    let folder = base.join("obsctl-lab");
    fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// The first twelve digits of a hash of these files: the name under which what is made of them is kept.
pub fn fingerprint(folder: &Path, files: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    for name in files {
        let content = fs::read(folder.join(name)).doing(|| format!("reading {}", folder.join(name).display()))?;
        hash.update(name.as_bytes());
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    Ok(hex(&hash.finalize())[..12].to_owned())
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The folder with one name per component. Built if it is missing: 7 minutes on two cores from nothing, 20 seconds with a
/// warm Go cache.
pub fn binaries() -> Result<PathBuf> {
    let sources = sources();
    let folder = cache()?.join(format!("kube-{}", fingerprint(&sources, &["go.mod", "go.sum", "main.go"])?));
    if folder.join(COMPONENTS[0]).exists() {
        return Ok(folder);
    }
    // Two runs may want it at the same time: the second waits for the first.
    let lock = folder.with_extension("lock");
    let lock = fs::File::create(&lock).doing(|| format!("opening {}", lock.display()))?;
    lock.lock().doing(|| "waiting for another build of Kubernetes")?;
    if !folder.join(COMPONENTS[0]).exists() {
        build(&sources, &folder)?;
    }
    Ok(folder)
}

fn build(sources: &Path, folder: &Path) -> Result<()> {
    crate::need::all("building Kubernetes", &[crate::need::need("go", "golang")])?;
    eprintln!("lab: building Kubernetes {VERSION} in {} (minutes, once)", folder.display());
    let half = folder.with_extension("new");
    let _ = fs::remove_dir_all(&half);
    fs::create_dir_all(&half).doing(|| format!("making {}", half.display()))?;
    let version = "k8s.io/component-base/version";
    // Without these the server reports a version that clients cannot parse.
    let flags = format!("-s -w -X {version}.gitVersion={VERSION} -X {version}.gitMajor=1 -X {version}.gitMinor=34");
    Start::new("go build", "go")
        .args(["build", "-mod=mod", "-ldflags", &flags, "-o"])
        .arg(half.join("kube"))
        .arg(".")
        .env("CGO_ENABLED", "0")
        .folder(sources)
        .output()?;
    for name in COMPONENTS {
        std::os::unix::fs::symlink("kube", half.join(name)).doing(|| format!("linking {name}"))?;
    }
    fs::rename(&half, folder).doing(|| format!("moving the build to {}", folder.display()))
}
