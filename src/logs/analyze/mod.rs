//! Many records to few facts, in bounded memory: which errors there are (`errors`), how values are spread (`stats`), what had to be
//! hidden (`leaks`). Pure: records in, facts out, in any order; the clock is an argument. What was cut is counted.

pub mod cause;
pub mod errors;
pub mod leaks;
pub mod normal;
pub mod quantiles;
pub mod stats;
pub mod timeline;

use super::model::{Entry, Record};

/// Takes records, in any order, and keeps of them what fits.
pub trait Census {
    /// A record and what it says.
    fn take(&mut self, record: &Record, entry: &Entry);
}
