//! Follows one container, and those that run after it under its name, until the pod is gone for good. The end of a stream is not believed:
//! what ended is found out from the pod, and what was written meanwhile from the log.
#![expect(clippy::disallowed_methods, reason = "a stream is opened again after a pause")]

use super::{Known, Pods, Request, now::Now, part, stream::StreamEnd};
use crate::{
    answer::{Coverage, Part},
    error::{Error, Kind},
    kubernetes::model::{Container, End, State},
    logs::{
        flow::resume::{Lost, Resume},
        mark::Happened,
        query::Query,
        source::{Lane, Piece},
    },
    safe,
    text::Safe,
};
use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use std::time::Duration;
use tokio::{sync::mpsc, time::Instant};

/// The first and the longest pause before a stream is asked for again.
pub(super) const SOON: Duration = Duration::from_millis(250);
pub(super) const SLOW: Duration = Duration::from_secs(5);
/// How often a log that ends by itself is asked for before the rest is given up as lost.
const TRIES: u32 = 6;

const CAME_AND_WENT: &str = "containers came and went meanwhile";

/// What a reading is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The stream that goes on.
    Live,
    /// What is there, to its end.
    Rest,
    /// The same of the container that ran before.
    RestBefore,
    /// Only whether the known line is there.
    Search,
}

/// The reading of one lane.
pub(super) struct Follower<'a> {
    pub(super) pods: &'a Pods,
    pub(super) known: &'a Known,
    pub(super) query: &'a Query,
    pub(super) out: &'a mpsc::Sender<Piece>,
    pub(super) coverage: Coverage,
    pub(super) resume: Resume,
    /// From when on lines of this container count.
    pub(super) from: Option<Timestamp>,
    /// Whether nothing of this container was handed on yet, so that its first line tells nothing about whose it is.
    pub(super) untold: bool,
    /// Whether a reading is part of another one, which has the turn.
    pub(super) nested: bool,
    /// Whether lines are only remembered.
    pub(super) silently: bool,
    /// Whether anything new came.
    pub(super) moved: bool,
    pub(super) lane: &'a Lane,
    pub(super) part: Part,
    /// The ID of the container that is read.
    pub(super) on: Option<String>,
    restarts: u32,
    /// Whether its end has been said, and when it was.
    pub(super) ended: bool,
    ended_at: Option<Timestamp>,
    /// What was known before the stream of now began.
    pub(super) before: Resume,
    /// The trouble that was said last.
    pub(super) trouble: Option<Safe>,
    pub(super) worked: bool,
    /// Whether the stream before ended in order.
    clean: bool,
    /// Whether a search did not find the known line.
    pub(super) absent: bool,
    /// When the container ended whose log is read as the one before.
    pub(super) before_ended: Option<Timestamp>,
    /// Whether that is the one whose log the plain request gives too: nothing runs after it yet.
    pub(super) before_is_now: bool,
    /// Whether the log that was asked for turned out to be another container's.
    pub(super) overtaken: bool,
    /// When the last stream of this container ended.
    pub(super) left: Option<Instant>,
}

/// How far a log that ends by itself was read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Whole,
    /// Not now: what has become of the container is to be asked first.
    Partly,
    /// Nobody listens, or it was refused before anything was read.
    Stop,
}

/// What to do with the lines behind a place where some may be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    /// Nobody listens.
    Stop,
    /// They are another container's: its own turn comes.
    Drop,
}

impl<'a> Follower<'a> {
    pub(super) fn new(pods: &'a Pods, known: &'a Known, lane: &'a Lane, query: &'a Query, out: &'a mpsc::Sender<Piece>) -> Self {
        Self {
            pods,
            known,
            query,
            out,
            coverage: Coverage::default(),
            resume: Resume::default(),
            from: query.since,
            untold: true,
            nested: false,
            silently: false,
            moved: false,
            lane,
            part: part(&lane.origin),
            on: known.container.id.clone(),
            restarts: known.container.restarts,
            ended: false,
            ended_at: None,
            before: Resume::default(),
            trouble: None,
            worked: false,
            clean: false,
            absent: false,
            before_ended: None,
            before_is_now: false,
            overtaken: false,
            left: None,
        }
    }

    /// Reads until nobody listens or nothing more can come; tells what was read and what not.
    pub(super) async fn run(mut self) -> Coverage {
        if self.history().await && self.out.send(Piece::Caught).await.is_ok() {
            while self.round().await {}
        }
        if self.coverage.missing.is_empty() {
            self.coverage.searched.push(self.part.clone());
        }
        self.coverage
    }

    /// What there is already; false when the rest makes no sense.
    async fn history(&mut self) -> bool {
        let container = &self.known.container;
        // While it waits to be started again, the plain request gives the one before.
        let before = container.before.clone().filter(|_| container.waits_for().is_none());
        if let Some(before) = before.filter(|end| self.reaches(end.at)) {
            let request = Request { previous: true, since: self.query.since, tail: self.lines(), ..Request::default() };
            self.before_ended = before.at;
            if self.query.tail != Some(0) && self.whole(request, Purpose::RestBefore).await == Read::Stop {
                return false;
            }
            if std::mem::take(&mut self.overtaken) && !self.gap(None, before.at, CAME_AND_WENT.into()).await {
                return false;
            }
            let started = match &container.state {
                State::Running(started) => *started,
                _ => None,
            };
            if !self.over(Some(before)).await || !self.mark(started, Happened::Restarted { restarts: container.restarts }).await {
                return false;
            }
            self.resume = Resume::default();
            self.left = None;
            self.ended = false;
        }
        // Of nothing at all the newest lines are still needed: to know where to go on.
        self.silently = self.query.tail == Some(0);
        let request = Request { since: self.query.since, tail: self.lines(), ..Request::default() };
        // What is not whole by then comes with the stream that goes on.
        let read = self.whole(request, Purpose::Rest).await;
        self.silently = false;
        read != Read::Stop
    }

    /// The server counts lines, and before any other condition; records that are wanted are what counts here.
    fn lines(&self) -> Option<u64> {
        self.query.tail.filter(|_| !self.query.filters()).map(super::lines_of).or(self.query.back)
    }

    fn reaches(&self, at: Option<Timestamp>) -> bool {
        self.query.since.is_none_or(|since| at.is_none_or(|at| at >= since))
    }

    /// One log to its end, over as many streams as that takes.
    pub(super) async fn whole(&mut self, first: Request, way: Purpose) -> Read {
        let mut pause = SOON;
        for _ in 0..TRIES {
            self.before = self.resume.clone();
            self.resume.again();
            let request = match self.resume.since() {
                Some(since) => Request { since: Some(since), tail: None, ..first },
                None => first,
            };
            let later = match self.pour(request, way).await {
                StreamEnd::Whole => return Read::Whole,
                StreamEnd::Unheard => return Read::Stop,
                StreamEnd::Broken(_) if self.overtaken => return Read::Partly,
                StreamEnd::Broken(how) => {
                    self.troubled(safe!("{}; connecting again", how)).await;
                    None
                }
                StreamEnd::Refused(later) if first.previous && no_such(&later.error) => {
                    // There was none before after all; or the rest of it is gone.
                    let known = self.resume.since();
                    let why = "its log was removed before it was read to the end";
                    if known.is_some() && !self.clean && !self.gap(known, None, why.into()).await {
                        return Read::Stop;
                    }
                    return Read::Whole;
                }
                StreamEnd::Refused(later) if no_such(&later.error) => match self.now().await {
                    Now::Gone | Now::Another(_) => return Read::Partly,
                    _ => later.after,
                },
                StreamEnd::Refused(later) => match self.refused(later).await {
                    Some(after) => after,
                    None => return Read::Stop,
                },
            };
            self.rest(&mut pause, later).await;
        }
        Read::Partly
    }

    /// One followed stream and what comes of its end; false when there will be no more.
    async fn round(&mut self) -> bool {
        let mut pause = SOON;
        loop {
            self.before = self.resume.clone();
            self.resume.again();
            self.moved = false;
            let request = Request { follow: true, since: self.resume.since().or(self.from), ..Request::default() };
            let ended = self.pour(request, Purpose::Live).await;
            // That there is no such log any more says nothing about how the last stream ended.
            self.clean = match &ended {
                StreamEnd::Refused(later) if no_such(&later.error) => self.clean,
                ended => matches!(ended, StreamEnd::Whole),
            };
            let after = match ended {
                StreamEnd::Unheard => return false,
                StreamEnd::Whole => None,
                StreamEnd::Broken(_) if std::mem::take(&mut self.overtaken) => None,
                StreamEnd::Broken(how) => {
                    self.troubled(safe!("{}; connecting again", how)).await;
                    None
                }
                StreamEnd::Refused(later) if no_such(&later.error) => later.after,
                StreamEnd::Refused(later) => match self.refused(later).await {
                    Some(after) => after,
                    None => return false,
                },
            };
            let on = self.on.clone();
            match self.now().await {
                Now::Running | Now::Unknown => {}
                Now::Gone => {
                    if !self.clean {
                        let why = "the pod was deleted while its log could not be read";
                        self.gap(self.resume.since(), None, why.into()).await;
                    }
                    self.note("ended: the pod is gone".into()).await;
                    return false;
                }
                Now::Over(end) => {
                    match self.whole(Request::default(), Purpose::Rest).await {
                        Read::Stop => return false,
                        Read::Whole if self.on == on => {}
                        _ => continue,
                    }
                    self.over(end.clone()).await;
                    self.note(end.map_or_else(|| "ended".into(), |e| safe!("ended with exit code {}", e.code))).await;
                    return false;
                }
                Now::Between(end, _) => {
                    match self.whole(Request::default(), Purpose::Rest).await {
                        Read::Stop => return false,
                        Read::Whole if self.on == on => {}
                        _ => continue,
                    }
                    return self.over(end).await && self.between().await;
                }
                Now::Another(next) => return self.another(*next).await,
            }
            if self.moved {
                pause = SOON;
            }
            self.rest(&mut pause, after).await;
            if self.out.is_closed() {
                return false;
            }
        }
    }

    /// Waits until another container takes the place of the one that ended; false when none will.
    async fn between(&mut self) -> bool {
        let mut said = None;
        loop {
            match self.now().await {
                Now::Another(next) => return self.another(*next).await,
                Now::Gone => {
                    self.note("ended: the pod is gone".into()).await;
                    return false;
                }
                Now::Over(_) => {
                    self.note("ended".into()).await;
                    return false;
                }
                Now::Between(_, Some(says)) if said.is_none() => {
                    said = Some(says.clone());
                    if !self.mark(self.ended_at, Happened::BackOff { says }).await {
                        return false;
                    }
                }
                Now::Between(..) | Now::Running | Now::Unknown => {}
            }
            tokio::select! {
                () = self.pods.changed(SLOW) => {}
                () = self.out.closed() => return false,
            }
        }
    }

    /// Goes over to the container that runs now: first the rest of the one that was read, then those between, then its beginning.
    async fn another(&mut self, mut next: Container) -> bool {
        let mut pause = SOON;
        for _ in 0..TRIES {
            self.overtaken = false;
            if self.belongs_to(&next).await {
                // What was read is the log of this one already: the cluster said so later than the node.
                let (known, why) = (self.resume.clone(), "the container before ended while the reading began: --previous shows its log");
                self.gap(None, known.first().map(|first| first.0), why.into()).await;
                self.begin(next.id.clone(), next.restarts);
                (self.resume, self.untold) = (known, false);
                return !self.out.is_closed();
            }
            let mine = next.before.as_ref().is_some_and(|end| end.id.is_some() && end.id == self.on);
            let ended_at = next.before.as_ref().and_then(|end| end.started);
            if !mine && !self.ended {
                let why = "it was restarted more than once, and that log is no longer there";
                self.gap(self.resume.since(), ended_at, why.into()).await;
            } else if !mine && next.restarts.saturating_sub(self.restarts) > 2 {
                self.gap(self.resume.since(), ended_at, CAME_AND_WENT.into()).await;
            }
            if !mine && next.before.is_some() {
                self.begin(next.before.as_ref().and_then(|end| end.id.clone()), next.restarts.saturating_sub(1));
            }
            self.before_ended = next.before.as_ref().and_then(|end| end.at);
            self.before_is_now = next.is_the_one_before();
            if next.before.is_some() && !self.ended {
                match self.whole(Request { previous: true, ..Request::default() }, Purpose::RestBefore).await {
                    Read::Whole => {}
                    Read::Stop => return false,
                    Read::Partly => {
                        if let Now::Another(newer) = self.now().await {
                            next = *newer;
                        }
                        self.rest(&mut pause, None).await;
                        continue;
                    }
                }
                if !self.over(next.before.clone()).await {
                    return false;
                }
            }
            break;
        }
        self.overtaken = false;
        if next.before.is_some() && !self.ended {
            self.gap(self.resume.since(), None, "the rest of its log could not be read".into()).await;
            self.over(next.before.clone()).await;
        }
        if next.is_the_one_before() {
            // Its log was read, and the next round waits for what follows it.
            (self.on, self.restarts) = (next.id.clone(), next.restarts);
            return !self.out.is_closed();
        }
        let started = match &next.state {
            State::Running(at) => *at,
            State::Terminated(end) => end.started,
            State::Waiting(_) => None,
        };
        self.begin(next.id.clone(), next.restarts);
        self.mark(started, Happened::Restarted { restarts: next.restarts }).await
    }

    pub(super) fn begin(&mut self, id: Option<String>, restarts: u32) {
        self.on = id;
        self.restarts = restarts;
        self.ended = false;
        self.resume = Resume::default();
        self.left = None;
        self.from = None;
        self.untold = true;
    }

    /// Says the end of the container, once.
    pub(super) async fn over(&mut self, end: Option<End>) -> bool {
        match end {
            Some(end) if !self.ended => {
                self.ended = true;
                // The cluster gives whole seconds: the last line of that second was before.
                self.ended_at = end.at.max(self.resume.since());
                self.mark(self.ended_at, Happened::ended(end.code, end.reason)).await
            }
            _ => !self.out.is_closed(),
        }
    }

    /// The known line did not come again: another container writes by now, or the log was rotated.
    pub(super) fn lost(&mut self, lost: Lost, way: Purpose) -> BoxFuture<'_, Then> {
        async move {
            let why = "the log was rotated while it was not read";
            match way {
                Purpose::Search => {
                    self.absent = true;
                    return Then::GoOn;
                }
                // Where no line is known none can stand in another log.
                Purpose::Live | Purpose::Rest if lost.after.is_some() && self.taken_over().await => return Then::GoOn,
                // It may be two containers later by now.
                Purpose::Live | Purpose::Rest if lost.before.is_some() && self.replaced().await => return Then::Drop,
                // The stream ended in order, and nothing newer is there: only the rotation came in between.
                Purpose::Rest if self.clean && lost.before.is_none() => return Then::GoOn,
                Purpose::Live | Purpose::Rest => {}
                Purpose::RestBefore => {
                    let later = match lost.before {
                        Some(begins) => self.overtaken(begins).await,
                        None => false,
                    };
                    if later || matches!(self.now().await, Now::Another(next) if next.before.as_ref().is_some_and(|end| end.id != self.on))
                    {
                        self.overtaken = true;
                        return Then::Drop;
                    }
                }
            }
            if self.gap(lost.after, lost.before, why.into()).await { Then::GoOn } else { Then::Stop }
        }
        .boxed()
    }

    /// The reading was behind, and the log jumped.
    pub(super) async fn jumped(&mut self, after: Timestamp, before: Timestamp) -> bool {
        self.gap(Some(after), Some(before), "the reading was far behind, and the log was rotated meanwhile".into()).await
    }

    /// A line of a container of which nothing was read yet: it may be the next one's already. False when nobody listens.
    pub(super) fn first_line(&mut self) -> BoxFuture<'_, bool> {
        async move {
            match self.now().await {
                Now::Another(next) => {
                    let read = self.another(*next).await;
                    self.untold = false;
                    read
                }
                _ => true,
            }
        }
        .boxed()
    }

    /// The pause before the next try; longer each time.
    async fn rest(&self, pause: &mut Duration, asked: Option<Duration>) {
        let rest = asked.map_or(*pause, |asked| asked.min(Duration::from_secs(30)));
        *pause = (*pause * 2).min(SLOW);
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = self.out.closed() => {}
        }
    }
}

/// There is no such log, or not yet: the pod tells which.
fn no_such(error: &Error) -> bool {
    matches!(error.kind(), Kind::Usage | Kind::NotFound)
}
