//! Screens of statements, sessions and locks.

pub mod activity;
pub mod locks;
pub mod parts;
pub mod statements;

pub use activity::activity;
pub use locks::locks;
pub use statements::statements;
