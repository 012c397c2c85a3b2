//! One file per noun: its arguments, and the wiring from arguments to an answer. Wiring only: facts, analysis and screens are below.

pub mod changes;
pub mod check;
pub mod complete;
pub mod config;
pub mod db;
pub mod doctor;
pub mod errors;
pub mod explain;
pub mod health;
pub mod incident;
pub mod logs;
pub mod notify;
pub mod queue;
pub mod setup;
pub mod start;
pub mod watch;
