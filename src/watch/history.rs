//! The last probes of a subject: the strip that a glance reads, the share of good ones, and how long they took. Bounded.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many probes are remembered: an hour and a half at one a minute.
const KEPT: usize = 90;

/// What one probe said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Well.
    Good,
    /// Something to look at.
    Warned,
    /// In trouble.
    Bad,
    /// It could not be found out.
    Unknown,
}

/// The last probes, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProbeHistory(VecDeque<(Mark, u32)>);

impl ProbeHistory {
    /// One more probe and the milliseconds it took.
    pub fn push(&mut self, mark: Mark, ms: u32) {
        // A file that was written by hand can hold more.
        while self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((mark, ms));
    }

    /// The newest so many marks, the oldest first.
    pub fn strip(&self, most: usize) -> impl Iterator<Item = Mark> + '_ {
        self.0.iter().skip(self.0.len().saturating_sub(most)).map(|(mark, _)| *mark)
    }

    /// The share of probes that were well, of those that found out; none before the first.
    pub fn uptime(&self) -> Option<f64> {
        let known = self.0.iter().filter(|(mark, _)| *mark != Mark::Unknown).count();
        let good = self.0.iter().filter(|(mark, _)| matches!(mark, Mark::Good | Mark::Warned)).count();
        (known > 0).then(|| good as f64 / known as f64)
    }

    /// The milliseconds that this share of the answers took at most (0.5: the median), by the nearest rank.
    pub fn quantile(&self, share: f64) -> Option<u32> {
        let mut ms: Vec<u32> = self.0.iter().filter(|(mark, _)| *mark != Mark::Unknown).map(|(_, ms)| *ms).collect();
        ms.sort_unstable();
        let rank = (share.clamp(0.0, 1.0) * ms.len() as f64).ceil() as usize;
        ms.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_found_out_counts_for_nothing() {
        let mut history = ProbeHistory::default();
        assert_eq!((history.uptime(), history.quantile(0.5)), (None, None));
        for (mark, ms) in [(Mark::Good, 10), (Mark::Bad, 30), (Mark::Unknown, 9_000), (Mark::Warned, 20), (Mark::Good, 40)] {
            history.push(mark, ms);
        }
        assert_eq!((history.uptime(), history.quantile(0.5), history.quantile(0.95)), (Some(0.75), Some(20), Some(40)));
    }

    #[test]
    fn only_the_last_are_kept() {
        let mut history = ProbeHistory::default();
        for n in 0..1_000 {
            history.push(if n < 950 { Mark::Bad } else { Mark::Good }, n);
        }
        assert_eq!(history.0.len(), KEPT);
        assert_eq!(history.strip(3).collect::<Vec<_>>(), [Mark::Good; 3]);
        assert_eq!(history.quantile(1.0), Some(999));
    }
}
