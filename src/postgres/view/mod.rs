//! Plans and what they mean → a screen.

mod diff;
pub mod explain;
mod plan;
