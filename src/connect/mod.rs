//! Connections to live systems: how each is reached, with deadlines, bounded retries and errors that say what to try. Prints nothing,
//! judges nothing.

pub mod kube;
pub mod process;
pub mod redis;
pub mod secret;
pub mod stream;
mod variables;
