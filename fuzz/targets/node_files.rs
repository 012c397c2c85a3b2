//! A node's log files as a container runtime writes them, and the page that lists them. Parts are joined without losing a byte.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use obsctl::logs::decode::node::{self, Parts};

fuzz_target!(|bytes: &[u8]| {
    let page = String::from_utf8_lossy(bytes);
    let files = node::listing(&page);
    assert!(files.windows(2).all(|pair| pair[0].place() < pair[1].place()), "out of order, or twice");
    let mut parts = Parts::default();
    let (mut read, mut joined) = (0, 0);
    for raw in bytes.split(|byte| *byte == b'\n') {
        let Some(line) = node::line(&Bytes::copy_from_slice(raw)) else { continue };
        read += line.text.len();
        joined += parts.push(line).map_or(0, |(_, text)| text.len());
    }
    joined += parts.finish().iter().map(|(_, text)| text.len()).sum::<usize>();
    assert_eq!(read, joined);
});
