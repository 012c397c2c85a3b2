//! Many streams to one, ordered by time. Each origin's own order is never changed: where its times go backwards, the latest time so far counts.

use crate::logs::model::Record;
use jiff::Timestamp;
use std::{cmp::Ordering, collections::BinaryHeap};

struct Waiting {
    key: (Timestamp, usize, u64),
    record: Record,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    /// Reversed: the heap gives the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

/// A merge of lanes, numbered from 0.
#[derive(Default)]
pub struct Merge {
    heap: BinaryHeap<Waiting>,
    latest: Vec<Timestamp>,
    waiting: Vec<usize>,
    count: u64,
}

impl Merge {
    /// Takes the next record of a lane.
    pub fn push(&mut self, lane: usize, record: Record) {
        if self.latest.len() <= lane {
            self.latest.resize(lane + 1, Timestamp::MIN);
            self.waiting.resize(lane + 1, 0);
        }
        let at = record.at.unwrap_or(self.latest[lane]).max(self.latest[lane]);
        self.latest[lane] = at;
        self.waiting[lane] += 1;
        self.count += 1;
        self.heap.push(Waiting { key: (at, lane, self.count), record });
    }

    /// How many records of a lane wait.
    pub fn waiting(&self, lane: usize) -> usize {
        self.waiting.get(lane).copied().unwrap_or(0)
    }

    /// The earliest record of all that wait.
    pub fn pop(&mut self) -> Option<Record> {
        let Waiting { key, record } = self.heap.pop()?;
        self.waiting[key.1] -= 1;
        Some(record)
    }

    /// The lane of the earliest record.
    pub fn next_lane(&self) -> Option<usize> {
        self.heap.peek().map(|w| w.key.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::model::LogOrigin;
    use std::sync::Arc;

    fn record(at: Option<i64>, text: &str) -> Record {
        let at = at.and_then(|s| Timestamp::from_second(s).ok());
        Record { at, origin: Arc::new(LogOrigin::default()), sequence: 0, head: text.to_owned().into(), tail: vec![], nearby: false }
    }

    #[test]
    fn orders_by_time_and_keeps_each_lane_s_own_order() {
        let mut merge = Merge::default();
        for (lane, at, text) in
            [(0, Some(10), "a"), (1, Some(5), "b"), (0, None, "a2"), (0, Some(9), "a3"), (1, Some(10), "b2"), (1, Some(12), "b3")]
        {
            merge.push(lane, record(at, text));
        }
        let order: Vec<String> = std::iter::from_fn(|| merge.pop()).map(|r| String::from_utf8_lossy(&r.head).into_owned()).collect();
        assert_eq!(order, ["b", "a", "a2", "a3", "b2", "b3"]);
        assert_eq!(merge.waiting(0), 0);
    }
}
