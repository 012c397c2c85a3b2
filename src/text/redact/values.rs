//! Values that are secrets wherever they stand: e-mail addresses, tokens of known shapes, cards, bank accounts, PEM bodies.

use super::{SecretKind, mask, pairs, scan::Scan, url};
use memchr::memmem;
use regex::bytes::Regex;
use std::{ops::Range, sync::LazyLock};

/// The beginnings of `SHAPES`, for the scan's first look.
pub(super) const SHAPES_HINT: &str =
    r"gh[pousr]_|github_pat_|glpat-|xox[a-z]-|[sr]k_(?:live|test)_|AIza|pbkdf2_sha|argon2|bcrypt|\$2[aby]\$";

/// Tokens and password hashes that are known by their shape.
const SHAPES: &str = r"(?-u)gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[a-z]-[A-Za-z0-9-]{10,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|AIza[A-Za-z0-9_-]{30,}|(?:pbkdf2_sha[0-9]+|argon2|bcrypt(?:_sha256)?)\$[A-Za-z0-9$./+=,-]{16,}|\$argon2(?:id|i|d)\$[A-Za-z0-9$./+=,-]{16,}|\$2[aby]\$[0-9]{2}\$[A-Za-z0-9./]{30,}";

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).expect("a fixed pattern, compiled by the tests"));
    };
}
pattern!(SHAPE, SHAPES);
pattern!(JWT, r"(?-u)eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,4}");
pattern!(AWS_KEY, r"(?-u)(?:AKIA|ASIA)[0-9A-Z]{16}");
pattern!(CREDENTIALS, r"(?i-u)\b(bearer|basic)(?:\s+|:\s*|=)([A-Za-z0-9._~+/=-]{6,})");
// The other forms are the same within a quoted text.
pattern!(SQL, r"(?i-u)\b(?:password|identified\s+by)\s+e?(?:''([^'\s](?:''''|[^'])*)|'((?:\\.|[^'\\]|'')*)|\\+'((?:[^'\\]|\\[^'])*))");
pattern!(SSN, r"(?-u)[0-9]{3}-[0-9]{2}-[0-9]{4}");
pattern!(
    CARD,
    r"(?-u)[0-9]{4} [0-9]{4} [0-9]{4} [0-9]{4}|[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{4}|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}|[0-9]{13,19}"
);
pattern!(IBAN, r"(?-u)[A-Z]{2}[0-9]{2}(?:(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?|[A-Z0-9]{11,30})");

/// A run of digits (grouped or not), of capitals and digits, or of base64, long enough for a card, an account or a line of a PEM body.
/// By hand: as part of the one regular expression the counters would multiply its states.
pub(super) fn has_long_run(text: &[u8]) -> bool {
    let (mut digits, mut capitals, mut base64) = (0_u32, 0_u32, 0_u32);
    for &b in text {
        match b {
            b'0'..=b'9' => (digits, capitals, base64) = (digits + 1, capitals + 1, base64 + 1),
            b'A'..=b'Z' => (digits, capitals, base64) = (0, capitals + 1, base64 + 1),
            b'a'..=b'z' | b'+' | b'/' | b'=' => (digits, capitals, base64) = (0, 0, base64 + 1),
            b' ' | b'-' => base64 = 0,
            _ => (digits, capitals, base64) = (0, 0, 0),
        }
        if digits >= 13 || capitals >= 15 || base64 >= PEM_LINE.start as u32 {
            return true;
        }
    }
    false
}

/// Lines of a PEM body are 64 characters long (76 in MIME).
const PEM_LINE: Range<usize> = 60..77;

/// Hides what it finds in `text[at]`.
pub(super) fn scan(scan: &mut Scan<'_>, text: &[u8], at: Range<usize>) {
    if at.len() < 4 {
        return;
    }
    let part = &text[..at.end];
    pem(scan, text, at.clone());
    let authorities = url::scan(scan, text, at.clone());
    emails(scan, text, at.clone(), &authorities);
    for (pattern, kind) in [(&JWT, SecretKind::Jwt), (&AWS_KEY, SecretKind::AwsKey), (&SHAPE, SecretKind::Secret), (&SSN, SecretKind::Ssn)]
    {
        for found in pattern.find_iter(&part[at.start..]) {
            let found = at.start + found.start()..at.start + found.end();
            let is_token = kind != SecretKind::Ssn && kind != SecretKind::AwsKey;
            if is_token || stands_alone(part, &found) {
                scan.mask(text, found, kind);
            }
        }
    }
    for found in CREDENTIALS.captures_iter(&part[at.start..]) {
        if let (Some(scheme), Some(token)) = (found.get(1), found.get(2))
            && !pairs::is_plain_word(token.as_bytes())
        {
            let kind = if scheme.as_bytes().eq_ignore_ascii_case(b"bearer") { SecretKind::Bearer } else { SecretKind::Secret };
            scan.mask(text, at.start + token.start()..at.start + token.end(), kind);
        }
    }
    for found in SQL.captures_iter(&part[at.start..]).filter_map(|found| (1..4).find_map(|form| found.get(form))) {
        scan.mask(text, at.start + found.start()..at.start + found.end(), SecretKind::Secret);
    }
    for (pattern, kind) in [(&CARD, SecretKind::Card), (&IBAN, SecretKind::Iban)] {
        let is_valid = if kind == SecretKind::Card { is_card } else { is_iban };
        let mut from = at.start;
        while let Some(found) = pattern.find_at(part, from) {
            let mut end = found.end();
            // An account's last group may be the next word.
            while end > found.start() && !(stands_alone(part, &(found.start()..end)) && is_valid(&part[found.start()..end])) {
                let space = memchr::memrchr(b' ', &part[found.start()..end]).filter(|_| kind == SecretKind::Iban);
                end = found.start() + space.unwrap_or(0);
            }
            if end > found.start() {
                scan.mask(text, found.start()..end, kind);
                from = end;
            } else {
                // On to the next group, past the digits that were looked at.
                let run = part[found.start()..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
                from = found.start() + run.max(1);
            }
        }
    }
}

/// Whether no letter, digit or joint touches it: parts of UUIDs, hashes and decimals do not stand alone.
fn stands_alone(text: &[u8], at: &Range<usize>) -> bool {
    let joins = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b) || b >= 0x80;
    let before = at.start.checked_sub(1).map(|i| text[i]);
    let after = text.get(at.end).copied();
    !before.is_some_and(|b| joins(b) || b == b'.')
        && !after.is_some_and(|b| joins(b) || b == b'.' && text.get(at.end + 1).is_some_and(u8::is_ascii_digit))
}

/// A payment card by its issuer's prefix, its length and Luhn's sum.
pub(super) fn is_card(text: &[u8]) -> bool {
    let digits: Vec<u32> = text.iter().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0')).collect();
    if digits.len() < 13 || text.iter().any(|b| !b.is_ascii_digit() && !b" -".contains(b)) {
        return false;
    }
    let head = digits[..4].iter().fold(0, |n, d| n * 10 + d);
    let is_issued = match digits.len() {
        14 => matches!(head, 3000..=3059 | 3600..=3699 | 3800..=3999),
        15 => matches!(head, 3400..=3499 | 3700..=3799),
        16 => matches!(head, 2221..=2720 | 3528..=3589 | 4000..=4999 | 5100..=5599 | 6011 | 6200..=6299 | 6440..=6599),
        _ => false,
    };
    let luhn = digits.iter().rev().enumerate().map(|(i, d)| if i % 2 == 0 { *d } else { d * 2 / 10 + d * 2 % 10 }).sum::<u32>();
    is_issued && luhn.is_multiple_of(10) && digits.iter().any(|d| *d != digits[0])
}

/// A bank account number by its length and check digits.
fn is_iban(text: &[u8]) -> bool {
    let plain: Vec<u8> = text.iter().copied().filter(|b| *b != b' ').collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let value = |b: u8| if b.is_ascii_digit() { u32::from(b - b'0') } else { u32::from(b - b'A') + 10 };
    let rest = plain[4..].iter().chain(&plain[..4]).fold(0, |rest, b| {
        let v = value(*b);
        (rest * if v > 9 { 100 } else { 10 } + v) % 97
    });
    rest == 1
}

/// Bodies of PEM blocks, from a marker to the end of the block or of the text, and lines that look like the middle of one.
fn pem(scan: &mut Scan<'_>, text: &[u8], at: Range<usize>) {
    let part = &text[..at.end];
    let mut from = at.start;
    while let Some(begin) = memmem::find(&part[from..], b"-----BEGIN ").map(|found| from + found) {
        let Some(body) = memmem::find(&part[begin + 11..], b"-----").map(|found| begin + 16 + found) else { break };
        let end = memmem::find(&part[body..], b"-----END ").map_or(at.end, |found| body + found);
        if mask::leading(&part[body..end]).is_none() {
            scan.mask(text, body..end, SecretKind::Pem);
        }
        from = end;
    }
    let mut start = at.start;
    for line in part[at.start..].split(|b| *b == b'\n') {
        let body = line.trim_ascii();
        let is_base64 = PEM_LINE.contains(&body.len()) && body.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b));
        if is_base64 && body.iter().any(u8::is_ascii_uppercase) && body.iter().any(u8::is_ascii_lowercase) {
            let indent = line.len() - line.trim_ascii_start().len();
            scan.mask(text, start + indent..start + indent + body.len(), SecretKind::Pem);
        }
        start += line.len() + 1;
    }
}

/// E-mail addresses, `%40` for `@` too. Celery's workers are named alike (`celery@host.svc.cluster.local`): those are evidence.
fn emails(scan: &mut Scan<'_>, text: &[u8], at: Range<usize>, authorities: &[Range<usize>]) {
    let part = &text[..at.end];
    let mut floor = at.start;
    let mut from = at.start;
    let mut authority = authorities.iter().peekable();
    while let Some(sign) = memchr::memchr2(b'@', b'%', &part[from..]).map(|found| from + found) {
        let width = if part[sign] == b'@' { 1 } else { 3 };
        from = sign + 1;
        if width == 3 && !part[sign..].starts_with(b"%40") {
            continue;
        }
        while authority.next_if(|range| range.end <= sign).is_some() {}
        if authority.peek().is_some_and(|range| range.contains(&sign)) {
            continue;
        }
        if width == 1
            && let Some(found) = url::without_scheme(scan, text, sign, &(floor..at.end))
        {
            floor = found.end;
            continue;
        }
        let local = part[floor..sign].iter().rev().take_while(|b| b.is_ascii_alphanumeric() || b"._+-".contains(b) || **b >= 0x80).count();
        let host = part[sign + width..].iter().take_while(|b| b.is_ascii_alphanumeric() || b"-.".contains(b) || **b >= 0x80).count();
        let domain = part[sign + width..sign + width + host].trim_ascii_end();
        let domain = domain.strip_suffix(b".").unwrap_or(domain);
        let top = domain.rsplit(|b| *b == b'.').next().unwrap_or_default();
        let is_public = domain.contains(&b'.')
            && top.len() >= 2
            && top.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80)
            && ![b"local".as_slice(), b"internal", b"svc"].contains(&top);
        let name = &part[sign - local..sign];
        if local > 0 && is_public && !name.starts_with(b"celery") {
            floor = sign + width + domain.len();
            from = floor;
            scan.mask(text, sign - local..floor, SecretKind::Email);
        }
    }
}
