//! Sources → records in order. Reads all lanes side by side, each through its own grouping and filter, and merges what is kept by time.
//! The only room of `logs` that starts tasks; it ends all of them before it returns.
#![expect(clippy::disallowed_methods, reason = "holds followed records for a moment, so that others of the same time can arrive")]

use super::{
    flow::{
        group::Grouper,
        keep::{Keeper, Seen},
        merge::Merge,
        spool::Spool,
    },
    model::{LogOrigin, Record},
    query::Query,
    source::{Budget, Lane, LogLine, LogSource, Piece},
};
use crate::{
    answer::{Coverage, Missing, Part, Why},
    error::Result,
    text::Safe,
};
use futures_util::{
    future::join_all,
    stream::{BoxStream, StreamExt},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// How much of the kept records stays in memory, all lanes together.
const MEMORY: usize = 16 << 20;
/// How long a followed line is held so that others of the same moment can arrive; counted from its arrival, never by a clock elsewhere.
const HOLD: Duration = Duration::from_millis(300);
/// How long an open record waits for its traceback while following.
const OPEN: Duration = Duration::from_millis(150);

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
    /// A hit as soon as it is seen, out of order: for a preview.
    fn early(&mut self, _record: &Record) {}
    /// Something to know in its place.
    fn note(&mut self, text: Safe);
    /// Nothing more is ready: show what was written.
    ///
    /// # Errors
    /// As `record`.
    fn idle(&mut self) -> Result<()>;
}

/// What a lane's task sends.
enum Sent {
    Kept(Vec<Record>),
    Note(Safe),
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
    if reading.query.follow { follow(lanes, later, reading, sink, outcome).await } else { backfill(lanes, reading, sink, outcome).await }
}

fn interrupted(mut outcome: ReadOutcome) -> ReadOutcome {
    let part = Part { system: "obsctl", name: "the rest".into() };
    outcome.coverage.miss(Missing { part, why: Why::Interrupted, hint: None });
    outcome
}

/// The writers of one lane: mostly one; several where the lane's input names them.
struct Writers {
    query: Arc<Query>,
    id_fields: Arc<[String]>,
    all: Vec<(Arc<LogOrigin>, Grouper, Keeper)>,
    /// The places of those beside the first, by the address of their origin, which is kept.
    known: HashMap<usize, usize>,
}

impl Writers {
    fn new(own: Arc<LogOrigin>, query: Arc<Query>, id_fields: Arc<[String]>) -> Self {
        let mut writers = Self { query, id_fields, all: Vec::new(), known: HashMap::new() };
        writers.add(own);
        writers
    }

    fn add(&mut self, origin: Arc<LogOrigin>) -> usize {
        let keeper = Keeper::new(self.query.clone(), self.id_fields.clone());
        self.all.push((origin.clone(), Grouper::new(origin), keeper));
        self.all.len() - 1
    }

    fn lines(&mut self, of: Option<Arc<LogOrigin>>, lines: Vec<LogLine>, kept: &mut Vec<Record>) {
        let at = match of {
            None => 0,
            Some(origin) => match self.known.get(&(Arc::as_ptr(&origin) as usize)) {
                Some(at) => *at,
                None => {
                    let address = Arc::as_ptr(&origin) as usize;
                    let at = self.add(origin);
                    self.known.insert(address, at);
                    at
                }
            },
        };
        let Some((_, grouper, keeper)) = self.all.get_mut(at) else { return };
        for line in lines {
            if let Some(record) = grouper.push(line.at, line.text) {
                keeper.push(record, &mut |r| kept.push(r));
            }
        }
    }

    fn skipped(&mut self) {
        self.all.iter_mut().take(1).for_each(|(_, _, keeper)| keeper.skipped());
    }

    fn pending(&self) -> bool {
        self.all.iter().any(|(_, grouper, _)| grouper.pending())
    }

    /// Nothing followed in time: the open records are whole.
    fn close(&mut self, kept: &mut Vec<Record>) {
        for (_, grouper, keeper) in &mut self.all {
            if let Some(record) = grouper.finish() {
                keeper.push(record, &mut |r| kept.push(r));
            }
        }
    }

    fn finish(&mut self, kept: &mut Vec<Record>) {
        self.close(kept);
        self.all.iter_mut().for_each(|(_, _, keeper)| keeper.finish(&mut |r| kept.push(r)));
    }

    fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        for (origin, _, keeper) in &self.all {
            seen.join(keeper.seen(origin.app.clone().unwrap_or_else(|| origin.name.clone())));
        }
        seen
    }
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
    let mut writers = Writers::new(lane.origin.clone(), query.clone(), reading.id_fields.clone());
    let (send, pieces) = mpsc::channel::<Piece>(4);
    let reads = source.read(lane, query, budget, send);
    let filter = filter(pieces, &mut writers, &out, reading.query.follow);
    let (coverage, ()) = futures_util::future::join(reads, filter).await;
    (coverage, writers.seen())
}

/// Pieces to kept records. Takes the receiver: dropping it is what ends the source's reading when nobody listens any more.
async fn filter(mut pieces: mpsc::Receiver<Piece>, writers: &mut Writers, out: &Outlet, follow: bool) {
    let mut kept = Vec::new();
    loop {
        let piece = if follow && writers.pending() {
            tokio::time::timeout(OPEN, pieces.recv()).await.map_err(|_| ())
        } else {
            Ok(pieces.recv().await)
        };
        match piece {
            Err(()) => writers.close(&mut kept),
            Ok(None) => break,
            Ok(Some(Piece::Note(text))) => {
                if !out.send(Sent::Note(text)).await {
                    return;
                }
            }
            Ok(Some(Piece::Lines(lines))) => writers.lines(None, lines, &mut kept),
            Ok(Some(Piece::Of(origin, lines))) => writers.lines(Some(origin), lines, &mut kept),
            Ok(Some(Piece::Skipped)) => writers.skipped(),
            Ok(Some(Piece::Quiet)) => writers.close(&mut kept),
        }
        if !out.hand_on(&mut kept).await {
            return;
        }
    }
    writers.finish(&mut kept);
    out.hand_on(&mut kept).await;
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
    drop(send);
    let mut spools = Spools { all: Vec::new(), known: HashMap::new(), room: MEMORY };
    let mut stopped = false;
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
                Some((lane, Sent::Kept(records))) => {
                    for record in records {
                        sink.early(&record);
                        if only.as_ref().is_some_and(|own| Arc::ptr_eq(own, &record.origin)) {
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
            },
        }
    }
    drop(sent);
    if stopped {
        tasks.abort_all();
    }
    collect(&mut tasks, &mut outcome).await;
    if stopped {
        outcome = interrupted(outcome);
    }
    let mut merge = Merge::default();
    for at in 0..spools.all.len() {
        spools.pull(at, &mut merge)?;
    }
    while let Some(at) = merge.next_lane() {
        if let Some(record) = merge.pop() {
            outcome.records += u64::from(!record.nearby);
            sink.record(record)?;
        }
        spools.pull(at, &mut merge)?;
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

fn spool_error(e: std::io::Error) -> crate::error::Error {
    crate::error::Error::new(crate::error::Kind::Output, "keeping records in a temporary file until their turn")
        .what(Safe::name(e.to_string()))
}

/// Follows all lanes, and those that come later, until it is cancelled.
async fn follow(
    lanes: Vec<(Arc<dyn LogSource>, Lane)>,
    later: Vec<(Arc<dyn LogSource>, BoxStream<'static, Lane>)>,
    reading: &Reading,
    sink: &mut impl Sink,
    mut outcome: ReadOutcome,
) -> Result<ReadOutcome> {
    let budget = Arc::new(Budget::new(u64::MAX));
    let mut tasks = JoinSet::new();
    let (send, mut sent) = mpsc::channel::<(usize, Sent)>(1024);
    let (announce, mut new_lanes) = mpsc::channel(64);
    let mut watchers = JoinSet::new();
    for (source, mut lanes) in later {
        let announce = announce.clone();
        watchers.spawn(async move {
            while let Some(lane) = lanes.next().await {
                if announce.send((source.clone(), lane)).await.is_err() {
                    return;
                }
            }
        });
    }
    let endless = !watchers.is_empty();
    drop(announce);
    let mut count = 0;
    let mut parts: Vec<Part> = Vec::new();
    let mut start = |source: Arc<dyn LogSource>, lane: Lane, tasks: &mut JoinSet<(Coverage, Seen)>| {
        let system = if lane.origin.namespace.is_some() { "kubernetes" } else { "file" };
        parts.push(Part { system, name: lane.origin.tag() });
        let out = Outlet { number: count, to: send.clone() };
        tasks.spawn(lane_task(source, lane, reading.clone(), budget.clone(), out));
        count += 1;
    };
    for (source, lane) in lanes {
        start(source, lane, &mut tasks);
    }
    let mut merge = Merge::default();
    let mut arrivals: VecDeque<Instant> = VecDeque::new();
    loop {
        // Files and finished jobs end; pods that may still come do not, unless they would be refused as well.
        let refused = outcome.coverage.nothing_read() && outcome.coverage.missing.iter().all(|m| matches!(m.why, Why::Refused(_)));
        if tasks.is_empty() && (!endless || refused) && merge.next_lane().is_none() && sent.is_empty() {
            break;
        }
        let due = arrivals.front().map(|a| *a + HOLD);
        tokio::select! {
            biased;
            () = reading.cancel.cancelled() => break,
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let now = Instant::now();
                while arrivals.front().is_some_and(|a| *a + HOLD <= now) {
                    arrivals.pop_front();
                    if let Some(record) = merge.pop() {
                        outcome.records += u64::from(!record.nearby);
                        sink.record(record)?;
                    }
                }
                sink.idle()?;
            }
            Some((source, lane)) = new_lanes.recv(), if endless => {
                sink.note(crate::safe!("{}: joined", lane.origin.tag()));
                start(source, lane, &mut tasks);
            }
            one = sent.recv() => match one {
                Some((_, Sent::Note(text))) => sink.note(text),
                Some((lane, Sent::Kept(records))) => {
                    for record in records {
                        merge.push(lane, record);
                        arrivals.push_back(Instant::now());
                    }
                }
                None => break,
            },
            Some(ended) = tasks.join_next() => {
                if let Ok((coverage, seen)) = ended {
                    outcome.coverage.join(coverage);
                    outcome.seen.join(seen);
                }
            }
        }
    }
    while let Some(record) = merge.pop() {
        outcome.records += u64::from(!record.nearby);
        sink.record(record)?;
    }
    sink.idle()?;
    drop(sent);
    tasks.abort_all();
    watchers.abort_all();
    collect(&mut tasks, &mut outcome).await;
    let Coverage { searched, missing, .. } = &mut outcome.coverage;
    // What was followed until now ended with us, not by itself: it has said nothing about its reading.
    for part in parts {
        if !searched.contains(&part) && !missing.iter().any(|m| m.part == part && !matches!(m.why, Why::NotStarted(_))) {
            searched.push(part);
        }
    }
    // What waited in the beginning and was read later.
    missing.retain(|m| !(matches!(m.why, Why::NotStarted(_)) && searched.contains(&m.part)));
    Ok(outcome)
}
