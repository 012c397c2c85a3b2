//! From a stretch of a log to the parts of it that can hold a hit: whole records, found around the needles, so that all other lines are
//! never looked at. What is picked is more than what is asked for, never less.

use super::{
    group,
    needle::{Needles, automaton, line_end, line_start},
};
use aho_corasick::AhoCorasick;
use std::ops::Range;

/// What to pick.
#[derive(Clone, Debug)]
pub struct Picker {
    needles: Needles,
    telling: Option<AhoCorasick>,
}

impl Picker {
    /// By what must be found; and here and there a record with one of the `telling` words, hit or not, from which an absence is judged.
    pub fn new<'a>(needles: Needles, telling: impl Iterator<Item = &'a str>) -> Self {
        let mut words = telling.peekable();
        let telling = if words.peek().is_some() { automaton(words) } else { None };
        Self { needles, telling }
    }

    /// Chooses by a sample what is searched first.
    pub fn learn(&mut self, sample: &[u8]) {
        self.needles.learn(sample);
    }

    /// The parts of a stretch that begins and ends where a record may begin; in order, whole lines.
    pub fn pick(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut picked: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        while let Some(found) = self.needles.next(text, from) {
            let part = around(text, found);
            from = part.end;
            if text.get(part.clone()).is_some_and(|t| self.needles.others_may_hit(t)) {
                picked.push(part);
            }
            if from >= text.len() {
                break;
            }
        }
        if let Some(telling) = &self.telling {
            for from in [0, text.len() / 2] {
                let Some(found) = text.get(from..).and_then(|t| telling.find(t)) else { continue };
                let part = around(text, from + found.start()..from + found.end());
                if !picked.iter().any(|p| p.start < part.end && part.start < p.end) {
                    picked.push(part);
                }
            }
            picked.sort_by_key(|p| p.start);
        }
        picked
    }

    /// Whether anything in a stretch can be a hit, or the half of one.
    pub fn may_hit(&self, text: &[u8]) -> bool {
        self.needles.may_hit_chunk(text)
    }
}

/// The records that this place can belong to.
fn around(text: &[u8], place: Range<usize>) -> Range<usize> {
    let mut start = line_start(text, place.start);
    while start > 0 {
        let before = line_start(text, start - 1);
        if group::starts(line(text, start), Some(line(text, before))) {
            break;
        }
        start = before;
    }
    let mut last = line_start(text, place.end.saturating_sub(1).max(place.start));
    let mut end = line_end(text, last);
    while end < text.len() && !group::starts(line(text, end), Some(line(text, last))) {
        last = end;
        end = line_end(text, end);
    }
    start..end
}

/// The line that begins here, without its end.
fn line(text: &[u8], start: usize) -> &[u8] {
    let rest = text.get(start..).unwrap_or_default();
    let whole = memchr::memchr(b'\n', rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
    whole.strip_suffix(b"\r").unwrap_or(whole)
}

/// How much of its last line a stretch shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The stretch is a part of what will be looked at.
    Part,
    /// The line goes on behind the stretch; who looks again sees no more of it.
    Cut,
    /// All of it, though it has no end.
    Whole,
}

/// So much of a line tells what it is.
const TELLING: usize = 512;

/// The first place in a stretch where a record begins for certain. `fresh`: the stretch begins with a line.
pub fn first_start(text: &[u8], fresh: bool, sight: Sight) -> Option<usize> {
    let mut at = first_line(text, fresh)?;
    let mut before = None;
    while at < text.len() {
        let rest = text.get(at..)?;
        let counts = match sight {
            Sight::Part => false,
            Sight::Cut => rest.first() == Some(&b'{') || rest.len() >= TELLING,
            Sight::Whole => true,
        };
        if !counts && memchr::memchr(b'\n', rest).is_none() {
            return None;
        }
        let this = line(text, at);
        if group::starts(this, before) {
            return Some(at);
        }
        before = Some(this);
        at = line_end(text, at);
    }
    None
}

/// The first place in a stretch where a line begins.
pub fn first_line(text: &[u8], fresh: bool) -> Option<usize> {
    let at = if fresh { 0 } else { memchr::memchr(b'\n', text)? + 1 };
    (at < text.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::flow::needle::Needle;

    fn picked(words: &[&str], text: &str) -> Vec<String> {
        let needles = Needles::new(words.iter().map(|w| Needle::any_of(vec![(*w).to_owned()]).expect("a word")).collect());
        let picker = Picker::new(needles, std::iter::empty());
        picker.pick(text.as_bytes()).into_iter().map(|r| text.get(r).expect("whole lines").to_owned()).collect()
    }

    #[test]
    fn a_hit_in_a_traceback_brings_its_record() {
        let text = "{\"a\": 1}\n{\"b\": 2}\nTraceback (most recent call last):\n  File \"x\"\nValueError: y\n\n{\"c\": 3}\nplain\nmore\n";
        assert_eq!(picked(&["ValueError"], text), ["{\"b\": 2}\nTraceback (most recent call last):\n  File \"x\"\nValueError: y\n\n"]);
        assert_eq!(picked(&["\"b\"", "File"], text).len(), 1);
        assert!(picked(&["\"a\"", "File"], text).is_empty());
        assert_eq!(picked(&["more"], text), ["more\n"]);
    }

    #[test]
    fn a_stretch_begins_with_a_record() {
        let text = b"rest of a line\n  File \"x\"\n{\"a\": 1}\nplain\nplainer";
        assert_eq!(first_start(text, false, Sight::Whole), Some(26));
        assert_eq!(first_line(text, false), Some(15));
        assert_eq!(first_start(b"plain\nplainer", true, Sight::Part), None);
        assert_eq!(first_start(b"plain\nplainer", true, Sight::Cut), None);
        assert_eq!(first_start(b"plain\nplainer", true, Sight::Whole), Some(6));
        assert_eq!(first_line(b"no end", false), None);
    }
}
