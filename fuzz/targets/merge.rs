//! Live lanes to one stream: nothing is lost, each lane keeps its order, and nothing waits longer than it may.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use obsctl::logs::flow::hold::Patient;
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let mut hold = Patient::new(Duration::from_millis(300));
    let (mut now, mut out, mut pushed) = (Duration::ZERO, Vec::new(), 0);
    for (n, step) in data.chunks_exact(3).enumerate() {
        now += Duration::from_millis(u64::from(step[0]));
        while let Some((item, _)) = hold.pop(now) {
            out.push(item);
        }
        assert!(hold.due().is_none_or(|due| due > now), "something is overdue");
        let at = (step[2] != 0).then(|| Timestamp::from_millisecond(i64::from(step[2]) * 40).unwrap());
        let lane = usize::from(step[1] % 5);
        hold.push(lane, at, now, (lane, n));
        pushed += 1;
    }
    while let Some((item, _)) = hold.take() {
        out.push(item);
    }
    assert_eq!(out.len(), pushed);
    for lane in 0..5 {
        assert!(out.iter().filter(|(l, _)| *l == lane).map(|(_, n)| *n).is_sorted(), "a lane is out of order");
    }
});
