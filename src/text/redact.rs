//! Redaction: log text goes in, text without secrets comes out. Placeholder until the real one lands.

use super::{Safe, SafeBuf};

/// Hides secrets.
#[derive(Clone, Default)]
pub struct Redactor;
impl Redactor {
    /// One free text.
    pub fn safe(&self, raw: &[u8]) -> Safe {
        Safe::name(raw)
    }
    /// A whole log line.
    pub fn line(&self, raw: &[u8], out: &mut SafeBuf) {
        out.push_name(raw);
    }
    /// A value known to stand under `key`.
    pub fn field(&self, _key: &str, value: &str) -> Safe {
        Safe::name(value)
    }
    /// Never hides these bytes.
    pub fn keeping(self, _searched: &[u8]) -> Self {
        self
    }
}
