//! The rules, with the clock handed in.
