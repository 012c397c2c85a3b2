//! Live lanes → records in order. What was there already comes first, whole and in order of time; then what is new, held for a moment, so
//! that lines of the same time can arrive. Nothing is dropped: what comes too late is shown and marked.
#![expect(clippy::disallowed_methods, reason = "holds followed records for a moment, so that others of the same time can arrive")]

use super::{
    flow::{hold::Patient, keep::Seen, merge::Merge, spool::Spool},
    mark::StreamMark,
    model::{LogOrigin, Record},
    query::Query,
    read::{MEMORY, ReadOutcome, Reading, Sink, spool_error},
    source::{Budget, Joining, Lane, LogLine, LogSource, Piece},
    writers::Writers,
};
use crate::{
    answer::{Coverage, Part, Why},
    error::Result,
    text::Safe,
};
use futures_util::stream::{BoxStream, StreamExt};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

/// How long a followed line is held so that others of the same moment can arrive; counted from its arrival, never by a clock elsewhere.
const HOLD: Duration = Duration::from_millis(300);
/// How often what is due is written: a timer for each line would cost more than the line.
const TICK: Duration = Duration::from_millis(20);
/// How long an open record waits for its traceback.
const OPEN: Duration = Duration::from_millis(150);
/// When nothing comes for so long, what was there already is shown without the lanes that have not given theirs.
const QUIET: Duration = Duration::from_secs(30);
/// How many messages of lanes are taken at once.
const BATCH: usize = 256;

/// A source and one of its lanes.
pub(super) type SourcedLane = (Arc<dyn LogSource>, Lane);
/// A source and what joins it.
pub(super) type Arriving = (Arc<dyn LogSource>, BoxStream<'static, Joining>);
/// One that has joined.
type Joined = (Arc<dyn LogSource>, Joining);

/// What stands in the stream.
enum Item {
    Record(Record),
    Mark(StreamMark),
}

/// What a lane's task sends.
enum Sent {
    Items(Vec<Item>),
    Note(Safe),
    Caught,
}

/// What one lane had already.
struct Recalled {
    spool: Spool,
    /// Marks, each behind so many records.
    marks: Vec<(u64, StreamMark)>,
    records: u64,
    given: u64,
}

struct Follow<'a, S> {
    reading: &'a Reading,
    sink: &'a mut S,
    outcome: ReadOutcome,
    tasks: JoinSet<(usize, Coverage, Seen)>,
    send: mpsc::Sender<(usize, Sent)>,
    budget: Arc<Budget>,
    parts: Vec<Part>,
    hold: Patient<Item>,
    begun: Instant,
    recalled: Vec<Recalled>,
    /// How much of that may still stay in memory.
    room: usize,
    /// Lanes that have not given all that they had already.
    recalling: HashSet<usize>,
}

/// Follows all lanes, and those that come later, until it is cancelled or nothing more can come.
pub(super) async fn follow(
    lanes: Vec<SourcedLane>,
    later: Vec<Arriving>,
    reading: &Reading,
    sink: &mut impl Sink,
    outcome: ReadOutcome,
) -> Result<ReadOutcome> {
    let (send, sent) = mpsc::channel(1024);
    let mut follow = Follow {
        reading,
        sink,
        outcome,
        tasks: JoinSet::new(),
        send,
        budget: Arc::new(Budget::new(u64::MAX)),
        parts: Vec::new(),
        hold: Patient::new(HOLD),
        begun: Instant::now(),
        recalled: Vec::new(),
        room: MEMORY,
        recalling: HashSet::new(),
    };
    for (source, lane) in lanes {
        let spool = Spool::new(lane.origin.clone());
        follow.recalled.push(Recalled { spool, marks: Vec::new(), records: 0, given: 0 });
        if source.recalls() {
            follow.recalling.insert(follow.parts.len());
        }
        follow.start(source, lane);
    }
    follow.run(sent, later).await
}

impl<S: Sink> Follow<'_, S> {
    fn start(&mut self, source: Arc<dyn LogSource>, lane: Lane) {
        let system = if lane.origin.namespace.is_some() { "kubernetes" } else { "file" };
        let number = self.parts.len();
        self.parts.push(Part { system, name: lane.origin.tag() });
        self.tasks.spawn(lane_task(number, source, lane, self.reading.clone(), self.budget.clone(), self.send.clone()));
    }

    async fn run(mut self, mut sent: mpsc::Receiver<(usize, Sent)>, later: Vec<Arriving>) -> Result<ReadOutcome> {
        let (mut watchers, mut joining) = watch(later);
        let mut endless = !watchers.is_empty();
        let mut batch = Vec::with_capacity(BATCH);
        let mut heard = Instant::now();
        let mut written = self.begun;
        self.say_what_waits();
        loop {
            // Files and finished jobs end; pods that may still come do not, unless they would be refused as well.
            let missing = &self.outcome.coverage;
            let refused = missing.nothing_read() && missing.missing.iter().all(|m| matches!(m.why, Why::Refused(_)));
            let idle = self.tasks.is_empty() && sent.is_empty() && self.hold.is_empty() && self.recalling.is_empty();
            if idle && self.recalled.is_empty() && (!endless || refused) {
                break;
            }
            if !self.recalled.is_empty() && (self.recalling.is_empty() || heard.elapsed() > QUIET) {
                self.recall()?;
                continue;
            }
            let due = match self.hold.due() {
                Some(due) if self.recalled.is_empty() => Some((self.begun + due).max(written + TICK)),
                _ if !self.recalled.is_empty() => Some(heard + QUIET + TICK),
                _ => None,
            };
            tokio::select! {
                biased;
                () = self.reading.cancel.cancelled() => break,
                () = tokio::time::sleep_until(due.unwrap_or(heard)), if due.is_some() => {
                    written = Instant::now();
                    self.release(written)?;
                }
                one = joining.recv(), if endless => match one {
                    Some((_, Joining::Note(text))) => self.sink.note(text),
                    Some((source, Joining::Lane(lane))) => {
                        self.sink.note(crate::safe!("{}: joined", lane.origin.tag()));
                        self.start(source, lane);
                    }
                    None => endless = false,
                },
                _ = sent.recv_many(&mut batch, BATCH) => {
                    heard = Instant::now();
                    for (lane, one) in batch.drain(..) {
                        self.take(lane, one, heard)?;
                    }
                    if self.reading.query.arrival && self.recalled.is_empty() {
                        self.sink.idle()?;
                    }
                }
                Some(ended) = self.tasks.join_next() => self.joined(ended),
            }
        }
        while let Ok((lane, one)) = sent.try_recv() {
            self.take(lane, one, Instant::now())?;
        }
        self.recall()?;
        while let Some((item, late)) = self.hold.take() {
            self.show(item, late)?;
        }
        self.sink.idle()?;
        drop(sent);
        self.tasks.abort_all();
        watchers.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            self.joined(ended);
        }
        Ok(self.covered())
    }

    /// What cannot be followed yet.
    fn say_what_waits(&mut self) {
        for missing in &self.outcome.coverage.missing {
            if let Why::NotStarted(reason) = &missing.why {
                self.sink.note(crate::safe!("{}: waits to start: {}", missing.part.name, reason));
            }
        }
    }

    fn joined(&mut self, ended: std::result::Result<(usize, Coverage, Seen), tokio::task::JoinError>) {
        if let Ok((lane, coverage, seen)) = ended {
            self.recalling.remove(&lane);
            self.outcome.coverage.join(coverage);
            self.outcome.seen.join(seen);
        }
    }

    fn take(&mut self, lane: usize, one: Sent, now: Instant) -> Result<()> {
        match one {
            Sent::Note(text) => self.sink.note(text),
            Sent::Caught => {
                self.recalling.remove(&lane);
            }
            Sent::Items(items) => {
                for item in items {
                    match self.recalled.get_mut(lane) {
                        Some(recalled) => recalled.push(item, &mut self.room)?,
                        None if self.reading.query.arrival => self.show(item, false)?,
                        None => {
                            let at = match &item {
                                Item::Record(record) => record.at,
                                Item::Mark(mark) => mark.at,
                            };
                            self.hold.push(lane, at, now - self.begun, item);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn release(&mut self, now: Instant) -> Result<()> {
        while let Some((item, late)) = self.hold.pop(now - self.begun) {
            self.show(item, late)?;
        }
        self.sink.idle()
    }

    fn show(&mut self, item: Item, late: bool) -> Result<()> {
        match item {
            Item::Mark(mark) => self.sink.mark(mark),
            Item::Record(record) => {
                self.outcome.records += u64::from(!record.nearby);
                if late { self.sink.late(record) } else { self.sink.record(record) }
            }
        }
    }

    /// Shows what was there already, all lanes in order of time; from then on what comes is new.
    fn recall(&mut self) -> Result<()> {
        let mut recalled = std::mem::take(&mut self.recalled);
        let mut merge = Merge::default();
        for (lane, one) in recalled.iter_mut().enumerate() {
            self.next(lane, one, &mut merge)?;
        }
        while let Some(lane) = merge.next_lane() {
            if let Some(record) = merge.pop() {
                if let Some(at) = record.at {
                    self.hold.has_released(at);
                }
                self.show(Item::Record(record), false)?;
            }
            self.next(lane, &mut recalled[lane], &mut merge)?;
        }
        self.sink.idle()
    }

    /// The marks of a lane that stand here, then its next record.
    fn next(&mut self, lane: usize, recalled: &mut Recalled, merge: &mut Merge) -> Result<()> {
        let here = recalled.marks.iter().take_while(|(behind, _)| *behind <= recalled.given).count();
        for (_, mark) in recalled.marks.drain(..here) {
            self.sink.mark(mark)?;
        }
        if let Some(record) = recalled.spool.pop().map_err(spool_error)? {
            recalled.given += 1;
            merge.push(lane, record);
        }
        Ok(())
    }

    fn covered(mut self) -> ReadOutcome {
        let Coverage { searched, missing, .. } = &mut self.outcome.coverage;
        // What was followed until now ended with us, not by itself: it has said nothing about its reading.
        for part in self.parts {
            if !searched.contains(&part) && !missing.iter().any(|m| m.part == part && !matches!(m.why, Why::NotStarted(_))) {
                searched.push(part);
            }
        }
        // What waited in the beginning and was read later.
        missing.retain(|m| !(matches!(m.why, Why::NotStarted(_)) && searched.contains(&m.part)));
        searched.sort();
        self.outcome
    }
}

impl Recalled {
    fn push(&mut self, item: Item, room: &mut usize) -> Result<()> {
        match item {
            Item::Mark(mark) => self.marks.push((self.records, mark)),
            Item::Record(record) => {
                self.records += 1;
                self.spool.push(record, room).map_err(spool_error)?;
            }
        }
        Ok(())
    }
}

/// What joins later, from all sources.
fn watch(later: Vec<Arriving>) -> (JoinSet<()>, mpsc::Receiver<Joined>) {
    let (announce, joining) = mpsc::channel(64);
    let mut watchers = JoinSet::new();
    for (source, mut joining) in later {
        let announce = announce.clone();
        watchers.spawn(async move {
            while let Some(one) = joining.next().await {
                if announce.send((source.clone(), one)).await.is_err() {
                    return;
                }
            }
        });
    }
    (watchers, joining)
}

/// One lane through its grouping and filter.
async fn lane_task(
    number: usize,
    source: Arc<dyn LogSource>,
    lane: Lane,
    reading: Reading,
    budget: Arc<Budget>,
    out: mpsc::Sender<(usize, Sent)>,
) -> (usize, Coverage, Seen) {
    let mut query = Query::clone(&reading.query);
    if let Some(zone) = &lane.zone {
        query.zone = Some(zone.clone());
    }
    let query = Arc::new(query);
    let mut sieve = Sieve {
        writers: Writers::new(lane.origin.clone(), query.clone(), reading.id_fields.clone(), source.recalls()),
        items: Vec::new(),
        marks: Vec::new(),
        recalling: source.recalls() && query.tail.is_some(),
        quiet: query.filters(),
        told: false,
        caught: false,
    };
    let (send, pieces) = mpsc::channel::<Piece>(8);
    let reads = source.read(lane, query, budget, send);
    let (coverage, ()) = futures_util::future::join(reads, sieve.run(number, pieces, &out)).await;
    (number, coverage, sieve.writers.seen())
}

/// Lines to items for one lane.
struct Sieve {
    writers: Writers,
    items: Vec<Item>,
    /// Marks among the newest records, which are not chosen yet.
    marks: Vec<StreamMark>,
    recalling: bool,
    /// Whether what happened among the lines is no answer.
    quiet: bool,
    /// Whether that is to be told.
    told: bool,
    /// Whether all that was there already has come, but for the record that is still open.
    caught: bool,
}

impl Sieve {
    /// Takes the receiver: dropping it is what ends the source's reading when nobody listens any more.
    async fn run(&mut self, lane: usize, mut pieces: mpsc::Receiver<Piece>, out: &mpsc::Sender<(usize, Sent)>) {
        loop {
            let piece = if self.writers.pending() {
                // Nothing followed in time: the open record is whole.
                tokio::time::timeout(OPEN, pieces.recv()).await
            } else {
                Ok(pieces.recv().await)
            };
            let mut note = None;
            match piece {
                Err(_) => self.finish(),
                Ok(None) => break,
                Ok(Some(Piece::Note(text))) => note = Some(Sent::Note(text)),
                // A window is read before a whole log is, never while it is followed.
                Ok(Some(Piece::Window(_))) => {}
                Ok(Some(Piece::Caught)) => self.caught = true,
                Ok(Some(Piece::Mark(mark))) => {
                    self.finish();
                    if self.quiet && !mark.is_gap() {
                        // Of what was there already, only some lines were asked for.
                    } else if self.recalling {
                        self.marks.push(mark)
                    } else {
                        self.items.push(Item::Mark(mark))
                    }
                }
                Ok(Some(Piece::Lines(lines))) => self.lines(None, lines),
                Ok(Some(Piece::Of(origin, lines))) => self.lines(Some(origin), lines),
                Ok(Some(Piece::Skipped)) => self.writers.skipped(),
                Ok(Some(Piece::Quiet)) => self.finish(),
            }
            if self.caught && !self.writers.pending() {
                self.caught_up();
            }
            let caught = std::mem::take(&mut self.told);
            if !self.items.is_empty() && out.send((lane, Sent::Items(std::mem::take(&mut self.items)))).await.is_err() {
                return;
            }
            for aside in note.into_iter().chain(caught.then_some(Sent::Caught)) {
                if out.send((lane, aside)).await.is_err() {
                    return;
                }
            }
        }
        self.finish();
        self.caught_up();
        let mut kept = Vec::new();
        self.writers.finish(&mut kept);
        self.items.extend(kept.into_iter().map(Item::Record));
        let _ = out.send((lane, Sent::Items(std::mem::take(&mut self.items)))).await;
    }

    fn finish(&mut self) {
        let mut kept = Vec::new();
        self.writers.close(&mut kept);
        self.items.extend(kept.into_iter().map(Item::Record));
        if self.caught {
            self.caught_up();
        }
    }

    fn lines(&mut self, of: Option<Arc<LogOrigin>>, lines: Vec<LogLine>) {
        let mut kept = Vec::new();
        let mut lines = lines.into_iter();
        if self.caught {
            // The record that was open at that moment ends the past; every further one is new.
            let ended = lines.by_ref().any(|line| self.writers.line(of.clone(), line, &mut kept));
            self.items.extend(kept.drain(..).map(Item::Record));
            if ended {
                self.caught_up();
            }
        }
        self.writers.lines(of, lines, &mut kept);
        self.items.extend(kept.into_iter().map(Item::Record));
    }

    /// Only now it is known which records are the newest; what happened among them keeps its place.
    fn caught_up(&mut self) {
        self.told = std::mem::take(&mut self.caught);
        self.quiet = false;
        if !std::mem::take(&mut self.recalling) {
            let mut kept = Vec::new();
            self.writers.caught_up(&mut kept);
            self.items.extend(kept.into_iter().map(Item::Record));
            return;
        }
        let mut marks = std::mem::take(&mut self.marks).into_iter().peekable();
        let mut kept = Vec::new();
        self.writers.caught_up(&mut kept);
        for record in kept {
            while let Some(mark) = marks.next_if(|mark| mark.at < record.at) {
                self.items.push(Item::Mark(mark));
            }
            self.items.push(Item::Record(record));
        }
        self.items.extend(marks.map(Item::Mark));
    }
}
