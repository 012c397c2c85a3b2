//! Whatever JSON a line is: a level or a field that decoding finds is found in its bytes too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obsctl::logs::{
    decode,
    model::Level,
    query::{Predicate, Query, Test},
};
use jiff::tz::TimeZone;
use std::sync::Arc;

fuzz_target!(|input: (&str, &str, i64, bool)| {
    let (key, value, number, numeric) = input;
    let keys = ["level", "levelname", "severity", "log_level", "lvl", "log.level"];
    let name = keys.get(key.len() % 8).copied().unwrap_or(key);
    let content = if numeric { serde_json::json!(number) } else { serde_json::json!(value) };
    for line in [serde_json::json!({ name: content }).to_string(), format!("{{\"event\" : \"x\", \"{name}\"\t:  {content}}}")] {
        let entry = decode::entry(line.as_bytes(), &TimeZone::UTC);
        for least in [Level::Warning, Level::Error, Level::Critical] {
            let query = Query { want: vec![Predicate::Level(least)], ..Query::default() };
            assert!(entry.level.is_none_or(|l| l < least) || query.needles().may_hit_chunk(line.as_bytes()), "{line}");
        }
        if let Some(found) = entry.field(name).filter(|f| f.is_ascii()) {
            let query = Query {
                want: vec![Predicate::Field { names: Arc::from(vec![name.to_owned()]), is: Test::Equals(found) }],
                ..Query::default()
            };
            assert!(query.needles().may_hit_chunk(line.as_bytes()), "{line}");
        }
    }
});
