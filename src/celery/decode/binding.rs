//! What a `_kombu.binding.<exchange>` set holds: which queue hears which routing key, and for the control bus which workers there are.

use super::Undecodable;
use crate::{
    celery::{keys::PIDBOX, model::Binding},
    text::Safe,
};

/// One member of a set of bindings: `routing key SEP pattern SEP queue`, with the transport's own separator.
///
/// # Errors
/// It is no UTF-8, or has fewer than three parts, or names no queue.
pub fn binding(raw: &[u8], sep: &str) -> Result<Binding, Undecodable> {
    let text = std::str::from_utf8(raw).map_err(|_| Undecodable("a binding that is no UTF-8".into()))?;
    // From the left: a queue's name may hold the separator, a routing key of kombu's cannot without breaking kombu itself.
    let mut parts = text.splitn(3, sep).map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(routing_key), Some(pattern), Some(queue)) if !sep.is_empty() && !queue.is_empty() => {
            Ok(Binding { routing_key, pattern, queue })
        }
        _ => Err(Undecodable("a binding that is no routing key, pattern and queue: has the application another separator?".into())),
    }
}

/// One member of the control bus' bindings: the worker whose mailbox it is, `w1@host`.
///
/// # Errors
/// It is no binding, or not of a mailbox.
pub fn worker(raw: &[u8], sep: &str) -> Result<Safe, Undecodable> {
    let Binding { queue, .. } = binding(raw, sep)?;
    let name = queue.strip_suffix(PIDBOX).and_then(|name| name.strip_suffix('.')).filter(|name| !name.is_empty());
    name.map(Safe::name).ok_or_else(|| Undecodable("a binding of the control bus that names no worker".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::keys::SEPARATOR;
    use proptest::prelude::*;

    #[test]
    fn bindings_as_kombu_writes_them() {
        let of = |raw: &str, sep| binding(raw.as_bytes(), sep).map(|b| (b.routing_key, b.pattern, b.queue));
        let all = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(of("celery\u{6}\u{16}\u{6}\u{16}celery", SEPARATOR), all("celery", "", "celery"));
        assert_eq!(of("mail::mail", ":"), all("mail", "", "mail"));
        assert_eq!(of("::shop:mail", ":"), all("", "", "shop:mail"));
        assert_eq!(worker(b"\x06\x16\x06\x16w1@host.celery.pidbox", SEPARATOR), Ok(Safe::from("w1@host")));
    }

    #[test]
    fn what_is_no_binding_says_so() {
        for raw in [&b""[..], b"celery", b"a\x06\x16b", b"a\x06\x16b\x06\x16", b"\xff\x06\x16\x06\x16q"] {
            assert!(binding(raw, SEPARATOR).is_err(), "{raw:?}");
        }
        assert!(binding(b"a::b", "").is_err());
        for raw in [&b"\x06\x16\x06\x16w1@host"[..], b"\x06\x16\x06\x16.celery.pidbox", b"\x06\x16\x06\x16celery.pidbox"] {
            assert!(worker(raw, SEPARATOR).is_err(), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(raw in proptest::collection::vec(any::<u8>(), 0..60), sep in "[:\\x06\\x16]{0,2}") {
            let _ = (binding(&raw, &sep), worker(&raw, &sep));
        }
    }
}
