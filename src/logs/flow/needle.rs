//! What must stand in the bytes of a record that a question admits: searched before anything is decoded, over many lines at once. Every
//! condition over-approximates and never under-approximates; the question itself decides.

use crate::logs::model::{Level, Record};
use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};
use std::{ops::Range, sync::Arc};

/// One condition: somewhere in the record one of these must be found.
#[derive(Clone, Debug)]
pub enum Needle {
    /// These bytes.
    One(Arc<memmem::Finder<'static>>),
    /// One of many byte strings.
    AnyOf(AhoCorasick),
    /// A pattern: `^` and `$` are the ends of lines.
    Pattern(Regex),
    /// The words and numbers of levels that are at least so bad.
    Level(Arc<LevelWords>),
}

/// What it costs to find the record around a place, in the same measure as `effort`.
const LOOK: u64 = 8;

impl Needle {
    /// One of these byte strings; none when they are too many for an automaton.
    pub fn any_of(mut words: Vec<String>) -> Option<Self> {
        words.sort();
        words.dedup();
        match words.as_slice() {
            [one] => Some(Self::One(Arc::new(memmem::Finder::new(one.as_bytes()).into_owned()))),
            _ => automaton(words).map(Self::AnyOf),
        }
    }

    /// One of these patterns, each of which is meant for a single line; none where a line alone and a line among others could differ.
    pub fn patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut all = String::new();
        for pattern in patterns {
            // The ends of the text are not the ends of a line; a flag inside could change what the ends of lines are.
            if ["\\A", "\\z", "(?"].iter().any(|odd| pattern.contains(odd)) {
                return None;
            }
            all.push_str(if all.is_empty() { "(?:" } else { "|(?:" });
            all.push_str(pattern);
            all.push(')');
        }
        let regex = RegexBuilder::new(&all).multi_line(true).build().ok()?;
        // What matches nothing at all finds itself everywhere.
        (!regex.is_match(b"")).then_some(Self::Pattern(regex))
    }

    /// Levels that are at least so bad; none for those that most records have.
    pub fn level(least: Level) -> Option<Self> {
        LevelWords::new(least).map(|words| Self::Level(Arc::new(words)))
    }

    /// What it costs to search a line for it, about, where a single byte string costs one.
    fn effort(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::AnyOf(_) => 4,
            Self::Level(_) | Self::Pattern(_) => 8,
        }
    }

    /// The first place at or after `from`.
    fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let rest = text.get(from..)?;
        let found = match self {
            Self::One(finder) => finder.find(rest).map(|at| at..at + finder.needle().len()),
            Self::AnyOf(words) => words.find(rest).map(|m| m.range()),
            // With its line's beginning in view: `^` and `\b` look back.
            Self::Pattern(regex) => return regex.find_at(text, from).map(|m| m.range()),
            Self::Level(words) => words.find(rest),
        };
        found.map(|r| r.start + from..r.end + from)
    }

    fn holds(&self, text: &[u8]) -> bool {
        match self {
            // A carriage return ends a line too, and a pattern's `$` does not see it.
            Self::Pattern(regex) => regex.is_match(text) || memchr::memchr(b'\r', text).is_some(),
            _ => self.find(text, 0).is_some(),
        }
    }
}

/// Finds one of many words. Only where the leftmost counts does the crate search sixteen bytes at a time.
pub fn automaton(words: impl IntoIterator<Item: AsRef<[u8]>>) -> Option<AhoCorasick> {
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words).ok()
}

/// All conditions of a question: a record that it admits holds every one of them.
#[derive(Clone, Debug, Default)]
pub struct Needles {
    all: Vec<Needle>,
    /// The one to search first.
    first: usize,
}

impl Needles {
    /// Of these conditions.
    pub fn new(all: Vec<Needle>) -> Self {
        Self { all, first: 0 }
    }

    /// Those that find their place wherever it stands in a line: what is left is less strict, never more.
    pub fn without_patterns(self) -> Self {
        Self::new(self.all.into_iter().filter(|n| !matches!(n, Needle::Pattern(_))).collect())
    }

    /// Whether there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether the record can be a hit.
    pub fn may_hit(&self, record: &Record) -> bool {
        self.all.iter().all(|n| n.holds(&record.head) || record.tail.iter().any(|l| n.holds(l)))
    }

    /// Whether a text of many lines can hold a hit at all.
    pub fn may_hit_chunk(&self, text: &[u8]) -> bool {
        self.all.iter().all(|n| n.holds(text))
    }

    /// Searches from now on for the condition with which this sample costs least: what going through the bytes costs, and what looking for
    /// the others costs where it is found.
    pub fn learn(&mut self, sample: &[u8]) {
        const ENOUGH: usize = 10_000;
        let lines = memchr::memchr_iter(b'\n', sample).count().max(1) as u64;
        let whole: u64 = self.all.iter().map(Needle::effort).sum();
        let cost = |n: &Needle| {
            let (mut from, mut hits) = (0, 0);
            while hits < ENOUGH
                && let Some(found) = n.find(sample, from)
            {
                from = line_end(sample, found.end);
                hits += 1;
            }
            n.effort() * lines + (whole - n.effort() + LOOK) * hits as u64
        };
        self.first = (0..self.all.len()).min_by_key(|i| self.all.get(*i).map_or(u64::MAX, cost)).unwrap_or(0);
    }

    /// Whether a part in which the first condition was found can hold a hit.
    pub fn others_may_hit(&self, part: &[u8]) -> bool {
        self.all.iter().enumerate().all(|(i, n)| i == self.first || n.holds(part))
    }

    /// The next place at or after `from` where a hit can be; the text begins with a line.
    pub fn next(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let needle = self.all.get(self.first)?;
        let found = needle.find(text, from);
        if !matches!(needle, Needle::Pattern(_)) {
            return found;
        }
        // A pattern's `$` does not see that a carriage return ends a line: such a line is a place as well.
        let odd = text.get(from..).and_then(|rest| memchr::memchr(b'\r', rest)).map(|at| from + at..from + at + 1);
        match (found, odd) {
            (Some(a), Some(b)) => Some(if a.start <= b.start { a } else { b }),
            (a, b) => a.or(b),
        }
    }
}

/// The end of the line that holds this place: after its line end.
pub fn line_end(text: &[u8], at: usize) -> usize {
    text.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)).map_or(text.len(), |n| at + n + 1)
}

/// The beginning of the line that holds this place.
pub fn line_start(text: &[u8], at: usize) -> usize {
    text.get(..at).and_then(|before| memchr::memrchr(b'\n', before)).map_or(0, |n| n + 1)
}

/// The keys under which a level may be a number.
const KEYS: [&str; 4] = ["level\"", "levelname\"", "severity\"", "lvl\""];

/// How levels are written: as a word in any of the usual cases, or as a number after one of the keys of JSON.
#[derive(Debug)]
pub struct LevelWords {
    words: AhoCorasick,
    /// One by one: as a set they are so alike that an automaton stops at every line.
    keys: [memmem::Finder<'static>; KEYS.len()],
    least: u32,
}

impl LevelWords {
    fn new(least: Level) -> Option<Self> {
        let (stems, number): (&[&str], u32) = match least {
            Level::Warning => (&["warn", "err", "crit", "fatal", "panic", "emerg", "alert", " # "], 30),
            Level::Error => (&["err", "crit", "fatal", "panic", "emerg", "alert"], 40),
            Level::Critical => (&["crit", "fatal", "panic", "emerg", "alert"], 50),
            _ => return None,
        };
        let mut words: Vec<String> = Vec::new();
        for stem in stems {
            words.push((*stem).to_owned());
            words.push(stem.to_ascii_uppercase());
            let mut letters = stem.chars();
            words.push(letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect());
        }
        words.sort();
        words.dedup();
        Some(Self { words: automaton(words)?, keys: KEYS.map(memmem::Finder::new), least: number })
    }

    fn find(&self, text: &[u8]) -> Option<Range<usize>> {
        // By blocks that stay in the cache: all go over each.
        const BLOCK: usize = 8 << 10;
        // No word and no key is longer.
        const OVERLAP: usize = 16;
        let mut from = 0;
        while from < text.len() {
            let until = (from + BLOCK).min(text.len());
            let block = text.get(from..(until + OVERLAP).min(text.len()))?;
            let word = self.words.find(block).map(|m| m.range());
            // A number behind the word is of no interest.
            let before = block.get(..word.as_ref().map_or(block.len(), |w| w.start)).unwrap_or(block);
            let keys = self.keys.iter().filter_map(|key| {
                let places = key.find_iter(before).map(|at| at..at + key.needle().len());
                places.into_iter().find(|place| self.numeric(text.get(from + place.end..)))
            });
            let number = keys.min_by_key(|place| place.start);
            if let Some(found) = number.or(word) {
                return Some(from + found.start..from + found.end);
            }
            from = until;
        }
        None
    }

    /// Whether a number that is bad enough stands behind a key.
    fn numeric(&self, rest: Option<&[u8]>) -> bool {
        let mut rest = rest.unwrap_or_default().iter().copied().skip_while(u8::is_ascii_whitespace);
        if rest.next() != Some(b':') {
            return false;
        }
        let digits = rest.skip_while(u8::is_ascii_whitespace).take_while(u8::is_ascii_digit);
        digits.take(9).fold(0, |n: u32, d| n.saturating_mul(10).saturating_add(u32::from(d - b'0'))) >= self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::decode;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn places(needle: Needle, text: &str) -> Vec<usize> {
        let needles = Needles::new(vec![needle]);
        let mut from = 0;
        let mut found = Vec::new();
        while let Some(place) = needles.next(text.as_bytes(), from) {
            found.push(line_start(text.as_bytes(), place.start));
            from = line_end(text.as_bytes(), place.end);
        }
        found
    }

    #[test]
    fn finds_levels_as_words_and_as_numbers() {
        let text =
            "{\"level\": \"info\"}\n{\"level\":50}\n{\"lvl\" : 40}\n{\"level\": 30}\nERROR x\n{\"level\": \"critical\"}\n{\"x\": 40}\n";
        assert_eq!(places(Needle::level(Level::Error).expect("words"), text), [18, 31, 58, 66]);
        assert!(Needle::level(Level::Info).is_none());
    }

    #[test]
    fn a_pattern_sees_the_ends_of_lines() {
        let text = "foo bar\nbar\nfoo\r\nbarfoo\n";
        assert_eq!(places(Needle::patterns(["^bar$"]).expect("a pattern"), text), [8, 12]);
        assert_eq!(places(Needle::patterns(["foo$", "^foo"]).expect("a pattern"), text), [0, 12, 17]);
        for odd in ["(?i)x", "\\Ax", "x*"] {
            assert!(Needle::patterns([odd]).is_none(), "{odd}");
        }
    }

    #[test]
    fn the_rarest_is_searched_first() {
        let one = |w: &str| Needle::any_of(vec![w.to_owned()]).expect("a word");
        let mut needles = Needles::new(vec![one("often"), one("seldom")]);
        needles.learn(b"often\noften\noften seldom\n");
        assert_eq!(needles.first, 1);
        assert!(needles.may_hit_chunk(b"often\nseldom") && !needles.may_hit_chunk(b"often"));
    }

    #[test]
    fn every_level_of_the_captured_logs_is_found() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut checked = 0;
        for path in glob::glob(&folder.join("**/*.log").to_string_lossy()).expect("a pattern").filter_map(Result::ok) {
            for line in std::fs::read(path).expect("a fixture").split(|b| *b == b'\n') {
                let Some(level) = decode::entry(line, &TimeZone::UTC).level else { continue };
                for least in [Level::Warning, Level::Error, Level::Critical] {
                    if level >= least {
                        checked += 1;
                        assert!(Needle::level(least).expect("words").holds(line), "{}", String::from_utf8_lossy(line));
                    }
                }
            }
        }
        assert!(checked > 50);
    }

    proptest! {
        #[test]
        fn no_level_is_missed(key in "level|levelname|severity|log_level|log.level|lvl", value in "[0-9]{1,4}|\"(ERROR|error|Error|crit|FATAL|warn|Warning|NOTICE|debug)\"", before in "[ \t]{0,2}", after in "[ \t]{0,3}") {
            let line = format!("{{\"event\": \"x\", \"{key}\"{before}:{after}{value}}}");
            let entry = decode::entry(line.as_bytes(), &TimeZone::UTC);
            for least in [Level::Warning, Level::Error, Level::Critical] {
                if entry.level.is_some_and(|l| l >= least) {
                    prop_assert!(Needle::level(least).expect("words").holds(line.as_bytes()), "{}", line);
                }
            }
        }
    }
}
