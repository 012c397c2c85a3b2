//! Samples → what they mean. Pure; the clock is that of the samples.

pub mod beat;
pub mod depth;
pub mod find;
pub mod peek;
pub mod workers;
