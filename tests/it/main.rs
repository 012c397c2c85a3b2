//! Every integration test, in one binary: linking is what costs.

// The lints' leave for tests holds inside of `cfg(test)` only.
#[cfg(test)]
mod brokers;
#[cfg(test)]
mod check;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod cli_support;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod databases;
#[cfg(test)]
mod db_views;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod files;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod health;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod shells;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod support;
#[cfg(test)]
mod views;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod whole;
