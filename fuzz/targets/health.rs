//! Whatever an endpoint answers to a question about its health, in every dialect. A password in it is in nothing that is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::health::decode::{RawAnswer, overall, read};
use obsctl::health::model::Dialect;
use obsctl::text::{MaskKey, Redactor};
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
});
