//! When something happened, in a fixed number of buckets whatever the time between the first and the last: the buckets grow.

use jiff::Timestamp;

/// So many buckets at most; twice as wide when they do not suffice.
const MOST: usize = 256;

/// Counts over time. The same for any order of arrival, up to the width of a bucket.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Seconds in a bucket: a power of two.
    width: i64,
    /// The number of the first bucket, counted from 1970.
    first: i64,
    counts: Vec<u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: 1, first: 0, counts: Vec::new() }
    }
}

impl Timeline {
    /// Counts one at this time.
    pub fn add(&mut self, at: Timestamp) {
        loop {
            let bucket = at.as_second().div_euclid(self.width);
            if self.counts.is_empty() {
                self.first = bucket;
                self.counts.push(1);
                return;
            }
            let last = self.first + self.counts.len() as i64 - 1;
            let (low, high) = (self.first.min(bucket), last.max(bucket));
            if high - low < MOST as i64 {
                let before = usize::try_from(self.first - low).unwrap_or(0);
                self.counts.splice(0..0, std::iter::repeat_n(0, before));
                self.first = low;
                self.counts.resize(usize::try_from(high - low + 1).unwrap_or(MOST), 0);
                if let Some(count) = usize::try_from(bucket - low).ok().and_then(|i| self.counts.get_mut(i)) {
                    *count += 1;
                }
                return;
            }
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        let first = self.first.div_euclid(2);
        let mut counts = Vec::with_capacity(self.counts.len() / 2 + 1);
        for (i, count) in self.counts.iter().enumerate() {
            let at = usize::try_from((self.first + i as i64).div_euclid(2) - first).unwrap_or(0);
            if counts.len() <= at {
                counts.resize(at + 1, 0);
            }
            counts[at] += count;
        }
        *self = Self { width: self.width * 2, first, counts };
    }

    /// The counts in so many columns of equal width from one time to another; what lies outside counts in the nearest.
    pub fn columns(&self, from: Timestamp, to: Timestamp, columns: usize) -> Vec<u64> {
        let mut out = vec![0; columns.max(1)];
        let (from, to) = (from.as_second(), to.as_second().max(from.as_second() + 1));
        for (i, count) in self.counts.iter().enumerate() {
            let middle = (self.first + i as i64) * self.width + self.width / 2;
            let share = (middle - from) as f64 / (to - from) as f64;
            let column = (share.clamp(0.0, 1.0) * out.len() as f64) as usize;
            let last = out.len() - 1;
            out[column.min(last)] += count;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn columns_are_of_equal_width() {
        let mut line = Timeline::default();
        (0..100).for_each(|s| line.add(at(1_000 + s)));
        assert_eq!(line.columns(at(1_000), at(1_100), 4), [25, 25, 25, 25]);
        line.add(at(900));
        assert_eq!(line.columns(at(1_000), at(1_100), 2), [51, 50]);
    }

    proptest! {
        /// Nothing is lost, memory is bounded, and the order makes no difference to the sum.
        #[test]
        fn every_one_counts(times in proptest::collection::vec(-4_000_000_000i64..4_000_000_000, 1..300)) {
            let mut line = Timeline::default();
            times.iter().for_each(|t| line.add(at(*t)));
            prop_assert!(line.counts.len() <= MOST);
            let (low, high) = (*times.iter().min().expect("one"), *times.iter().max().expect("one"));
            prop_assert_eq!(line.columns(at(low), at(high), 24).iter().sum::<u64>(), times.len() as u64);
        }
    }
}
