//! Records to hits for one origin: needles first, then the question itself, then the neighbourhood (`around`) and the newest (`tail`).

use crate::logs::{
    decode,
    model::{Entry, Level, Record},
    query::{Needles, Query},
};
use aho_corasick::AhoCorasick;
use std::{collections::VecDeque, sync::Arc};

/// What was seen on the way, for the coverage and its hints.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Records that were decoded to be judged.
    pub decoded: u64,
    /// Records in all.
    pub records: u64,
    /// Whether any sampled record carries one of the ID fields.
    pub names_ids: bool,
    /// The mildest level seen in the sample.
    pub mildest: Option<Level>,
    /// The oldest time seen.
    pub oldest: Option<jiff::Timestamp>,
}

impl Seen {
    /// Adds what another origin saw.
    pub fn join(&mut self, other: &Self) {
        self.decoded += other.decoded;
        self.records += other.records;
        self.names_ids |= other.names_ids;
        self.mildest = [self.mildest, other.mildest].into_iter().flatten().min();
        self.oldest = [self.oldest, other.oldest].into_iter().flatten().min();
    }
}

/// One record in so many is looked at for `Seen`, hit or not.
const SAMPLE: u64 = 50;

/// Keeps what the question asks for.
pub struct Keeper {
    query: Arc<Query>,
    needles: Needles,
    id_fields: Arc<[String]>,
    /// Finds the names of ID fields; none when they make no automaton.
    id_names: Option<AhoCorasick>,
    before: VecDeque<Record>,
    after: usize,
    newest: VecDeque<Record>,
    /// What was seen.
    pub seen: Seen,
}

impl Keeper {
    /// For one origin.
    pub fn new(query: Arc<Query>, id_fields: Arc<[String]>) -> Self {
        let needles = query.needles();
        let id_names = AhoCorasick::new(id_fields.iter()).ok();
        Self { query, needles, id_fields, id_names, before: VecDeque::new(), after: 0, newest: VecDeque::new(), seen: Seen::default() }
    }

    /// Takes a record; `out` gets those that are kept, at once or, under `--tail`, at `finish`.
    pub fn push(&mut self, mut record: Record, out: &mut impl FnMut(Record)) {
        self.seen.records += 1;
        if self.seen.oldest.is_none() {
            self.seen.oldest = record.at;
        }
        // "These logs carry no request ID" must be true of every record, so until one is seen each that names such a field is looked at.
        let names_one = !self.seen.names_ids && self.id_names.as_ref().is_some_and(|names| names.is_match(&record.head[..]));
        if names_one || self.seen.records <= 20 || self.seen.records.is_multiple_of(SAMPLE) {
            self.sample(&record);
        }
        let hit = self.query.in_window(record.at) && self.judge(&mut record);
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

    /// The newest ones, under `--tail`.
    pub fn finish(&mut self, out: &mut impl FnMut(Record)) {
        self.newest.drain(..).for_each(out);
    }

    fn emit(&mut self, record: Record, out: &mut impl FnMut(Record)) {
        let Some(tail) = self.query.tail.filter(|_| !self.query.follow) else {
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

    fn sample(&mut self, record: &Record) {
        let entry = self.decode(record);
        self.seen.names_ids |= self.id_fields.iter().any(|f| entry.field(f).is_some());
        self.seen.mildest = [self.seen.mildest, entry.level].into_iter().flatten().min();
    }

    fn decode(&mut self, record: &Record) -> Entry {
        self.seen.decoded += 1;
        decode::entry(&record.head, &self.query.zone())
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
