//! Whatever stands in a file of checks: it is read, or refused with its place, and never a panic. What includes itself ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::{checks::file, config::Vars};
use std::path::{Path, PathBuf};

fuzz_target!(|data: &[u8]| {
    let read = |_: &Path| Ok(data.to_vec());
    let _ = file::load(&[PathBuf::from("checks.yaml")], &Vars::of([("TAG", "1")]), &read);
});
