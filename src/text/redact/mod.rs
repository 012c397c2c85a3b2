//! Redaction: log text goes in, text without secrets comes out. The one place that decides what is a secret.
//!
//! A line is read as what it is: JSON (at any depth, and inside its strings), then pairs (`key=value`, `key: value`, Python reprs,
//! headers), then values that are secrets under any key (tokens, cards, passwords in URLs). What is found becomes an edit of the bytes of
//! the line, so all else stays byte for byte. Where the reading is in doubt (a line cut in two, a quote that never ends, strings nested
//! too deep) too much is hidden, never too little.

mod edits;
mod json;
mod keys;
mod mask;
mod pairs;
mod scan;
#[cfg(test)]
mod tests;
mod url;
mod values;

use super::{Safe, SafeBuf};
pub use mask::MaskKey;
use std::sync::Arc;

/// What a masked value was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretKind {
    /// An e-mail address.
    Email,
    /// The credentials of an `Authorization` header, or a bearer token in text.
    Bearer,
    /// A JSON web token.
    Jwt,
    /// A payment card's number.
    Card,
    /// An international bank account number.
    Iban,
    /// The body of a PEM block.
    Pem,
    /// A password or token in front of a URL's host.
    UrlPassword,
    /// An AWS access key's ID.
    AwsKey,
    /// A US social security number.
    Ssn,
    /// A session's ID.
    SessionId,
    /// The value of a key that names a secret, or a token known by its shape.
    Secret,
    /// A network address under a key that names one.
    Address,
}

impl SecretKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Email,
        Self::Bearer,
        Self::Jwt,
        Self::Card,
        Self::Iban,
        Self::Pem,
        Self::UrlPassword,
        Self::AwsKey,
        Self::Ssn,
        Self::SessionId,
        Self::Secret,
        Self::Address,
    ];

    /// The word in the mask.
    pub fn label(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Bearer => "bearer",
            Self::Jwt => "jwt",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Pem => "pem",
            Self::UrlPassword => "url-password",
            Self::AwsKey => "aws-key",
            Self::Ssn => "ssn",
            Self::SessionId => "session",
            Self::Secret => "secret",
            Self::Address => "ip",
        }
    }
}

/// How many values of each kind were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; SecretKind::ALL.len()]);

impl Tally {
    /// Those of one kind.
    pub fn of(&self, kind: SecretKind) -> u64 {
        self.0[kind as usize]
    }
    /// All kinds that were found.
    pub fn found(&self) -> impl Iterator<Item = (SecretKind, u64)> + '_ {
        SecretKind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|(_, count)| *count > 0)
    }
    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// Hides secrets. Cheap to clone; the default one redacts, with a mask key of this process.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<Settings>);

#[derive(Clone, Debug, Default)]
struct Settings {
    key: MaskKey,
    shows: bool,
    keeps: Vec<Vec<u8>>,
}

/// An ID is searched for by this much of its beginning, or more.
const SHORTEST_PREFIX: usize = 6;

impl Redactor {
    /// Masks that stay equal from run to run.
    pub fn new(key: MaskKey) -> Self {
        Self(Arc::new(Settings { key, ..Settings::default() }))
    }

    /// Hides nothing (`--show-sensitive`); what it gives is still terminal-safe.
    pub fn showing_sensitive(mut self) -> Self {
        Arc::make_mut(&mut self.0).shows = true;
        self
    }

    /// Whether it hides nothing.
    pub fn shows_sensitive(&self) -> bool {
        self.0.shows
    }

    /// Never hides the ID that is being searched for, given whole or by its beginning: a value that is this, or (from six bytes on) a
    /// single word that begins with this. A longer text that merely holds it is hidden as ever.
    pub fn keeping(mut self, searched: &[u8]) -> Self {
        if !searched.is_empty() {
            Arc::make_mut(&mut self.0).keeps.push(searched.to_vec());
        }
        self
    }

    /// One free text: a message, the error of a server, one log line.
    pub fn safe(&self, raw: &[u8]) -> Safe {
        let mut out = SafeBuf::new();
        self.line(raw, &mut out);
        out.into_safe()
    }

    /// A whole log line, without its line end.
    pub fn line(&self, raw: &[u8], out: &mut SafeBuf) {
        if self.0.shows || !scan::is_suspicious(raw) {
            out.push_name(raw);
        } else {
            self.write(raw, &scan::line(self, raw), out);
        }
    }

    /// As `line`; adds what it found to `tally`, shown or not.
    pub fn line_counting(&self, raw: &[u8], out: &mut SafeBuf, tally: &mut Tally) {
        if !scan::is_suspicious(raw) {
            return out.push_name(raw);
        }
        let edits = scan::line(self, raw);
        for edit in &edits {
            tally.0[edit.kind as usize] += 1;
        }
        self.write(raw, if self.0.shows { &[] } else { &edits }, out);
    }

    /// A value known to stand under `key`.
    pub fn field(&self, key: &str, value: &str) -> Safe {
        let mut out = SafeBuf::new();
        let edits = if self.0.shows { Vec::new() } else { scan::field(self, key.as_bytes(), value.as_bytes()) };
        self.write(value.as_bytes(), &edits, &mut out);
        out.into_safe()
    }

    fn write(&self, raw: &[u8], edits: &[edits::Edit], out: &mut SafeBuf) {
        if edits.is_empty() { out.push_name(raw) } else { out.push_name(&edits::apply(raw, edits)) }
    }
}

impl Settings {
    fn keeps(&self, kind: SecretKind, value: &[u8]) -> bool {
        // Whoever searches for the beginning of a credential does not ask to see the rest of it.
        let by_prefix =
            !matches!(kind, SecretKind::Jwt | SecretKind::Bearer | SecretKind::Pem | SecretKind::UrlPassword | SecretKind::AwsKey);
        self.keeps.iter().any(|kept| {
            value.eq_ignore_ascii_case(kept)
                || by_prefix
                    && kept.len() >= SHORTEST_PREFIX
                    && value.get(..kept.len()).is_some_and(|head| head.eq_ignore_ascii_case(kept))
                    && value.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
        })
    }
}
