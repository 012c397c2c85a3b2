//! Connections to live systems: how each is reached, with deadlines, bounded retries and errors that say what to try. Prints nothing,
//! judges nothing.

pub mod broker;
mod discover;
pub mod exec;
pub mod http;
pub mod kube;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod route;
pub mod secret;
mod sentinel;
mod service;
pub mod stream;
pub mod tls;
pub mod tunnel;
mod variables;
