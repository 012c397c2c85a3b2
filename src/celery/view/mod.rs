//! Facts and findings → a screen.
