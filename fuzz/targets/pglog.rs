//! Lines of a log in which PostgreSQL's stand: stderr with any prefix, csvlog, jsonlog, and whatever is between them. Every line comes out
//! once and in order, whatever record it is put into, and what a record says is read without a panic.
#![no_main]

use bytes::Bytes;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use obsctl::logs::{decode, flow::group::Grouper, model::LogOrigin};
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> = data.split(|b| *b == b'\n').collect();
    let mut grouper = Grouper::new(Arc::new(LogOrigin::default()));
    let mut records = Vec::new();
    for line in &lines {
        records.extend(grouper.push(None, Bytes::copy_from_slice(line)));
    }
    records.extend(grouper.finish());
    let whole: Vec<&[u8]> = records.iter().flat_map(|r| std::iter::once(&r.head).chain(&r.tail)).map(|l| &l[..]).collect();
    assert_eq!(whole, lines);
    for record in &records {
        let entry = decode::record(record, &TimeZone::UTC);
        let _ = decode::raised(record, &entry);
    }
});
