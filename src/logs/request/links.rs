//! From a request's lines to its tasks, and from those to theirs: which records are still to be asked for, and how each link is known.

use super::events::What;
use crate::{
    answer::{LinkProof, Step},
    logs::{
        decode,
        model::{Entry, Record},
        query::{Predicate, Query},
    },
};
use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// How many rounds of tasks of tasks are followed.
const DEEPEST: usize = 8;
/// How many tasks of one request are followed.
const MOST: usize = 500;

/// Everything that belongs to the request so far.
#[derive(Default)]
pub struct Trace {
    pub(super) hits: Vec<Hit>,
    pub(super) proofs: BTreeMap<String, LinkProof>,
    pub(super) asked: HashSet<String>,
    known: HashSet<u64>,
    rounds: usize,
    /// Tasks that were not followed because there were too many.
    pub left_out: usize,
}

pub(super) struct Hit {
    /// The how manieth it was.
    pub number: usize,
    pub record: Record,
    pub entry: Entry,
    pub what: What,
}

impl Trace {
    /// Adds records; one that is there already is not added again.
    pub fn add(&mut self, records: Vec<Record>, zone: &jiff::tz::TimeZone) {
        for record in records {
            if !self.known.insert(identity(&record)) {
                continue;
            }
            let entry = decode::entry(&record.head, zone);
            let what = What::of(&entry);
            self.hits.push(Hit { number: self.hits.len(), record, entry, what });
        }
        // A record without any time stands with the first one that has a time: its own is unknown.
        let first = self.hits.iter().filter_map(|h| h.record.at).min();
        self.hits.iter_mut().filter(|h| h.record.at.is_none()).for_each(|h| h.record.at = first);
        self.hits.sort_by_key(|h| h.record.at);
    }

    /// The whole request IDs that begin with what was asked.
    pub fn ids(&self, fields: &[String], asked: &str) -> Vec<String> {
        let mut ids: Vec<String> = self.hits.iter().filter_map(|h| id_of(&h.entry, fields, asked)).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Its records in the order in which they were added.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        let mut added: Vec<&Hit> = self.hits.iter().collect();
        added.sort_by_key(|h| h.number);
        added.into_iter().map(|h| &h.record)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }

    /// The time of the first record.
    pub fn began(&self) -> Option<jiff::Timestamp> {
        self.hits.iter().filter_map(|h| h.record.at).min()
    }
}

/// What makes a record the same one in another reading: in a pod the runtime's time and the line (a later reading begins elsewhere, so
/// places differ), in a file its place.
fn identity(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.origin.hash(&mut hasher);
    if record.origin.namespace.is_some() {
        (record.at, &record.head).hash(&mut hasher);
    } else {
        record.sequence.hash(&mut hasher);
    }
    hasher.finish()
}

/// The whole ID of an entry, if it begins with what was asked.
pub(super) fn id_of(entry: &Entry, fields: &[String], asked: &str) -> Option<String> {
    fields.iter().find_map(|f| entry.field(f).filter(|v| v.starts_with(asked)))
}

/// What has to be read next: the lines of tasks that are newly known. Done when there are none.
pub fn next(trace: &mut Trace, base: &Query, fields: &Arc<[String]>, asked: &str) -> Step<Query, ()> {
    let mut found: Vec<(String, LinkProof)> = Vec::new();
    for hit in &trace.hits {
        let names_request = id_of(&hit.entry, fields, asked).is_some();
        let Some(task) = hit.what.task() else { continue };
        // A line that sends a task names both IDs. A task's own line with the request's ID got it through the message's headers.
        let proof = if matches!(hit.what, What::Enqueued(_)) { LinkProof::Certain } else { LinkProof::Header };
        let parent_known =
            hit.entry.field("task_id").or_else(|| hit.entry.field("parent_task_id")).is_some_and(|p| trace.proofs.contains_key(&p));
        if names_request || parent_known {
            found.push((task.id.clone(), proof));
        }
    }
    for (id, proof) in found {
        let known = trace.proofs.entry(id).or_insert(proof);
        *known = (*known).min(proof);
    }
    let new: Vec<String> = trace.proofs.keys().filter(|id| !trace.asked.contains(*id)).cloned().collect();
    if new.is_empty() || trace.rounds >= DEEPEST {
        return Step::Done(());
    }
    let room = MOST.saturating_sub(trace.asked.len());
    trace.left_out += new.len().saturating_sub(room);
    let ask: Vec<String> = new.into_iter().take(room).collect();
    if ask.is_empty() {
        return Step::Done(());
    }
    trace.rounds += 1;
    trace.asked.extend(ask.iter().cloned());
    // A task begins after its request: nothing older has to be read.
    let since =
        [trace.began().and_then(|t| t.checked_sub(jiff::SignedDuration::from_secs(2)).ok()), base.since].into_iter().flatten().max();
    Step::Ask(Query {
        want: vec![Predicate::Any(ask.iter().map(|id| Predicate::task(id)).collect())],
        not: Vec::new(),
        since,
        tail: None,
        follow: false,
        around: 0,
        ..base.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{logs::model::LogOrigin, text::Safe};

    fn record(namespace: Option<&'static str>, second: i64, sequence: u64, line: &str) -> Record {
        let origin = LogOrigin { namespace: namespace.map(Safe::from), name: "p".into(), ..LogOrigin::default() };
        let at = jiff::Timestamp::from_second(second).ok();
        Record { at, origin: Arc::new(origin), sequence, head: line.to_owned().into(), tail: vec![], nearby: false }
    }

    #[test]
    fn a_second_reading_that_begins_elsewhere_loses_nothing_and_repeats_nothing() {
        let mut trace = Trace::default();
        let zone = jiff::tz::TimeZone::UTC;
        trace.add(vec![record(Some("ns"), 10, 7, "a"), record(Some("ns"), 11, 9, "b")], &zone);
        // Counted from another line, b is the first and c has the place that a had.
        trace.add(vec![record(Some("ns"), 11, 1, "b"), record(Some("ns"), 12, 7, "c")], &zone);
        assert_eq!(trace.hits.len(), 3);
        let mut trace = Trace::default();
        trace.add(vec![record(None, 10, 1, "same"), record(None, 10, 2, "same")], &zone);
        trace.add(vec![record(None, 10, 2, "same")], &zone);
        assert_eq!(trace.hits.len(), 2);
    }
}
