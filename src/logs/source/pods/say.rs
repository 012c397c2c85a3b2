//! What a follow says beside its lines: marks in their place, and troubles, each once.

use super::follow::{Follower, SLOW};
use crate::{
    answer::{Missing, Why},
    connect::kube::Later,
    error::{Error, Kind},
    logs::{
        mark::{Happened, StreamMark},
        source::Piece,
    },
    safe,
    text::Safe,
};
use jiff::Timestamp;
use std::time::Duration;

impl Follower<'_> {
    pub(super) async fn gap(&mut self, after: Option<Timestamp>, before: Option<Timestamp>, why: Safe) -> bool {
        self.mark(after, Happened::Gap { after, before, why }).await
    }

    pub(super) async fn mark(&self, at: Option<Timestamp>, what: Happened) -> bool {
        self.out.send(Piece::Mark(StreamMark { at, origin: self.lane.origin.clone(), what })).await.is_ok()
    }

    pub(super) async fn note(&self, text: Safe) {
        let _ = self.out.send(Piece::Note(safe!("{}: {}", self.part.name, text))).await;
    }

    /// Says a trouble, once.
    pub(super) async fn troubled(&mut self, text: Safe) {
        if self.trouble.as_ref() != Some(&text) {
            self.note(text.clone()).await;
            self.trouble = Some(text);
        }
    }

    /// A stream has begun.
    pub(super) async fn connected(&mut self) {
        self.worked = true;
        if self.trouble.take().is_some() {
            self.note("connected again".into()).await;
        }
    }

    /// An answer that is no stream: how long to wait, or none when asking again makes no sense.
    pub(super) async fn refused(&mut self, later: Later) -> Option<Option<Duration>> {
        let Later { error, after } = later;
        if !self.worked && matches!(error.kind(), Kind::Denied | Kind::Auth) {
            self.note(error.what_happened().clone()).await;
            self.miss(&error);
            return None;
        }
        self.troubled(safe!("waits for a stream: {}", error.what_happened())).await;
        Some(after.or((error.kind() == Kind::Denied).then_some(SLOW)))
    }

    fn miss(&mut self, error: &Error) {
        let why = match error.kind() {
            Kind::Denied => Why::Refused(crate::answer::Permission {
                verb: "get".into(),
                resource: "pods/log".into(),
                scope: safe!("namespace {}", Safe::name(&self.known.chosen.pod.namespace)),
            }),
            Kind::NotFound => Why::Gone,
            _ => Why::Unreachable(error.what_happened().clone()),
        };
        self.coverage.miss(Missing { part: self.part.clone(), why, hint: error.hints().first().cloned() });
    }
}
