//! Passwords in front of a host: `scheme://user:password@host`, and the same without a scheme.

use super::{SecretKind, mask, scan::Scan};
use memchr::memmem;
use std::ops::Range;

/// A user alone, of this length and in any scheme but http, is taken for a token.
const LONG_USER: usize = 20;

/// Hides the passwords of all URLs in `text[at]`; gives the authorities, whose `@` belong to no e-mail address.
pub(super) fn scan(scan: &mut Scan<'_>, text: &[u8], at: Range<usize>) -> Vec<Range<usize>> {
    let mut authorities = Vec::new();
    let slice = &text[..at.end];
    let mut next = memmem::find(&slice[at.start..], b"://").map(|found| at.start + found);
    while let Some(colon) = next {
        let start = colon + 3;
        next = memmem::find(&slice[start..], b"://").map(|found| start + found);
        // What belongs to this URL ends before the next one, and at a space or a quote.
        let limit = next.unwrap_or(at.end);
        let whole = start + slice[start..limit].iter().take_while(|b| !b.is_ascii_whitespace() && !b"\"'`".contains(b)).count();
        let bare = start + slice[start..whole].iter().take_while(|b| !b"/?#\\".contains(b)).count();
        let mut end = bare;
        let has_password = user_end(&slice[start..bare]).is_some();
        let port = slice[start..bare].iter().position(|b| *b == b':').map(|colon| start + colon + 1);
        let is_odd_port = port.is_some_and(|port| !slice[port..bare].iter().all(u8::is_ascii_digit)) && !slice[start..].starts_with(b"[");
        if has_password && slice[start..bare].contains(&b':') {
            // A password with an unescaped slash: `u:p@ss/w@rd@host`. A query may hold an address, a path hardly does.
            end = start + slice[start..whole].iter().take_while(|b| **b != b'?').count();
        } else if is_odd_port && !has_password {
            end = whole;
        }
        let Some(at_sign) = user_end(&slice[start..end]) else { continue };
        let user = &slice[start..start + at_sign];
        match user.iter().position(|b| *b == b':') {
            // Hidden before; the colon is that of the mask.
            _ if mask::leading(user) == Some(user.len()) => {}
            Some(colon) => scan.mask(text, start + colon + 1..start + at_sign, SecretKind::UrlPassword),
            None => {
                let scheme = &slice[at.start..colon];
                let is_web = scheme.ends_with(b"http") || scheme.ends_with(b"https");
                if (is_web && user != b"git") || user.len() >= LONG_USER {
                    scan.mask(text, start..start + at_sign, SecretKind::UrlPassword);
                }
            }
        }
        let host = slice[start + at_sign..whole].iter().take_while(|b| !b"/?#".contains(b)).count();
        authorities.push(start..start + at_sign + host);
    }
    authorities
}

fn user_end(authority: &[u8]) -> Option<usize> {
    memchr::memrchr(b'@', authority)
}

/// `user:password@host:5432`, `user:password@tcp(host)`: the `@` at `at`, in no URL.
pub(super) fn without_scheme(scan: &mut Scan<'_>, text: &[u8], at: usize, within: &Range<usize>) -> Option<Range<usize>> {
    let host = text[at + 1..within.end].iter().take_while(|b| b.is_ascii_alphanumeric() || b"-._".contains(b)).count();
    let after = text.get(at + 1 + host..within.end)?;
    let is_host = host > 0
        && match after.first() {
            Some(b':') => after.get(1).is_some_and(u8::is_ascii_digit),
            Some(b'/' | b'(') => true,
            _ => false,
        };
    if !is_host {
        return None;
    }
    // A password without a scheme in front is short; looking back further would make long lines slow.
    let floor = within.start.max(at.saturating_sub(256));
    let start = at - text[floor..at].iter().rev().take_while(|b| !b.is_ascii_whitespace() && !b"\"'`=,;(".contains(b)).count();
    let colon = start + text[start..at].iter().position(|b| *b == b':')?;
    if colon == start || mask::leading(&text[colon + 1..at]).is_some() {
        return None;
    }
    scan.mask(text, colon + 1..at, SecretKind::UrlPassword);
    Some(start..at + 1 + host)
}
