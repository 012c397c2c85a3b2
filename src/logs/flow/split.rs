//! Chunks to whole lines, however the chunks were cut. A line beyond the limit is cut, and that is counted.

use bytes::{Bytes, BytesMut};

/// The longest line that is kept whole.
pub const LONGEST: usize = 4 << 20;

/// Splits a stream of chunks into lines.
pub struct Splitter {
    rest: BytesMut,
    skipping: bool,
    longest: usize,
    /// How many lines were cut at the limit.
    pub cut: u64,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { rest: BytesMut::new(), skipping: false, longest: LONGEST, cut: 0 }
    }
}

impl Splitter {
    /// Takes a chunk; `line` gets each whole line without its end (`\n` or `\r\n`).
    pub fn push(&mut self, chunk: &[u8], mut line: impl FnMut(Bytes)) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (head, tail) = rest.split_at(end);
            rest = &tail[1..];
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.rest.is_empty() && head.len() <= self.longest {
                line(Bytes::copy_from_slice(bare(head)));
                continue;
            }
            self.take(head, &mut line);
            // Still skipping: `take` has handed the cut line out already.
            if !std::mem::take(&mut self.skipping) {
                let whole = self.rest.split().freeze();
                let end = bare(&whole).len();
                line(whole.slice(..end));
            }
        }
        if !self.skipping {
            self.take(rest, &mut line);
        }
    }

    /// The last line, when the stream ended without a line end.
    pub fn finish(&mut self) -> Option<Bytes> {
        self.skipping = false;
        let whole = self.rest.split().freeze();
        (!whole.is_empty()).then(|| whole.slice(..bare(&whole).len()))
    }

    fn take(&mut self, part: &[u8], line: &mut impl FnMut(Bytes)) {
        let room = self.longest - self.rest.len();
        if part.len() <= room {
            self.rest.extend_from_slice(part);
            return;
        }
        self.rest.extend_from_slice(&part[..room]);
        self.rest.extend_from_slice("… [obsctl: line cut here]".as_bytes());
        line(self.rest.split().freeze());
        self.cut += 1;
        self.skipping = true;
    }
}

fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(splitter: &mut Splitter, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |l| lines.push(l.to_vec()));
        }
        lines.extend(splitter.finish().map(|l| l.to_vec()));
        lines
    }

    #[test]
    fn a_line_beyond_the_limit_is_cut_once() {
        let mut splitter = Splitter { longest: 4, ..Splitter::default() };
        let lines = split(&mut splitter, &[b"abcdef", b"ghi\nok\nabcd\nabcdef\n12345"]);
        let cut = |s: &str| format!("{s}… [obsctl: line cut here]").into_bytes();
        assert_eq!(lines, [cut("abcd"), b"ok".to_vec(), b"abcd".to_vec(), cut("abcd"), cut("1234")]);
        assert_eq!(splitter.cut, 3);
    }

    proptest! {
        #[test]
        fn any_cuts_give_the_same_lines(text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300), cuts in proptest::collection::vec(0usize..300, 0..8)) {
            let whole = split(&mut Splitter::default(), &[&text]);
            let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            at.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in at {
                chunks.push(&text[from..cut]);
                from = cut;
            }
            chunks.push(&text[from..]);
            prop_assert_eq!(split(&mut Splitter::default(), &chunks), whole);
        }
    }
}
