//! Lines of anything to records, and records to entries. Every line comes out once and in order, and no record outgrows its limit.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use obsctl::logs::{
    decode,
    flow::{group::Grouper, split::Splitter},
    model::{LogOrigin, Record},
};
use std::sync::Arc;

fuzz_target!(|bytes: &[u8]| {
    let mut lines: Vec<Bytes> = Vec::new();
    let mut splitter = Splitter::default();
    // However the bytes arrive: in three uneven parts.
    let (a, rest) = bytes.split_at(bytes.len() / 3);
    let (b, c) = rest.split_at(rest.len() / 5);
    for part in [a, b, c] {
        splitter.push(part, |line| lines.push(line));
    }
    lines.extend(splitter.finish());
    let mut grouper = Grouper::new(Arc::new(LogOrigin::default()));
    let mut records: Vec<Record> = lines.iter().filter_map(|line| grouper.push(None, line.clone())).collect();
    records.extend(grouper.finish());
    let out: Vec<&Bytes> = records.iter().flat_map(|record| std::iter::once(&record.head).chain(&record.tail)).collect();
    assert!(out.iter().copied().eq(lines.iter()), "a line is lost, doubled or out of place");
    assert!(records.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    for record in &records {
        let entry = decode::entry(&record.head, &jiff::tz::TimeZone::UTC);
        let _ = decode::traceback(record, &entry);
    }
});
