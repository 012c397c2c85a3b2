//! Images without a registry: an OCI layout with a pause image and a busybox image, written by hand and kept in the cache.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::build;
use crate::failure::{Doing, Result};
use crate::process::{self, Start};

pub const PAUSE: &str = "lab.test/pause:1";
/// The image of every test pod; `/bin/writer` in it numbers its lines. `imagePullPolicy` must be `Never` or `IfNotPresent`.
pub const BUSYBOX: &str = "lab.test/busybox:1";

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Empty folders on which a pod may mount the machine's own.
const FOLDERS: [&str; 12] = ["usr", "lib", "lib64", "proc", "sys", "dev", "etc", "root", "run", "var", "srv", "opt"];

/// The archive that `ctr images import` reads.
pub fn archive() -> Result<PathBuf> {
    let sources = build::sources();
    let busybox = Path::new("/bin/busybox");
    let mut hash = Sha256::new();
    hash.update(include_bytes!("images.rs"));
    hash.update(fs::read(busybox).doing(|| "reading /bin/busybox")?);
    hash.update(build::fingerprint(&sources.join("pause"), &["pause.c"])?);
    hash.update(build::fingerprint(&sources.join("writer"), &["writer.c"])?);
    let name = format!("images-{}", &build::hex(&hash.finalize())[..12]);
    let archive = build::cache()?.join(format!("{name}.tar"));
    if archive.exists() {
        return Ok(archive);
    }
    let work = build::cache()?.join(format!("{name}.{}", std::process::id()));
    let answer = write(&work, &sources, busybox, &archive);
    let _ = fs::remove_dir_all(&work);
    answer.map(|()| archive)
}

fn write(work: &Path, sources: &Path, busybox: &Path, archive: &Path) -> Result<()> {
    let folder = |name: &str| -> Result<PathBuf> {
        let folder = work.join(name);
        fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
        Ok(folder)
    };
    let layout = folder("layout")?;
    let blobs = folder("layout/blobs/sha256")?;
    let pause = folder("pause")?;
    compile(&sources.join("pause/pause.c"), &pause.join("pause"))?;
    let tools = folder("busybox")?;
    fill(&tools, busybox)?;
    compile(&sources.join("writer/writer.c"), &tools.join("bin/writer"))?;

    let index = json!({
        "schemaVersion": 2,
        "manifests": [
            image(work, &blobs, &pause, PAUSE, &["/pause"])?,
            image(work, &blobs, &tools, BUSYBOX, &["/bin/sh"])?,
        ],
    });
    fs::write(layout.join("index.json"), index.to_string()).doing(|| "writing index.json")?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).doing(|| "writing oci-layout")?;
    let half = archive.with_extension(format!("tar.{}", std::process::id()));
    tar(&layout, &half)?;
    fs::rename(&half, archive).doing(|| format!("moving the images to {}", archive.display()))
}

fn compile(source: &Path, program: &Path) -> Result<()> {
    Start::new("gcc", "gcc").args(["-static", "-Os", "-s", "-o"]).arg(program).arg(source).output().map(drop)
}

/// The root of the busybox image. `/tmp` is for everybody.
fn fill(root: &Path, busybox: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let bin = root.join("bin");
    fs::create_dir_all(&bin).doing(|| "making bin")?;
    fs::copy(busybox, bin.join("busybox")).doing(|| "copying busybox")?;
    for tool in process::run(&["busybox", "--list"])?.lines().filter(|tool| *tool != "busybox") {
        symlink("busybox", bin.join(tool)).doing(|| format!("linking {tool}"))?;
    }
    for name in FOLDERS {
        fs::create_dir_all(root.join(name)).doing(|| format!("making {name}"))?;
    }
    let tmp = root.join("tmp");
    fs::create_dir_all(&tmp).doing(|| "making tmp")?;
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).doing(|| "opening tmp")?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        .and_then(|()| fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n"))
        .doing(|| "writing the users")
}

/// One image of one layer; answers its entry in the index.
fn image(work: &Path, blobs: &Path, root: &Path, name: &str, command: &[&str]) -> Result<Value> {
    let tarball = work.join("layer.tar");
    tar(root, &tarball)?;
    let layer = blob(blobs, &fs::read(&tarball).doing(|| "reading the layer")?)?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Cmd": command, "Env": [PATH]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = blob(blobs, config.to_string().as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config["digest"], "size": config["size"]},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer["digest"], "size": layer["size"]}],
    });
    let mut entry = blob(blobs, manifest.to_string().as_bytes())?;
    entry["mediaType"] = json!("application/vnd.oci.image.manifest.v1+json");
    entry["annotations"] = json!({"io.containerd.image.name": name});
    Ok(entry)
}

fn blob(blobs: &Path, content: &[u8]) -> Result<Value> {
    let digest = build::hex(&Sha256::digest(content));
    fs::write(blobs.join(&digest), content).doing(|| "writing a blob")?;
    Ok(json!({"digest": format!("sha256:{digest}"), "size": content.len()}))
}

/// The same bytes for the same content: no times, no owners, sorted names.
fn tar(folder: &Path, file: &Path) -> Result<()> {
    Start::new("tar", "tar")
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-cf"])
        .arg(file)
        .arg("-C")
        .arg(folder)
        .arg(".")
        .output()
        .map(drop)
}
