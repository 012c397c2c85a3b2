//! Comments that an application writes into its statements to say who asks: sqlcommenter's `/*key='value',…*/`, URL-encoded.

/// The pairs of a comment, decoded, if it is one of these. The values are the application's: not yet safe to print.
pub fn pairs(comment: &str) -> Option<Vec<(String, String)>> {
    let inside = comment.strip_prefix("/*")?.strip_suffix("*/")?.trim();
    let mut found = Vec::new();
    let mut rest = inside;
    while !rest.is_empty() {
        let (key, after) = rest.split_once("='")?;
        let end = closing(after)?;
        let value = after.get(..end)?;
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == '\'') {
            return None;
        }
        found.push((decoded(key), decoded(&value.replace("\\'", "'"))));
        rest = after.get(end + 1..)?.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    (!found.is_empty()).then_some(found)
}

/// The quote that ends a value; one after a backslash is part of it.
fn closing(value: &str) -> Option<usize> {
    let bytes = value.as_bytes();
    (0..bytes.len()).find(|at| bytes.get(*at) == Some(&b'\'') && (*at == 0 || bytes.get(at - 1) != Some(&b'\\')))
}

/// Percent-decoding; what is no code stays as it is.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code =
            bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok()).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(code) if *byte == b'%' => {
                out.push(code);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sqlcommenter_says_which_view_asks() {
        let found = pairs("/*action='orders%3Alist',controller='shop.views.list',framework='django%3A5.2'*/").expect("pairs");
        assert_eq!(found[0], ("action".to_owned(), "orders:list".to_owned()));
        assert_eq!(found[2].1, "django:5.2");
    }

    #[test]
    fn other_comments_are_none_of_these() {
        for comment in ["/* why */", "/*+ SeqScan(t) */", "-- a='b'", "/*a='b*/", "/*a='b' c*/", "/**/"] {
            assert_eq!(pairs(comment), None, "{comment}");
        }
    }

    proptest! {
        #[test]
        fn no_comment_is_too_odd(text in any::<String>()) {
            let _ = pairs(&text);
            let _ = pairs(&format!("/*{text}*/"));
        }
    }
}
