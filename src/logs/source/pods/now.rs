//! What became of a container whose stream ended, and whose log it was that was read.

use super::{
    Request,
    follow::{Follower, Purpose, Read, SOON},
    stream::StreamEnd,
};
use crate::{
    kubernetes::{
        model::{Container, End, Role, State},
        standing::{self, PodNow},
    },
    logs::mark::Happened,
    text::Safe,
};
use futures_util::future::{BoxFuture, FutureExt};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How long the cluster may take to say that a container was restarted.
const STATUS_LAG: u32 = 30;
/// The cluster gives the end of a container in whole seconds; what was written in that second may be its last word.
const LAST_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// What became of the container.
pub(super) enum Now {
    /// It writes, or will.
    Running,
    /// It ended, and nothing follows.
    Over(Option<End>),
    /// It ended; the next one waits.
    Between(Option<End>, Option<Safe>),
    /// Another one has taken its place.
    Another(Box<Container>),
    /// The pod is gone.
    Gone,
    /// Could not be found out.
    Unknown,
}

impl Follower<'_> {
    /// What became of the container that is read.
    pub(super) async fn now(&self) -> Now {
        let pod = &self.known.chosen.pod;
        let PodNow { pod: now, waiting } = match standing::of(&self.pods.cluster, pod).await {
            Ok(Some(standing)) if standing.pod.uid == pod.uid => standing,
            Ok(_) => return Now::Gone,
            Err(_) => return Now::Unknown,
        };
        let Some(container) = now.containers.iter().find(|c| c.name == self.known.container.name) else { return Now::Gone };
        let says = waiting.into_iter().find(|(name, _)| *name == container.name).map(|(_, says)| says);
        if container.id.is_some() && container.id != self.on && self.on.is_some() {
            return Now::Another(Box::new(container.clone()));
        }
        let for_good = now.deleting
            || matches!(now.phase.as_str(), "Succeeded" | "Failed")
            || matches!(container.role, Role::Ephemeral)
            || matches!((&container.state, container.role), (State::Terminated(end), Role::Init) if end.code == 0);
        match &container.state {
            State::Terminated(end) if for_good => Now::Over(Some(end.clone())),
            State::Terminated(end) => Now::Between(Some(end.clone()), says),
            State::Waiting(_) if self.on.is_some() => Now::Between(container.before.clone(), says),
            State::Waiting(_) | State::Running(_) => Now::Running,
        }
    }

    /// Whether the lines that are known stand in the log of the container that runs now. The IDs alone do not tell: the node restarts a
    /// container before the cluster says so. Where they stand in the log before, that is the container that was read.
    pub(super) async fn belongs_to(&mut self, next: &Container) -> bool {
        if self.ended || self.resume.since().is_none() {
            return false;
        }
        if self.stands_in(true).await {
            self.on = next.before.as_ref().and_then(|end| end.id.clone()).or(self.on.take());
            return false;
        }
        self.stands_in(false).await
    }

    /// Whether the known line stands in the log before, or in that of now.
    pub(super) async fn stands_in(&mut self, previous: bool) -> bool {
        let known = self.resume.clone();
        self.resume.again();
        let request = Request { previous, since: self.resume.since(), ..Request::default() };
        let nested = std::mem::replace(&mut self.nested, true);
        (self.silently, self.absent) = (true, false);
        let ended = self.pour(request, Purpose::Search).await;
        (self.silently, self.nested) = (false, nested);
        self.resume = known;
        matches!(ended, StreamEnd::Whole) && !self.absent
    }

    /// Whether the log of the container before, which begins at this time, is by now the log of one that ran after it: its own is then gone.
    pub(super) fn overtaken(&mut self, begins: Timestamp) -> BoxFuture<'_, bool> {
        async move {
            let later = self.before_ended.is_some_and(|ended| begins.duration_since(ended) > LAST_SECOND);
            // What ran in the same second no time tells apart. While the next one waits to be started the node gives the same log as that of
            // now and as the one before, and the cluster may say so later than the node does.
            self.overtaken = later
                || matches!(self.now().await, Now::Another(next) if next.before.as_ref().is_some_and(|end| end.at > self.before_ended))
                || (!self.before_is_now && self.begins_now().await == Some(begins));
            self.overtaken
        }
        .boxed()
    }

    /// Whether another container has taken the place of the one that is read: the lines that come are not its. The cluster may learn of it
    /// a moment later than the node.
    pub(super) async fn replaced(&mut self) -> bool {
        for length in [SOON, Duration::ZERO] {
            if matches!(self.now().await, Now::Another(_)) {
                self.overtaken = true;
                return true;
            }
            super::reader::pause(length).await;
        }
        false
    }

    /// Whether what is known stands in the log of the container before: then its rest comes first, and what is read now is the next one's.
    pub(super) async fn taken_over(&mut self) -> bool {
        let newer = std::mem::replace(&mut self.resume, self.before.clone());
        if !self.stands_in(true).await {
            self.resume = newer;
            return false;
        }
        self.nested = true;
        if self.whole(Request { previous: true, ..Request::default() }, Purpose::RestBefore).await != Read::Whole {
            self.gap(self.resume.since(), None, "the rest of its log could not be read".into()).await;
        }
        self.nested = false;
        // The cluster learns of it a moment later than the node.
        for _ in 0..STATUS_LAG {
            if let Now::Another(next) = self.now().await
                && !next.is_the_one_before()
            {
                self.over(next.before.clone()).await;
                self.begin(next.id.clone(), next.restarts);
                let started = if let State::Running(at) = &next.state { *at } else { None };
                self.mark(started, Happened::Restarted { restarts: next.restarts }).await;
                break;
            }
            super::reader::pause(SOON * 2).await;
        }
        self.resume = newer;
        self.untold = false;
        true
    }
}
