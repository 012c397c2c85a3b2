//! `obsctl health` of URLs: real nginx, real certificates, and servers that misbehave.

mod answers;
mod bad;
mod config;
mod deep;
mod tls;

use crate::support::{Obsctl, obsctl};
use std::path::Path;

/// `obsctl health`, with no cluster in sight.
fn health(words: &str) -> Obsctl {
    obsctl(Path::new("/nonexistent"), "health").arg_all(words)
}
