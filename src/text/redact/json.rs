//! JSON inside a text, read leniently: a line that was cut, a key that comes twice or a value that is no JSON must not end the reading
//! before the secrets do. Reads without recursion, so nesting costs no stack.

use super::{
    SecretKind,
    keys::{self, Class},
    scan::Scan,
    values,
};
use std::ops::Range;

/// Whether the brace at `at` opens an object.
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    text.get(skip_space(text, at + 1)) == Some(&b'"')
}

/// One open object or array.
struct Frame {
    object: bool,
    /// Of the key that this stands under: all scalars inside are hidden.
    inherited: Option<Class>,
    /// Of `{"name": "DB_PASSWORD", "value": "…"}`.
    named: Option<Class>,
    /// Of `["Authorization", "…"]`.
    first: Option<Class>,
    second: Option<Range<usize>>,
    items: usize,
}

impl Frame {
    fn new(object: bool, inherited: Option<Class>) -> Self {
        Self { object, inherited, named: None, first: None, second: None, items: 0 }
    }
}

/// Reads the JSON object at `start`; gives where it ends, or where it stops being JSON.
pub(super) fn scan(scan: &mut Scan<'_>, text: &[u8], start: usize) -> usize {
    let mut open = vec![Frame::new(true, None)];
    let mut i = start + 1;
    loop {
        let Some(frame) = open.last_mut() else { return i };
        i = skip_space(text, i);
        let member = i;
        let Some(&b) = text.get(i) else { return i };
        if b == b',' {
            i += 1;
            continue;
        }
        if b == if frame.object { b'}' } else { b']' } {
            if let (2, Some(class), Some(second)) = (frame.items, frame.first, frame.second.take()) {
                scan.string(text, second, Some(class));
            }
            open.pop();
            i += 1;
            continue;
        }
        // The value's class: that of its key, else that of what it stands in.
        let mut class = frame.inherited;
        let inherited = class.is_some();
        let mut names = false;
        if frame.object {
            let (b'"', Some((name, after))) = (b, key(text, i)) else { return stop(scan, text, member, &open) };
            class = class.or_else(|| match name.as_slice() {
                b"value" | b"val" => frame.named,
                name => keys::class(name),
            });
            names = matches!(name.as_slice(), b"name" | b"key" | b"header");
            i = skip_space(text, after);
        }
        frame.items += 1;
        match text.get(i) {
            None => return i,
            Some(b'"') => {
                let at = i + 1..string_end(text, i + 1);
                if names {
                    frame.named = keys::class(&super::edits::unquote(&text[at.clone()]).text);
                }
                match frame.items {
                    1 if !frame.object => frame.first = keys::class(&text[at.clone()]),
                    2 if !frame.object => frame.second = Some(at.clone()),
                    _ => {}
                }
                i = at.end + 1;
                scan.string(text, at, class);
            }
            Some(b @ (b'{' | b'[')) => {
                open.push(Frame::new(*b == b'{', class));
                i += 1;
            }
            Some(_) => {
                let length = text[i..].iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-._<>:".contains(b)).count();
                if length == 0 {
                    return stop(scan, text, member, &open);
                }
                // A bare value that goes on is no JSON: `Infinity` is, `<object at 0x…>` is not.
                let next = text.get(skip_space(text, i + length));
                if next.is_some_and(|b| !b",]}".contains(b)) {
                    let from = if inherited { i } else { member };
                    return stop(scan, text, from, &open);
                }
                scalar(scan, text, i..i + length, class);
                i += length;
            }
        }
    }
}

/// Where text takes over. Inside of a secret it does not: what follows is hidden, as nobody can say where the secret ends.
fn stop(scan: &mut Scan<'_>, text: &[u8], at: usize, open: &[Frame]) -> usize {
    if open.iter().any(|frame| frame.inherited.is_some()) {
        scan.mask(text, at..text.len(), SecretKind::Secret);
        return text.len();
    }
    at
}

fn scalar(scan: &mut Scan<'_>, text: &[u8], at: Range<usize>, class: Option<Class>) {
    let value = &text[at.clone()];
    let kind = match class {
        Some(Class::Whole(kind) | Class::Everyday(kind)) => kind,
        Some(Class::Cookie | Class::Authorization) => SecretKind::Secret,
        Some(Class::Card) if (12..=19).contains(&value.len()) => SecretKind::Card,
        _ if values::is_card(value) => SecretKind::Card,
        _ => return,
    };
    scan.mask_number(text, at, kind);
}

/// A key and where its value begins.
fn key(text: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let end = string_end(text, at + 1);
    let colon = skip_space(text, end + 1);
    (text.get(colon) == Some(&b':')).then(|| (super::edits::unquote(&text[at + 1..end]).text, colon + 1))
}

/// Where the string that begins at `at` ends: at its quote, or at the end of a text that was cut.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut i = at;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(i..).unwrap_or_default()) {
        i += found;
        if text[i] == b'"' {
            return i;
        }
        i += 2;
    }
    text.len()
}

fn skip_space(text: &[u8], at: usize) -> usize {
    at + text.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_whitespace()).count()
}
