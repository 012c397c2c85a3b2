//! What a live PostgreSQL says: about itself, about what a statement reaches, and the plans. Every statement is part of a short transaction
//! that ends with ROLLBACK; our own are asked with nothing but `pg_catalog` in the search path.

mod advice;
mod catalog;
pub mod explain;
mod samples;
mod server;
pub mod source;
mod transaction;
mod trial;

pub use explain::{Analysis, Explained, Explainer, Request, Values, ValuesFrom};
pub use server::server_facts;
pub use transaction::Limits;
pub use trial::TriedIndex;
