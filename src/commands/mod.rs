//! One file per noun: its arguments and its wiring. Decides nothing that a system, a report or the table of exit statuses decides.

pub mod config;
