//! What PostgreSQL answers → model. Never panics; what is not understood is kept by its own name.

mod node;
mod pass;
pub mod plan;
pub mod rows;
pub mod saved;
pub mod shared;
