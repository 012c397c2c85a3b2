//! Synchronous, stateful, no I/O: bytes to lines (`split`), lines to records (`group`), bytes to what may be hits (`needle`, `pick` in a
//! file, `sieve` in a stream), lines to their writers (`prefix`), records to hits (`keep`), a broken stream to the next one (`resume`), many
//! streams to one (`merge`, and `hold` while they go on).

pub mod clock;
pub mod group;
pub mod hold;
pub mod keep;
pub mod merge;
pub mod needle;
pub mod pick;
pub mod prefix;
pub mod resume;
#[cfg(test)]
pub mod samples;
pub mod sieve;
pub mod split;
pub mod spool;
