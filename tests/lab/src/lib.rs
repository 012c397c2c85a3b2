//! The lab starts every real server that obsctl is tested against, hands out leases on them, and leaves nothing behind.
//!
//! - foundations: [`run`] (folder, number, lock, sweeping), [`process`], [`ports`], [`need`], [`wait`], [`failure`]
//! - [`cluster`]: a real one-node Kubernetes, in a [`space`] of its own whose first process is [`init`]
//! - [`proxy`]: a network that is far away, or fails at a chosen byte
//! - [`redis`]: servers and sentinels of a test's own; [`celery`]: real workers of every version, and what is published for them
//! - [`postgres`]: servers of every version, replicas and poolers of a test's own
//! - [`web`]: nginx, certificates good and bad, and a server that misbehaves
//! - [`holder`]: the process that owns the servers, spoken to in the words of [`protocol`]
//! - [`sandbox`]: a small real production with faults planted on purpose
//! - [`demo`]: the main job as a story; [`latency`]: a network that is far away, on the command line
//! - [`bench`]: what obsctl costs a broker; [`bench_follow`]: what following many pods costs, and what is lost
//! - [`hand`]: what a test takes it by ([`get`]); [`warm`]: one that outlives the tests
//!
//! Nothing here is faked and nothing leaves the machine.

pub mod bench;
pub mod bench_follow;
pub mod celery;
pub mod cluster;
pub mod demo;
pub mod failure;
pub mod hand;
pub mod holder;
pub mod init;
pub mod latency;
pub mod mail;
pub mod need;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod protocol;
pub mod proxy;
pub mod redis;
pub mod run;
pub mod sandbox;
pub mod space;
pub mod venv;
pub mod wait;
pub mod warm;
pub mod web;

pub use celery::{Celery, Pool, Publish, Version, Worker, WorkerOptions};
pub use cluster::access::{Rule, rule};
pub use cluster::handle::Cluster;
pub use cluster::namespace::Namespace;
pub use cluster::proxy::{ApiFault, ApiProxy};
pub use failure::{Failure, Result};
pub use hand::{Lab, get};
pub use postgres::{Major, PgBouncer, PgSession, PostgresOptions, PostgresServer};
pub use proxy::{Fault, Proxy};
pub use redis::{RedisOptions, RedisServer, Sentinels};
pub use wait::eventually;

/// Tells whoever watches a test what it has measured; with `--nocapture`.
pub fn say(text: &str) {
    println!("{text}");
}
