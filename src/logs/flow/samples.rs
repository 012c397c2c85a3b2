//! For tests only: lines as logs have them, questions, and what a reading that looks at every line keeps. Whatever passes something over is
//! held against it.

use super::{group::Grouper, keep::Keeper, split::Splitter};
use crate::logs::{
    model::{Level, LogOrigin},
    query::{Predicate, Query, Test},
};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

/// The records that a question keeps of these lines.
pub fn kept(query: &Query, lines: impl IntoIterator<Item = Bytes>) -> Vec<String> {
    let mut grouper = Grouper::new(Arc::new(LogOrigin::default()));
    let mut keeper = Keeper::new(Arc::new(query.clone()), Arc::from(Vec::new()));
    let mut out = Vec::new();
    let mut records: Vec<_> = lines.into_iter().filter_map(|line| grouper.push(None, line)).collect();
    records.extend(grouper.finish());
    records.into_iter().for_each(|r| keeper.push(r, &mut |r| out.push(r)));
    out.iter().map(|r| format!("{:?} {:?}", r.head, r.tail)).collect()
}

/// The lines of a text, one by one.
pub fn slowly(text: &[u8]) -> Vec<Bytes> {
    let mut splitter = Splitter::default();
    let mut lines = Vec::new();
    splitter.push(text, |l| lines.push(l));
    lines.extend(splitter.finish());
    lines
}

/// Questions of every kind that is searched for by its bytes.
pub fn queries() -> Vec<Query> {
    let with = |want: Vec<Predicate>| Query { want, ..Query::default() };
    let field = |name: &str, value: &str| Predicate::Field { names: Arc::from(vec![name.to_owned()]), is: Test::Equals(value.into()) };
    let pattern = |p: &str| Predicate::Line(Test::Matches(Arc::new(regex::bytes::Regex::new(p).expect("a pattern"))));
    vec![
        with(vec![field("request_id", "abc-123")]),
        with(vec![Predicate::Level(Level::Error)]),
        with(vec![Predicate::Level(Level::Warning), field("method", "POST")]),
        with(vec![Predicate::Line(Test::Contains("ValueError".into()))]),
        with(vec![Predicate::Any(vec![pattern("^plain [0-9]$"), pattern("y\\b")])]),
        with(vec![Predicate::Any(vec![field("request_id", "abc-123"), Predicate::Line(Test::Contains("[t-1]".into()))])]),
    ]
}

/// A line, or a few, as logs have them.
pub fn line() -> impl Strategy<Value = String> {
    let json = (0..4usize, 0..3usize, 0..4usize).prop_map(|(level, method, id)| {
        format!(
            "{{\"level\": {}, \"method\": \"{}\", \"request_id\": \"{}\"}}",
            ["\"info\"", "\"error\"", "40", "\"Warning\""][level],
            ["GET", "POST", "x"][method],
            ["abc-123", "abc-124", "", "é\\n"][id]
        )
    });
    prop_oneof![
        4 => json,
        2 => "plain [0-9]{0,2}",
        1 => Just("ERROR 2026-11-21 17:31:22,260 views 12 139 broke request_id=abc-123".to_owned()),
        1 => Just("2026-11-21 02:44:10.114 UTC [88] ERROR:  x".to_owned()),
        1 => Just("2026-11-21 02:44:10.114 UTC [88] DETAIL:  ValueError".to_owned()),
        1 => Just("Traceback (most recent call last):\n  File \"x\", line 1, in y\n    z()\nValueError: y".to_owned()),
        1 => Just("During handling of the above exception, another exception occurred:".to_owned()),
        1 => Just("[2026-11-21 02:44:10,114: INFO/MainProcess] Task a.b[t-1] received".to_owned()),
        1 => "[ \t]{0,2}[a-z]{0,90}\r?",
        1 => Just("\u{0}\u{1}".to_owned()),
    ]
}
