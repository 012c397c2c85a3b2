//! Whatever an endpoint answers to a question about its health, in every dialect, and whatever stands where Docker's list is expected. Nothing of
//! it reaches a terminal as a control sequence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::health::decode::{RawAnswer, compose, overall, read};
use obsctl::health::model::{BodyRead, Dialect};
use obsctl::text::{MaskKey, Redactor, Safe};
use std::sync::LazyLock;

static REDACT: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(MaskKey::from_bytes([7; 32])));
const TYPES: [&str; 4] = ["application/json", "text/plain", "text/html", ""];
const STATUS: [u16; 8] = [200, 204, 301, 400, 401, 404, 500, 503];

// The first byte picks the status and the type, the second the dialect; the rest is the body.
fuzz_target!(|data: &[u8]| {
    let [first, second, body @ ..] = data else { return };
    let status = STATUS[usize::from(first & 7)];
    let content_type = TYPES[usize::from(first >> 3 & 3)];
    let location = if status == 301 { "https://app.example.org/accounts/login/" } else { "" };
    let cut = first & 0x80 != 0;
    let raw = RawAnswer { status, content_type, encoding: "", location, path: "/health", body, cut };
    let dialect = Dialect::ALL.get(usize::from(*second)).copied();
    let said = read(&raw, dialect, &REDACT);
    let _ = overall(status, &said);
    let mut shown: Vec<Safe> = Vec::new();
    if let BodyRead::Health(body) = said {
        shown.extend(body.status.into_iter().chain(body.version).chain(body.contradictions));
        shown.extend(body.components.into_iter().flat_map(|c| [Some(c.name), c.says]).flatten());
    }
    for container in compose::read(body, &REDACT).into_iter().flatten() {
        shown.extend([Some(container.name), container.app, container.version].into_iter().flatten());
        shown.extend(container.pod.into_iter().flat_map(|p| p.why));
    }
    for text in shown {
        assert!(!text.as_str().contains(|c: char| c.is_control() && c != '\t'), "{text:?}");
    }
});
