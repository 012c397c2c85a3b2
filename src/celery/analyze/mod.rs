//! Samples → what they mean. Pure; the clock is that of the samples.

pub mod depth;
