//! Where log lines come from. A source names its lanes (one container, one file) and reads each; one virtual call per block, never per line.

pub mod files;
pub mod pods;

use super::{mark::StreamMark, model::LogOrigin, query::Query};
use crate::{answer::Coverage, error::Result, text::Safe};
use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use jiff::{Timestamp, tz::TimeZone};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc;

/// One stream of a source: its lines are in the order in which they were written.
#[derive(Clone, Debug)]
pub struct Lane {
    /// What the source reads by.
    pub key: usize,
    /// Who writes it.
    pub origin: Arc<LogOrigin>,
    /// The zone of times that are written without one.
    pub zone: Option<TimeZone>,
}

/// What a lane gives.
pub enum Piece {
    /// Whole lines, each once.
    Lines(Vec<LogLine>),
    /// The newest lines, before the rest: they begin with a record, replace the window before, and the rest ends where they begin.
    Window(Vec<LogLine>),
    /// Whole lines of another writer, which the lane's own input names.
    Of(Arc<LogOrigin>, Vec<LogLine>),
    /// Further lines were read that cannot be hits.
    Skipped,
    /// Nothing has come for a while: what is open is whole.
    Quiet,
    /// Something the user should know: a reconnect, an end.
    Note(Safe),
    /// Something that happened to the stream, in its place.
    Mark(StreamMark),
    /// What was there already has been read; what comes now is new.
    Caught,
}

/// What comes while a source is followed.
pub enum Joining {
    /// A lane that was not there before.
    Lane(Lane),
    /// Something the user should know: what waits to be started.
    Note(Safe),
}

/// One line.
pub struct LogLine {
    /// When the container runtime took it; files have none.
    pub at: Option<Timestamp>,
    /// Its bytes, without the end.
    pub text: Bytes,
}

/// The lanes of a source.
pub struct Lanes {
    /// Those that are there now.
    pub open: Vec<Lane>,
    /// Those that come later, under `--follow`.
    pub later: Option<BoxStream<'static, Joining>>,
    /// What cannot be read, known before reading.
    pub coverage: Coverage,
}

/// What all lanes of a reading share: the limit of bytes.
#[derive(Debug)]
pub struct Budget {
    used: AtomicU64,
    /// The limit.
    pub limit: u64,
}

impl Budget {
    /// So many bytes, all lanes together.
    pub fn new(limit: u64) -> Self {
        Self { used: AtomicU64::new(0), limit }
    }
    /// Counts bytes; false when the limit is passed.
    pub fn spend(&self, bytes: usize) -> bool {
        self.used.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64 <= self.limit
    }
}

/// Somewhere to read logs from.
pub trait LogSource: Send + Sync {
    /// What there is to read.
    fn lanes(self: Arc<Self>, query: Arc<Query>) -> BoxFuture<'static, Result<Lanes>>;
    /// Whether a followed lane first gives what is there already, and says when that is done (`Piece::Caught`).
    fn recalls(&self) -> bool {
        false
    }
    /// Reads a lane to its end (under `--follow`: until it is dropped). The coverage tells what was read, and what not and why.
    fn read(self: Arc<Self>, lane: Lane, query: Arc<Query>, budget: Arc<Budget>, out: mpsc::Sender<Piece>) -> BoxFuture<'static, Coverage>;
}
