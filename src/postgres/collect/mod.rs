//! What a live PostgreSQL says: about itself, its sessions and statistics, about what a statement reaches, and the plans. Every statement is part of a short transaction
//! that ends with ROLLBACK; our own are asked with nothing but `pg_catalog` in the search path.

pub mod activity;
mod advice;
mod catalog;
pub mod circumstances;
pub mod explain;
pub mod locks;
mod look;
mod samples;
pub mod select;
mod server;
pub mod source;
pub mod statements;
mod transaction;
mod trial;

pub use explain::{Analysis, Explained, Explainer, Request, Values, ValuesFrom};
pub use look::{coverage, database_seen, grant};
pub use server::server_facts;
pub use transaction::Limits;
pub use trial::TriedIndex;
