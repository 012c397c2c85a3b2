//! How log records and requests look: lines for streams, a screen for a request, objects for machines. Everything of the application goes
//! through the redactor here.

mod errors;
mod marks;
mod records;
mod request;
mod stats;

pub use errors::{ErrorStyle, errors};
pub use marks::{MarkView, mark_line};
pub use records::{RecordStyle, RecordView, record_lines, says};
pub use request::{coverage, request, requests, unsteady};
pub use stats::{leaks, stats};

use crate::{
    answer::Coverage,
    text::{Safe, units},
};

/// How much was looked at: `22 records`; of a search that passes over what cannot be a hit, its size.
fn searched(records: Option<u64>, coverage: &Coverage) -> Safe {
    match records {
        Some(count) => units::plural(usize::try_from(count).unwrap_or(usize::MAX), "record", "records"),
        None => units::bytes(coverage.bytes),
    }
}
