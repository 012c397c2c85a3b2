//! What a live PostgreSQL says: about itself, about what a statement reaches, and the plans. Every statement is part of a short transaction
//! that ends with ROLLBACK; our own are asked with nothing but `pg_catalog` in the search path.

mod catalog;
pub mod explain;
pub mod samples;
mod server;
mod transaction;

pub use explain::{Analysis, Explained, Explainer, Request, Values, ValuesFrom};
pub use server::server_facts;
pub use transaction::Limits;
