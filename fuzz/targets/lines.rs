//! Whatever bytes come, and however they are cut: the lines are the same; and what the needles pick holds every record that the question admits.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use obsctl::logs::{
    flow::{group::Grouper, keep::Keeper, pick::Picker, split::Splitter},
    model::{Level, LogOrigin},
    query::{Predicate, Query, Test},
};
use std::sync::Arc;

fn lines(chunks: &[&[u8]]) -> Vec<Bytes> {
    let mut splitter = Splitter::default();
    let mut lines = Vec::new();
    chunks.iter().for_each(|chunk| splitter.push(chunk, |line| lines.push(line)));
    lines.extend(splitter.finish());
    lines
}

fn kept(query: &Arc<Query>, lines: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let mut grouper = Grouper::new(Arc::new(LogOrigin::default()));
    let mut keeper = Keeper::new(query.clone(), Arc::from(Vec::new()));
    let mut out = Vec::new();
    let mut records: Vec<_> = lines.into_iter().filter_map(|line| grouper.push(None, line)).collect();
    records.extend(grouper.finish());
    records.into_iter().for_each(|record| keeper.push(record, &mut |r| out.push([vec![r.head], r.tail].concat())));
    out
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, text) = input;
    let all = lines(&[text]);
    let (before, behind) = text.split_at(usize::from(cut).min(text.len()));
    assert_eq!(lines(&[before, behind]), all, "a cut changes nothing");
    for want in [Predicate::Level(Level::Error), Predicate::Line(Test::Contains("ab".into()))] {
        let query = Arc::new(Query { want: vec![want], ..Query::default() });
        let picked: Vec<Bytes> = Picker::new(query.needles(), std::iter::empty())
            .pick(text)
            .into_iter()
            .flat_map(|part| lines(&[text.get(part).expect("a part of it")]))
            .collect();
        assert_eq!(kept(&query, picked), kept(&query, all.clone()), "the needles lose nothing");
    }
});
