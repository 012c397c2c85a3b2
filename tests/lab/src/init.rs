//! `lab init`: the first process inside a [`crate::space::Space`].
//!
//! It makes the mounts that keep the cluster's traces out of the machine's own folders, then does what a first process
//! must do: collect the processes that lost their parents. It ends when its standard input does.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};

use crate::failure::{Doing, Result};
use crate::space::READY;

/// Settings of the whole machine that a kubelet changes at its start. Inside, copies lie in their place.
const KERNEL_SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Settings of the space's own network.
const NETWORK_SETTINGS: [(&str, &str); 4] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/bridge/bridge-nf-call-iptables", "1"),
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
];

pub fn main(dir: &Path) -> Result<()> {
    thread::spawn(|| {
        // Nobody writes: this returns when the holder is gone, and with us everything inside ends.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    mounts(dir)?;
    for (name, value) in NETWORK_SETTINGS {
        let file = Path::new("/proc/sys").join(name);
        if file.exists() {
            fs::write(&file, value).doing(|| format!("setting {name}"))?;
        }
    }
    fs::write(dir.join(READY), "").doing(|| "saying that the space is ready")?;
    loop {
        if rustix::process::wait(rustix::process::WaitOptions::empty()).is_err() {
            // No children for now.
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn mounts(dir: &Path) -> Result<()> {
    // Volumes that pods mount inside must reach the containers; the machine itself stays out of it.
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC).doing(|| "sharing mounts")?;
    let folder = |name: &str| {
        let folder = dir.join(name);
        fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
        Ok(folder)
    };
    // Logs: the kubelet serves /var/log and nothing else.
    let log = folder("log")?;
    mount_bind(&log, "/var/log").doing(|| "mounting over /var/log")?;
    // Sockets, locks, etcd's data: in memory.
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), Some(c"mode=755")).doing(|| "mounting over /run")?;
    // Paths below /var/lib are compiled into the kubelet and the network plugins; what they write goes to the run.
    let (upper, work) = (folder("var-lib")?, folder("var-lib-work")?);
    let options = format!("lowerdir=/var/lib,upperdir={},workdir={}", upper.display(), work.display());
    let options = std::ffi::CString::new(options).doing(|| "writing mount options")?;
    mount("overlay", "/var/lib", "overlay", MountFlags::empty(), Some(options.as_c_str())).doing(|| "mounting over /var/lib")?;
    let settings = folder("settings")?;
    for name in KERNEL_SETTINGS {
        let real = Path::new("/proc/sys").join(name);
        let copy = settings.join(name.replace('/', "."));
        fs::copy(&real, &copy).doing(|| format!("copying {}", real.display()))?;
        mount_bind(&copy, &real).doing(|| format!("mounting over {}", real.display()))?;
    }
    Ok(())
}
