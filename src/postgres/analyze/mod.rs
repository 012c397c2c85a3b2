//! What a plan means: the time that is each node's own, and what follows from it. And what a server's sessions, locks and statements mean.
//! Pure.

pub mod activity;
pub mod cause;
pub mod diff;
pub mod explain;
pub mod locks;
pub mod reasons;
pub mod statements;
pub mod times;
pub mod weights;
pub mod words;
