//! Every integration test, in one binary: linking is what costs.

// The lints' leave for tests holds inside of `cfg(test)` only.
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod support;
