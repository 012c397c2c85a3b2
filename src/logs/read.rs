//! Sources → records in order. Reads all lanes side by side, each through its own grouping and filter, and merges what is kept by time.
//! The only room of `logs` that starts tasks; it ends all of them before it returns.

use super::{
    flow::{
        group::Grouper,
        keep::{Keeper, Seen},
        merge::Merge,
        spool::Spool,
    },
    follow,
    mark::StreamMark,
    model::{LogOrigin, Record},
    query::Query,
    source::{Budget, Lane, LogLine, LogSource, Piece},
    writers::Writers,
};
use crate::{
    answer::{Coverage, Missing, Part, Why},
    error::Result,
    text::Safe,
};
use futures_util::future::join_all;
use std::{collections::HashMap, sync::Arc};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How much of the kept records stays in memory, all lanes together.
pub(super) const MEMORY: usize = 16 << 20;
/// How many hits of the newest windows are kept until their turn comes, for a reading that is stopped before.
const MOST_EARLY: usize = 10_000;

/// What to read.
#[derive(Clone)]
pub struct Reading {
    /// The question.
    pub query: Arc<Query>,
    /// The fields that carry request IDs.
    pub id_fields: Arc<[String]>,
    /// The most bytes to read from a cluster.
    pub max_bytes: u64,
    /// Ctrl-C, SIGTERM, the deadline.
    pub cancel: CancellationToken,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct ReadOutcome {
    /// What was read, and what not.
    pub coverage: Coverage,
    /// What was seen on the way.
    pub seen: Seen,
    /// How many records were handed on.
    pub records: u64,
}

/// Takes what is read, in order.
pub trait Sink {
    /// A record.
    ///
    /// # Errors
    /// Whoever reads the answer has gone: ends the reading.
    fn record(&mut self, record: Record) -> Result<()>;
    /// A record that is older than some that were handed on already.
    ///
    /// # Errors
    /// As `record`.
    fn late(&mut self, record: Record) -> Result<()> {
        self.record(record)
    }
    /// Something that happened to a stream, in its place.
    ///
    /// # Errors
    /// As `record`.
    fn mark(&mut self, mark: StreamMark) -> Result<()> {
        self.note(crate::safe!("{}: {}", mark.origin.tag(), mark.what.says()));
        Ok(())
    }
    /// A hit as soon as it is seen, out of order: for a preview.
    fn early(&mut self, _record: &Record) {}
    /// Something to know in its place.
    fn note(&mut self, text: Safe);
    /// Nothing more is ready: show what was written.
    ///
    /// # Errors
    /// As `record`.
    fn idle(&mut self) -> Result<()>;
    /// Whether the order makes no difference: records are handed on as they are read, and none is kept until its turn.
    fn unordered(&self) -> bool {
        false
    }
}

/// What a lane's task sends.
enum Sent {
    Kept(Vec<Record>),
    /// A hit of a lane's newest window, to be shown at once: it comes once more in its turn.
    Early(Record),
    /// The same in its turn.
    InTurn(Record),
    Note(Safe),
    Mark(StreamMark),
}

/// Reads everything that is asked for and hands it to the sink in order of time.
///
/// # Errors
/// A source that cannot say what there is to read; the sink's own errors.
pub async fn read(sources: &[Arc<dyn LogSource>], reading: &Reading, sink: &mut impl Sink) -> Result<ReadOutcome> {
    let mut outcome = ReadOutcome::default();
    let listed = join_all(sources.iter().map(|s| s.clone().lanes(reading.query.clone())));
    let listed = tokio::select! {
        listed = listed => listed,
        () = reading.cancel.cancelled() => return Ok(interrupted(outcome)),
    };
    let mut lanes: Vec<(Arc<dyn LogSource>, Lane)> = Vec::new();
    let mut later = Vec::new();
    for (source, listed) in sources.iter().zip(listed) {
        let listed = listed?;
        outcome.coverage.join(listed.coverage);
        lanes.extend(listed.open.into_iter().map(|l| (source.clone(), l)));
        later.extend(listed.later.map(|l| (source.clone(), l)));
    }
    if reading.query.follow {
        follow::follow(lanes, later, reading, sink, outcome).await
    } else {
        backfill(lanes, reading, sink, outcome).await
    }
}

fn interrupted(mut outcome: ReadOutcome) -> ReadOutcome {
    let part = Part { system: "obsctl", name: "the rest".into() };
    outcome.coverage.miss(Missing { part, why: Why::Interrupted, hint: None });
    outcome
}

/// Where a lane's task sends to, with its number on everything.
#[derive(Clone)]
struct Outlet {
    number: usize,
    to: mpsc::Sender<(usize, Sent)>,
}

impl Outlet {
    /// False when nobody listens any more.
    async fn send(&self, sent: Sent) -> bool {
        self.to.send((self.number, sent)).await.is_ok()
    }

    async fn hand_on(&self, kept: &mut Vec<Record>) -> bool {
        kept.is_empty() || self.send(Sent::Kept(std::mem::take(kept))).await
    }
}

/// One lane through its grouping and filter; what is kept goes into the channel.
async fn lane_task(source: Arc<dyn LogSource>, lane: Lane, reading: Reading, budget: Arc<Budget>, out: Outlet) -> (Coverage, Seen) {
    let mut query = Query::clone(&reading.query);
    if let Some(zone) = &lane.zone {
        query.zone = Some(zone.clone());
    }
    let query = Arc::new(query);
    let (origin, id_fields) = (lane.origin.clone(), reading.id_fields.clone());
    let mut writers = Writers::new(origin.clone(), query.clone(), id_fields.clone(), false);
    let mut window = Window { origin, query: query.clone(), id_fields, hits: Vec::new(), seen: Seen::default() };
    let (send, pieces) = mpsc::channel::<Piece>(4);
    let reads = source.read(lane, query, budget, send);
    let (coverage, ()) = futures_util::future::join(reads, filter(pieces, &mut writers, &mut window, &out)).await;
    let mut seen = writers.seen();
    seen.join(window.seen);
    (coverage, seen)
}

/// Pieces to kept records. Takes the receiver: dropping it is what ends the source's reading when nobody listens any more.
async fn filter(mut pieces: mpsc::Receiver<Piece>, writers: &mut Writers, window: &mut Window, out: &Outlet) {
    let mut kept = Vec::new();
    while let Some(piece) = pieces.recv().await {
        let mut aside = None;
        match piece {
            Piece::Note(text) => aside = Some(Sent::Note(text)),
            Piece::Caught => {}
            Piece::Mark(mark) => {
                writers.close(&mut kept);
                aside = Some(Sent::Mark(mark));
            }
            Piece::Window(lines) => {
                for record in window.take(lines) {
                    if !out.send(Sent::Early(record)).await {
                        return;
                    }
                }
            }
            Piece::Lines(lines) => writers.lines(None, lines, &mut kept),
            Piece::Of(origin, lines) => writers.lines(Some(origin), lines, &mut kept),
            Piece::Skipped => writers.skipped(),
            Piece::Quiet => writers.close(&mut kept),
        }
        if !out.hand_on(&mut kept).await {
            return;
        }
        if let Some(aside) = aside
            && !out.send(aside).await
        {
            return;
        }
    }
    writers.finish(&mut kept);
    if !out.hand_on(&mut kept).await {
        return;
    }
    for record in window.hits.drain(..) {
        if !out.send(Sent::InTurn(record)).await {
            return;
        }
    }
}

/// The newest lines of a lane, which come before the rest and wait until it was read.
struct Window {
    origin: Arc<LogOrigin>,
    query: Arc<Query>,
    id_fields: Arc<[String]>,
    hits: Vec<Record>,
    seen: Seen,
}

impl Window {
    /// Takes a window in the place of the one before, of which it is the longer form; gives the hits that are new.
    fn take(&mut self, lines: Vec<LogLine>) -> Vec<Record> {
        let known = self.hits.len();
        let mut grouper = Grouper::new(self.origin.clone());
        let mut keeper = Keeper::new(self.query.clone(), self.id_fields.clone());
        let mut hits = Vec::new();
        for line in lines {
            if let Some(record) = grouper.push(line.at, line.text) {
                keeper.push(record, &mut |r| hits.push(r));
            }
        }
        if let Some(record) = grouper.finish() {
            keeper.push(record, &mut |r| hits.push(r));
        }
        keeper.finish(&mut |r| hits.push(r));
        let app = self.origin.app.clone().unwrap_or_else(|| self.origin.name.clone());
        self.seen = keeper.seen(app);
        let new = hits.len().saturating_sub(known);
        self.hits = hits;
        self.hits.iter().take(new).cloned().collect()
    }
}

/// Records until their turn comes, those of each writer by themselves.
struct Spools {
    all: Vec<Spool>,
    /// By the lane and the address of the origin.
    known: HashMap<(usize, usize), (usize, Arc<LogOrigin>)>,
    room: usize,
}

impl Spools {
    fn push(&mut self, lane: usize, record: Record) -> Result<()> {
        let key = (lane, Arc::as_ptr(&record.origin) as usize);
        let at = match self.known.get(&key) {
            Some((at, _)) => *at,
            None => {
                self.all.push(Spool::new(record.origin.clone()));
                self.known.insert(key, (self.all.len() - 1, record.origin.clone()));
                self.all.len() - 1
            }
        };
        self.all.get_mut(at).map_or(Ok(()), |spool| spool.push(record, &mut self.room)).map_err(spool_error)
    }

    /// The first of a spool, into the merge.
    fn pull(&mut self, at: usize, merge: &mut Merge) -> Result<()> {
        if let Some(record) = self.all.get_mut(at).map(Spool::pop).transpose().map_err(spool_error)?.flatten() {
            merge.push(at, record);
        }
        Ok(())
    }
}

/// Every lane to its end, then all in order of time.
async fn backfill(
    lanes: Vec<(Arc<dyn LogSource>, Lane)>,
    reading: &Reading,
    sink: &mut impl Sink,
    mut outcome: ReadOutcome,
) -> Result<ReadOutcome> {
    let budget = Arc::new(Budget::new(reading.max_bytes));
    // With one lane there is nothing to wait for: its records are shown as they come.
    let only = if let [(_, lane)] = lanes.as_slice() { Some(lane.origin.clone()) } else { None };
    let mut tasks = JoinSet::new();
    let (send, mut sent) = mpsc::channel::<(usize, Sent)>(4);
    for (number, (source, lane)) in lanes.into_iter().enumerate() {
        let out = Outlet { number, to: send.clone() };
        tasks.spawn(lane_task(source, lane, reading.clone(), budget.clone(), out));
    }
    let mut spools = Spools { all: Vec::new(), known: HashMap::new(), room: MEMORY };
    let mut marks = Vec::new();
    let unordered = sink.unordered();
    // Nothing has to wait for the turn of another.
    let at_once = |record: &Record| unordered || only.as_ref().is_some_and(|own| Arc::ptr_eq(own, &record.origin));
    drop(send);
    let mut stopped = false;
    let mut early: Vec<(usize, Record)> = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = reading.cancel.cancelled() => {
                stopped = true;
                break;
            }
            one = sent.recv() => match one {
                None => break,
                Some((_, Sent::Note(text))) => sink.note(text),
                // Who asks for some lines is told of those that may be missing; what else happened there is no answer.
                Some((_, Sent::Mark(mark))) if reading.query.filters() && !mark.is_gap() => {}
                Some((_, Sent::Mark(mark))) if only.is_some() => sink.mark(mark)?,
                Some((_, Sent::Mark(mark))) => marks.push(mark),
                Some((lane, Sent::Kept(records))) => {
                    for record in records {
                        sink.early(&record);
                        if at_once(&record) {
                            outcome.records += u64::from(!record.nearby);
                            sink.record(record)?;
                        } else {
                            spools.push(lane, record)?;
                        }
                    }
                    if only.is_some() && sent.is_empty() {
                        sink.idle()?;
                    }
                }
                Some((lane, Sent::Early(record))) => {
                    sink.early(&record);
                    if early.len() < MOST_EARLY {
                        early.push((lane, record));
                    }
                }
                Some((lane, Sent::InTurn(record))) => {
                    early.retain(|(l, _)| *l != lane);
                    if at_once(&record) {
                        outcome.records += u64::from(!record.nearby);
                        sink.record(record)?;
                    } else {
                        spools.push(lane, record)?;
                    }
                }
            },
        }
    }
    drop(sent);
    if stopped {
        tasks.abort_all();
        // What was shown belongs to the answer, though its turn never came.
        early.sort_by_key(|(lane, r)| (*lane, r.at));
        for (lane, record) in early {
            spools.push(lane, record)?;
        }
    }
    collect(&mut tasks, &mut outcome).await;
    if stopped {
        outcome = interrupted(outcome);
    }
    let mut merge = Merge::default();
    for at in 0..spools.all.len() {
        spools.pull(at, &mut merge)?;
    }
    marks.sort_by_key(|mark| mark.at);
    let mut marks = marks.into_iter().peekable();
    while let Some(at) = merge.next_lane() {
        if let Some(record) = merge.pop() {
            while let Some(mark) = marks.next_if(|mark| mark.at < record.at) {
                sink.mark(mark)?;
            }
            outcome.records += u64::from(!record.nearby);
            sink.record(record)?;
        }
        spools.pull(at, &mut merge)?;
    }
    for mark in marks {
        sink.mark(mark)?;
    }
    sink.idle()?;
    Ok(outcome)
}

async fn collect(tasks: &mut JoinSet<(Coverage, Seen)>, outcome: &mut ReadOutcome) {
    while let Some(ended) = tasks.join_next().await {
        if let Ok((coverage, seen)) = ended {
            outcome.coverage.join(coverage);
            outcome.seen.join(seen);
        }
    }
    outcome.coverage.searched.sort();
}

pub(super) fn spool_error(e: std::io::Error) -> crate::error::Error {
    crate::error::Error::new(crate::error::Kind::Output, "keeping records in a temporary file until their turn")
        .what(Safe::name(e.to_string()))
}
