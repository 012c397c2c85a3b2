//! Edits: which bytes of a text are replaced by a mask, found at any level of quoting and carried outwards to the bytes of the line.

use super::SecretKind;
use std::{fmt::Write, ops::Range};

/// One mask to set.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub at: Range<usize>,
    pub kind: SecretKind,
    pub tag: u16,
    /// A JSON number becomes a string, so that what was JSON stays JSON: how many strings deep it stands. None sets no quotes.
    pub quotes: Option<u8>,
}

/// A text that was unquoted or stripped, and where each of its bytes stood.
pub(super) struct Mapped {
    pub text: Vec<u8>,
    from: Vec<Range<u32>>,
}

impl Mapped {
    fn with_capacity(capacity: usize) -> Self {
        Self { text: Vec::with_capacity(capacity), from: Vec::with_capacity(capacity) }
    }

    fn push(&mut self, bytes: &[u8], from: Range<usize>) {
        // A line of 4 GiB does not exist; should one, its tail maps to its end and is masked too widely rather than too little.
        let from = u32::try_from(from.start).unwrap_or(u32::MAX)..u32::try_from(from.end).unwrap_or(u32::MAX);
        for &b in bytes {
            self.text.push(b);
            self.from.push(from.clone());
        }
    }

    /// An edit of this text as an edit of the text that it was made from.
    pub fn outwards(&self, mut edit: Edit, base: usize, strings: u8) -> Edit {
        let start = self.from.get(edit.at.start).map_or(0, |r| r.start as usize);
        let end = edit.at.end.checked_sub(1).and_then(|last| self.from.get(last)).map_or(start, |r| r.end as usize);
        edit.at = base + start..base + end.max(start);
        edit.quotes = edit.quotes.map(|depth| depth.saturating_add(strings));
        edit
    }
}

/// The text inside a JSON string. Lenient: an escape that JSON does not know stands for itself, as Python's `\x41` does for `A`.
pub(super) fn unquote(raw: &[u8]) -> Mapped {
    let mut out = Mapped::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        let start = i;
        let (Some(b'\\'), Some(&escape)) = (raw.get(i), raw.get(i + 1)) else {
            out.push(&raw[i..=i], i..i + 1);
            i += 1;
            continue;
        };
        i += 2;
        let simple = match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'u' | b'x' => {
                let digits = if escape == b'u' { 4 } else { 2 };
                let Some(mut code) = hex(raw, i, digits) else {
                    out.push(&raw[start..i], start..i);
                    continue;
                };
                i += digits;
                if (0xd800..0xdc00).contains(&code)
                    && raw[i..].starts_with(b"\\u")
                    && let Some(low @ 0xdc00..0xe000) = hex(raw, i + 2, 4)
                {
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    i += 6;
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.push(c.encode_utf8(&mut [0; 4]).as_bytes(), start..i);
                continue;
            }
            other => other,
        };
        out.push(&[simple], start..i);
    }
    out
}

fn hex(raw: &[u8], at: usize, digits: usize) -> Option<u32> {
    let text = std::str::from_utf8(raw.get(at..at + digits)?).ok()?;
    text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16).ok())?
}

/// How terminal sequences begin: as themselves, and as what a repr or our own output made of them.
const COLOURS: [&[u8]; 4] = [b"\x1b[", b"\\x1b[", b"\\u001b[", b"\\033["];

/// Whether there is a terminal sequence.
pub(super) fn has_colours(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'\x1b', b'\\', text).any(|i| COLOURS.iter().any(|start| text[i..].starts_with(start)))
}

/// The text without terminal sequences: structlog's console renderer writes `\x1b[36mpassword\x1b[0m=\x1b[35mhunter2\x1b[0m`.
pub(super) fn without_colours(raw: &[u8]) -> Mapped {
    let mut out = Mapped::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        let start = matches!(raw[i], b'\x1b' | b'\\').then(|| COLOURS.iter().find(|start| raw[i..].starts_with(start))).flatten();
        if let Some(start) = start {
            let parameters = raw[i + start.len()..].iter().take_while(|b| (0x20..0x40).contains(*b)).count();
            let end = i + start.len() + parameters;
            // Only a letter ends a sequence: one that was cut short must not swallow a quote.
            i = end + usize::from(raw.get(end).is_some_and(u8::is_ascii_alphabetic));
        } else {
            out.push(&raw[i..=i], i..i + 1);
            i += 1;
        }
    }
    out
}

/// Sorts the edits and joins those that overlap: what any rule wants hidden is hidden.
pub(super) fn join(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (edit.at.start, std::cmp::Reverse(edit.at.end)));
    let mut out: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        match out.last_mut() {
            Some(last) if edit.at.start < last.at.end => {
                if edit.at.end > last.at.end {
                    last.at.end = edit.at.end;
                    last.tag ^= edit.tag;
                }
            }
            _ => out.push(edit),
        }
    }
    out
}

/// The text with its masks set.
pub(super) fn apply(raw: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + edits.len() * 8);
    let mut done = 0;
    for edit in edits {
        out.extend_from_slice(&raw[done..edit.at.start]);
        let mut mask = String::new();
        let quote = edit.quotes.map(|depth| "\\".repeat((1_usize << depth.min(16)) - 1) + "\"").unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(mask, "{quote}<{}:{:04x}>{quote}", edit.kind.label(), edit.tag);
        out.extend_from_slice(mask.as_bytes());
        done = edit.at.end;
    }
    out.extend_from_slice(&raw[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquotes_what_json_and_python_write() {
        let read = |raw: &str| String::from_utf8(unquote(raw.as_bytes()).text).expect("made of UTF-8");
        assert_eq!(read(r#"a\n\"b\\c\u0041\x42\ud83d\ude00\/"#), "a\n\"b\\cAB😀/");
        assert_eq!(read(r"\u12 \q \ud83d"), "\\u12 q \u{fffd}");
        assert_eq!(read("end\\"), "end\\");
    }

    #[test]
    fn an_edit_covers_the_escapes_it_was_found_in() {
        let mapped = unquote(br"x\u0041\u0042y");
        let edit = Edit { at: 1..3, kind: SecretKind::Secret, tag: 0, quotes: None };
        assert_eq!(mapped.outwards(edit, 10, 1).at, 11..23);
    }
}
