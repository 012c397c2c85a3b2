//! Text that may be shown: what is terminal-safe, what is redacted, how quantities are written. Knows nothing of any system.

pub mod redact;
pub mod safe;
pub mod units;

pub use redact::{MaskKey, Redactor, SecretKind, Tally};
pub use safe::{Safe, SafeBuf};
