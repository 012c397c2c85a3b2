//! Whether it is up, on every pod: what a health endpoint says, in whatever dialect, what that means, and how it is shown.

pub mod analyze;
pub mod collect;
pub mod decode;
pub mod model;
pub mod view;
