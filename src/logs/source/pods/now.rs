//! What became of a container whose stream ended, and whose log it was that was read.

use super::{
    Request,
    follow::{Follower, Purpose},
    stream::StreamEnd,
};
use crate::{
    kubernetes::{
        model::{Container, End, Role, State},
        standing::{self, PodNow},
    },
    text::Safe,
};

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
}
