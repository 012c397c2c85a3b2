//! A log of one container, block by block: what cannot hold a hit is passed over before it is split into lines. Unlike `pick`, which has
//! all of a file, it sees a stream once and in order, and each line has the runtime's time in front of it.

use super::{
    group,
    needle::{Needles, automaton, line_end},
};
use crate::logs::{
    decode::{SERVED, postgres, time::in_front},
    query::Query,
};
use aho_corasick::AhoCorasick;
use bytes::Bytes;
use std::mem;

/// So many bytes of lines make a block.
const BLOCK: usize = 64 << 10;
/// One block in so many is looked at whatever it holds: for clocks and levels.
const SAMPLE: u64 = 16;
/// So many blocks are looked at because they may name a request, or tell of one.
const TELLING: u32 = 2;
/// A record that is longer is looked at while it comes.
const MOST_HELD: usize = 4 << 20;

/// What came of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sieved {
    /// It is to be looked at, as far as it was given out.
    Looked,
    /// It, or all of it but the end of the record before it, was passed over.
    Passed,
}

/// Passes over what cannot be a hit.
#[derive(Debug)]
pub struct Sieve {
    block: usize,
    needles: Needles,
    /// The names of fields that carry IDs, and what tells of a request; how many more blocks are looked at for them.
    telling: Vec<(AhoCorasick, u32)>,
    /// What has come and makes no block yet. The same two buffers are used again and again.
    rest: Vec<u8>,
    blocks: u64,
    /// The last block that was passed over.
    last: Vec<u8>,
    /// What was passed over from the beginning of a record on that may reach into the next block: blocks before the last, and from where on
    /// the last one belongs to it.
    held: Vec<Bytes>,
    held_bytes: usize,
    from: usize,
    /// Whether the last record that was given out may go on.
    open: bool,
    /// Whether the last line that was given out has no end yet.
    cut: bool,
    /// Whether the log is one in which a line alone does not tell where a record begins.
    blind: bool,
}

impl Sieve {
    /// For a question; none where every line has to be looked at.
    pub fn new(query: &Query) -> Option<Self> {
        if query.around > 0 || query.spans.is_some() {
            return None;
        }
        let needles = query.needles().without_patterns();
        let names = automaton(query.field_names()).filter(|_| query.field_names().next().is_some());
        let serves = names.as_ref().and_then(|_| automaton(SERVED));
        (!needles.is_empty()).then(|| Self {
            block: BLOCK,
            needles,
            telling: [names, serves].into_iter().flatten().map(|words| (words, TELLING)).collect(),
            rest: Vec::new(),
            blocks: 0,
            last: Vec::new(),
            held: Vec::new(),
            held_bytes: 0,
            from: 0,
            open: true,
            cut: false,
            blind: false,
        })
    }

    /// Takes what came, and judges a block as soon as there is one: `out` gets what is to be looked at, in order. `must` says whether a block
    /// is looked at whatever it holds.
    pub fn push(&mut self, data: &[u8], must: impl FnOnce(&[u8]) -> bool, out: &mut Vec<Bytes>) -> Option<Sieved> {
        self.rest.extend_from_slice(data);
        if self.rest.len() < self.block {
            return None;
        }
        let end = memchr::memrchr(b'\n', &self.rest).map_or(self.rest.len(), |at| at + 1);
        Some(self.judge(end, must, out))
    }

    /// What is left at the end of a stream is looked at.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        if !self.rest.is_empty() {
            self.judge(self.rest.len(), |_| true, out);
        }
    }

    /// The last block, where it was passed over.
    pub fn passed(&self) -> &[u8] {
        &self.last
    }

    fn judge(&mut self, end: usize, must: impl FnOnce(&[u8]) -> bool, out: &mut Vec<Bytes>) -> Sieved {
        let mut rest = mem::take(&mut self.rest);
        let block = rest.get(..end).unwrap_or_default();
        if self.blocks == 0 {
            self.needles.learn(block);
            self.blind = block.split(|b| *b == b'\n').filter_map(in_front).any(|(_, text)| postgres::begins_csv(text));
        }
        let sampled = self.blocks.is_multiple_of(SAMPLE);
        self.blocks += 1;
        let whole = block.last() == Some(&b'\n');
        let must = sampled || self.blind || !whole || self.cut || must(block);
        let begins = begins(block);
        // A record that goes on in this block, and has no end in it.
        let goes_on = begins.is_none() && (self.open || self.held_bytes > MOST_HELD);
        if must || goes_on || self.needles.next(block, 0).is_some() | self.tells(block) {
            self.keep_last();
            out.append(&mut self.held);
            out.push(Bytes::copy_from_slice(block));
            (self.held_bytes, self.open, self.cut) = (0, true, !whole);
            rest.drain(..end);
            self.rest = rest;
            return Sieved::Looked;
        }
        if let Some(at) = begins {
            if mem::take(&mut self.open) && at > 0 {
                out.push(Bytes::copy_from_slice(block.get(..at).unwrap_or_default()));
            }
            self.held.clear();
            self.held_bytes = 0;
        } else {
            self.keep_last();
        }
        self.from = begins.unwrap_or(0);
        self.held_bytes += end;
        // The block stays where it is, and what follows it goes to the other buffer.
        mem::swap(&mut self.last, &mut rest);
        rest.clear();
        rest.extend_from_slice(self.last.get(end..).unwrap_or_default());
        self.last.truncate(end);
        self.rest = rest;
        Sieved::Passed
    }

    /// The last block is no longer that, and may be needed.
    fn keep_last(&mut self) {
        if self.held_bytes > 0 {
            self.held.push(Bytes::copy_from_slice(self.last.get(self.from..).unwrap_or_default()));
        }
        self.last.clear();
    }

    /// Whether the block says what an absence is judged from.
    fn tells(&mut self, block: &[u8]) -> bool {
        let mut tells = false;
        for (words, left) in self.telling.iter_mut().filter(|(_, left)| *left > 0) {
            if words.is_match(block) {
                *left -= 1;
                tells = true;
            }
        }
        tells
    }
}

fn first_line(text: &[u8]) -> &[u8] {
    let line = text.get(..line_end(text, 0)).unwrap_or_default();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The first place where a record begins for certain.
fn begins(block: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut before = None;
    while at < block.len() {
        let (_, text) = in_front(first_line(block.get(at..)?))?;
        if group::starts(text, before) {
            return Some(at);
        }
        before = Some(text);
        at = line_end(block, at);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::flow::samples::{kept, line, queries, slowly};
    use proptest::prelude::*;

    fn stamped(lines: &[String]) -> Vec<u8> {
        let mut text = Vec::new();
        for (i, line) in lines.iter().flat_map(|lines| lines.split('\n')).enumerate() {
            text.extend(format!("2026-11-21T17:31:{:02}.{:09}Z {line}\n", i / 1_000 % 60, i % 1_000 * 1_000_000).bytes());
        }
        text
    }

    /// The lines of what is looked at, as the reading has them.
    fn bare(text: &[u8]) -> Vec<Bytes> {
        let bare = |line: Bytes| in_front(&line).map(|(_, text)| Bytes::copy_from_slice(text));
        slowly(text).into_iter().filter_map(bare).collect()
    }

    fn sieved(query: &Query, text: &[u8], block: usize, cuts: &[usize]) -> (Vec<u8>, usize) {
        let Some(mut sieve) = Sieve::new(query) else { return (text.to_vec(), 0) };
        sieve.block = block;
        // No block is looked at but the first, unless it has to be.
        sieve.telling.clear();
        let (mut out, mut passed) = (Vec::new(), 0);
        let mut from = 0;
        for until in cuts.iter().copied().chain([text.len()]) {
            sieve.blocks = sieve.blocks.min(1);
            let data = text.get(from..until).expect("cuts in order");
            passed += usize::from(sieve.push(data, |_| false, &mut out) == Some(Sieved::Passed));
            from = until;
        }
        sieve.finish(&mut out);
        (out.concat(), passed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Whatever is passed over, the hits are those of a reading that looks at every line, however the stream is cut.
        #[test]
        fn the_sieve_loses_no_hit(lines in proptest::collection::vec(line(), 0..60), block in 40usize..900, cuts in proptest::collection::vec(0usize..4_000, 0..20)) {
            let text = stamped(&lines);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.sort_unstable();
            for query in queries() {
                let (looked, _) = sieved(&query, &text, block, &cuts);
                prop_assert_eq!(kept(&query, bare(&looked)), kept(&query, bare(&text)), "{:?}\n{}", query.want, String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn what_cannot_be_a_hit_is_passed_over_and_a_record_is_whole() {
        let mut lines: Vec<String> = (0..4_000).map(|i| format!("{{\"event\": \"x\", \"n\": {i}}}")).collect();
        lines.insert(2_000, "ERROR broke\nTraceback (most recent call last):\n  File \"x\", line 1, in y\nValueError: y".to_owned());
        let text = stamped(&lines);
        let query = &queries()[3];
        let cuts: Vec<usize> = (1..text.len() / 100).map(|i| i * 100).collect();
        let (looked, passed) = sieved(query, &text, 1_000, &cuts);
        assert!(looked.len() < 10_000 && passed > 100, "{} of {}, {passed}", looked.len(), text.len());
        let kept = kept(query, bare(&looked));
        assert!(kept.len() == 1 && kept[0].contains("ERROR broke") && kept[0].contains("ValueError"), "{kept:?}");
    }

    #[test]
    fn a_line_without_an_end_is_given_out_as_it_comes() {
        let mut text = stamped(&["{\"a\": 1}".to_owned()]);
        text.extend(b"2026-11-21T17:31:22.260000000Z ");
        text.extend(std::iter::repeat_n(b'x', 5_000));
        text.extend(b" ValueError\n");
        text.extend(stamped(&["{\"b\": 1}".to_owned()]));
        let cuts: Vec<usize> = (1..text.len() / 100).map(|i| i * 100).collect();
        assert_eq!(sieved(&queries()[3], &text, 1_000, &cuts).0, text);
    }
}
