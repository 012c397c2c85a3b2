//! Masks: what stands in place of a secret. `<email:3fa1>` says what was hidden and stays equal for equal values, so that the same
//! user, address or token can still be followed through the lines.

use super::SecretKind;
use sha2::{Digest, Sha256};
use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hasher},
    sync::LazyLock,
};

/// The key of the masks: with the same key the same value has the same mask. A user's own key lives in the state folder.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    /// A key that was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh key. The standard library seeds `RandomState` from the system's randomness (128 bits), which is all a mask needs.
    pub fn random() -> Self {
        let mut hash = Sha256::new();
        for round in 0..4_u64 {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(round);
            hash.update(hasher.finish().to_le_bytes());
        }
        Self(hash.finalize().into())
    }

    /// What to store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The four hex digits of a mask: the first 16 bits of SHA-256(key, kind, value). Cut this short on purpose: it tells apart the
    /// few values of an incident, while one guess in 65 536 fits by chance, so a mask proves no guess and can be reversed by no
    /// dictionary, even by someone who has the key. Two values may share a mask; equal masks are a strong hint, not a proof.
    pub(super) fn tag(&self, kind: SecretKind, value: &[u8]) -> u16 {
        let hash = Sha256::new().chain_update(self.0).chain_update([kind as u8]).chain_update(value).finalize();
        u16::from_be_bytes([hash[0], hash[1]])
    }
}

/// The key of this process: redactors that were made apart agree.
impl Default for MaskKey {
    fn default() -> Self {
        static OF_THIS_PROCESS: LazyLock<MaskKey> = LazyLock::new(MaskKey::random);
        OF_THIS_PROCESS.clone()
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(…)")
    }
}

/// No mask is longer.
const LONGEST: usize = 24;

/// Whether `text` ends with a mask.
pub(super) fn is_trailing(text: &[u8]) -> bool {
    let text = &text[text.len().saturating_sub(LONGEST)..];
    text.iter().rposition(|b| *b == b'<').is_some_and(|open| leading(&text[open..]) == Some(text.len() - open))
}

/// The length of the mask that `text` begins with, if it does.
pub(super) fn leading(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"<")?;
    SecretKind::ALL.iter().find_map(|kind| {
        let label = kind.label().as_bytes();
        let tag = rest.strip_prefix(label)?.strip_prefix(b":")?;
        let hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        (tag.len() > 4 && tag[..4].iter().all(hex) && tag[4] == b'>').then_some(label.len() + 7)
    })
}
