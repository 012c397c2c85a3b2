//! Logs of pods and files: the question as data (`query`), bytes to records (`decode`, `flow`), where they come from (`source`), what a
//! request did (`request`), what many records say together (`analyze`, `survey`), how it looks (`view`). Knows no other system.

pub mod analyze;
pub mod decode;
pub mod flow;
mod follow;
pub mod mark;
pub mod model;
pub mod query;
pub mod read;
pub mod request;
pub mod source;
pub mod survey;
pub mod view;
mod writers;
