//! Standing watch: from one probe after another to the few moments at which somebody should be told. Probes nothing and tells nobody; the
//! clock is an argument. `machine` decides, `state` is what survives a restart, `windows` knows when silence is wanted, `history` is what a
//! glance should see, `analyze`, `model` and `view` what is shown of it.

pub mod analyze;
pub mod history;
pub mod machine;
pub mod model;
pub mod state;
pub mod view;
pub mod windows;
