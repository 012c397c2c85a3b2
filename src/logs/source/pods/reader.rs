//! Reads one container: its requests, how each ends, and whether that end is to be believed.
#![expect(clippy::disallowed_methods, reason = "a stream is opened again after a pause")]

use super::{
    Known, Pods, Request,
    blocks::Blocks,
    kubelet::{self, Files},
    lines_of,
    newest::{Boundary, Newest},
    part,
    stream::UNREAD,
};
use crate::{
    answer::{Coverage, Hint, Missing, Part, Why},
    error::{Error, Kind},
    kubernetes::model::{End, State},
    logs::{
        decode::time::in_front,
        flow::resume::{Lost, REMEMBERED, Resume, StampedLine},
        mark::{Happened, StreamMark},
        query::Query,
        source::{Budget, Lane, LogLine, Piece},
    },
    safe,
    text::Safe,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::{sync::mpsc, time::Instant};

/// A backfill that sends nothing for so long has stalled.
const STALLED: Duration = Duration::from_secs(30);
/// How often a read that broke off before its first line is repeated.
const AGAIN: u32 = 5;
/// The longest pause that a server may ask for before it is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A first line so long after the container's start means that earlier ones may have been rotated away.
const EARLY: SignedDuration = SignedDuration::from_secs(60);
/// The same for one whose readable log is large.
const CHATTY: SignedDuration = SignedDuration::from_secs(5);

pub(super) struct Reader<'a> {
    pub(super) pods: &'a Pods,
    pub(super) known: &'a Known,
    pub(super) lane: &'a Lane,
    pub(super) query: &'a Query,
    pub(super) budget: &'a Budget,
    pub(super) out: &'a mpsc::Sender<Piece>,
    pub(super) coverage: Coverage,
    pub(super) resume: Resume,
    /// The first line of the container that ran before.
    first_before: Option<StampedLine>,
    /// Whether what comes was read already.
    repeats: bool,
    /// Whether it was said that lines are passed over.
    skipped: bool,
    pub(super) oldest: Option<Timestamp>,
    /// Where the newest window begins, which was handed on already.
    pub(super) until: Option<Boundary>,
}

/// Waits before something is tried again.
pub(super) async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// How a stream ended.
pub(super) enum Ended {
    /// At its end.
    Whole,
    /// The limit of bytes.
    Capped,
    /// Nobody listens any more.
    Unheard,
    /// Broken off, and how.
    Broken(Safe),
}

impl<'a> Reader<'a> {
    /// For one container.
    pub(super) fn new(
        pods: &'a Pods,
        known: &'a Known,
        lane: &'a Lane,
        query: &'a Query,
        budget: &'a Budget,
        out: &'a mpsc::Sender<Piece>,
    ) -> Self {
        Self {
            pods,
            known,
            lane,
            query,
            budget,
            out,
            coverage: Coverage::default(),
            resume: Resume::default(),
            first_before: None,
            repeats: false,
            skipped: false,
            oldest: None,
            until: None,
        }
    }

    /// Reads it to its end; tells what was read and what not.
    pub(super) async fn read(mut self) -> Coverage {
        self.run().await;
        self.coverage
    }

    async fn run(&mut self) {
        let part = part(&self.lane.origin);
        // The server counts lines, and before any other condition; we count records that are wanted.
        let tail = self.query.tail.filter(|_| !self.query.filters() && self.query.until.is_none());
        let tail = tail.map(|n| if n == 0 { n } else { lines_of(n) });
        let first = Request { previous: self.query.previous, since: self.query.since, tail, ..Request::default() };
        if self.query.rotated {
            match self.files(&part).await {
                Files::Whole => {
                    self.marks_of_the_end().await;
                    return self.coverage.searched.push(part);
                }
                Files::Over => return,
                // What the files gave is known: what comes is compared with it.
                Files::Api => {}
            }
        } else if self.query.newest {
            match self.newest(first).await {
                Newest::Whole => {
                    self.marks_of_the_end().await;
                    return self.coverage.searched.push(part);
                }
                Newest::Over => return,
                Newest::Part => {}
            }
        }
        let started = if let State::Running(at) = &self.known.container.state { *at } else { None };
        // A file of this very life was read: the one before is behind us.
        let past = self.resume.since().is_some_and(|at| started.is_some_and(|started| at >= started));
        if let Some(before) = self.stitched().cloned().filter(|_| !past) {
            let since = self.query.since;
            let reaches = since.is_none_or(|since| before.at.is_none_or(|at| at >= since));
            if reaches {
                let until = self.until.take();
                if !self.one(Request { previous: true, ..first }, &part).await {
                    return;
                }
                self.until = until;
                self.mark_restart(&before).await;
                self.first_before = self.resume.first().cloned();
                // Should it have ended meanwhile, the plain request gives the same log once more.
                self.resume = Resume::default();
            }
        }
        if !self.one(first, &part).await {
            return;
        }
        self.marks_of_the_end().await;
        self.rotated(&part).await;
        self.coverage.searched.push(part);
    }

    /// That the container ran before, how it ended, and that it was started again.
    pub(super) async fn mark_restart(&self, before: &End) {
        self.mark(before.at.max(self.resume.since()), Happened::ended(before.code, before.reason.clone())).await;
        let started = if let State::Running(at) = &self.known.container.state { *at } else { None };
        self.mark(started, Happened::Restarted { restarts: self.known.container.restarts }).await;
    }

    /// How the container ended, or what it waits for.
    async fn marks_of_the_end(&self) {
        if let State::Terminated(end) = &self.known.container.state
            && !self.query.previous
            && end.code != 0
        {
            self.mark(end.at.max(self.resume.since()), Happened::ended(end.code, end.reason.clone())).await;
        }
        if let (Some(waits), Some(before)) = (self.known.container.waits_for(), &self.known.container.before)
            && !self.query.previous
        {
            let at = before.at.max(self.resume.since());
            self.mark(at, Happened::ended(before.code, before.reason.clone())).await;
            self.mark(at, Happened::BackOff { says: waits.clone() }).await;
        }
    }

    /// The container that ran before, where its log is to be read as well. While the next one waits to be started, the plain request gives
    /// that very log.
    fn stitched(&self) -> Option<&End> {
        self.known.container.before.as_ref().filter(|_| !self.query.previous && self.known.container.waits_for().is_none())
    }

    /// One log to its end, over as many requests as that takes; false when the rest makes no sense.
    async fn one(&mut self, first: Request, part: &Part) -> bool {
        let turn = self.pods.cluster.turn().await;
        let mut tries = 0;
        let mut left: Option<Instant> = None;
        let opened = loop {
            self.resume.again();
            let request = match self.resume.since() {
                Some(since) => Request { since: Some(since), tail: None, ..first },
                None => first,
            };
            let pause = match self.pods.cluster.open_or_later(&self.pods.ask(self.known, &request)).await {
                Ok(body) => {
                    self.resume.opened(left.is_some_and(|left| left.elapsed() > UNREAD));
                    match self.stream(body).await {
                        Ended::Broken(how) if tries == AGAIN => break Ok(Ended::Broken(how)),
                        Ended::Broken(_) => {
                            left = Some(Instant::now());
                            None
                        }
                        ended => break Ok(ended),
                    }
                }
                Err(later) if later.error.kind() == Kind::Unreachable && tries < AGAIN => later.after,
                Err(later) => break Err(later.error),
            };
            tries += 1;
            // A container that is restarted at this moment has no log for a moment.
            tokio::time::sleep(pause.map_or(Duration::from_millis(300) * tries, |pause| pause.min(LONGEST_PAUSE))).await;
        };
        let ended = match opened {
            Ok(ended) => ended,
            // There was no container before after all: nothing is missing.
            Err(e) if first.previous && matches!(e.kind(), Kind::Usage | Kind::NotFound) && !self.query.previous => return true,
            Err(e) => {
                self.refused(&e, part);
                return false;
            }
        };
        drop(turn);
        match ended {
            Ended::Whole => true,
            Ended::Unheard => false,
            Ended::Capped => {
                self.capped(part);
                false
            }
            Ended::Broken(how) => {
                self.coverage.miss(Missing { part: part.clone(), why: Why::Unreachable(how), hint: None });
                false
            }
        }
    }

    pub(super) fn capped(&mut self, part: &Part) {
        let hint = Hint::Set("--max-bytes higher, or --since to ask for less".into());
        self.coverage.miss(Missing { part: part.clone(), why: Why::Capped { at: self.budget.limit }, hint: Some(hint) });
    }

    async fn stream(&mut self, body: kube::client::Body) -> Ended {
        let mut blocks = Blocks::new(self.query);
        let ended = self.pour(body, &mut blocks).await;
        if matches!(ended, Ended::Unheard) || self.reached() {
            // What was held back until a known line came is still to be handed on; what comes behind is not.
            return if self.end(ended).await { Ended::Whole } else { Ended::Unheard };
        }
        // Half a line comes again, whole.
        let rest = blocks.rest(matches!(ended, Ended::Whole));
        if !self.hand_on(rest, &mut blocks.suspect).await {
            return Ended::Unheard;
        }
        self.settle(&blocks.passed());
        if !matches!(ended, Ended::Whole) {
            return ended;
        }
        match blocks.suspect {
            // Under HTTP 200 an error arrives as a last line without a time stamp.
            Some(text) => Ended::Broken(safe!("the node said: {}", self.pods.cluster.redactor().safe(&text).clipped(160))),
            None if self.end(ended).await => Ended::Whole,
            None => Ended::Unheard,
        }
    }

    /// Reads until the stream ends, or what is behind is known.
    async fn pour(&mut self, mut body: kube::client::Body, blocks: &mut Blocks) -> Ended {
        loop {
            let Ok(frame) = tokio::time::timeout(STALLED, body.frame()).await else {
                return Ended::Broken(safe!("the stream stalled for {} s", STALLED.as_secs()));
            };
            let data = match frame {
                None => return Ended::Whole,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
                Some(Err(e)) => {
                    let how = self.pods.cluster.redactor().safe(e.to_string().as_bytes()).clipped(120);
                    return Ended::Broken(safe!("the stream broke off: {}", how));
                }
            };
            self.coverage.bytes += data.len() as u64;
            if !self.budget.spend(data.len()) {
                return Ended::Capped;
            }
            let known = self.repeats || self.first_before.is_some() || self.resume.searching();
            let Some(taken) = blocks.take(&data, |last| known || self.until.as_ref().is_some_and(|u| u.is_near(last))) else { continue };
            if taken.passed && !std::mem::replace(&mut self.skipped, true) && self.out.send(Piece::Skipped).await.is_err() {
                return Ended::Unheard;
            }
            if !self.hand_on(taken.lines, &mut blocks.suspect).await {
                return Ended::Unheard;
            }
            if self.reached() {
                return Ended::Whole;
            }
        }
    }

    fn reached(&self) -> bool {
        self.until.as_ref().is_some_and(|until| until.reached)
    }

    /// Hands on what waited for a known line; false when nobody listens.
    async fn end(&mut self, ended: Ended) -> bool {
        let mut lines = Vec::new();
        let lost = self.resume.finish(&mut lines);
        !matches!(ended, Ended::Unheard) && self.send(lines, lost).await
    }

    /// The last lines that were passed over are known, should the stream be opened again.
    fn settle(&mut self, passed: &[Bytes]) {
        for line in passed.iter().skip(passed.len().saturating_sub(REMEMBERED)) {
            if let Some((at, text)) = in_front(line) {
                self.resume.passed(at, line.slice(line.len() - text.len()..));
            }
        }
    }

    async fn hand_on(&mut self, raw: Vec<Bytes>, suspect: &mut Option<Bytes>) -> bool {
        let mut lines = Vec::with_capacity(raw.len());
        let mut lost = None;
        for line in raw {
            let Some((at, rest)) = in_front(&line) else {
                *suspect = Some(line);
                continue;
            };
            *suspect = None;
            let from = line.len() - rest.len();
            let text = line.slice(from..);
            if self.oldest.is_none() {
                self.oldest = Some(at);
            }
            // The same first line at the same moment: this is the log that was read as that of the container before.
            if self.first_before.take_if(|(first, before)| *first == at && *before == text).is_some() {
                self.repeats = true;
            }
            self.first_before = None;
            if self.repeats {
                continue;
            }
            if self.until.as_mut().is_some_and(|u| u.is_at(at, &text)) {
                break;
            }
            lost = lost.or(self.resume.line(at, text, &mut lines));
        }
        self.send(lines, lost).await
    }

    async fn send(&mut self, lines: Vec<StampedLine>, lost: Option<Lost>) -> bool {
        if let Some(lost) = lost {
            let why = "the log was rotated while it was read".into();
            self.mark(lost.after.or(lost.before), Happened::Gap { after: lost.after, before: lost.before, why }).await;
        }
        let lines: Vec<LogLine> = lines.into_iter().map(|(at, text)| LogLine { at: Some(at), text }).collect();
        lines.is_empty() || self.out.send(Piece::Lines(lines)).await.is_ok()
    }

    pub(super) async fn note(&self, text: Safe) {
        let _ = self.out.send(Piece::Note(text)).await;
    }

    async fn mark(&self, at: Option<Timestamp>, what: Happened) {
        let _ = self.out.send(Piece::Mark(StreamMark { at, origin: self.lane.origin.clone(), what })).await;
    }

    fn refused(&mut self, error: &Error, part: &Part) {
        let why = match error.kind() {
            Kind::Denied => {
                let pod = &self.known.chosen.pod;
                Why::Refused(crate::answer::Permission {
                    verb: "get".into(),
                    resource: "pods/log".into(),
                    scope: safe!("namespace {}", Safe::name(&pod.namespace)),
                })
            }
            Kind::NotFound => Why::Gone,
            Kind::Usage if error.what_happened().contains("waiting to start") => Why::NotStarted(error.what_happened().clone()),
            _ => Why::Unreachable(error.what_happened().clone()),
        };
        self.coverage.miss(Missing { part: part.clone(), why, hint: error.hints().first().cloned() });
    }

    /// Says so when lines older than the oldest readable one may have been rotated away: the first readable line comes long after the
    /// container's start. Only where the question reaches back that far.
    pub(super) async fn rotated(&mut self, part: &Part) {
        let State::Running(Some(started)) = &self.known.container.state else { return };
        if !self.query.filters() && self.query.tail.is_some() {
            return;
        }
        // The container that ran before is read as well: then its start is where the readable lines begin.
        let began = self.known.container.before.as_ref().and_then(|b| b.started).unwrap_or(*started);
        let first = match self.query.since {
            None => self.oldest,
            // Everything since then was asked for, and the container is younger.
            Some(since) if since <= began => self.oldest,
            // The server left out what is older: the first line of the file has to be asked for.
            Some(_) => self.first_readable().await,
        };
        let Some(oldest) = first else { return };
        let reaches = self.query.since.is_none_or(|since| since < oldest);
        let late = oldest.duration_since(began);
        // A chatty container fills its file within the first minute.
        let rotated = late > EARLY || (late > CHATTY && self.coverage.bytes > 256 << 10);
        if reaches && (rotated || self.known.container.restarts > 1) {
            self.coverage.miss(Missing { part: part.clone(), why: Why::Rotated { oldest }, hint: Some(kubelet::hint(self.query.rotated)) });
        }
    }

    /// The time of the first line that the API can still give.
    async fn first_readable(&self) -> Option<Timestamp> {
        let mut ask = self.pods.ask(self.known, &Request::default());
        ask.path.push_str("&limitBytes=64");
        let body = self.pods.cluster.open(&ask).await.ok()?;
        let bytes = tokio::time::timeout(STALLED, http_body_util::Limited::new(body, 4096).collect()).await.ok()?.ok()?.to_bytes();
        in_front(&bytes).map(|(at, _)| at)
    }
}
