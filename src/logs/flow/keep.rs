//! Records to hits for one origin: needles first, then the question itself, then the neighbourhood (`around`) and the newest (`tail`).

use super::clock::{ClockFault, PodClock};
use crate::logs::{
    decode,
    flow::needle::{Needles, automaton},
    model::{Entry, Level, LogOrigin, Record, Shape},
    query::Query,
};
use crate::text::Safe;
use aho_corasick::AhoCorasick;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// What was seen on the way, per app: for the coverage and for what an absence means.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    apps: BTreeMap<Safe, SeenApp>,
    clocks: BTreeMap<Safe, PodClock>,
}

/// What was seen of one app.
#[derive(Clone, Debug, Default)]
struct SeenApp {
    records: u64,
    /// Whether there were lines that were searched and never made to records.
    skipped: bool,
    /// Whether any record carries one of the ID fields.
    names_ids: bool,
    /// Whether any record tells of a request that was served.
    serves: bool,
    mildest: Option<Level>,
    /// The oldest record of each pod or file.
    oldest: BTreeMap<Safe, Timestamp>,
}

impl Seen {
    /// Adds what another origin saw.
    pub fn join(&mut self, other: Self) {
        for (tag, clock) in other.clocks {
            self.clocks.entry(tag).or_default().join(clock);
        }
        for (app, seen) in other.apps {
            let known = self.apps.entry(app).or_default();
            known.records += seen.records;
            known.skipped |= seen.skipped;
            known.names_ids |= seen.names_ids;
            known.serves |= seen.serves;
            known.mildest = [known.mildest, seen.mildest].into_iter().flatten().min();
            for (name, at) in seen.oldest {
                let oldest = known.oldest.entry(name).or_insert(at);
                *oldest = at.min(*oldest);
            }
        }
    }
    /// The oldest record of all.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.oldest_of(|_| true)
    }
    /// The oldest record of the pods or files whose name is one of these.
    pub fn oldest_of(&self, is: impl Fn(&str) -> bool) -> Option<Timestamp> {
        self.apps.values().flat_map(|s| &s.oldest).filter(|(name, _)| is(name)).map(|(_, at)| *at).min()
    }
    /// The oldest record of an app.
    pub fn oldest_of_app(&self, app: &str) -> Option<Timestamp> {
        self.apps.iter().filter(|(name, _)| ***name == *app).flat_map(|(_, s)| s.oldest.values()).min().copied()
    }
    /// How many records were read; none where lines were passed over that cannot be hits: those are never made to records.
    pub fn counted(&self) -> Option<u64> {
        (!self.skipped()).then(|| self.records())
    }
    /// Records in all; those that were only searched are not counted.
    pub fn records(&self) -> u64 {
        self.apps.values().map(|s| s.records).sum()
    }
    /// Whether some lines were only searched: then the count is not that of all records.
    pub fn skipped(&self) -> bool {
        self.apps.values().any(|s| s.skipped)
    }
    /// Whether any record carries one of the ID fields.
    pub fn names_ids(&self) -> bool {
        self.apps.values().any(|s| s.names_ids)
    }
    /// The apps that serve requests without logging their IDs: nothing can be said about a request there.
    pub fn serve_without_ids(&self) -> Vec<Safe> {
        self.apps.iter().filter(|(_, s)| s.serves && !s.names_ids).map(|(app, _)| app.clone()).collect()
    }
    /// The mildest level seen.
    pub fn mildest(&self) -> Option<Level> {
        self.apps.values().filter_map(|s| s.mildest).min()
    }
    /// What the pods' own times say beside the runtime's, where that is worth a word.
    pub fn clocks(&self) -> impl Iterator<Item = (&Safe, ClockFault)> {
        self.clocks.iter().filter_map(|(tag, clock)| Some((tag, clock.fault()?)))
    }
}

/// One record in so many is looked at for `Seen`, hit or not.
const SAMPLE: u64 = 50;

/// Keeps what the question asks for.
pub struct Keeper {
    query: Arc<Query>,
    needles: Needles,
    id_fields: Arc<[String]>,
    /// Finds the names of ID fields and what tells of a request; none when they make no automaton.
    telling: Option<AhoCorasick>,
    before: VecDeque<Record>,
    after: usize,
    newest: VecDeque<Record>,
    /// Whether the newest records are still to be chosen.
    choosing: bool,
    seen: SeenApp,
    oldest: Option<(Arc<LogOrigin>, Timestamp)>,
    clock: PodClock,
    tag: Option<Safe>,
}

impl Keeper {
    /// For one origin.
    pub fn new(query: Arc<Query>, id_fields: Arc<[String]>) -> Self {
        let needles = query.needles();
        let choosing = query.tail.is_some() && !query.follow;
        let telling = automaton(id_fields.iter().map(String::as_str).chain(decode::SERVED));
        Self {
            query,
            needles,
            id_fields,
            telling,
            before: VecDeque::new(),
            after: 0,
            newest: VecDeque::new(),
            choosing,
            seen: SeenApp::default(),
            oldest: None,
            clock: PodClock::default(),
            tag: None,
        }
    }

    /// Takes a record; `out` gets those that are kept, at once or, under `--tail`, at `finish`.
    pub fn push(&mut self, mut record: Record, out: &mut impl FnMut(Record)) {
        self.seen.records += 1;
        // "These logs carry no request ID" must be true of every record, so until one is seen each that may name one is looked at. Once one
        // is seen, whether they also tell of requests decides nothing.
        let telling = !self.seen.names_ids && self.telling.as_ref().is_some_and(|words| words.is_match(&record.head[..]));
        if telling || self.seen.records <= 20 || self.seen.records.is_multiple_of(SAMPLE) {
            self.sample(&record);
        }
        if self.query.spans.is_some() {
            return self.neighbour(record, out);
        }
        let hit = self.query.in_window(record.at) && self.judge(&mut record);
        if let Some(at) = record.at
            && self.oldest.as_ref().is_none_or(|(_, oldest)| at < *oldest)
        {
            self.oldest = Some((record.origin.clone(), at));
        }
        if hit {
            while let Some(mut near) = self.before.pop_front() {
                near.nearby = true;
                self.emit(near, out);
            }
            self.after = self.query.around;
            self.emit(record, out);
        } else if self.after > 0 {
            self.after -= 1;
            record.nearby = true;
            self.emit(record, out);
        } else if self.query.around > 0 {
            if self.before.len() == self.query.around {
                self.before.pop_front();
            }
            self.before.push_back(record);
        }
    }

    /// Lines that were searched and hold no hit.
    pub fn skipped(&mut self) {
        self.seen.skipped = true;
    }

    /// By time only: whatever was written in one of the spans; what the question itself does not admit is neighbourhood.
    fn neighbour(&mut self, mut record: Record, out: &mut impl FnMut(Record)) {
        if record.at.is_none() {
            record.at = self.decode(&record).written;
        }
        let Some((spans, at)) = self.query.spans.as_ref().zip(record.at) else { return };
        if spans.hold(at) {
            record.nearby = !self.judge(&mut record);
            self.emit(record, out);
        }
    }

    /// Under `--follow` too, what is there already is narrowed by `--tail` first.
    pub fn recalls(&mut self) {
        self.choosing = self.query.tail.is_some();
    }

    /// All that was there already has come: the newest of it; from now on everything is kept.
    pub fn caught_up(&mut self, out: &mut impl FnMut(Record)) {
        self.choosing = false;
        self.finish(out);
    }

    /// The newest ones, under `--tail`.
    pub fn finish(&mut self, out: &mut impl FnMut(Record)) {
        self.newest.drain(..).for_each(out);
    }

    fn emit(&mut self, record: Record, out: &mut impl FnMut(Record)) {
        let Some(tail) = self.query.tail.filter(|_| self.choosing) else {
            out(record);
            return;
        };
        let tail = usize::try_from(tail).unwrap_or(usize::MAX);
        if tail == 0 {
            return;
        }
        if self.newest.len() >= tail {
            self.newest.pop_front();
        }
        self.newest.push_back(record);
    }

    /// Whether the record is wanted. A record without a time gets the one that it says itself.
    fn judge(&mut self, record: &mut Record) -> bool {
        if !self.query.filters() && record.at.is_some() {
            return true;
        }
        if !self.needles.may_hit(record) {
            return false;
        }
        let entry = self.decode(record);
        if record.at.is_none() {
            record.at = entry.written;
        }
        self.query.in_window(record.at) && self.query.admits(record, &entry)
    }

    /// What was seen, as that of this app.
    pub fn seen(&self, app: Safe) -> Seen {
        let clocks = self.tag.iter().map(|tag| (tag.clone(), self.clock.clone())).collect();
        let mut seen = self.seen.clone();
        seen.oldest.extend(self.oldest.as_ref().map(|(origin, at)| (origin.name.clone(), *at)));
        Seen { apps: BTreeMap::from([(app, seen)]), clocks }
    }

    fn sample(&mut self, record: &Record) {
        let entry = self.decode(record);
        // Only the runtime's time is another clock's; a file's is the application's own.
        if record.origin.namespace.is_some()
            && let (Some(at), Some(written)) = (record.at, entry.written)
            && entry.shape != Shape::Access
        {
            self.tag.get_or_insert_with(|| record.origin.tag());
            self.clock.see(at, written, || decode::names_its_zone(&record.head));
        }
        self.seen.serves |= entry.shape == Shape::Access || (entry.field("path").is_some() && entry.field("status_code").is_some());
        self.seen.names_ids |= self.id_fields.iter().any(|f| entry.field(f).is_some());
        self.seen.mildest = [self.seen.mildest, entry.level].into_iter().flatten().min();
    }

    fn decode(&self, record: &Record) -> Entry {
        decode::record(record, &self.query.zone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{
        model::LogOrigin,
        query::{Predicate, Test},
    };

    fn kept(query: Query, lines: &[&str]) -> Vec<String> {
        let mut keeper = Keeper::new(Arc::new(query), Arc::from(vec!["request_id".to_owned()]));
        let mut out = Vec::new();
        let origin = Arc::new(LogOrigin::default());
        for (i, line) in lines.iter().enumerate() {
            let at = jiff::Timestamp::from_second(1_000 + i as i64).ok();
            let record =
                Record { at, origin: origin.clone(), sequence: i as u64, head: line.to_string().into(), tail: vec![], nearby: false };
            keeper.push(record, &mut |r| out.push(r));
        }
        keeper.finish(&mut |r| out.push(r));
        out.into_iter().map(|r| format!("{}{}", if r.nearby { "~" } else { "" }, String::from_utf8_lossy(&r.head))).collect()
    }

    fn with(word: &str) -> Query {
        Query { want: vec![Predicate::Line(Test::Contains(word.into()))], ..Query::default() }
    }

    #[test]
    fn the_neighbourhood_comes_once_and_in_order() {
        let query = Query { around: 1, ..with("hit") };
        assert_eq!(kept(query, &["a", "b", "hit1", "c", "hit2", "d", "e", "f"]), ["~b", "hit1", "~c", "hit2", "~d"]);
    }

    #[test]
    fn tail_counts_after_filtering() {
        let query = Query { tail: Some(2), ..with("hit") };
        assert_eq!(kept(query, &["hit1", "a", "hit2", "b", "hit3", "c"]), ["hit2", "hit3"]);
        assert!(kept(Query { tail: Some(0), ..with("hit") }, &["hit"]).is_empty());
    }

    #[test]
    fn the_window_is_inclusive() {
        let at = |s| jiff::Timestamp::from_second(s).ok();
        assert_eq!(kept(Query { since: at(1_001), until: at(1_002), ..Query::default() }, &["a", "b", "c", "d"]), ["b", "c"]);
    }
}
