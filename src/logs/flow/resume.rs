//! Where a stream was when it broke off: tells the lines that a resumed one repeats from those that are new.

use jiff::Timestamp;
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// The newest line that was handed on, and what else was written in that very second: what a resumed stream must not repeat.
#[derive(Debug, Default)]
pub struct Last {
    /// When the newest line was written.
    pub at: Option<Timestamp>,
    seen: HashSet<(Timestamp, u64)>,
}

impl Last {
    /// Whether the line is new; remembers it.
    pub fn admit(&mut self, at: Option<Timestamp>, text: &[u8], resumed: bool) -> bool {
        let Some(at) = at else { return true };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let key = (at, hasher.finish());
        if resumed && (self.at.is_some_and(|last| at < last && at.as_second() < last.as_second()) || self.seen.contains(&key)) {
            return false;
        }
        if self.at.is_none_or(|last| at.as_second() > last.as_second()) {
            self.seen.clear();
        }
        self.at = self.at.max(Some(at));
        self.seen.insert(key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Option<Timestamp> {
        Timestamp::from_millisecond(ms).ok()
    }

    #[test]
    fn a_resumed_stream_repeats_nothing_and_loses_nothing() {
        let mut last = Last::default();
        for (ms, text) in [(900, "a"), (1_200, "b"), (1_200, "c"), (1_700, "d")] {
            assert!(last.admit(at(ms), text.as_bytes(), false));
        }
        // The server gives the whole second again.
        let again: Vec<bool> = [(1_200, "b"), (1_200, "c"), (1_200, "b2"), (1_700, "d"), (1_900, "e")]
            .iter()
            .map(|(ms, t)| last.admit(at(*ms), t.as_bytes(), true))
            .collect();
        assert_eq!(again, [false, false, true, false, true]);
    }
}
