//! PostgreSQL: why a statement is slow, and what a server is busy with. Reads; what may run at all is decided by `screen`.
//!
//! `model` is a plan as PostgreSQL describes it, `decode` reads its JSON, `analyze` gives every node the time that is its own, `rules`
//! say what an expert would. `statement` reads what was given, `screen` judges what it reaches, `collect` asks the server: for plans, and for
//! its statements, sessions and locks.

pub mod advice;
pub mod analyze;
pub mod collect;
pub mod decode;
pub mod model;
pub mod rules;
pub mod screen;
pub mod statement;
pub mod view;

#[cfg(test)]
mod fixtures;
