//! Plans and what they mean, statements, sessions and locks → a screen.

pub mod activity;
mod diff;
pub mod explain;
pub mod locks;
pub mod parts;
mod plan;
pub mod statements;

pub use activity::activity;
pub use locks::locks;
pub use statements::statements;
