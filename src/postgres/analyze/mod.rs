//! What a plan means: the time that is each node's own, and what follows from it. Pure.

pub mod cause;
pub mod diff;
pub mod explain;
pub mod times;
pub mod weights;
pub mod words;
