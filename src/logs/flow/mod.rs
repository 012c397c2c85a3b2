//! Synchronous, stateful, no I/O: bytes to lines (`split`), lines to records (`group`), records to hits (`keep`), many streams to one (`merge`).

pub mod group;
pub mod keep;
pub mod merge;
pub mod split;
pub mod spool;
