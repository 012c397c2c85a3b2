//! Every integration test, in one binary: linking is what costs.

mod cluster;
mod profiles;
mod support;
