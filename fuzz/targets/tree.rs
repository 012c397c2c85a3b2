//! Whatever a server shows as the tree of a statement.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::postgres::screen::tree::{Reach, TreeShape};

fuzz_target!(|text: &str| {
    let mut reach = Reach::default();
    reach.add(text);
    assert!(reach.objects.iter().all(|oid| *oid >= 16_384));
    let _ = TreeShape::of(text).only_reads();
});
