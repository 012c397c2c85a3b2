//! Messages without what differs from one occurrence to the next: numbers, IDs, addresses. What is left is the same for the same cause.

/// Longer messages are cut: what makes them one kind stands in their beginning.
const LONGEST: usize = 300;

/// The form of a message: `Task a.b[7ec25367-…] failed after 12 s` is `Task a.b[<id>] failed after <n> s`. Masks lose their digits:
/// `<email:3fa1>` is `<email>`.
pub fn pattern(message: &str) -> String {
    let mut out = String::with_capacity(message.len().min(LONGEST));
    let mut rest = message.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim();
    while let Some(first) = rest.chars().next() {
        if out.len() >= LONGEST {
            out.push('…');
            break;
        }
        if let Some((mask, after)) = masked(rest) {
            out.push_str(mask);
            rest = after;
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (mut word, mut after) = rest.split_at(end);
            // A dot or a dash at its end is the sentence's.
            let trimmed = word.trim_end_matches(['.', '-', '_']);
            if !trimmed.is_empty() && trimmed.len() < word.len() {
                (word, after) = rest.split_at(trimmed.len());
            }
            push_word(word, &mut out);
            rest = after;
        } else {
            // Blanks count once.
            if !first.is_whitespace() {
                out.push(first);
            } else if !out.ends_with(' ') {
                out.push(' ');
            }
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// A value for grouping: paths and sentences lose their numbers and IDs, anything else stays as it is.
pub fn value(text: &str) -> String {
    if text.contains(['/', ' ']) {
        // Two requests with other parameters are of one path.
        pattern(text.split_once('?').map_or(text, |(path, _)| path))
    } else {
        text.chars().take(LONGEST).collect()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// `<email:3fa1>` at the beginning: its kind, and what follows.
fn masked(text: &str) -> Option<(&'static str, &str)> {
    let inner = text.strip_prefix('<')?;
    let (label, after) = inner.split_once('>').filter(|(label, _)| label.len() < 20)?;
    let (kind, tag) = label.split_once(':')?;
    let mask = crate::text::SecretKind::ALL.into_iter().find(|k| k.label() == kind)?;
    (tag.len() == 4 && tag.bytes().all(|b| b.is_ascii_hexdigit())).then(|| (braced(mask), after))
}

fn braced(kind: crate::text::SecretKind) -> &'static str {
    use crate::text::SecretKind as K;
    match kind {
        K::Email => "<email>",
        K::Bearer => "<bearer>",
        K::Jwt => "<jwt>",
        K::Card => "<card>",
        K::Iban => "<iban>",
        K::Pem => "<pem>",
        K::UrlPassword => "<url-password>",
        K::AwsKey => "<aws-key>",
        K::Ssn => "<ssn>",
        K::SessionId => "<session>",
        K::Secret => "<secret>",
        K::Address => "<ip>",
    }
}

fn push_word(word: &str, out: &mut String) {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return out.push_str(word);
    }
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    if letters == 0 {
        // 17, 1840.112, 2026-11-21, 10.0.0.1: one number each.
        return out.push_str("<n>");
    }
    // 12ms, 0.5s, 64MiB: a number and its unit.
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    if unit.len() < word.len() && unit.len() <= 4 && unit.chars().all(char::is_alphabetic) {
        out.push_str("<n>");
        return out.push_str(unit);
    }
    if is_id(word, digits, letters) {
        return out.push_str("<id>");
    }
    // user4411, order_120001, shard-17: names and numbers. Short ones (utf8, s3, ipv4) are names.
    for part in word.split_inclusive(['-', '_', '.']) {
        let bare = part.trim_end_matches(['-', '_', '.']);
        let name = bare.trim_end_matches(|c: char| c.is_ascii_digit());
        let tail = bare.len() - name.len();
        if tail >= 3 || (tail > 0 && name.is_empty()) {
            out.push_str(name);
            out.push_str("<n>");
            out.push_str(part.get(bare.len()..).unwrap_or_default());
        } else {
            out.push_str(part);
        }
    }
}

/// A UUID, a hash, a token: hexadecimal of eight or more with a digit, or long and half of it digits.
fn is_id(word: &str, digits: usize, letters: usize) -> bool {
    let plain = word.bytes().filter(|b| !matches!(b, b'-' | b'_' | b'.'));
    let hex = plain.clone().all(|b| b.is_ascii_hexdigit());
    let length = plain.count();
    (hex && length >= 8) || (length >= 12 && digits * 4 >= letters && digits >= 4) || (word.starts_with("0x") && length >= 6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_is_left_out() {
        for (message, expected) in [
            (
                "Task mail.send_receipt[4e5b1c66-8884-4242-baa4-8deac71586a1] raised unexpected: X",
                "Task mail.send_receipt[<id>] raised unexpected: X",
            ),
            ("Internal Server Error: /api/products/13/margin/", "Internal Server Error: /api/products/<n>/margin/"),
            ("took 1840.112 ms, then 12ms on worker-3.", "took <n> ms, then <n>ms on worker-<n>."),
            ("unknown user <email:3fa1> from <ip:00ff>", "unknown user <email> from <ip>"),
            ("utf8 s3 ipv4 p95 HTTP/1.1", "utf8 s3 ipv4 p95 HTTP/<n>"),
            ("order_120001 at 2026-11-21 17:31:22,260", "order_<n> at <n> <n>:<n>:<n>,<n>"),
            ("object at 0x7f2b9c0d1e50 died", "object at <id> died"),
            ("relation \"shop_order\"   does not exist", "relation \"shop_order\" does not exist"),
            ("\n  first line\nsecond", "first line"),
            ("a < b > c", "a < b > c"),
            ("", ""),
        ] {
            assert_eq!(pattern(message), expected, "{message}");
        }
    }

    #[test]
    fn values_stay_unless_they_are_paths() {
        assert_eq!(value("gpt-4o-2024-08-06"), "gpt-4o-2024-08-06");
        assert_eq!(value("4411"), "4411");
        assert_eq!(value("/api/orders/9017/?page=2"), "/api/orders/<n>/");
    }

    proptest! {
        #[test]
        fn is_bounded_and_never_fails(text in any::<String>()) {
            let shown = pattern(&text);
            prop_assert!(shown.len() <= LONGEST * 2 + text.len());
        }

        #[test]
        fn numbers_make_no_difference(a in 0u64.., b in 0u64..) {
            prop_assert_eq!(pattern(&format!("row {a} of table")), pattern(&format!("row {b} of table")));
        }
    }
}
