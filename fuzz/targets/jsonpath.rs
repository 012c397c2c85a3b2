//! Whatever an address answers, and whatever path is asked of it (the bytes before the first line break).
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::{
    answer::Exchange,
    checks::{
        kind::{CheckKind, Gauge, HttpAsk},
        kinds::{net, promql},
        threshold::Threshold,
    },
    text::{MaskKey, Redactor},
};
use std::sync::LazyLock;

static REDACT: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(MaskKey::from_bytes([7; 32])));
static HTTP: LazyLock<CheckKind> = LazyLock::new(|| {
    let timeout = std::time::Duration::from_secs(1).try_into().unwrap_or_default();
    CheckKind::Http(HttpAsk { url: "http://x".into(), headers: Default::default(), reachable: true, timeout })
});

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (path, body) = data.split_at(at);
    let Ok(path) = std::str::from_utf8(path) else { return };
    let exchange = Exchange { status: Some(200), ..Exchange::default() };
    // Only what was accepted when the file was read is ever asked.
    if let Ok(threshold) = Threshold::parse(&format!("{path} == x"), &HTTP) {
        let seen = net::HttpSeen { exchange: &exchange, body, headers: Vec::new(), reachable: true };
        let _ = net::http(&seen, &[threshold.figure.as_str()], Default::default(), &REDACT);
    }
    let _ = promql::sighting(200, body, Gauge::default(), &REDACT);
});
