//! Reads one container: its requests, how each ends, and whether that end is to be believed.
#![expect(clippy::disallowed_methods, reason = "a stream is opened again after a pause")]

use super::{
    Known, Pods, Request,
    kubelet::{self, Files},
    newest::{Boundary, Newest},
    part,
};
use crate::{
    answer::{Coverage, Hint, Missing, Part, Why},
    connect::kube::{Ask, encode},
    error::{Error, Kind},
    kubernetes::{
        collect,
        model::{Role, State},
    },
    logs::{
        decode::time::in_front,
        flow::{resume::Last, split::Splitter},
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
use tokio::sync::mpsc;

/// A backfill that sends nothing for so long has stalled.
const STALLED: Duration = Duration::from_secs(30);
/// So many lines one record may have where only the newest records are asked for.
const LONGEST_RECORD: u64 = 200;
/// How often a read that broke off before its first line is repeated.
const AGAIN: u32 = 5;
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
    pub(super) last: Last,
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
        Self { pods, known, lane, query, budget, out, coverage: Coverage::default(), last: Last::default(), oldest: None, until: None }
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
        let tail = tail.map(|n| if n == 0 || self.query.follow { n } else { n.saturating_add(LONGEST_RECORD) }).or(self.query.back);
        let mut first = Request { previous: self.query.previous, follow: self.query.follow, since: self.query.since, tail };
        if self.query.rotated {
            match self.files(&part).await {
                Files::Whole => return self.coverage.searched.push(part),
                Files::Over => return,
                // What the files gave is not asked for again.
                Files::Api => first.since = self.last.at.or(first.since),
            }
        } else if self.query.newest && !self.query.follow {
            match self.newest(first).await {
                Newest::Whole => return self.coverage.searched.push(part),
                Newest::Over => return,
                Newest::Part => {}
            }
        }
        let resumed = self.last.at.is_some();
        // With a filter everything readable counts, so the container that ran before is read as well. While it waits to be started again
        // the plain request gives that very one.
        let stitch = self.query.filters()
            && !self.query.previous
            && self.known.container.before.is_some()
            && self.known.container.waits_for().is_none();
        if stitch && !self.one(Request { previous: true, follow: false, tail: None, ..first }, &part, resumed).await {
            return;
        }
        if self.query.follow {
            if !self.follow(first, &part).await {
                return;
            }
        } else if !self.one(first, &part, resumed).await {
            return;
        }
        self.rotated(&part).await;
        self.coverage.searched.push(part);
    }

    /// One request to its end; false when the rest makes no sense.
    async fn one(&mut self, request: Request, part: &Part, resumed: bool) -> bool {
        let turn = if request.follow { None } else { self.pods.cluster.turn().await };
        let mut tries = 0;
        let opened = loop {
            let opened = self.pods.cluster.open(&self.pods.ask(self.known, &request)).await;
            let Ok(body) = opened else { break opened.map(|_| Ended::Whole) };
            let ended = self.stream(body, request.follow, resumed).await;
            // A container that is restarted at this moment has no log for a moment.
            if !matches!(ended, Ended::Broken(_)) || self.oldest.is_some() || tries == AGAIN {
                break Ok(ended);
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(300) * tries).await;
        };
        let ended = match opened {
            Ok(ended) => ended,
            // There was no container before after all: nothing is missing.
            Err(e) if request.previous && matches!(e.kind(), Kind::Usage | Kind::NotFound) && !self.query.previous => return true,
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

    /// Follows until nobody listens or the container is gone for good; false when it was refused.
    async fn follow(&mut self, first: Request, part: &Part) -> bool {
        let mut request = first;
        let mut pause = Duration::from_millis(250);
        loop {
            let before = self.last.at;
            let opened = self.pods.cluster.open(&self.pods.ask(self.known, &request)).await;
            let ended = match opened {
                Ok(body) => self.stream(body, true, request.since.is_some() && before.is_some()).await,
                Err(e) if matches!(e.kind(), Kind::Denied | Kind::Auth) => {
                    self.note(safe!("{}: {}", part.name, e.what_happened())).await;
                    self.refused(&e, part);
                    return false;
                }
                Err(e) => Ended::Broken(e.what_happened().clone()),
            };
            if matches!(ended, Ended::Unheard) || self.out.is_closed() {
                return true;
            }
            if let Ended::Broken(how) = &ended {
                self.note(safe!("{}: {}; connecting again", part.name, how)).await;
            }
            match self.state().await {
                Some(true) => {}
                Some(false) => {
                    self.note(safe!("{}: ended", part.name)).await;
                    return true;
                }
                // Could not be asked: the next try will tell.
                None => {}
            }
            pause = if self.last.at > before { Duration::from_millis(250) } else { (pause * 2).min(Duration::from_secs(5)) };
            tokio::time::sleep(pause).await;
            request =
                Request { since: self.last.at.or(first.since), tail: if self.last.at.is_some() { None } else { first.tail }, ..first };
        }
    }

    /// Whether the container will write more: none when that could not be found out.
    async fn state(&self) -> Option<bool> {
        let pod = &self.known.chosen.pod;
        let path = format!("/api/v1/namespaces/{}/pods/{}", encode(&pod.namespace), encode(&pod.name));
        let ask = Ask::new(safe!("looking at {}", pod.path()), path, "get", "pods", Some(&pod.namespace));
        match self.pods.cluster.get::<k8s_openapi::api::core::v1::Pod>(&ask).await {
            Ok(raw) => {
                let now = collect::pod(raw, &self.pods.cluster);
                if now.uid != pod.uid || matches!(now.phase.as_str(), "Succeeded" | "Failed") {
                    return Some(false);
                }
                let container = now.containers.iter().find(|c| c.name == self.known.container.name)?;
                let over = matches!(&container.state, State::Terminated(_)) && (container.role == Role::Init || now.deleting);
                Some(!over)
            }
            Err(e) if e.kind() == Kind::NotFound => Some(false),
            Err(_) => None,
        }
    }

    async fn stream(&mut self, mut body: kube::client::Body, follow: bool, resumed: bool) -> Ended {
        let mut splitter = Splitter::default();
        let mut suspect: Option<Bytes> = None;
        loop {
            let frame = if follow {
                tokio::select! {
                    frame = body.frame() => frame,
                    () = self.out.closed() => return Ended::Unheard,
                }
            } else {
                match tokio::time::timeout(STALLED, body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => return Ended::Broken(safe!("the stream stalled for {} s", STALLED.as_secs())),
                }
            };
            let data = match frame {
                None => break,
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
            if !follow && !self.budget.spend(data.len()) {
                return Ended::Capped;
            }
            let mut raw = Vec::new();
            splitter.push(&data, |line| raw.push(line));
            if !self.hand_on(raw, resumed, &mut suspect).await {
                return Ended::Unheard;
            }
            if self.until.as_ref().is_some_and(|u| u.reached) {
                return Ended::Whole;
            }
        }
        let rest: Vec<Bytes> = splitter.finish().into_iter().collect();
        if !self.hand_on(rest, resumed, &mut suspect).await {
            return Ended::Unheard;
        }
        match suspect {
            // Under HTTP 200 an error arrives as a last line without a time stamp.
            Some(text) => Ended::Broken(safe!("the node said: {}", self.pods.cluster.redactor().safe(&text).clipped(160))),
            None => Ended::Whole,
        }
    }

    async fn hand_on(&mut self, raw: Vec<Bytes>, resumed: bool, suspect: &mut Option<Bytes>) -> bool {
        let mut lines = Vec::with_capacity(raw.len());
        for line in raw {
            match in_front(&line) {
                Some((at, rest)) => {
                    *suspect = None;
                    let from = line.len() - rest.len();
                    let text = line.slice(from..);
                    if self.oldest.is_none() {
                        self.oldest = Some(at);
                    }
                    if self.until.as_mut().is_some_and(|u| u.is_at(at, &text)) {
                        break;
                    }
                    if self.last.admit(Some(at), &text, resumed) {
                        lines.push(LogLine { at: Some(at), text });
                    }
                }
                None => *suspect = Some(line),
            }
        }
        lines.is_empty() || self.out.send(Piece::Lines(lines)).await.is_ok()
    }

    pub(super) async fn note(&self, text: Safe) {
        let _ = self.out.send(Piece::Note(text)).await;
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
