//! A real one-node Kubernetes: what the holder starts ([`start`]) and what a test holds in its hands ([`handle`]).
//!
//! Its servers are the pinned Go modules of `tests/cluster`, Debian's etcd and containerd, and runc; they live in a
//! [`crate::space::Space`].

pub mod access;
pub mod build;
pub mod config;
pub mod handle;
pub mod images;
pub mod lease;
pub mod namespace;
pub mod pki;
pub mod proxy;
pub mod start;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The node's name: the same in every run, so that snapshots need no redaction for it.
pub const NODE: &str = "node-1";

/// What a client must know; the holder's answer to `{"need":"cluster"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The run's folder: `pki/`, `logs/` (of the servers), `log/pods/` (the pods', as the node has them).
    pub dir: PathBuf,
    pub node: String,
    /// The API server, reachable from this machine.
    pub api: String,
    /// A kubectl of the cluster's own version.
    pub kubectl: PathBuf,
}
