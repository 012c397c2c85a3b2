//! Plain text: a word (`ok`, `Healthy`, `pong`), or a line for each part (`Database: OK`), as django-health-check 4 and others write it.

use super::{Part, Said, words};
use crate::health::model::{Condition, Dialect};

/// Longer than this, a single line is prose.
const WORD: usize = 80;

/// None: it is prose, or nothing.
pub(super) fn read(text: &str) -> Option<(Dialect, Said)> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    // A single word is tried first: `error: no database` is no part named "error".
    if let [line] = lines.as_slice()
        && line.len() <= WORD
        && (words::condition(line).is_some() || !line.contains(": "))
    {
        let is_word = words::condition(line).is_some() || !line.contains(' ');
        return is_word.then(|| (Dialect::Text, word(line)));
    }
    let mut said = Said::default();
    for line in lines {
        let (name, how) = line.split_once(": ")?;
        let condition = words::condition(how)?;
        said.components.push(Part { name: name.to_owned(), condition, says: (condition > Condition::Ok).then(|| how.to_owned()) });
    }
    let django = said.components.iter().any(|c| c.name.ends_with(')'));
    (!said.components.is_empty()).then_some((if django { Dialect::DjangoHealthCheck } else { Dialect::Text }, said))
}

/// The whole as one word.
pub(super) fn word(text: &str) -> Said {
    Said { status: Some(text.to_owned()), condition: Some(words::condition(text).unwrap_or(Condition::Unknown)), ..Said::default() }
}
