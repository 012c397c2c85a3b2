//! Whether obsctl can see what it needs to see: what each system said when it was tried, which rights are missing for what, and the
//! smallest rights that suffice. Tries nothing itself: what was observed is handed in.

pub mod analyze;
pub mod model;
pub mod rights;
pub mod view;
