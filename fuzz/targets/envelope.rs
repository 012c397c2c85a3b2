//! Whatever lies in a queue or among the unacknowledged: a message, or said not to be one. What is decoded can be printed as JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::celery::decode::envelope::{envelope, unacked};
use obsctl::text::{MaskKey, Redactor};
use std::sync::LazyLock;

static REDACT: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(MaskKey::from_bytes([7; 32])));

fuzz_target!(|data: &[u8]| {
    for message in [envelope(data, &REDACT), unacked(data, &REDACT)].into_iter().flatten() {
        serde_json::to_string(&message).expect("every message can be written");
    }
});
