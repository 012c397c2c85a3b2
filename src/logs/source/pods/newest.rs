//! The newest lines of a container first: what happened lately is found at once, however much was written before. Each window asks for
//! twice as many lines. The turns of the cluster are given in the order in which they are asked for, so every container's first window
//! comes before any container's second.

use super::{Reader, Request};
use crate::logs::{
    decode::{postgres, text, time::in_front},
    flow::split::Splitter,
    source::{LogLine, Piece},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How many lines the windows hold. What they read is read again but for the last one, so they stay small beside a whole log.
const WINDOWS: [u64; 3] = [1_000, 2_000, 4_000];
/// A window of long lines is no window: the whole log is read at once.
const LARGEST: usize = 2 << 20;
/// A line so long may have been written in parts, and the server counts parts.
const PART: usize = 8 << 10;
/// A window that sends nothing for so long is given up.
const STALLED: Duration = Duration::from_secs(30);
/// How far the times of neighbouring lines (stdout and stderr) may be out of order.
const JITTER: SignedDuration = SignedDuration::from_secs(1);

/// What the windows gave.
pub(super) enum Newest {
    /// Everything that was asked for.
    Whole,
    /// The newest part of it, or nothing: the rest has to be read.
    Part,
    /// Nobody listens any more.
    Over,
}

/// The first line of the window that was handed on: where the rest ends.
pub(super) struct Boundary {
    at: Timestamp,
    text: Bytes,
    begun: bool,
    pub(super) reached: bool,
}

impl Boundary {
    /// Whether lines up to this time may hold the boundary.
    pub(super) fn is_near(&self, at: Timestamp) -> bool {
        at.saturating_add(JITTER).is_ok_and(|at| at >= self.at)
    }

    /// Whether this line is the boundary, or one behind it.
    pub(super) fn is_at(&mut self, at: Timestamp, text: &Bytes) -> bool {
        // The log was rotated since: its first line is behind the boundary already.
        let behind = if self.begun { at > self.at.saturating_add(JITTER).unwrap_or(self.at) } else { at > self.at };
        self.begun = true;
        self.reached |= behind || (at == self.at && *text == self.text);
        self.reached
    }
}

impl Reader<'_> {
    /// Reads the windows. What goes wrong here is said by the reading that follows.
    pub(super) async fn newest(&mut self, first: Request) -> Newest {
        let needles = self.query.needles().without_patterns();
        let mut sent = false;
        for window in WINDOWS {
            let Some(text) = self.window(Request { tail: Some(window), ..first }).await else { break };
            // Fewer lines than asked for are all there are, if none was counted twice.
            let few = (memchr::memchr_iter(b'\n', &text).count() as u64) < window;
            let whole = few && text.split(|b| *b == b'\n').all(|line| line.len() < PART);
            // A window in which there is nothing tells only where the rest ends. One that takes the place of another is always handed on.
            let empty = !whole && !sent && !needles.is_empty() && !needles.may_hit_chunk(&text);
            let Some(lines) = stamped(&text, empty) else { break };
            let lines = if whole { lines } else { from_a_beginning(lines) };
            if let Some(first) = lines.first()
                && let Some(at) = first.at
            {
                self.oldest = None;
                self.until = Some(Boundary { at, text: first.text.clone(), begun: false, reached: false });
            }
            let piece = if empty { Piece::Skipped } else { Piece::Window(lines) };
            sent |= !empty;
            if self.out.send(piece).await.is_err() {
                return Newest::Over;
            }
            if whole {
                return if self.query.previous || self.known.container.before.is_none() { self.all_of_it().await } else { Newest::Part };
            }
        }
        Newest::Part
    }

    /// The window holds the whole log: the same is said about what is missing before it as after a whole reading.
    async fn all_of_it(&mut self) -> Newest {
        self.oldest = self.until.as_ref().map(|u| u.at);
        let part = super::part(&self.lane.origin);
        self.rotated(&part).await;
        Newest::Whole
    }

    /// The text of one window; none when it could not be read, is too large, or is cut.
    async fn window(&mut self, request: Request) -> Option<Vec<u8>> {
        let _turn = self.pods.cluster.turn().await;
        let mut body = self.pods.cluster.open(&self.pods.ask(self.known, &request)).await.ok()?;
        let mut text = Vec::new();
        while let Some(frame) = tokio::time::timeout(STALLED, body.frame()).await.ok()? {
            let Ok(data) = frame.ok()?.into_data() else { continue };
            self.coverage.bytes += data.len() as u64;
            if !self.budget.spend(data.len()) || text.len() + data.len() > LARGEST {
                return None;
            }
            text.extend_from_slice(&data);
        }
        (text.last().is_none_or(|last| *last == b'\n')).then_some(text)
    }
}

/// The lines of a window; none where one has no time: that is an error of the node under HTTP 200. Where only the `first` ones are needed:
/// those up to the second that begins a record.
fn stamped(text: &[u8], first: bool) -> Option<Vec<LogLine>> {
    let mut splitter = Splitter::default();
    let mut lines: Vec<LogLine> = Vec::new();
    for raw in text.split_inclusive(|b| *b == b'\n') {
        let mut strange = false;
        splitter.push(raw, |line| match in_front(&line) {
            Some((at, rest)) => lines.push(LogLine { at: Some(at), text: line.slice(line.len() - rest.len()..) }),
            None => strange = true,
        });
        if strange {
            return None;
        }
        if first && lines.len() > 1 && lines.last().is_some_and(begins) {
            break;
        }
    }
    Some(lines)
}

/// A DETAIL belongs to whatever stands before it, so also to itself.
fn begins(line: &LogLine) -> bool {
    text::begins(&line.text) && !postgres::continues(&line.text, &line.text)
}

/// From the first line that can only begin a record: what stands before it may belong to a record outside, or be the end of a line.
fn from_a_beginning(mut lines: Vec<LogLine>) -> Vec<LogLine> {
    match lines.iter().skip(1).position(begins) {
        Some(at) => lines.split_off(at + 1),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("a time")
    }

    #[test]
    fn a_window_begins_with_a_record() {
        let lines =
            |texts: &[&'static str]| texts.iter().map(|t| LogLine { at: Some(at(1)), text: Bytes::from_static(t.as_bytes()) }).collect();
        let kept = |texts: &[&'static str]| {
            from_a_beginning(lines(texts)).into_iter().map(|l| String::from_utf8_lossy(&l.text).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kept(&["{half\": 1}", "  File", "ValueError: x", "{\"a\": 1}", "plain"]), ["{\"a\": 1}", "plain"]);
        assert_eq!(kept(&["x", "2026-11-21 02:44:10.114 UTC [88] DETAIL:  Key", "2026-11-21 02:44:10.114 UTC [88] LOG:  x"]).len(), 1);
        assert!(kept(&["{\"a\": 1}", "plain", "plain"]).is_empty());
    }

    #[test]
    fn the_rest_ends_where_the_window_begins() {
        let boundary = || Boundary { at: at(5_000), text: Bytes::from_static(b"first"), begun: false, reached: false };
        let mut b = boundary();
        // stderr's line overtook it by a little.
        let seen: Vec<bool> = [(4_000, "a"), (5_001, "b"), (5_000, "c"), (5_000, "first"), (6_000, "d")]
            .iter()
            .map(|(ms, t)| b.is_at(at(*ms), &Bytes::from_static(t.as_bytes())))
            .collect();
        assert_eq!(seen, [false, false, false, true, true]);
        // Rotated away in between: nothing is handed on twice.
        assert!(boundary().is_at(at(5_001), &Bytes::from_static(b"b")));
    }
}
