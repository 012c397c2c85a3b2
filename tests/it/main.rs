//! Every integration test, in one binary: linking is what costs.

mod cluster;
mod docs;
mod profiles;
mod support;
