//! Log lines to errors by cause: a password in them is in nothing that is shown, the same lines again make no further kind, and every
//! occurrence is counted.
#![no_main]

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use obsctl::logs::{
    analyze::{Census, errors::ErrorTally, leaks::LeakTally, stats::{StatsAsk, StatsTally}},
    decode,
    flow::{group::Grouper, keep::Seen},
    model::LogOrigin,
};
use obsctl::text::{MaskKey, Redactor};
use std::sync::{Arc, LazyLock};

static REDACT: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(MaskKey::from_bytes([7; 32])));

fuzz_target!(|data: &[u8]| {
    let ask = StatsAsk { of: vec!["duration_ms".into()], by: vec!["path".into()] };
    let fields: Arc<[String]> = vec!["request_id".to_owned()].into();
    let mut errors = ErrorTally::new(REDACT.clone(), fields, Timestamp::UNIX_EPOCH);
    let mut stats = StatsTally::new(REDACT.clone(), ask);
    let mut leaks = LeakTally::new(REDACT.clone());
    let mut counts = Vec::new();
    let mut taken = 0u64;
    for _ in 0..2 {
        let mut grouper = Grouper::new(Arc::new(LogOrigin::default()));
        let mut records: Vec<_> = data.split(|b| *b == b'\n').filter_map(|l| grouper.push(None, Bytes::copy_from_slice(l))).collect();
        records.extend(grouper.finish());
        for record in &records {
            let entry = decode::record(record, &TimeZone::UTC);
            errors.take(record, &entry);
            stats.take(record, &entry);
            leaks.take(record, &entry);
            taken += 1;
        }
        counts.push(errors.kinds());
    }
    assert_eq!(counts[0], counts[1]);
    let errors = errors.finish(None, &Seen::default(), &[]);
    assert_eq!(errors.kinds.iter().map(|k| k.count + k.repeats).sum::<u64>() + errors.left_out, taken);
    let _ = serde_json::to_string(&errors).expect("JSON");
    let _ = serde_json::to_string(&stats.finish(None, Timestamp::UNIX_EPOCH, &Seen::default())).expect("JSON");
    let _ = serde_json::to_string(&leaks.finish(None, Timestamp::UNIX_EPOCH, &Seen::default())).expect("JSON");
});
