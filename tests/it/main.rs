//! Every integration test, in one binary: linking is what costs.

#[cfg(test)]
mod cli;
#[cfg(test)]
mod cli_support;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod shells;
