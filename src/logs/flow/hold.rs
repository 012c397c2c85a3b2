//! Many live streams to one, ordered by time as far as that can be waited for: each item is held for a moment after its arrival, so that
//! others of the same time can arrive. What is older than something already released is late, and says so. No clock is read here, and the
//! time of an item is only ever compared with that of another item.

use jiff::Timestamp;
use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

/// Time, lane, place of arrival.
type Key = (Timestamp, usize, u64);

struct Waits<T> {
    key: Key,
    item: T,
}

impl<T> PartialEq for Waits<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl<T> Eq for Waits<T> {}
impl<T> PartialOrd for Waits<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Waits<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// Holds items of lanes, numbered from 0, until their turn.
pub struct Patient<T> {
    patience: Duration,
    heap: BinaryHeap<Reverse<Waits<T>>>,
    arrivals: VecDeque<(Duration, Key)>,
    latest: Vec<Timestamp>,
    released: Timestamp,
    count: u64,
}

impl<T> Patient<T> {
    /// With so much patience after an arrival.
    pub fn new(patience: Duration) -> Self {
        Self { patience, heap: BinaryHeap::new(), arrivals: VecDeque::new(), latest: Vec::new(), released: Timestamp::MIN, count: 0 }
    }

    /// What was released elsewhere: older items are late.
    pub fn has_released(&mut self, at: Timestamp) {
        self.released = self.released.max(at);
    }

    /// Takes an item of a lane. A lane's own order is never changed: where its times go backwards, its latest one counts.
    pub fn push(&mut self, lane: usize, at: Option<Timestamp>, arrived: Duration, item: T) {
        if self.latest.len() <= lane {
            self.latest.resize(lane + 1, Timestamp::MIN);
        }
        let at = at.unwrap_or(self.latest[lane]).max(self.latest[lane]);
        self.latest[lane] = at;
        self.count += 1;
        let key = (at, lane, self.count);
        self.arrivals.push_back((arrived, key));
        self.heap.push(Reverse(Waits { key, item }));
    }

    /// When the next item is due, on the clock of the arrivals.
    pub fn due(&self) -> Option<Duration> {
        self.arrivals.front().map(|(arrived, _)| *arrived + self.patience)
    }

    /// The next item whose time has come, or that is older than one whose time has come; and whether it is late.
    pub fn pop(&mut self, now: Duration) -> Option<(T, bool)> {
        loop {
            let (arrived, key) = *self.arrivals.front()?;
            if arrived + self.patience > now {
                return None;
            }
            if self.heap.peek().is_some_and(|Reverse(first)| first.key <= key) {
                return self.take();
            }
            // It went along with another one.
            self.arrivals.pop_front();
        }
    }

    /// The next item, due or not: for the end.
    pub fn take(&mut self) -> Option<(T, bool)> {
        let Reverse(Waits { key, item }) = self.heap.pop()?;
        let late = key.0 < self.released;
        self.released = self.released.max(key.0);
        if self.heap.is_empty() {
            self.arrivals.clear();
        }
        Some((item, late))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    fn at(ms: i64) -> Option<Timestamp> {
        Timestamp::from_millisecond(ms).ok()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn drain<T>(hold: &mut Patient<T>, now: u64) -> Vec<(T, bool)> {
        std::iter::from_fn(|| hold.pop(ms(now))).collect()
    }

    #[test]
    fn items_of_one_moment_come_in_order_and_late_ones_say_so() {
        let mut hold = Patient::new(PATIENCE);
        hold.push(0, at(1_000), ms(0), "a");
        hold.push(1, at(900), ms(200), "b");
        hold.push(1, at(1_500), ms(250), "c");
        assert_eq!(drain(&mut hold, 299), []);
        assert_eq!(drain(&mut hold, 300), [("b", false), ("a", false)]);
        assert_eq!(hold.due(), Some(ms(500)));
        hold.push(2, at(950), ms(400), "d");
        assert_eq!(drain(&mut hold, 700), [("d", true), ("c", false)]);
        assert!(hold.is_empty() && hold.due().is_none());
        // The same lane a little backwards is not late: that is its own order.
        hold.push(1, at(1_400), ms(800), "e");
        assert_eq!(drain(&mut hold, 1_100), [("e", false)]);
    }

    #[test]
    fn a_lane_that_catches_up_keeps_nobody_waiting() {
        let mut hold = Patient::new(PATIENCE);
        hold.push(0, at(10_000), ms(0), 0);
        for old in 1..100 {
            hold.push(1, at(old), ms(old as u64), old);
        }
        assert!(drain(&mut hold, 300).iter().any(|(item, _)| *item == 0));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_lane_keeps_its_order(items in proptest::collection::vec((0usize..4, 0i64..2_000, 0u64..50), 0..200)) {
            let mut hold = Patient::new(PATIENCE);
            let mut now = 0;
            let mut out = Vec::new();
            for (n, (lane, time, pause)) in items.iter().enumerate() {
                now += pause;
                out.extend(drain(&mut hold, now));
                prop_assert!(hold.due().is_none_or(|due| due > ms(now)));
                hold.push(*lane, at(*time), ms(now), (*lane, n));
            }
            out.extend(std::iter::from_fn(|| hold.take()));
            prop_assert_eq!(out.len(), items.len());
            for lane in 0..4 {
                let of: Vec<usize> = out.iter().filter(|((l, _), _)| *l == lane).map(|((_, n), _)| *n).collect();
                prop_assert!(of.is_sorted());
            }
        }
    }
}
