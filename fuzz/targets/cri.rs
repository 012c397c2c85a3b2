//! Whatever lines the container runtime writes: none of their text is lost, and parts are joined only with parts.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use obsctl::logs::flow::prefix::{CriJoin, Prefix};

fuzz_target!(|text: &[u8]| {
    let mut join = CriJoin::default();
    let (mut given, mut taken) = (0, 0);
    for line in text.split(|b| *b == b'\n').map(Bytes::copy_from_slice) {
        taken += Prefix::Cri.split(&line).map_or(line.len(), |(_, _, length)| line.len() - length);
        given += join.push(&line).map_or(0, |(_, text)| text.len());
    }
    given += join.finish().map(|(_, text)| text.len()).sum::<usize>();
    assert!(given == taken || join.cut > 0, "{given} bytes of {taken}");
});
