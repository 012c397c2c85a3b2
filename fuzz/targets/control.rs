//! Whatever a worker answers on the control bus, to every question that obsctl asks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::celery::decode::control::control;
use obsctl::celery::model::ControlMethod;
use obsctl::text::{MaskKey, Redactor};
use std::sync::LazyLock;

static REDACT: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(MaskKey::from_bytes([7; 32])));

fuzz_target!(|data: &[u8]| {
    let asked = [
        ControlMethod::Ping,
        ControlMethod::Stats,
        ControlMethod::ActiveQueues,
        ControlMethod::Active,
        ControlMethod::Reserved,
        ControlMethod::Scheduled,
        ControlMethod::QueryTask(vec!["0ddba11c-0000-4000-8000-000000000001".to_owned()]),
    ];
    let _ = control(data, &asked, &REDACT);
});
