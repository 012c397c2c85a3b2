//! Scanning: walks one text, hands JSON to `json`, pairs to `pairs` and the rest to `values`, and collects the edits of all levels.

use super::{
    Redactor, SecretKind,
    edits::{self, Edit, Mapped},
    json,
    keys::{self, Class},
    mask, pairs, values,
};
use regex::bytes::Regex;
use std::{net::IpAddr, ops::Range, sync::LazyLock};

/// Strings inside strings inside strings: nobody logs deeper. What does is hidden as a whole.
const DEEPEST: u8 = 8;

/// Over-approximates every rule, in one pass: a text without a match holds nothing to hide. JSON escapes may hide a key or an `@`.
static SUSPICION: LazyLock<Regex> = LazyLock::new(|| {
    let keys = keys::hint();
    let pattern = format!(
        r#"(?i-u)@|%40|\\[ux]|\x1b\[|eyJ|AKIA|ASIA|-----BEGIN|bearer|basic\s|identified\s|{}|\d{{3}}-\d{{2}}-\d{{4}}|{keys}"#,
        values::SHAPES_HINT
    );
    #[expect(clippy::expect_used, reason = "a fixed pattern, compiled by the tests")]
    Regex::new(&pattern).expect("a fixed pattern")
});

/// Whether a closer look is needed.
pub(super) fn is_suspicious(text: &[u8]) -> bool {
    values::has_long_run(text) || SUSPICION.is_match(text)
}

/// What to hide in one line.
pub(super) fn line(redactor: &Redactor, raw: &[u8]) -> Vec<Edit> {
    let mut scan = Scan { redactor, edits: Vec::new(), depth: 0 };
    scan.text(raw);
    edits::join(scan.edits)
}

/// What to hide in the value of a key.
pub(super) fn field(redactor: &Redactor, key: &[u8], value: &[u8]) -> Vec<Edit> {
    let mut scan = Scan { redactor, edits: Vec::new(), depth: 0 };
    match keys::class(key) {
        Some(class) => scan.value(class, value, 0..value.len()),
        None => scan.text(value),
    }
    edits::join(scan.edits)
}

/// The scan of one level of a text; the edits are in that level's bytes.
pub(super) struct Scan<'a> {
    redactor: &'a Redactor,
    pub edits: Vec<Edit>,
    depth: u8,
}

impl Scan<'_> {
    /// Free text.
    pub fn text(&mut self, text: &[u8]) {
        if text.len() < 4 || !is_suspicious(text) {
            return;
        }
        if self.depth < DEEPEST && edits::has_colours(text) {
            return self.inner(&edits::without_colours(text), 0, 0, |scan, text| scan.text(text));
        }
        let (mut gap, mut i) = (0, 0);
        while i < text.len() {
            let next = match text[i] {
                b'{' if json::begins(text, i) => {
                    let end = json::scan(self, text, i).max(i + 1);
                    values::scan(self, text, gap..i);
                    gap = end;
                    Some(end)
                }
                // Masks are opaque: what was redacted before stays as it is, whatever its label says.
                b'<' => mask::leading(&text[i..]).map(|length| i + length),
                b'=' | b':' => pairs::pair(self, text, i, 1),
                b'%' if text[i..].len() > 3 && text[i..i + 3].eq_ignore_ascii_case(b"%3d") => pairs::pair(self, text, i, 3),
                b',' => pairs::tuple(self, text, i),
                b'-' if text[i..].starts_with(b"--") => pairs::flag(self, text, i),
                _ => None,
            };
            i = next.map_or(i + 1, |next| next.max(i + 1));
        }
        values::scan(self, text, gap..text.len());
    }

    /// What stands in a quoted string of `text`.
    pub fn string(&mut self, text: &[u8], at: Range<usize>, class: Option<Class>) {
        let raw = &text[at.clone()];
        if class.is_none() && !is_suspicious(raw) {
            return;
        }
        if self.depth >= DEEPEST {
            return self.mask(text, at, SecretKind::Secret);
        }
        let then = |scan: &mut Scan<'_>, text: &[u8]| match class {
            Some(class) => scan.value(class, text, 0..text.len()),
            None => scan.text(text),
        };
        if memchr::memchr(b'\\', raw).is_some() {
            self.inner(&edits::unquote(raw), at.start, 1, then);
        } else {
            let mut inner = Scan { redactor: self.redactor, edits: Vec::new(), depth: self.depth + 1 };
            then(&mut inner, raw);
            self.edits.extend(inner.edits.into_iter().map(|mut edit| {
                edit.at = edit.at.start + at.start..edit.at.end + at.start;
                edit.quotes = edit.quotes.map(|depth| depth.saturating_add(1));
                edit
            }));
        }
    }

    fn inner(&mut self, mapped: &Mapped, base: usize, strings: u8, then: impl FnOnce(&mut Scan<'_>, &[u8])) {
        let mut inner = Scan { redactor: self.redactor, edits: Vec::new(), depth: self.depth + 1 };
        then(&mut inner, &mapped.text);
        self.edits.extend(inner.edits.into_iter().map(|edit| mapped.outwards(edit, base, strings)));
    }

    /// A whole value that stands under a key of the table.
    pub fn value(&mut self, class: Class, text: &[u8], at: Range<usize>) {
        let value = &text[at.clone()];
        match class {
            Class::Whole(kind) | Class::Everyday(kind) => self.mask(text, at, kind),
            Class::Cookie => self.mask(text, at, SecretKind::Secret),
            Class::Authorization => {
                let word = value.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
                let gap = value[word..].iter().take_while(|b| **b == b' ').count();
                if gap > 0 && word + gap < value.len() && is_scheme(&value[..word]) {
                    let kind = if value[..word].eq_ignore_ascii_case(b"bearer") { SecretKind::Bearer } else { SecretKind::Secret };
                    self.mask(text, at.start + word + gap..at.end, kind);
                } else {
                    self.mask(text, at, SecretKind::Secret);
                }
            }
            Class::Address => self.addresses(text, at),
            Class::Card => {
                let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
                if (12..=19).contains(&digits) && value.iter().all(|b| b.is_ascii_digit() || b" -".contains(b)) {
                    self.mask(text, at, SecretKind::Card);
                } else {
                    let mut inner = Scan { redactor: self.redactor, edits: Vec::new(), depth: self.depth };
                    inner.text(value);
                    self.edits.extend(inner.edits.into_iter().map(|mut edit| {
                        edit.at = edit.at.start + at.start..edit.at.end + at.start;
                        edit
                    }));
                }
            }
        }
    }

    /// Each address of a list. Words without a dot or colon (`unknown`, a count) are none.
    fn addresses(&mut self, text: &[u8], at: Range<usize>) {
        let mut start = at.start;
        while start < at.end {
            let length = text[start..at.end].iter().take_while(|b| !b" \t\r\n,;'\"()[]{}=".contains(b)).count();
            let token = &text[start..start + length];
            if token.iter().any(|b| b".:".contains(b)) && mask::leading(token).is_none() {
                // A port changes with each connection; the mask must not.
                let host = token.iter().rposition(|b| *b == b':').map_or(length, |colon| {
                    let head = std::str::from_utf8(&token[..colon]).unwrap_or_default();
                    if matches!(head.parse::<IpAddr>(), Ok(IpAddr::V4(_))) { colon } else { length }
                });
                self.mask(text, start..start + host, SecretKind::Address);
            }
            start += length + 1;
        }
    }

    /// Hides these bytes, unless they are a mask already, are searched for, or say that there is nothing.
    pub fn mask(&mut self, text: &[u8], at: Range<usize>, kind: SecretKind) {
        self.push(text, at, kind, None);
    }

    /// As `mask`, for a JSON number.
    pub fn mask_number(&mut self, text: &[u8], at: Range<usize>, kind: SecretKind) {
        self.push(text, at, kind, Some(0));
    }

    fn push(&mut self, text: &[u8], at: Range<usize>, kind: SecretKind, quotes: Option<u8>) {
        let value = &text[at.clone()];
        if !says_nothing(value) && !self.redactor.0.keeps(kind, value) {
            let tag = self.redactor.0.key.tag(kind, value);
            self.edits.push(Edit { at, kind, tag, quotes });
        }
    }
}

/// The schemes of `Authorization` that are in use. An unknown first word may be the secret itself.
pub(super) fn is_scheme(word: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 16] = [
        b"bearer",
        b"basic",
        b"token",
        b"jwt",
        b"digest",
        b"negotiate",
        b"ntlm",
        b"hawk",
        b"apikey",
        b"api-key",
        b"oauth",
        b"dpop",
        b"sentry",
        b"signature",
        b"sharedkey",
        b"aws4-hmac-sha256",
    ];
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Values that hold no secret wherever they stand: nothing, yes, no, and what an application put in place of a secret itself.
pub(super) fn says_nothing(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 10] =
        [b"true", b"false", b"null", b"none", b"nil", b"undefined", b"[filtered]", b"[redacted]", b"<redacted>", b"[scrubbed]"];
    let value = value.trim_ascii();
    value.iter().all(|b| *b == b'*' || *b == b'-')
        || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
        || mask::leading(value) == Some(value.len())
}
