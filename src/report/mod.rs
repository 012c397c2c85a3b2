//! How an answer looks: a `Doc` drawn for people, or the same facts as JSON. Decides nothing: no verdict, no exit status.

pub mod doc;
pub mod human;
pub mod json;
pub mod out;
mod tree;

pub use doc::{Branch, Cell, Doc, Line, Style, Table, Tree, bar, sparkline};
pub use out::{Format, Look, Out, Where};

use serde::Serialize;

/// An answer's facts that can be shown: the JSON is the type itself, the screen is what `doc` draws.
pub trait Report: Serialize {
    /// Names the shape of the JSON: `logs.request`.
    const KIND: &'static str;
    /// Goes up when a field changes its meaning or disappears.
    const VERSION: u32;
}
