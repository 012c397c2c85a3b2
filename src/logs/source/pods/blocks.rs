//! What a stream of the pod log API brings, as lines; blocks that cannot hold a hit are passed over.

use crate::logs::{
    decode::time::in_front,
    flow::{
        sieve::{Sieve, Sieved},
        split::Splitter,
    },
    query::Query,
};
use bytes::Bytes;
use jiff::Timestamp;

/// What a stream brings, as lines; what cannot hold a hit is passed over.
#[derive(Default)]
pub(super) struct Blocks {
    sieve: Option<Sieve>,
    splitter: Splitter,
    /// The last line, where it has no time stamp.
    pub(super) suspect: Option<Bytes>,
}

/// Lines that are to be looked at.
pub(super) struct Taken {
    pub(super) lines: Vec<Bytes>,
    pub(super) passed: bool,
}

impl Blocks {
    /// For a stream from its beginning.
    pub(super) fn new(query: &Query) -> Self {
        Self { sieve: Sieve::new(query), ..Self::default() }
    }

    /// Takes what came. `must` says whether a block up to this time is to be looked at in any case.
    pub(super) fn take(&mut self, data: &[u8], must: impl Fn(Timestamp) -> bool) -> Option<Taken> {
        let mut taken = Taken { lines: Vec::new(), passed: false };
        let Some(sieve) = &mut self.sieve else {
            self.splitter.push(data, |line| taken.lines.push(line));
            return Some(taken);
        };
        let mut looked = Vec::new();
        // A line without a time is an error of the node.
        taken.passed = sieve.push(data, |block| last_time(block).is_none_or(must), &mut looked)? == Sieved::Passed;
        looked.iter().for_each(|block| self.splitter.push(block, |line| taken.lines.push(line)));
        Some(taken)
    }

    /// What is left when the stream ends; with the last line where that is `whole`.
    pub(super) fn rest(&mut self, whole: bool) -> Vec<Bytes> {
        let (mut looked, mut lines) = (Vec::new(), Vec::new());
        if let Some(sieve) = &mut self.sieve {
            sieve.finish(&mut looked);
        }
        looked.iter().for_each(|block| self.splitter.push(block, |line| lines.push(line)));
        lines.extend(self.splitter.finish().filter(|_| whole));
        lines
    }

    /// The lines of the last block, where it was passed over.
    pub(super) fn passed(&self) -> Vec<Bytes> {
        let mut lines = Vec::new();
        Splitter::default().push(self.sieve.as_ref().map_or(&[], Sieve::passed), |line| lines.push(line));
        lines
    }
}

/// The time of the last line of a block; none where it has none or no end.
fn last_time(block: &[u8]) -> Option<Timestamp> {
    let lines = block.strip_suffix(b"\n")?;
    let last = memchr::memrchr(b'\n', lines).map_or(lines, |at| lines.get(at + 1..).unwrap_or_default());
    in_front(last).map(|(at, _)| at)
}
