//! Facts and findings → a screen.

pub mod depth;

pub use depth::{History, depth};
