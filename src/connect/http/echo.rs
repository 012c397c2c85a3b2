//! What a server repeats of the secrets that it was told. An error page that prints the request's headers is no reason to show a token: each
//! value that was sent is blotted out of what comes back, before anybody reads it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

/// Shorter than this, a value is a word that stands in many a body (`true`, `https`), and no secret.
const SHORTEST: usize = 8;
/// What stands in its place. A server that says this itself loses nothing.
const BLOT: &[u8] = b"<sent>";

/// The body without them.
pub(super) fn without(body: Bytes, sent: &[(HeaderName, HeaderValue)]) -> Bytes {
    let mut clean = body;
    for secret in secrets(sent) {
        // The longest first: a whole `Bearer …` goes before the token in it.
        let found: Vec<usize> = memchr::memmem::find_iter(&clean, secret).collect();
        if found.is_empty() {
            continue;
        }
        let mut out = Vec::with_capacity(clean.len());
        let mut from = 0;
        for at in found {
            out.extend_from_slice(clean.get(from..at).unwrap_or_default());
            out.extend_from_slice(BLOT);
            from = at + secret.len();
        }
        out.extend_from_slice(clean.get(from..).unwrap_or_default());
        clean = out.into();
    }
    clean
}

/// A header's text without them.
pub(super) fn without_in(text: String, sent: &[(HeaderName, HeaderValue)]) -> String {
    if secrets(sent).next().is_none() {
        return text;
    }
    String::from_utf8_lossy(&without(text.into_bytes().into(), sent)).into_owned()
}

/// Each value, and what stands behind its scheme: `Bearer x` is repeated as `x` as well.
fn secrets(sent: &[(HeaderName, HeaderValue)]) -> impl Iterator<Item = &[u8]> {
    let secret = sent.iter().map(|(_, value)| value).filter(|value| value.is_sensitive()).map(HeaderValue::as_bytes);
    let parts = secret.flat_map(|value| {
        let words = value.split(|b| matches!(b, b' ' | b';' | b'=')).filter(move |word| word.len() < value.len());
        std::iter::once(value).chain(words)
    });
    parts.filter(|part| part.len() >= SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(values: &[&'static str]) -> Vec<(HeaderName, HeaderValue)> {
        let sensitive = |value: &&'static str| {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(true);
            (HeaderName::from_static("authorization"), value)
        };
        values.iter().map(sensitive).collect()
    }

    #[test]
    fn what_was_sent_does_not_come_back() {
        let body = Bytes::from_static(b"{\"got\":\"Bearer Tr0ub4dor-and-3\",\"token\":\"Tr0ub4dor-and-3\",\"ok\":true}");
        let clean = without(body.clone(), &sent(&["Bearer Tr0ub4dor-and-3"]));
        assert_eq!(clean, "{\"got\":\"<sent>\",\"token\":\"<sent>\",\"ok\":true}");
        assert_eq!(without(body.clone(), &sent(&["true"])), body);
        assert_eq!(without_in("/x/Tr0ub4dor-and-3".into(), &sent(&["sid=Tr0ub4dor-and-3; a=b"])), "/x/<sent>");
        // What is no secret stays, however long.
        assert_eq!(without(body.clone(), &[(HeaderName::from_static("x"), HeaderValue::from_static("Tr0ub4dor-and-3"))]), body);
    }
}
