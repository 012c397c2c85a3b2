//! Whatever stands for a threshold or a range of Nagios. One that is read compares as its range says, and a range says what it reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::checks::{
    kind::CheckKind,
    model::{Figure, Unit},
    range::Range,
    threshold::Threshold,
};

const KINDS: [CheckKind; 4] = [CheckKind::Queue(Vec::new()), CheckKind::Workers, CheckKind::Redis, CheckKind::Beat];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for kind in KINDS {
        if let Ok(threshold) = Threshold::parse(text, &kind) {
            let figure = Figure::number("any", "", Unit::Number, 1.5);
            if let (Some(holds), Some(range)) = (threshold.holds(&figure), threshold.range(true)) {
                assert_eq!(holds, range.alerts(1.5), "{text}");
            }
            let _ = (threshold.opposite(), threshold.range(false));
        }
    }
    if let Some(range) = Range::parse(text) {
        assert_eq!(Range::parse(&range.says()), Some(range), "{text}");
    }
});
