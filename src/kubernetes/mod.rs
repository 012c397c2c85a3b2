//! Kubernetes in its own terms: pods and their containers, which of them a name means, what a missing permission needs, what they serve, and
//! what changed lately. Names no other system.

pub mod access;
pub mod changes;
pub mod collect;
pub mod history;
pub mod model;
pub mod rollout;
pub mod serving;
pub mod standing;
pub mod target;
