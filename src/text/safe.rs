//! The only printable text. A `Safe` holds no control sequence, no bidirectional override and no invalid UTF-8, so that nothing an
//! application logged can move the cursor, retitle a window or hide a line. It says nothing about secrets: free text goes through
//! `Redactor`, which makes a `Safe` of it; names that Kubernetes or a user gave go through `Safe::name`.

use serde::{Serialize, Serializer};
use std::{borrow::Cow, fmt, ops::Deref};

/// Text that can be printed, notified and stored. There is no `From<String>` on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Safe(Cow<'static, str>);

impl Safe {
    /// The empty text.
    pub const EMPTY: Self = Self(Cow::Borrowed(""));

    /// An identifier (the name of a pod, an environment, a file, a flag's value): made terminal-safe, not redacted. Never for log text,
    /// messages of servers or anything else that can hold a secret: those go through `Redactor::safe`.
    pub fn name(raw: impl AsRef<[u8]>) -> Self {
        let raw = raw.as_ref();
        let mut out = String::with_capacity(raw.len());
        escape_into(raw, &mut out);
        Self(Cow::Owned(out))
    }

    /// Joins fragments that are all safe already; called by the `safe!` macro only.
    #[doc(hidden)]
    pub fn compose(arguments: fmt::Arguments<'_>) -> Self {
        Self(match arguments.as_str() {
            Some(fixed) => Cow::Borrowed(fixed),
            None => Cow::Owned(arguments.to_string()),
        })
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts joined by a separator.
    pub fn join<'a>(parts: impl IntoIterator<Item = &'a Self>, separator: &'static str) -> Self {
        let mut out = String::new();
        for (i, part) in parts.into_iter().enumerate() {
            if i > 0 {
                out.push_str(separator);
            }
            out.push_str(part);
        }
        Self(Cow::Owned(out))
    }

    /// The first `width` characters, with `…` in place of what was cut.
    pub fn clipped(&self, width: usize) -> Self {
        if self.0.chars().count() <= width {
            return self.clone();
        }
        let mut out: String = self.0.chars().take(width.saturating_sub(1)).collect();
        out.push('…');
        Self(Cow::Owned(out))
    }
}

impl From<&'static str> for Safe {
    fn from(fixed: &'static str) -> Self {
        Self(Cow::Borrowed(fixed))
    }
}

impl Deref for Safe {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Safe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What may stand in a `safe!` sentence: safe text, fixed text and numbers.
pub trait Fragment: fmt::Display {}
impl Fragment for Safe {}
impl Fragment for &'static str {}
impl Fragment for &Safe {}
macro_rules! plain_fragments { ($($t:ty),*) => { $(impl Fragment for $t {})* } }
plain_fragments!(u8, u16, u32, u64, usize, i32, i64, f64, char, jiff::Timestamp);

/// Holds a fragment to its trait; called by the `safe!` macro only.
#[doc(hidden)]
pub fn fragment<T: Fragment>(part: &T) -> &T {
    part
}

/// A sentence of fixed words and safe parts: `safe!("{} pods of {}", 3, app)`. A part that is neither safe nor a number does not compile.
#[macro_export]
macro_rules! safe {
    ($format:literal $(, $part:expr)* $(,)?) => {{
        // A statement of its own, so that no temporary of the formatting lives across an `.await` of the caller.
        let text = $crate::text::Safe::compose(format_args!($format $(, $crate::text::safe::fragment(&$part))*));
        text
    }};
}

/// A growing buffer of safe output. Only safe text gets in; line ends are written by `end_line` alone.
#[derive(Default)]
pub struct SafeBuf(String);

impl SafeBuf {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }
    /// An empty buffer that takes so many bytes without growing.
    pub fn with_room(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }
    /// Adds text that is safe already.
    pub fn push(&mut self, text: &Safe) {
        self.0.push_str(text);
    }
    /// Adds fixed text.
    pub fn push_fixed(&mut self, text: &'static str) {
        self.0.push_str(text);
    }
    /// Adds raw bytes, made terminal-safe and NOT redacted.
    pub fn push_name(&mut self, raw: &[u8]) {
        escape_into(raw, &mut self.0);
    }
    /// Ends the line.
    pub fn end_line(&mut self) {
        self.0.push('\n');
    }
    /// What is in it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
    /// Takes what is in it as one text.
    pub fn into_safe(self) -> Safe {
        Safe(Cow::Owned(self.0))
    }
}

impl From<Safe> for SafeBuf {
    fn from(text: Safe) -> Self {
        Self(text.0.into_owned())
    }
}

/// Writes `raw` so that a terminal shows it and obeys none of it: control characters, C1, bidirectional and invisible format characters
/// and bytes that are no UTF-8 appear as escapes; a tab stays.
pub(super) fn escape_into(raw: &[u8], out: &mut String) {
    // The common text is plain: one scan, many bytes at a time, and one copy.
    let plain = |part: &[u8]| part.iter().fold(true, |all, b| all & (*b == b'\t' || (b' '..0x7f).contains(b)));
    if raw.chunks(64).all(plain)
        && let Ok(text) = std::str::from_utf8(raw)
    {
        return out.push_str(text);
    }
    for chunk in raw.utf8_chunks() {
        let text = chunk.valid();
        if text.bytes().all(|b| b == b'\t' || (b' '..0x7f).contains(&b)) {
            out.push_str(text);
        } else {
            for c in text.chars() {
                push_char(c, out);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
}

fn push_char(c: char, out: &mut String) {
    match c {
        '\t' => out.push(c),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
        c if is_deceptive(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        c => out.push(c),
    }
}

/// C1 controls, line and paragraph separators, bidirectional controls, invisible format characters, tags and the byte order mark.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        let shown = Safe::name(b"a\x1b[2J\x07b\r\n\xff\xc2\x9bc\xe2\x80\xaed\tok \xe2\x9c\x93");
        assert_eq!(shown.as_str(), "a\\x1b[2J\\x07b\\r\\n\\xff\\u{9b}c\\u{202e}d\tok ✓");
    }

    #[test]
    fn sentences_take_safe_parts_and_numbers() {
        let pod = Safe::name("web-1");
        assert_eq!(safe!("{} of {} in {}", 1usize, pod, "ns").as_str(), "1 of web-1 in ns");
    }

    #[test]
    fn clips_by_characters() {
        assert_eq!(Safe::name("äöüß").clipped(3).as_str(), "äö…");
        assert_eq!(Safe::name("abc").clipped(3).as_str(), "abc");
    }

    proptest! {
        #[test]
        fn never_lets_a_control_through(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let shown = Safe::name(&raw);
            prop_assert!(shown.chars().all(|c| c == '\t' || !(c.is_control() || is_deceptive(c))));
        }

        #[test]
        fn keeps_plain_text(text in "[ -~äöü\\t]{0,80}") {
            let shown = Safe::name(&text);
            prop_assert_eq!(shown.as_str(), text.as_str());
        }
    }
}
