//! Plans and what they mean → a screen.

pub mod explain;
mod plan;
