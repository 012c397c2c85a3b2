//! Searches a file on all cores: segments are taken in turn, each by whoever is free, and handed on in their order. What cannot be a hit is
//! never split into lines. No memory map: a file that is cut while it is read would end the process.

use crate::logs::flow::{
    pick::{Picker, Sight, first_line, first_start},
    split::{LONGEST, Splitter},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    num::NonZero,
    os::unix::fs::FileExt,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

/// How a file is cut up.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// How much is looked at in one go: it stays in a core's cache.
    segment: usize,
    /// So much of the next segment is read first to see where its first record begins.
    peek: usize,
    /// A record that is longer is no longer held whole.
    held: usize,
    /// In each so many-th segment any line begins a record, where none does for certain.
    anyway: u64,
    /// So much before and behind a hit is handed on where whole stretches are.
    near: usize,
}

const SIZES: Sizes = Sizes { segment: 1 << 20, peek: 16 << 10, held: 8 << 20, anyway: 8, near: 256 << 10 };
/// So much of a file tells what to search first.
const SAMPLE: usize = 256 << 10;
/// So many segments may wait for one before them.
const AHEAD: u64 = 8;
/// More threads find nothing faster: they wait for the memory.
const MOST_THREADS: usize = 8;

/// How the lines of a file hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Records of one origin: only those that can be hits are of interest.
    Records,
    /// Lines of several origins, or parts of lines: whole stretches around the hits.
    Stretches,
}

/// What one segment gave, and where in it lines end.
#[derive(Default)]
pub(super) struct Segment {
    /// Whole lines, without their ends.
    pub lines: Vec<Bytes>,
    first_end: Option<u64>,
    last_end: Option<u64>,
}

/// What came of a search.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FileScan {
    /// How far the file was read.
    pub bytes: u64,
    /// How many lines were cut.
    pub cut: u64,
    /// The file became shorter meanwhile.
    pub shrunk: bool,
}

/// Searches the first `length` bytes; `emit` gets what was found, in order, and says whether to go on.
///
/// # Errors
/// The file cannot be read.
pub(super) fn scan(file: &File, length: u64, form: Form, picker: Picker, emit: &mut dyn FnMut(Segment) -> bool) -> io::Result<FileScan> {
    scan_by(SIZES, file, length, form, picker, emit)
}

fn scan_by(
    sizes: Sizes,
    file: &File,
    length: u64,
    form: Form,
    mut picker: Picker,
    emit: &mut dyn FnMut(Segment) -> bool,
) -> io::Result<FileScan> {
    let mut sample = vec![0; SAMPLE];
    let got = read_at(file, &mut sample, 0)?;
    picker.learn(sample.get(..got).unwrap_or_default());
    drop(sample);
    let search = Search {
        sizes,
        file,
        length,
        form,
        picker,
        next: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        done: Mutex::new(0),
        moved: Condvar::new(),
    };
    let segments = length.div_ceil(sizes.segment as u64);
    let threads =
        thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS).min(usize::try_from(segments).unwrap_or(1)).max(1);
    let (send, found) = mpsc::sync_channel(AHEAD as usize);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (search, send) = (&search, send.clone());
            scope.spawn(move || search.work(segments, &send));
        }
        drop(send);
        let result = in_order(&search, &found, emit);
        // Those who wait for their turn, or to hand something on, have nothing more to do.
        search.halt();
        drop(found);
        result
    })
}

fn in_order(
    search: &Search<'_>,
    found: &mpsc::Receiver<(u64, io::Result<Option<Segment>>)>,
    emit: &mut dyn FnMut(Segment) -> bool,
) -> io::Result<FileScan> {
    let mut waiting = BTreeMap::new();
    let mut turn = 0;
    let mut scanned = FileScan::default();
    let mut line_from = 0;
    let too_long = |from: u64, until: u64| u64::from(until.saturating_sub(from) > LONGEST as u64);
    for (number, segment) in found {
        waiting.insert(number, segment);
        while let Some(segment) = waiting.remove(&turn) {
            let Some(segment) = segment? else {
                scanned.shrunk = true;
                return Ok(scanned);
            };
            if let (Some(first), Some(last)) = (segment.first_end, segment.last_end) {
                scanned.cut += too_long(line_from, first);
                line_from = last + 1;
            }
            turn += 1;
            scanned.bytes = (turn * search.sizes.segment as u64).min(search.length);
            if !emit(segment) {
                return Ok(scanned);
            }
            search.passed(turn);
        }
    }
    scanned.cut += too_long(line_from, search.length);
    Ok(scanned)
}

fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = into.get_mut(got..).filter(|r| !r.is_empty()) {
        match file.read_at(rest, at + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

struct Search<'a> {
    sizes: Sizes,
    file: &'a File,
    length: u64,
    form: Form,
    picker: Picker,
    next: AtomicU64,
    stop: AtomicBool,
    /// How many segments were handed on.
    done: Mutex<u64>,
    moved: Condvar,
}

/// A buffer that grows and is used again; it starts `lead` bytes before its segment.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    filled: usize,
}

impl Window {
    /// Reads so many more bytes; false when the file has fewer.
    fn fill(&mut self, file: &File, at: u64, more: usize) -> io::Result<bool> {
        if self.bytes.len() < self.filled + more {
            self.bytes.resize(self.filled + more, 0);
        }
        let Some(room) = self.bytes.get_mut(self.filled..self.filled + more) else { return Ok(false) };
        let got = read_at(file, room, at)?;
        self.filled += got;
        Ok(got == more)
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl Search<'_> {
    fn halt(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let _held = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        self.moved.notify_all();
    }

    fn passed(&self, turn: u64) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        self.moved.notify_all();
    }

    fn work(&self, segments: u64, send: &mpsc::SyncSender<(u64, io::Result<Option<Segment>>)>) {
        let mut window = Window::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= segments {
                return;
            }
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            while number >= *done + AHEAD && !self.stop.load(Ordering::Relaxed) {
                done = self.moved.wait(done).unwrap_or_else(PoisonError::into_inner);
            }
            drop(done);
            if self.stop.load(Ordering::Relaxed) || send.send((number, self.segment(number, &mut window))).is_err() {
                return;
            }
        }
    }

    fn bounds(&self, number: u64) -> (u64, usize) {
        let size = self.sizes.segment;
        let from = number * size as u64;
        (from, usize::try_from(self.length.saturating_sub(from)).unwrap_or(size).min(size))
    }

    /// Where the first record of a segment begins: the same for whoever asks, so that each record has one owner. `whole`: this is all of it.
    fn first(&self, number: u64, text: &[u8], fresh: bool, whole: bool) -> Option<usize> {
        if number == 0 {
            return Some(0);
        }
        if self.form == Form::Stretches {
            return first_line(text, fresh);
        }
        let (from, size) = self.bounds(number);
        let sight = match whole {
            false => Sight::Part,
            true if from + size as u64 == self.length => Sight::Whole,
            true => Sight::Cut,
        };
        // Only who sees the whole segment knows that none of its records begins for certain.
        first_start(text, fresh, sight).or_else(|| first_line(text, fresh).filter(|_| whole && number.is_multiple_of(self.sizes.anyway)))
    }

    /// The records that begin in a segment; none when the file has no such bytes any more.
    fn segment(&self, number: u64, window: &mut Window) -> io::Result<Option<Segment>> {
        let (from, size) = self.bounds(number);
        let before = match (number, self.form) {
            (0, _) => 0,
            (_, Form::Records) => 1,
            (_, Form::Stretches) => self.sizes.near,
        };
        window.filled = 0;
        if !window.fill(self.file, from - before as u64, before + size)? {
            return Ok(None);
        }
        let text = window.text();
        let own = text.get(before..).unwrap_or_default();
        let mut segment = Segment {
            lines: Vec::new(),
            first_end: memchr::memchr(b'\n', own).map(|at| from + at as u64),
            last_end: memchr::memrchr(b'\n', own).map(|at| from + at as u64),
        };
        let fresh = before == 0 || text.get(before - 1) == Some(&b'\n');
        let Some(start) = self.first(number, own, fresh, true) else { return Ok(Some(segment)) };
        let start = before + start;
        let Some(end) = self.end(number, window, before, size)? else {
            self.long(number, start - before, &mut segment)?;
            return Ok(Some(segment));
        };
        let text = window.text();
        let region = text.get(start..end).unwrap_or_default();
        match self.form {
            Form::Records => {
                for part in self.picker.pick(region) {
                    lines(region.get(part).unwrap_or_default(), &mut segment.lines);
                }
            }
            Form::Stretches => {
                let near = text.get(..(end + self.sizes.near).min(text.len())).unwrap_or(text);
                if number == 0 || may_hit(near, &self.picker) {
                    lines(region, &mut segment.lines);
                }
            }
        }
        Ok(Some(segment))
    }

    /// Where the last record that begins in the segment ends, as a place in the window; none when that is too far away.
    fn end(&self, number: u64, window: &mut Window, before: usize, size: usize) -> io::Result<Option<usize>> {
        let mut next = number + 1;
        let mut at = before + size;
        let peek = if self.form == Form::Stretches { self.sizes.near } else { self.sizes.peek };
        loop {
            let (from, size) = self.bounds(next);
            if from >= self.length {
                return Ok(Some(window.filled.min(at)));
            }
            let mut have = 0;
            for more in [peek.min(size), size.saturating_sub(peek)] {
                window.fill(self.file, from + have as u64, more)?;
                have += more;
                let text = window.text();
                let fresh = text.get(at.wrapping_sub(1)) == Some(&b'\n');
                if let Some(found) = self.first(next, text.get(at..).unwrap_or_default(), fresh, have == size) {
                    return Ok(Some(at + found));
                }
            }
            if window.filled > self.sizes.held {
                return Ok(None);
            }
            at += size;
            next += 1;
        }
    }

    /// A record, or a line, that is too long to be held: all of its lines, cut where they are too long.
    fn long(&self, number: u64, start: usize, segment: &mut Segment) -> io::Result<()> {
        let mut splitter = Splitter::default();
        let mut window = Window::default();
        let mut number = number;
        let mut start = start;
        let mut fresh = true;
        loop {
            let (from, size) = self.bounds(number);
            window.filled = 0;
            if size == 0 || !window.fill(self.file, from, size)? || self.stop.load(Ordering::Relaxed) {
                break;
            }
            let text = window.text();
            // Its own first record is where it begins; that of another segment is where it ends.
            let end = if start == usize::MAX { self.first(number, text, fresh, true) } else { None };
            let begin = if start == usize::MAX { 0 } else { start };
            splitter.push(text.get(begin..end.unwrap_or(text.len())).unwrap_or_default(), |line| segment.lines.push(line));
            if end.is_some() {
                break;
            }
            fresh = text.last() == Some(&b'\n');
            start = usize::MAX;
            number += 1;
        }
        segment.lines.extend(splitter.finish());
        Ok(())
    }
}

/// Whether a stretch can hold a hit. Parts of lines are joined later: a value can stand half in one and half in the next.
fn may_hit(text: &[u8], picker: &Picker) -> bool {
    [&b" stdout P"[..], b" stderr P"].iter().any(|part| memchr::memmem::find(text, part).is_some()) || picker.may_hit(text)
}

/// Cuts whole lines apart; they share one copy.
fn lines(text: &[u8], into: &mut Vec<Bytes>) {
    if text.len() > LONGEST {
        let mut splitter = Splitter::default();
        splitter.push(text, |line| into.push(line));
        into.extend(splitter.finish());
        return;
    }
    let text = Bytes::copy_from_slice(text);
    let mut from = 0;
    while from < text.len() {
        let rest = text.slice(from..);
        let end = memchr::memchr(b'\n', &rest).unwrap_or(rest.len());
        let whole = rest.slice(..end);
        let bare = if whole.ends_with(b"\r") { whole.slice(..end - 1) } else { whole };
        into.push(bare);
        from += end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{
        flow::{
            needle::Needle,
            samples::{kept, line, queries, slowly},
        },
        query::{Predicate, Query, Test},
    };
    use proptest::prelude::*;
    use std::io::Write;

    const SMALL: Sizes = Sizes { segment: 64, peek: 16, held: 256, anyway: u64::MAX, near: 32 };

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text).expect("written");
        file
    }

    fn scanned(query: &Query, text: &[u8], sizes: Sizes) -> (Vec<Bytes>, FileScan) {
        let picker = Picker::new(query.needles(), query.field_names());
        let mut lines = Vec::new();
        let result = scan_by(sizes, &file(text), text.len() as u64, Form::Records, picker, &mut |segment| {
            lines.extend(segment.lines);
            true
        });
        (lines, result.expect("readable"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// What is found by needles, on all cores, is what is found by looking at every line.
        #[test]
        fn the_needle_path_equals_the_slow_path(lines in proptest::collection::vec(line(), 0..40), end in any::<bool>(), segment in 24usize..300) {
            let mut text = lines.join("\n");
            if end {
                text.push('\n');
            }
            let sizes = Sizes { segment, ..SMALL };
            for query in queries() {
                let (found, result) = scanned(&query, text.as_bytes(), sizes);
                prop_assert_eq!(result, FileScan { bytes: text.len() as u64, cut: 0, shrunk: false });
                prop_assert_eq!(kept(&query, found), kept(&query, slowly(text.as_bytes())), "{:?}\n{}", query.want, text);
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_counted() {
        let mut text = b"{\"a\": \"needle\"}\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', LONGEST + 3_000_000));
        text.extend(b"\n{\"b\": \"needle\"}\n");
        text.extend(std::iter::repeat_n(b'y', LONGEST + 1));
        let query = Query { want: vec![Predicate::Line(Test::Contains("needle".into()))], ..Query::default() };
        let (found, result) = scanned(&query, &text, Sizes { held: 1 << 20, ..SIZES });
        assert_eq!(result, FileScan { bytes: text.len() as u64, cut: 2, shrunk: false });
        assert!(found.iter().all(|l| l.len() < LONGEST + 100));
        assert_eq!(kept(&query, found), ["b\"{\\\"a\\\": \\\"needle\\\"}\" []", "b\"{\\\"b\\\": \\\"needle\\\"}\" []"]);
    }

    #[test]
    fn a_file_that_shrinks_is_said_and_nobody_listening_is_an_end() {
        let text = b"{\"a\": \"needle\"}\n".repeat(1_000);
        let picker = || {
            Picker::new(
                crate::logs::flow::needle::Needles::new(vec![Needle::any_of(vec!["needle".into()]).expect("a word")]),
                std::iter::empty(),
            )
        };
        let mut count = 0;
        let result = scan_by(SMALL, &file(&text), text.len() as u64 * 2, Form::Records, picker(), &mut |s| {
            count += s.lines.len();
            true
        });
        assert!(result.expect("readable").shrunk && count > 900 && count <= 1_000);
        let mut calls = 0;
        let result = scan_by(SMALL, &file(&text), text.len() as u64, Form::Records, picker(), &mut |_| {
            calls += 1;
            false
        });
        assert!(result.is_ok() && calls == 1);
    }

    #[test]
    fn stretches_around_a_hit_are_whole() {
        let line = |i: usize| format!("[pod/web-{}/app] line {i}{}\n", i % 3, if i == 500 { " needle" } else { "" });
        let text: String = (0..1_000).map(line).collect();
        let picker = Picker::new(
            crate::logs::flow::needle::Needles::new(vec![Needle::any_of(vec!["needle".into()]).expect("a word")]),
            std::iter::empty(),
        );
        let mut lines = Vec::new();
        let sizes = Sizes { segment: 1_024, near: 128, ..SMALL };
        let result = scan_by(sizes, &file(text.as_bytes()), text.len() as u64, Form::Stretches, picker, &mut |s| {
            lines.extend(s.lines);
            true
        });
        assert!(result.is_ok());
        let all: Vec<Bytes> = text.lines().map(|l| Bytes::from(l.to_owned())).collect();
        let from = lines.iter().position(|l| l.ends_with(b"needle")).expect("the hit");
        assert!(lines.len() < 200 && lines[from - 3..from + 3] == all[497..503]);
    }
}
