//! obsctl: from a request ID to the cause, in one command, with nothing installed in the cluster.
//!
//! The crate is layered; a module names only lower ones (`tests/architecture.rs` holds it):
//! `text` < `answer` < `error`, `exit` < `config`, `report`, `store` < `connect` < `kubernetes` < `session` < `celery`, `doctor`, `health`, `logs` < `commands`, `cli` < `main`.
//!
//! A command travels arguments → environment → connection → facts → analysis → answer → report → exit status.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod celery;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod config;
pub mod connect;
pub mod doctor;
pub mod error;
pub mod exit;
pub mod health;
pub mod kubernetes;
pub mod logs;
pub mod notify;
pub mod postgres;
pub mod report;
pub mod session;
pub mod store;
pub mod text;
pub mod watch;
