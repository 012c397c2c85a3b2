//! Timelines of any system: events that name IDs, and the links between IDs with how each link is known.

use super::Provenance;
use crate::text::Safe;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// An ID that ties things together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Id {
    /// What it names.
    pub kind: IdKind,
    /// The ID itself.
    pub value: Safe,
}

/// What an ID names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// A request (`X-Request-ID`).
    Request,
    /// A trace.
    Trace,
    /// A Celery task.
    Task,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// How long it lasted, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasted: Option<SignedDuration>,
    /// Who: a pod, a process, a server.
    pub by: Safe,
    /// What, in a few words.
    pub what: Safe,
    /// The IDs it names.
    pub ids: Vec<Id>,
    /// Where it was read.
    pub from: Provenance,
}

/// A link from one ID to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// From.
    pub from: Id,
    /// To.
    pub to: Id,
    /// How it is known.
    pub proof: LinkProof,
}

/// How sure a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkProof {
    /// One log line names both IDs.
    Certain,
    /// The task's own line carries the request's ID.
    Header,
    /// Only the time fits.
    Inferred,
}
