//! A pod's clock beside its node's: the application writes when it wrote a line, the runtime when it took it. A constant difference is a
//! wrong clock; differences that swing, up to seconds, are lines that waited in a buffer before they were written.

use jiff::Timestamp;
use std::collections::VecDeque;

/// How many differences are remembered, the newest.
const MOST: usize = 128;
/// So many must be there before anything is said.
const FEW: usize = 8;
/// Smaller differences are nobody's business: stamps of whole seconds, a busy node.
const SMALL_MS: i64 = 2_000;
/// An application that is ahead of the runtime by so much cannot be explained by any delay.
const AHEAD_MS: i64 = -1_000;
/// Zones differ by multiples of this.
const QUARTER_MS: i64 = 15 * 60 * 1_000;

/// What was seen of one pod's clock.
#[derive(Clone, Debug, Default)]
pub struct PodClock {
    /// The runtime's time less the application's, in milliseconds.
    differences: VecDeque<i64>,
    /// Whether the application's times say their zone.
    zoned: Option<bool>,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// The application's clock is ahead of the node's by so many milliseconds; behind where that is negative.
    Skewed(i64),
    /// Its times carry no zone, and are so many milliseconds ahead of what was assumed: another zone.
    OtherZone(i64),
    /// Its lines reach the runtime up to so many milliseconds after they were written.
    HeldBack(i64),
}

impl PodClock {
    /// A line: when the runtime took it, when the application says that it wrote it, and whether that time says its zone.
    pub fn see(&mut self, taken: Timestamp, written: Timestamp, zoned: impl FnOnce() -> bool) {
        if self.zoned.is_none() {
            self.zoned = Some(zoned());
        }
        if self.differences.len() == MOST {
            self.differences.pop_front();
        }
        let ms = i64::try_from(taken.duration_since(written).as_millis()).unwrap_or(i64::MAX);
        self.differences.push_back(ms);
    }

    /// Adds what another reading of the same pod saw.
    pub fn join(&mut self, other: Self) {
        self.zoned = self.zoned.or(other.zoned);
        self.differences.extend(other.differences);
        let over = self.differences.len().saturating_sub(MOST);
        self.differences.drain(..over);
    }

    /// What is worth a word.
    pub fn fault(&self) -> Option<ClockFault> {
        let mut sorted: Vec<i64> = self.differences.iter().copied().collect();
        sorted.sort_unstable();
        // No line comes before it was written: the smallest difference is the clock's, the rest is delay.
        let least = *sorted.first()?;
        if sorted.len() < FEW {
            return (least < AHEAD_MS && self.zoned == Some(true)).then_some(ClockFault::Skewed(-least));
        }
        let quarters = (least + QUARTER_MS / 2).div_euclid(QUARTER_MS);
        if self.zoned == Some(false) && quarters != 0 && (least - quarters * QUARTER_MS).abs() < SMALL_MS {
            return Some(ClockFault::OtherZone(-quarters * QUARTER_MS));
        }
        if !(AHEAD_MS..SMALL_MS).contains(&least) {
            return Some(ClockFault::Skewed(-least));
        }
        // A single stall is a busy machine; a buffer holds most lines back.
        let late = sorted.get(sorted.len() * 3 / 4)? - least;
        (late >= SMALL_MS).then(|| ClockFault::HeldBack(sorted.last().map_or(late, |most| most - least)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(differences: impl IntoIterator<Item = i64>, zoned: bool) -> Option<ClockFault> {
        let mut clock = PodClock::default();
        for (second, ms) in differences.into_iter().enumerate() {
            let taken = Timestamp::from_second(1_795_000_000 + second as i64).expect("a time");
            let written = taken.checked_sub(jiff::SignedDuration::from_millis(ms)).expect("a time");
            clock.see(taken, written, || zoned);
        }
        clock.fault()
    }

    #[test]
    fn a_constant_difference_is_a_clock_and_a_swinging_one_a_buffer() {
        assert_eq!(clock(std::iter::repeat_n(3, 50), true), None);
        assert_eq!(clock((0..50).map(|i| -180_000 + i % 9), true), Some(ClockFault::Skewed(180_000)));
        assert_eq!(clock((0..50).map(|i| 180_000 + i % 9), true), Some(ClockFault::Skewed(-180_000)));
        assert_eq!(clock([-60_000], true), Some(ClockFault::Skewed(60_000)));
        // A full buffer every ten lines.
        assert_eq!(clock((0..60).map(|i| (10 - i % 10) * 1_000), true), Some(ClockFault::HeldBack(9_000)));
        // One stall is none.
        assert_eq!(clock((0..60).map(|i| if i == 7 { 9_000 } else { 5 }), true), None);
        assert_eq!(clock([9_000, 9_000], true), None, "too few to tell a late line from a late clock");
        // Berlin's times read as UTC.
        assert_eq!(clock(std::iter::repeat_n(-3_600_000 + 4, 20), false), Some(ClockFault::OtherZone(3_600_000)));
        assert_eq!(clock(std::iter::repeat_n(-3_600_000 + 4, 20), true), Some(ClockFault::Skewed(3_599_996)));
    }
}
