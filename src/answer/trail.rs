//! IDs of any system, and the links between them with how each link is known.

use crate::text::Safe;
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
