//! A corner of the machine of its own: the namespaces in which one cluster lives.
//!
//! Network, mounts and process numbers are apart from the machine's. The first process inside is `lab init` (see
//! [`crate::init`]); it watches a pipe that the holder keeps open. When the holder dies, in whatever way, that process
//! ends, and with it the kernel ends every process inside (kubelet, containerd, its shims, every container), every mount
//! and the network, in one stroke. What remains is the run's folder.
//!
//! Two kubelets on one machine would also delete each other's log folders in /var/log/pods; here each has its own /var/log.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Doing, Failure, Result};
use crate::process::{self, Process, Start};
use crate::run::{Leftover, Run};

/// The file that the first process writes when the mounts stand.
pub const READY: &str = "space-ready";

#[derive(Debug)]
pub struct Space {
    init: Process,
    number: u8,
    link: String,
}

impl Space {
    pub fn make(run: &Run) -> Result<Self> {
        let number = run.number();
        let link = format!("obslab{number}");
        let addresses = process::run(&["ip", "-4", "-o", "address"])?;
        if addresses.contains(&format!(" 10.88.{number}.")) {
            return Err(Failure::new(format!("this machine already has an address in 10.88.{number}.0/30")));
        }
        let lab = std::env::current_exe().doing(|| "finding the lab's own binary")?;
        let mut init = Start::new("init", "unshare")
            .args(["--net", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(lab)
            .arg("init")
            .arg(run.dir())
            .piped()
            .spawn(run)?;
        let ready = run.dir().join(READY);
        init.wait_ready(Duration::from_secs(10), || if ready.exists() { Ok(()) } else { Err("its mounts do not stand".into()) })?;
        run.record(&Leftover::Link(link.clone()))?;
        let space = Self { init, number, link };
        space.connect()?;
        Ok(space)
    }

    /// The pair of interfaces that joins the machine and the space. Nothing is routed beyond it: the space has no default
    /// route, so nothing in it can reach another machine.
    fn connect(&self) -> Result<()> {
        let pid = self.init.pid().to_string();
        let host = format!("{}/30", self.host_address());
        let node = format!("{}/30", self.node_address());
        process::run(&["ip", "link", "add", &self.link, "type", "veth", "peer", "name", "node0", "netns", &pid])?;
        process::run(&["ip", "address", "add", &host, "dev", &self.link])?;
        process::run(&["ip", "link", "set", &self.link, "up"])?;
        for words in [
            &["link", "set", "lo", "up"][..],
            &["address", "add", &node, "dev", "node0"],
            &["link", "set", "node0", "up"],
            // The node itself reaches Services too; only what a Service translates ever leaves by this route.
            &["route", "add", "10.96.0.0/16", "dev", "node0"],
        ] {
            self.command("ip", "ip").args(words).output()?;
        }
        Ok(())
    }

    /// A program to be run inside.
    pub fn command(&self, name: &str, program: impl Into<std::ffi::OsString>) -> Start {
        let of = format!("/proc/{}/ns", self.init.pid());
        // The first process is `unshare`, which is in all the new namespaces but the one of process numbers.
        Start::new(name, program).enter([format!("--net={of}/net"), format!("--mount={of}/mnt"), format!("--pid={of}/pid_for_children")])
    }

    pub fn host_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 88, self.number, 1)
    }

    pub fn node_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 88, self.number, 2)
    }

    /// Ends every process inside at once.
    pub fn end(&mut self) -> Result<()> {
        self.init.stop(Duration::from_secs(10))
    }

    pub fn is_alive(&mut self) -> bool {
        self.init.is_alive()
    }
}

/// Where the machine's folders are hidden behind ones of the run, inside the space.
pub fn log_folder(run: &Run) -> PathBuf {
    run.dir().join("log")
}
