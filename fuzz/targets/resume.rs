//! A log that is read over many streams, each broken off anywhere, with rotations between them: no line twice, none out of order, and what is
//! missing is said.
#![no_main]

use bytes::Bytes;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use obsctl::logs::flow::resume::Resume;

fuzz_target!(|data: &[u8]| {
    let Some((&count, data)) = data.split_first() else { return };
    let (times, cuts) = data.split_at(data.len().min(usize::from(count)));
    // Times go forward, and stand still now and then, for fewer lines than are remembered; equal texts occur.
    let mut now = 1_000_000;
    let lines: Vec<(Timestamp, Bytes)> = times
        .iter()
        .enumerate()
        .map(|(n, step)| {
            now += i64::from(*step) * 7 + i64::from(n % 32 == 0);
            (Timestamp::from_millisecond(now).unwrap(), Bytes::from(format!("{}", n % 2)))
        })
        .collect();
    let mut resume = Resume::default();
    let (mut next, mut file, mut begun) = (0, 0, false);
    let streams = cuts.chunks(3).map(|cut| (cut[0], cut.get(1).copied().unwrap_or(0), cut.get(2).copied().unwrap_or(0)));
    for (rotated, written, sent) in streams.map(|(r, w, s)| (r.into(), w.into(), s.into())).chain([(0, usize::MAX, usize::MAX)]) {
        let written = lines.len().min(written);
        file = file.max(written.min(rotated));
        let streamed = std::mem::replace(&mut begun, true);
        // What was gone before the first stream was opened is not a matter of the streams.
        if !streamed {
            next = file;
        }
        resume.again();
        resume.opened(streamed);
        let since = resume.since().map_or(Timestamp::MIN, |last| Timestamp::from_second(last.as_second()).unwrap());
        // One like the known line, to the nanosecond, was rotated away, and one more was written: nobody can tell them apart.
        let alike = next > 0 && lines[..file].contains(&lines[next - 1]) && lines[next..].contains(&lines[next - 1]);
        let mut out = Vec::new();
        let mut lost = None;
        for (at, text) in lines[file..].iter().filter(|line| line.0 >= since).take(sent) {
            lost = lost.or(resume.line(*at, text.clone(), &mut out));
        }
        if sent == usize::MAX {
            lost = lost.or(resume.finish(&mut out));
        }
        for line in &out {
            let found = lines[next..].iter().position(|l| l == line).expect("twice, or out of order");
            assert!(found == 0 || lost.is_some() || alike, "lines are missing and nothing is said");
            next += found + 1;
        }
    }
});
