//! What PostgreSQL answers → model. Never panics; what is not understood is kept by its own name.

pub mod plan;
pub mod rows;
pub mod saved;
pub mod shared;
