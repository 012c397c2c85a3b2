//! Whatever a set of bindings holds, with any separator (the bytes before the first line break), and whatever is heard of the workers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::celery::decode::binding::{binding, worker};
use obsctl::celery::decode::heartbeat::heartbeat;
use obsctl::celery::decode::info::info;

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (separator, raw) = data.split_at(at);
    if let Ok(separator) = std::str::from_utf8(separator) {
        let raw = raw.get(1..).unwrap_or_default();
        let _ = worker(raw, separator);
        if let Ok(found) = binding(raw, separator) {
            let again = [found.routing_key, found.pattern, found.queue].join(separator);
            assert_eq!(again.as_bytes(), raw, "a binding is its three parts");
        }
    }
    let _ = heartbeat(data);
    let _ = info([data]);
});
