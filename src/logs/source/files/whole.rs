//! Reads files from their beginning to the end that they have now: packed or not, searched on all cores where the question has needles.

use super::{
    hand::Hand,
    scan::{Form, scan},
};
use crate::{
    answer::{Coverage, Missing, Part, Why},
    logs::{
        decode::{self, postgres},
        flow::{pick::Picker, prefix::Prefix, split::Splitter},
        query::Query,
    },
    safe,
    text::{Safe, units},
};
use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

const CHUNK: usize = 256 << 10;
/// A file that is smaller is read faster than threads are started.
const SMALL: u64 = 1 << 20;
/// So much of a file tells its form.
const SAMPLE: usize = 64 << 10;

/// Reads the files of one log, oldest first. Blocks; ends when nobody listens.
pub(super) fn read(paths: &[PathBuf], name: &Safe, query: &Query, hand: &mut Hand) -> Coverage {
    let mut coverage = Coverage::default();
    let mut cut = 0;
    for path in paths {
        let part = match path.file_name() {
            Some(file) if paths.len() > 1 => Part { system: "file", name: Safe::name(file.to_string_lossy().as_ref()) },
            _ => Part { system: "file", name: name.clone() },
        };
        match one(path, query, hand, &mut coverage.bytes) {
            Ok(ended) => {
                cut += ended.cut;
                match ended.broken {
                    Some(why) => coverage.miss(Missing { part, why: Why::Unreachable(why), hint: None }),
                    None => coverage.searched.push(part),
                }
            }
            Err(e) => coverage.miss(Missing { part, why: Why::Unreachable(Safe::name(e.to_string())), hint: None }),
        }
        hand.end();
        if hand.unheard() {
            break;
        }
    }
    if let Some(text) = said(cut + hand.cut(), name) {
        hand.note(text);
    }
    hand.send_blocking();
    coverage
}

/// What is said about lines that were cut.
pub(super) fn said(cut: u64, name: &Safe) -> Option<Safe> {
    (cut > 0).then(|| safe!("{}: cut at 4 MiB: {}", name, units::plural(usize::try_from(cut).unwrap_or(usize::MAX), "line", "lines")))
}

#[derive(Default)]
struct Ended {
    cut: u64,
    /// What could not be read to its end.
    broken: Option<Safe>,
}

const SHRUNK: &str = "it became shorter while it was read";

fn one(path: &Path, query: &Query, hand: &mut Hand, bytes: &mut u64) -> io::Result<Ended> {
    let file = File::open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return stream(file, hand, bytes);
    }
    let mut sample = vec![0; SAMPLE];
    let got = file.read_at(&mut sample, 0)?;
    sample.truncate(got);
    if sample.starts_with(&[0x1f, 0x8b]) {
        return Ok(match stream(MultiGzDecoder::new(io::BufReader::with_capacity(CHUNK, file)), hand, bytes) {
            Ok(ended) => ended,
            // What came before the damage was read and counts.
            Err(e) => Ended { cut: 0, broken: Some(safe!("it is no whole gzip file: {}", Safe::name(e.to_string()))) },
        });
    }
    let length = data.len();
    let needles = query.needles();
    // The neighbourhood of a hit is made of records that are none. A quoted text of csvlog may hold lines that look like records.
    let csv = sample.split(|b| *b == b'\n').next().is_some_and(postgres::begins_csv);
    if length < SMALL || needles.is_empty() || query.around > 0 || query.spans.is_some() || csv {
        // A file without a length can have content all the same, in /proc; one that grows is read to where it ended.
        let ended = if length == 0 { stream(&file, hand, bytes) } else { stream((&file).take(length), hand, bytes) };
        let shrunk = length > 0 && file.metadata().is_ok_and(|now| now.len() < length);
        return ended.map(|e| Ended { broken: shrunk.then(|| SHRUNK.into()), ..e });
    }
    let whole = sample.iter().rposition(|b| *b == b'\n').and_then(|end| sample.get(..end)).unwrap_or(&sample);
    let prefix = Prefix::of(whole.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l)));
    hand.knows(prefix);
    let form = if prefix.is_some() { Form::Stretches } else { Form::Records };
    let picker = Picker::new(needles, query.field_names().chain(decode::SERVED).filter(|_| query.field_names().next().is_some()));
    let scanned = scan(&file, length, form, picker, &mut |segment| {
        segment.lines.into_iter().for_each(|line| hand.line(line));
        !hand.unheard() && (!hand.full() || hand.send_blocking())
    })?;
    hand.skipped();
    *bytes += scanned.bytes;
    Ok(Ended { cut: scanned.cut, broken: scanned.shrunk.then(|| SHRUNK.into()) })
}

fn stream(mut input: impl Read, hand: &mut Hand, bytes: &mut u64) -> io::Result<Ended> {
    let mut splitter = Splitter::default();
    let mut buffer = vec![0; CHUNK];
    let mut failed = None;
    loop {
        let got = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => {
                failed = Some(e);
                break;
            }
        };
        *bytes += got as u64;
        splitter.push(buffer.get(..got).unwrap_or_default(), |line| hand.line(line));
        if !hand.send_blocking() {
            return Ok(Ended::default());
        }
    }
    splitter.finish().into_iter().for_each(|line| hand.line(line));
    failed.map_or(Ok(Ended { cut: splitter.cut, broken: None }), Err)
}
