//! Where a stream was when it broke off, and which lines of the next one are new. A log is a file that grows at its end: of what a resumed
//! stream gives, everything up to the line that was handed on last is known, and everything behind it is new. Where that line does not come
//! again the file was rotated away in between, and lines may be lost: that is said, never guessed.

use bytes::Bytes;
use jiff::Timestamp;
use std::collections::VecDeque;

/// So many lines are remembered, to tell equal ones apart that were written in the very same nanosecond.
pub const REMEMBERED: usize = 64;
/// So much is held while the known line is looked for.
const MOST_HELD: usize = 8 << 20;

/// One line of a container: when the runtime took it, and its text.
pub type StampedLine = (Timestamp, Bytes);

/// Lines between these two may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The last line before; none where no line had been read yet.
    pub after: Option<Timestamp>,
    /// The first line behind; none when nothing came.
    pub before: Option<Timestamp>,
}

/// The reading of one container's log, over any number of streams.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// The newest lines by their place in the file; the last of them is the one to find again.
    recent: VecDeque<StampedLine>,
    first: Option<StampedLine>,
    newest: Option<Timestamp>,
    search: Option<Search>,
    /// Whether nobody read for a while, and there is no known line that could tell what came of it.
    blind: bool,
}

/// The search for the known line in a stream that repeats.
#[derive(Clone, Debug)]
struct Search {
    wanted: StampedLine,
    /// How many equal ones come before it is the one.
    ahead: usize,
    held: Vec<StampedLine>,
    bytes: usize,
    /// Whether more came than can be held.
    overflown: bool,
}

impl Resume {
    /// The time of the line that was handed on last: from its second on the next stream has to repeat.
    pub fn since(&self) -> Option<Timestamp> {
        self.recent.back().map(|last| last.0)
    }

    /// The very first line.
    pub fn first(&self) -> Option<&StampedLine> {
        self.first.as_ref()
    }

    /// A stream begins that repeats what is known. What an earlier one did not bring to its end comes again.
    pub fn again(&mut self) {
        self.search = self.recent.back().map(|wanted| Search {
            wanted: wanted.clone(),
            ahead: self.recent.iter().filter(|line| *line == wanted).count(),
            held: Vec::new(),
            bytes: 0,
            overflown: false,
        });
    }

    /// A stream was opened. `unread`: an earlier one had been, and its end is long enough ago for a log to be rotated since. Where no line
    /// is known by then, none can be missed by its absence: whatever was written in between may be gone.
    pub fn opened(&mut self, unread: bool) {
        self.blind |= unread && self.recent.is_empty();
    }

    /// Whether the known line has not come yet.
    pub fn searching(&self) -> bool {
        self.search.is_some()
    }

    /// Whether lines wait for it.
    pub fn holds(&self) -> bool {
        self.search.as_ref().is_some_and(|search| !search.held.is_empty() || search.overflown)
    }

    /// Takes a line; `out` gets what is new. Tells when the known line will not come any more.
    pub fn line(&mut self, at: Timestamp, text: Bytes, out: &mut Vec<StampedLine>) -> Option<Lost> {
        let Some(search) = &mut self.search else {
            let blind = std::mem::take(&mut self.blind);
            self.remember(at, text.clone());
            out.push((at, text));
            return blind.then_some(Lost { after: None, before: Some(at) });
        };
        if at == search.wanted.0 && text == search.wanted.1 {
            search.ahead = search.ahead.saturating_sub(1);
            if search.ahead == 0 {
                self.search = None;
                return None;
            }
            // One of several that are alike, of which the first may have been rotated away: what stands before it is known.
            search.held.clear();
            search.bytes = 0;
            return None;
        }
        let beyond = self.newest.is_some_and(|newest| at > newest);
        search.bytes += text.len();
        if search.bytes > MOST_HELD && !beyond {
            // All of it is older than something known: with the clock set back an hour that may be much.
            search.held.clear();
            search.overflown = true;
            return None;
        }
        search.held.push((at, text));
        // Nothing known is as young as this: the known line would have come before it.
        if beyond { self.give_up(out) } else { None }
    }

    /// A line that nobody has to look at: it is known from now on.
    pub fn passed(&mut self, at: Timestamp, text: Bytes) {
        self.remember(at, text);
    }

    /// The stream has brought everything there is. Tells when the known line was not in it.
    pub fn finish(&mut self, out: &mut Vec<StampedLine>) -> Option<Lost> {
        self.give_up(out)
    }

    fn give_up(&mut self, out: &mut Vec<StampedLine>) -> Option<Lost> {
        let Some(search) = self.search.take() else {
            return std::mem::take(&mut self.blind).then_some(Lost { after: None, before: None });
        };
        let before = search.held.first().map(|line| line.0);
        for (at, text) in search.held {
            self.remember(at, text.clone());
            out.push((at, text));
        }
        Some(Lost { after: Some(search.wanted.0), before })
    }

    fn remember(&mut self, at: Timestamp, text: Bytes) {
        self.first.get_or_insert_with(|| (at, text.clone()));
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((at, text));
        self.newest = self.newest.max(Some(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("a time")
    }

    fn feed(resume: &mut Resume, lines: &[(i64, &str)]) -> (Vec<String>, Vec<Lost>) {
        let (mut out, mut lost) = (Vec::new(), Vec::new());
        for (ms, text) in lines {
            lost.extend(resume.line(at(*ms), text.to_string().into(), &mut out));
        }
        (out.into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect(), lost)
    }

    #[test]
    fn a_resumed_stream_repeats_nothing_and_loses_nothing() {
        let mut resume = Resume::default();
        feed(&mut resume, &[(900, "a"), (1_200, "b"), (1_200, "c"), (1_700, "d")]);
        assert_eq!(resume.since(), Some(at(1_700)));
        resume.again();
        // The server gives the whole second again; what looks alike there is known all the same.
        let (new, lost) = feed(&mut resume, &[(1_200, "b"), (1_200, "c"), (1_700, "d"), (1_700, "d"), (1_900, "e")]);
        assert_eq!((new, lost.len()), (vec!["d".to_owned(), "e".to_owned()], 0));
    }

    #[test]
    fn a_log_that_was_rotated_away_is_a_gap() {
        let mut resume = Resume::default();
        feed(&mut resume, &[(900, "a")]);
        resume.again();
        let (new, lost) = feed(&mut resume, &[(5_000, "x"), (5_001, "y")]);
        assert_eq!(new, ["x", "y"]);
        assert_eq!(lost, [Lost { after: Some(at(900)), before: Some(at(5_000)) }]);
        // Nothing at all, and that was everything.
        resume.again();
        let mut out = Vec::new();
        assert_eq!(resume.finish(&mut out), Some(Lost { after: Some(at(5_001)), before: None }));
        assert!(out.is_empty());
    }

    #[test]
    fn of_lines_that_are_alike_the_first_may_be_rotated_away() {
        // Found by fuzzing: the rest came twice.
        let mut resume = Resume::default();
        feed(&mut resume, &[(357, "a"), (357, "b"), (357, "a"), (357, "b")]);
        resume.again();
        let (new, lost) = feed(&mut resume, &[(357, "a"), (357, "b"), (400, "c")]);
        assert_eq!((new, lost.len()), (vec!["c".to_owned()], 1));
    }

    #[test]
    fn a_log_that_was_rotated_away_before_a_line_of_it_was_read_is_a_gap_too() {
        let mut resume = Resume::default();
        resume.again();
        resume.opened(false);
        // At once again: no log is filled and rotated in a moment.
        resume.again();
        resume.opened(false);
        assert_eq!(resume.finish(&mut Vec::new()), None);
        resume.again();
        resume.opened(true);
        assert_eq!(feed(&mut resume, &[(5_000, "x"), (5_001, "y")]).1, [Lost { after: None, before: Some(at(5_000)) }]);
        // Once a line is known it tells by itself.
        resume.again();
        resume.opened(true);
        assert_eq!(feed(&mut resume, &[(5_001, "y"), (5_002, "z")]), (vec!["z".to_owned()], vec![]));
        // Nothing came, and nothing will.
        let mut resume = Resume::default();
        resume.opened(true);
        assert_eq!(resume.finish(&mut Vec::new()), Some(Lost { after: None, before: None }));
        assert_eq!(resume.finish(&mut Vec::new()), None);
    }

    #[test]
    fn a_stream_that_breaks_off_while_it_repeats_is_begun_again() {
        let mut resume = Resume::default();
        feed(&mut resume, &[(100, "a"), (200, "b")]);
        for _ in 0..3 {
            resume.again();
            assert_eq!(feed(&mut resume, &[(100, "a")]), (vec![], vec![]));
            assert!(resume.searching() && resume.holds());
        }
        resume.again();
        assert_eq!(feed(&mut resume, &[(100, "a"), (200, "b"), (150, "c")]).0, ["c"]);
    }

    #[test]
    fn a_clock_that_is_set_back_costs_nothing() {
        let mut resume = Resume::default();
        feed(&mut resume, &[(900_000, "a"), (1_000, "b")]);
        resume.again();
        assert_eq!(feed(&mut resume, &[(900_000, "a"), (1_000, "b"), (1_100, "c")]), (vec!["c".to_owned()], vec![]));
    }

    /// A log file as a node has it, and streams of it that break off anywhere. `slow`: long enough apart for it to be rotated in between.
    fn streams(times: &[i64], cuts: &[(usize, usize, usize)], slow: bool) -> Result<(), TestCaseError> {
        // Each line has a number, but equal texts occur: the number is only the model's.
        let lines: Vec<(Timestamp, Bytes, usize)> =
            times.iter().enumerate().map(|(n, ms)| (at(*ms), Bytes::from(format!("line {}", n % 3)), n)).collect();
        let mut resume = Resume::default();
        let (mut out, mut gaps, mut file, mut truth, mut begin) = (Vec::new(), Vec::new(), 0, Vec::new(), None);
        for (index, (rotated, written, sent)) in cuts.iter().chain([&(0, usize::MAX, usize::MAX)]).enumerate() {
            let written = (*written).min(lines.len());
            // Rotation only ever moves the beginning of the file forward, and not beyond what was written.
            file = file.max((*rotated).min(written));
            // What was gone before anybody read is not a matter of the streams.
            begin.get_or_insert(file);
            resume.again();
            resume.opened(index > 0 && slow);
            let since = resume.since().map_or(Timestamp::MIN, |last| Timestamp::from_second(last.as_second()).expect("a time"));
            let mut given = lines[file..].iter().filter(|line| line.0 >= since);
            let before = out.len();
            for line in given.by_ref().take(*sent) {
                if let Some(lost) = resume.line(line.0, line.1.clone(), &mut out) {
                    gaps.push((before, lost));
                }
            }
            if index == cuts.len()
                && let Some(lost) = resume.finish(&mut out)
            {
                gaps.push((before, lost));
            }
            // Which lines those were: the file's order tells.
            let mut from = truth.last().map_or(0, |last: &usize| last + 1);
            for (stamp, text) in &out[before..] {
                let found = lines[from..].iter().position(|l| l.0 == *stamp && l.1 == *text);
                let Some(found) = found else { return Err(TestCaseError::fail(format!("{stamp} twice or out of order"))) };
                truth.push(from + found);
                from += found + 1;
            }
        }
        // What is missing lies in a gap that was said.
        let mut next = begin.unwrap_or(0);
        for (place, number) in truth.iter().enumerate() {
            if *number != next {
                prop_assert!(gaps.iter().any(|(at, _)| *at == place), "{next}..{number} is missing and not said");
            }
            next = number + 1;
        }
        prop_assert!(next == lines.len() || gaps.iter().any(|(at, _)| *at == truth.len()), "the end is missing and not said");
        prop_assert!(slow || gaps.is_empty(), "a needless gap");
        Ok(())
    }

    proptest! {
        #[test]
        fn any_sequence_of_cuts_gives_the_same_lines(
            steps in proptest::collection::vec(-2i64..400, 1..120),
            cuts in proptest::collection::vec((0usize..1, 0usize..120, 0usize..60), 0..12),
        ) {
            let times: Vec<i64> = steps.iter().scan(10_000, |now, step| { *now += step; Some(*now) }).collect();
            streams(&times, &cuts, false)?;
        }

        #[test]
        fn what_rotation_took_lies_in_a_gap(
            steps in proptest::collection::vec(1i64..400, 1..120),
            cuts in proptest::collection::vec((0usize..120, 0usize..120, 0usize..60), 0..12),
        ) {
            let times: Vec<i64> = steps.iter().scan(10_000, |now, step| { *now += step; Some(*now) }).collect();
            streams(&times, &cuts, true)?;
        }
    }
}
