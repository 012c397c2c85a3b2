//! Kubernetes in its own terms: pods and their containers, which of them a name means, what a missing permission needs. Names no other system.

pub mod access;
pub mod collect;
pub mod model;
pub mod target;
