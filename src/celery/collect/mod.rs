//! A live broker → what lies in it. Sizes are asked before content; what is cancelled gives what it has.

pub mod unacked;
pub mod workers;
