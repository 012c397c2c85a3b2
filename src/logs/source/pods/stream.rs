//! One followed stream: its request, its lines, and whether its silence is to be believed.
#![expect(clippy::disallowed_methods, reason = "a silence is measured")]

use super::{
    Request,
    follow::{Follower, Purpose, Then},
};
use crate::{
    connect::kube::Later,
    logs::{
        decode::time::in_front,
        flow::{resume::StampedLine, split::Splitter},
        source::{LogLine, Piece},
    },
    safe,
    text::Safe,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use std::time::Duration;
use tokio::time::Instant;

/// A backfill that sends nothing for so long has stalled.
const STALLED: Duration = Duration::from_secs(30);
/// A followed stream that is silent for so long is compared with the log itself.
const SILENT: Duration = Duration::from_secs(60);
/// So soon after its begin it is seen whether a stream reads in the newest file: a rotation while it caught up leaves it in the old one.
const SETTLED: Duration = Duration::from_secs(3);
/// A stream that repeats what is known and stands still meanwhile is asked for again.
const STUCK: Duration = Duration::from_secs(10);
/// A reading that was so far behind when the log jumped may have missed a whole file.
const BEHIND: i128 = 3_000_000_000;
/// A log that nobody read for so long may have been filled and rotated meanwhile. The node looks at its size every ten seconds.
pub(super) const UNREAD: Duration = Duration::from_secs(2);
/// Lines that come so close together are handed on together, up to so many.
const TOGETHER: Duration = Duration::from_millis(20);
const MANY: usize = 512;
/// What counts as a jump.
const JUMP: i128 = 1_000_000_000;

/// How a stream ended.
pub(super) enum StreamEnd {
    /// At its end, as far as its sender says.
    Whole,
    /// Nobody listens any more.
    Unheard,
    /// Broken off, and how.
    Broken(Safe),
    /// It never began.
    Refused(Later),
}

/// How far behind the newest line a stream is, by its own fastest line: no clock is compared with another.
#[derive(Default)]
struct Lag {
    fastest: Option<i128>,
    last: Option<(Timestamp, i128)>,
    caught_up: bool,
}

impl Lag {
    /// Whether the line comes behind a jump that was made while the reading was far behind; the line before it.
    fn jumps(&mut self, at: Timestamp, arrived: i128) -> Option<Timestamp> {
        let delay = arrived - at.as_nanosecond();
        let fastest = self.fastest.map_or(delay, |f| f.min(delay));
        self.fastest = Some(fastest);
        let behind = delay - fastest;
        let before = self.last.replace((at, behind));
        self.caught_up |= behind < JUMP;
        let (was, behind) = before?;
        (self.caught_up && behind > BEHIND && at.as_nanosecond() - was.as_nanosecond() > JUMP).then_some(was)
    }
}

impl Follower<'_> {
    /// Asks for a log and hands on what is new in it, until it ends.
    pub(super) async fn pour(&mut self, request: Request, way: Purpose) -> StreamEnd {
        let _turn = if request.follow || self.nested { None } else { self.pods.cluster.turn().await };
        let ask = self.pods.ask(self.known, &request);
        let body = tokio::select! {
            opened = self.pods.cluster.open_or_later(&ask) => match opened {
                Ok(body) => body,
                Err(later) => return StreamEnd::Refused(later),
            },
            () = self.out.closed() => return StreamEnd::Unheard,
        };
        self.connected().await;
        self.resume.opened(self.left.is_some_and(|left| left.elapsed() > UNREAD));
        let ended = if request.follow { self.live(body).await } else { self.once(body, way).await };
        self.left = Some(Instant::now());
        if matches!(ended, StreamEnd::Whole) && !request.follow {
            let mut lines = Vec::new();
            let lost = self.resume.finish(&mut lines);
            if let Some(lost) = lost {
                match self.lost(lost, way).await {
                    Then::GoOn => {}
                    Then::Stop => return StreamEnd::Unheard,
                    Then::Drop => return StreamEnd::Broken(Safe::EMPTY),
                }
            }
            if !self.send(lines).await {
                return StreamEnd::Unheard;
            }
        }
        ended
    }

    /// A log that ends by itself.
    async fn once(&mut self, mut body: Body, way: Purpose) -> StreamEnd {
        let mut lines = Lines::default();
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(STALLED, body.frame()) => frame,
                () = self.out.closed() => return StreamEnd::Unheard,
            };
            let Ok(frame) = frame else { return StreamEnd::Broken(safe!("the stream stalled for {} s", STALLED.as_secs())) };
            match frame {
                None => break,
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.coverage.bytes += data.len() as u64;
                    lines.push(&data);
                }
                Some(Err(e)) => return self.broke(&e),
            }
            if let Err(ended) = self.take(&mut lines, way, None).await {
                return ended;
            }
        }
        // Only here the end is believed: the last line may have none.
        lines.finish();
        if let Err(ended) = self.take(&mut lines, way, None).await {
            return ended;
        }
        self.said(&lines)
    }

    /// A log that goes on. The node sends each line as it comes; what comes within a moment is handed on together.
    async fn live(&mut self, mut body: Body) -> StreamEnd {
        let begun = Instant::now();
        let mut heard = begun;
        let mut lines = Lines::default();
        let mut lag = Lag::default();
        let mut settled = false;
        let wake = tokio::time::sleep_until(begun + SETTLED);
        let flush = tokio::time::sleep_until(begun);
        tokio::pin!(wake, flush);
        let ended = loop {
            let waiting = !lines.whole.is_empty();
            tokio::select! {
                biased;
                () = &mut flush, if waiting => {}
                frame = body.frame() => {
                    match frame {
                        // A line without its end may be half a line: it comes again, whole.
                        None => break self.said(&lines),
                        Some(Err(e)) => break self.broke(&e),
                        Some(Ok(frame)) => {
                            let Ok(data) = frame.into_data() else { continue };
                            self.coverage.bytes += data.len() as u64;
                            lines.push(&data);
                        }
                    }
                    if !waiting {
                        heard = Instant::now();
                        flush.as_mut().reset(heard + TOGETHER);
                    }
                    if lines.whole.len() < MANY {
                        continue;
                    }
                }
                () = self.out.closed() => return StreamEnd::Unheard,
                () = &mut wake => {
                    if let Some(ended) = self.believe(heard, &mut settled).await {
                        break ended;
                    }
                    if heard.elapsed() >= SILENT {
                        heard = Instant::now();
                    }
                    let next = if settled && !self.resume.holds() { heard + SILENT } else { Instant::now() + SETTLED };
                    wake.as_mut().reset(next);
                    continue;
                }
            }
            if let Err(ended) = self.take(&mut lines, Purpose::Live, Some((&mut lag, since(begun, heard)))).await {
                return ended;
            }
        };
        match self.take(&mut lines, Purpose::Live, Some((&mut lag, since(begun, heard)))).await {
            Ok(()) => ended,
            Err(ended) => ended,
        }
    }

    /// Whether a silence is one of the container: else how the stream has ended.
    async fn believe(&mut self, heard: Instant, settled: &mut bool) -> Option<StreamEnd> {
        let silence = heard.elapsed();
        // Whoever writes all the time is asked again when there is a pause.
        if !*settled && silence > Duration::from_secs(1) {
            if self.in_an_old_file().await {
                return Some(StreamEnd::Broken("the node reads on in a file that was rotated away".into()));
            }
            *settled = true;
        }
        if self.resume.holds() && silence >= STUCK {
            return Some(StreamEnd::Broken(safe!("the stream stands still for {} s", STUCK.as_secs())));
        }
        if silence >= SILENT && self.newer_exists().await {
            // It said nothing though there was something to say, and nobody knows for how long.
            self.resume.opened(true);
            return Some(StreamEnd::Broken(safe!("the stream is silent for {} s though newer lines exist", SILENT.as_secs())));
        }
        None
    }

    fn broke(&self, error: &kube::Error) -> StreamEnd {
        let cause = crate::connect::kube::cause(error);
        // What TLS says of it is written for programmers.
        let how = match cause.contains("close_notify") {
            true => "the connection was cut".into(),
            false => self.pods.cluster.redactor().safe(cause.as_bytes()).clipped(120),
        };
        StreamEnd::Broken(safe!("the stream broke off: {}", how))
    }

    /// Under HTTP 200 an error arrives as a last line without a time stamp.
    fn said(&self, lines: &Lines) -> StreamEnd {
        match &lines.suspect {
            Some(text) => StreamEnd::Broken(safe!("the node said: {}", self.pods.cluster.redactor().safe(text).clipped(160))),
            None => StreamEnd::Whole,
        }
    }

    /// Hands on what is new.
    async fn take(&mut self, lines: &mut Lines, way: Purpose, mut lag: Option<(&mut Lag, i128)>) -> Result<(), StreamEnd> {
        let mut new = Vec::with_capacity(lines.whole.len());
        for (at, text) in lines.whole.drain(..) {
            let first = self.untold && self.resume.since().is_none();
            if first && way == Purpose::Live {
                self.untold = false;
                if !self.first_line().await {
                    return Err(StreamEnd::Unheard);
                }
            }
            if way == Purpose::RestBefore && self.resume.since().is_none() && self.overtaken(at).await {
                return Err(StreamEnd::Broken(Safe::EMPTY));
            }
            if let Some((lag, arrived)) = &mut lag
                && let Some(was) = lag.jumps(at, *arrived)
                && !self.resume.searching()
                && self.began_after(was).await
            {
                let ahead = std::mem::take(&mut new);
                if !self.send(ahead).await || !self.jumped(was, at).await {
                    return Err(StreamEnd::Unheard);
                }
            }
            if let Some(lost) = self.resume.line(at, text, &mut new) {
                let held = std::mem::take(&mut new);
                match self.lost(lost, way).await {
                    Then::GoOn => new = held,
                    Then::Stop => return Err(StreamEnd::Unheard),
                    Then::Drop => return Err(StreamEnd::Broken(Safe::EMPTY)),
                }
            }
        }
        if self.send(new).await { Ok(()) } else { Err(StreamEnd::Unheard) }
    }

    async fn send(&mut self, lines: Vec<StampedLine>) -> bool {
        self.moved |= !lines.is_empty();
        let lines: Vec<LogLine> = lines.into_iter().map(|(at, text)| LogLine { at: Some(at), text }).collect();
        lines.is_empty() || self.silently || self.out.send(Piece::Lines(lines)).await.is_ok()
    }

    /// Whether the log as it lies there holds lines that this stream should have brought.
    async fn newer_exists(&self) -> bool {
        let request = Request { tail: Some(1), ..Request::default() };
        let Some(bytes) = self.glance(&request, "").await else { return true };
        let Some((at, _)) = in_front(&bytes) else { return false };
        match self.resume.since() {
            Some(last) => at > last,
            None => self.from.is_none_or(|from| at >= from),
        }
    }

    /// Whether the newest file begins behind everything that came.
    async fn in_an_old_file(&self) -> bool {
        match self.resume.since() {
            Some(last) => self.began_after(last).await,
            None => false,
        }
    }

    /// Whether the first line that can still be read is younger than this.
    async fn began_after(&self, last: Timestamp) -> bool {
        self.begins_now().await.is_some_and(|at| at > last)
    }

    /// The time of the first line of the log of now.
    pub(super) async fn begins_now(&self) -> Option<Timestamp> {
        let first = self.glance(&Request::default(), "&limitBytes=64").await?;
        in_front(&first).map(|(at, _)| at)
    }

    /// A small answer; none when there was no answer.
    async fn glance(&self, request: &Request, more: &str) -> Option<Bytes> {
        let mut ask = self.pods.ask(self.known, request);
        ask.path.push_str(more);
        let body = self.pods.cluster.open(&ask).await.ok()?;
        let all = http_body_util::Limited::new(body, 8 << 20).collect();
        Some(tokio::time::timeout(STALLED, all).await.ok()?.ok()?.to_bytes())
    }
}

fn since(begun: Instant, now: Instant) -> i128 {
    i128::try_from((now - begun).as_nanos()).unwrap_or(0)
}

/// Chunks to lines with their time stamps.
#[derive(Default)]
struct Lines {
    splitter: Splitter,
    whole: Vec<StampedLine>,
    /// The last line, where it has no time stamp.
    suspect: Option<Bytes>,
}

impl Lines {
    fn push(&mut self, data: &[u8]) {
        let Self { splitter, whole, suspect } = self;
        splitter.push(data, |line| stamped(line, whole, suspect));
    }

    fn finish(&mut self) {
        if let Some(line) = self.splitter.finish() {
            stamped(line, &mut self.whole, &mut self.suspect);
        }
    }
}

fn stamped(line: Bytes, whole: &mut Vec<StampedLine>, suspect: &mut Option<Bytes>) {
    match in_front(&line) {
        Some((at, rest)) => {
            *suspect = None;
            let from = line.len() - rest.len();
            whole.push((at, line.slice(from..)));
        }
        None => *suspect = Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_far_behind_is_one() {
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or_default();
        let arrived = |ms: i128| ms * 1_000_000;
        let mut lag = Lag::default();
        for ms in 0..10 {
            assert_eq!(lag.jumps(at(1_000_000 + ms * 100), arrived(i128::from(ms) * 100)), None);
        }
        // The application was silent: no lag, no jump.
        assert_eq!(lag.jumps(at(1_010_000), arrived(10_000)), None);
        // The reading stood still for nine seconds, and then the log leaps.
        assert_eq!(lag.jumps(at(1_010_100), arrived(19_100)), None);
        assert_eq!(lag.jumps(at(1_010_200), arrived(19_101)), None);
        assert_eq!(lag.jumps(at(1_016_000), arrived(19_102)), Some(at(1_010_200)));
    }
}
