//! What earlier runs saw of each check, so that `for: 5m` can be judged by a single run. Kept in the state folder, in the shape below; the
//! clock is an argument.

use crate::store::{Shelf, Shelved};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io, path::Path};

/// The version of the file; another one is not read.
const VERSION: u32 = 1;
/// What was seen longer ago says nothing of the time between.
const GAP: SignedDuration = SignedDuration::from_mins(15);
/// What was not seen for so long is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What is remembered of all checks of an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckHistory {
    version: u32,
    checks: BTreeMap<String, CheckMemory>,
}

/// What is remembered of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckMemory {
    /// When it was last judged.
    seen: Timestamp,
    /// Since when it is not well.
    since: Option<Timestamp>,
    /// Whether that has counted already: it then counts until it is well again.
    counted: bool,
}

/// Whether a breach counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// It has lasted long enough, since then.
    Counts(Timestamp),
    /// It has not yet, and began then.
    NotYet(Timestamp),
    /// Nobody looked before: it counts at once.
    NoHistory,
}

impl CheckHistory {
    /// Notes that a check is well.
    pub fn well(&mut self, name: &str, now: Timestamp) {
        self.checks.insert(name.to_owned(), CheckMemory { seen: now, since: None, counted: false });
    }

    /// Notes a breach, and says whether it counts by now.
    pub fn breached(&mut self, name: &str, lasts: SignedDuration, now: Timestamp) -> Lasting {
        let known = self.checks.get(name).filter(|m| now.duration_since(m.seen) <= lasts.max(GAP) && m.seen <= now).cloned();
        let verdict = match &known {
            None => Lasting::NoHistory,
            Some(memory) => {
                let since = memory.since.unwrap_or(now);
                if memory.counted || now.duration_since(since) >= lasts { Lasting::Counts(since) } else { Lasting::NotYet(since) }
            }
        };
        let (since, counted) = match verdict {
            Lasting::Counts(since) => (since, true),
            Lasting::NotYet(since) => (since, false),
            Lasting::NoHistory => (now, true),
        };
        self.checks.insert(name.to_owned(), CheckMemory { seen: now, since: Some(since), counted });
        verdict
    }

    /// What is left there by earlier runs; nothing where nothing is, or another run holds it.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn take(state: &Path, identity: &str) -> io::Result<(Self, Option<Shelf>)> {
        let Some(shelf) = Shelf::take(state, "checks", identity)? else { return Ok((Self::default(), None)) };
        let history = match shelf.read::<Self>(VERSION)? {
            Shelved::Found(history) => history,
            Shelved::Nothing | Shelved::Aside(_) => Self::default(),
        };
        Ok((history, Some(shelf)))
    }

    /// Leaves it there for the next run.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn lay(&mut self, shelf: &Shelf, now: Timestamp) -> io::Result<()> {
        self.version = VERSION;
        self.checks.retain(|_, memory| now.duration_since(memory.seen) < FORGOTTEN);
        shelf.lay(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breach_counts_when_it_has_lasted() {
        let at = |m: i64| Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_mins(m)).expect("in time");
        let five = SignedDuration::from_mins(5);
        let mut history = CheckHistory::default();
        assert_eq!(history.breached("a", five, at(0)), Lasting::NoHistory);
        // It has counted, so it stays.
        assert_eq!(history.breached("a", five, at(1)), Lasting::Counts(at(0)));
        history.well("a", at(2));
        assert_eq!(history.breached("a", five, at(3)), Lasting::NotYet(at(3)));
        assert_eq!(history.breached("a", five, at(7)), Lasting::NotYet(at(3)));
        assert_eq!(history.breached("a", five, at(8)), Lasting::Counts(at(3)));
        // Nobody looked for an hour: who knows.
        assert_eq!(history.breached("a", five, at(70)), Lasting::NoHistory);
    }

    #[test]
    fn it_survives_on_disk_and_one_run_holds_it() {
        let home = tempfile::tempdir().expect("a folder");
        let now = Timestamp::UNIX_EPOCH;
        let (mut history, shelf) = CheckHistory::take(home.path(), "demo").expect("writable");
        let shelf = shelf.expect("free");
        history.well("a", now);
        history.lay(&shelf, now).expect("writable");
        assert!(CheckHistory::take(home.path(), "demo").expect("writable").1.is_none());
        drop(shelf);
        assert_eq!(CheckHistory::take(home.path(), "demo").expect("writable").0, history);
    }
}
