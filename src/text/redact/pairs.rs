//! Pairs in text: logfmt, headers, `key: value`, Python reprs and keyword arguments, query strings, command-line flags, DSNs.

use super::{
    edits,
    keys::{self, Class},
    mask,
    scan::{Scan, is_scheme, says_nothing},
};
use std::ops::Range;

/// Keys are no longer than this.
const LONGEST_KEY: usize = 64;

/// How the value was introduced.
#[derive(Clone, Copy, Default)]
struct Context {
    /// `key: value` without quotes: may be prose.
    prose: bool,
    /// Part of a query string: ends at `&`.
    query: bool,
    /// The separator was percent-encoded: ends at `%` too.
    encoded: bool,
}

/// The pair whose separator (of `width` bytes) stands at `at`; gives where its value ends.
pub(super) fn pair(scan: &mut Scan<'_>, text: &[u8], at: usize, width: usize) -> Option<usize> {
    let (name, quoted) = key_before(text, at)?;
    let class = keys::class(&text[name.clone()]).or_else(|| {
        let name = &text[name.clone()];
        name.contains(&b'\\').then(|| keys::class(&edits::unquote(name).text)).flatten()
    })?;
    let mut start = at + width;
    if text[at] == b':' && text[start..].starts_with(b"//") {
        return None;
    }
    // `==`, `:=`, `=>`.
    start += text[start..].iter().take(2).take_while(|b| b"=>".contains(b)).count();
    let value = start + spaces(text, start);
    let before = name.start.checked_sub(1).map(|before| text[before]);
    let context = Context {
        prose: text[at] == b':' && !quoted && value > start,
        query: !quoted && value == at + width && matches!(before, Some(b'?' | b'&' | b'%')),
        encoded: width > 1,
    };
    let end = self::value(scan, text, value, class, context)?;
    // `password: str = 'hunter2'`: the first was a type.
    let next = end + spaces(text, end);
    if text[at] == b':' && !quoted && text.get(next) == Some(&b'=') {
        let value = next + 1 + spaces(text, next + 1);
        return self::value(scan, text, value, class, Context::default()).or(Some(end));
    }
    Some(end)
}

/// `('Authorization', 'Bearer …')`: the comma at `at` stands between a key and a value, and nothing else stands in the brackets.
pub(super) fn tuple(scan: &mut Scan<'_>, text: &[u8], at: usize) -> Option<usize> {
    let (name, quoted) = key_before(text, at)?;
    let class = keys::class(&text[name.clone()]).filter(|_| quoted)?;
    let mut open = name.start - 1;
    while open > 0 && b"\\bu".contains(&text[open - 1]) {
        open -= 1;
    }
    let opened = open > 0 && b"([".contains(&text[open - 1]);
    let (content, end) = quoted_value(text, at + 1 + spaces(text, at + 1))?;
    let is_flag = text[name.start..].starts_with(b"--");
    if is_flag || opened && text.get(end).is_none_or(|b| b")]".contains(b)) {
        scan.string(text, content, Some(class));
        return Some(end);
    }
    None
}

/// `--password hunter2`: the flag's dashes begin at `at`.
pub(super) fn flag(scan: &mut Scan<'_>, text: &[u8], at: usize) -> Option<usize> {
    let start = at + 2;
    let length = text[start..].iter().take(LONGEST_KEY).take_while(|b| is_key_byte(**b)).count();
    let class = keys::class(&text[start..start + length])?;
    let after = start + length;
    let value = after + spaces(text, after);
    let next = text.get(value)?;
    if *next == b'-' || b"=:".contains(next) {
        return None;
    }
    // As a list of arguments: `'--password', 'hunter2'`.
    if b"'\"".contains(next) && value == after && text.get(value + 1) == Some(&b',') {
        let (content, end) = quoted_value(text, value + 2 + spaces(text, value + 2))?;
        scan.string(text, content, Some(class));
        return Some(end);
    }
    (value > after).then(|| self::value(scan, text, value, class, Context { prose: true, ..Context::default() }))?
}

/// Hides the value at `start`; gives where it ends.
fn value(scan: &mut Scan<'_>, text: &[u8], start: usize, class: Class, context: Context) -> Option<usize> {
    let first = *text.get(start).filter(|b| !b.is_ascii_whitespace())?;
    if let Some(length) = mask::leading(&text[start..])
        && text.get(start + length).is_none_or(|b| b.is_ascii_whitespace() || b",;)]}>\"'&\\".contains(b))
    {
        return Some(start + length);
    }
    if let Some((content, end)) = quoted_value(text, start) {
        scan.string(text, content, Some(class));
        return Some(end);
    }
    if b"{[(".contains(&first) {
        let end = bracket_end(text, start);
        let inside = &text[start..end];
        if class == Class::Address {
            scan.value(class, text, start..end);
        } else if inside.iter().any(u8::is_ascii_alphanumeric) && !says_nothing(inside) {
            scan.value(if class == Class::Authorization { Class::Cookie } else { class }, text, start..end);
        }
        return Some(end);
    }
    let is_list = matches!(class, Class::Authorization | Class::Cookie | Class::Address) && !context.query;
    let mut end = word_end(text, start, context);
    // `Bearer abc`. A word that is no known scheme may be one, or the secret itself: then both are hidden, unless a pair follows.
    if class == Class::Authorization {
        let next = end + spaces(text, end);
        let credentials = next..word_end(text, next, context);
        let first = &text[start..end];
        if next > end && (is_scheme(first) || first.iter().all(u8::is_ascii_alphabetic) && !text[credentials.clone()].contains(&b'=')) {
            end = credentials.end.max(end);
        }
    }
    // `a=1; b=2`, `10.0.0.1, 10.0.0.2`, `Credential=…, Signature=…`: a list goes on after its comma.
    while is_list && b",;".contains(&text[end - 1]) {
        let next = end + spaces(text, end);
        if text.get(next).is_none_or(|b| b.is_ascii_whitespace()) {
            break;
        }
        end = word_end(text, next, context);
    }
    while end > start + 1 && b",;)]}>\"'`".contains(&text[end - 1]) && !mask::is_trailing(&text[start..end]) {
        end -= 1;
    }
    let is_word = matches!(class, Class::Everyday(_)) && context.prose && is_plain_word(&text[start..end]);
    if !is_word {
        scan.value(class, text, start..end);
    }
    Some(end)
}

/// A word as people write it, and no token does: letters only, lower case after the first, not long.
pub(super) fn is_plain_word(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    let text = text.strip_suffix(b".").or(text.strip_suffix(b"!")).unwrap_or(text);
    text.len() <= 15 && text.iter().skip(1).all(u8::is_ascii_lowercase) && text.first().is_some_and(u8::is_ascii_alphabetic)
}

/// The key in front of the separator at `at`, and whether it is quoted.
fn key_before(text: &[u8], at: usize) -> Option<(Range<usize>, bool)> {
    let mut end = at;
    let back = |end: usize, set: &[u8], most: usize| end - text[..end].iter().rev().take(most).take_while(|b| set.contains(b)).count();
    end = back(end, b" \t", 8);
    end = back(end, b"])", 2);
    let quote = *text.get(end.checked_sub(1)?)?;
    if b"'\"`".contains(&quote) {
        let close = back(end - 1, b"\\", 16);
        // SQL and CSV write a quote within quotes twice.
        let close = if text[..close].last() == Some(&quote) { close - 1 } else { close };
        let floor = close.saturating_sub(LONGEST_KEY);
        let open = floor + text[floor..close].iter().rposition(|b| *b == quote)? + 1;
        return Some((open..close, true));
    }
    let mut start = end - text[..end].iter().rev().take(LONGEST_KEY).take_while(|b| is_key_byte(**b)).count();
    // The first letter may belong to an escape in front of the key: `\nAuthorization`, `\x0aCookie`, `%26token`.
    let escape = match (start.checked_sub(1).map(|before| text[before]), text.get(start)) {
        (Some(b'\\'), Some(b'x')) => 3,
        (Some(b'\\'), Some(b'u')) => 5,
        (Some(b'\\'), Some(_)) => 1,
        (Some(b'%'), _) => 2,
        _ => 0,
    };
    start += escape;
    // `--password`: the dashes are none of the key; neither is a dash that begins a list.
    start += text.get(start..end)?.iter().take_while(|b| b"-.".contains(b)).count();
    (start < end).then_some((start..end, false))
}

fn is_key_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_-.".contains(&b)
}

fn spaces(text: &[u8], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|b| b" \t".contains(b)).count()
}

/// The content of the quoted string at `at` (perhaps `b'…'`, perhaps with escaped quotes) and where what follows it begins. One that never
/// ends goes to the end of the text.
fn quoted_value(text: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let rest = text.get(at..)?;
    let prefix = rest.iter().take(2).take_while(|b| b"bBuUrRfF".contains(b)).count();
    let slashes = rest[prefix..].iter().take(16).take_while(|b| **b == b'\\').count();
    let quote = *rest.get(prefix + slashes).filter(|b| b"'\"`".contains(b))?;
    let start = at + prefix + slashes + 1;
    if slashes == 0 && is_doubled(text, start, quote) {
        let end = doubled_end(text, start + 1, quote);
        return Some((start + 1..end, (end + 2).min(text.len())));
    }
    let mut i = start;
    while let Some(found) = memchr::memchr(quote, &text[i..]) {
        let close = i + found;
        let run = text[start..close].iter().rev().take_while(|b| **b == b'\\').count();
        if slashes == 0 && run.is_multiple_of(2) {
            return Some((start..close, close + 1));
        }
        if slashes > 0 && run <= slashes {
            return Some((start..close - run, close + 1));
        }
        i = close + 1;
    }
    Some((start..text.len(), text.len()))
}

/// Whether the quote before `start` is the first half of one that SQL or CSV doubled, and no empty string.
fn is_doubled(text: &[u8], start: usize, quote: u8) -> bool {
    text.get(start) == Some(&quote) && text.get(start + 1).is_some_and(|b| !b.is_ascii_whitespace() && !b",;:=)]}>&|".contains(b))
}

/// Where the text ends that two quotes close; what is quoted within it stands between four.
fn doubled_end(text: &[u8], start: usize, quote: u8) -> usize {
    let mut i = start;
    while let Some(found) = memchr::memmem::find(&text[i..], &[quote; 2]) {
        let close = i + found;
        if !text[close + 2..].starts_with(&[quote; 2]) {
            return close;
        }
        i = close + 4;
    }
    text.len()
}

/// Where the brackets that open at `at` are all closed, quotes respected; the end of the text when they never are.
fn bracket_end(text: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut i = at;
    while i < text.len() {
        match (quote, text[i]) {
            (_, b'\\') => i += 1,
            (Some(open), b) if b == open => quote = None,
            (Some(_), _) => {}
            (None, b @ (b'\'' | b'"')) => quote = Some(b),
            (None, b'{' | b'[' | b'(') => depth += 1,
            (None, b'}' | b']' | b')') => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
        i += 1;
    }
    text.len()
}

fn word_end(text: &[u8], at: usize, context: Context) -> usize {
    let ends = |b: &u8| b.is_ascii_whitespace() || context.query && b"&#\"'<>\\".contains(b) || context.encoded && b"%&".contains(b);
    at + text[at..].iter().take_while(|b| !ends(b)).count()
}
