//! Whatever lines come: a prefix is a part of its line, and the tool's form is found or is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::logs::flow::prefix::{Prefix, of_path};

fuzz_target!(|text: &[u8]| {
    let _ = Prefix::of(text.split(|b| *b == b'\n'));
    for line in text.split(|b| *b == b'\n') {
        for form in [Prefix::Kubectl, Prefix::Stern, Prefix::Compose, Prefix::Cri] {
            if let Some((writer, _, length)) = form.split(line) {
                assert!(length <= line.len() && writer.name.len() <= length, "a prefix is in its line");
                assert!(form == Prefix::Cri || !writer.name.is_empty(), "a writer has a name");
            }
        }
    }
    let _ = of_path(&String::from_utf8_lossy(text));
});
