//! How long a plan of 5,000 nodes takes to be decoded, analysed and shown: at most 20 ms. `cargo bench --bench plan`; ends with status 1
//! where that is not held. The plan is made here: a partitioned table joined with itself, as the planner of a large one makes it.
#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a bench reads the clock and prints what it says")]

use obsctl::{
    answer::{Answer, Coverage},
    postgres::{
        advice::{self, candidate},
        analyze::explain::Judged,
        decode::plan,
        view::explain::{self, Explanation, PlanOrigin, Shown},
    },
    report::{Look, Where, human},
    text::Redactor,
};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

const NODES: usize = 5_000;
const MOST: Duration = Duration::from_millis(20);

/// Five nodes for each partition, below an Append.
fn text() -> String {
    let measured = |rows: usize, ms: f64| {
        format!(
            "\"Startup Cost\": 0.29, \"Total Cost\": 812.5, \"Plan Rows\": {rows}, \"Plan Width\": 21, \"Actual Startup Time\": 0.015, \
             \"Actual Total Time\": {ms}, \"Actual Rows\": {rows}, \"Actual Loops\": 1, \"Shared Hit Blocks\": 1712, \"Shared Read Blocks\": 3, \
             \"Output\": [\"i.id\", \"i.order_id\", \"i.product_id\", \"i.price\", \"i.tag\"]"
        )
    };
    let scan = |kind: &str, i: usize| {
        format!(
            "{{\"Node Type\": \"{kind}\", \"Parent Relationship\": \"Outer\", \"Relation Name\": \"event_{i}\", \"Schema\": \"public\", \
             \"Alias\": \"e_{i}\", \"Filter\": \"((e_{i}.kind = 7) AND (e_{i}.at > '2026-11-01 00:00:00+00'::timestamp with time zone))\", \
             \"Rows Removed by Filter\": 1999, {}}}",
            measured(40, 0.6)
        )
    };
    let partitions: Vec<String> = (0..NODES / 5)
        .map(|i| {
            format!(
                "{{\"Node Type\": \"Hash Join\", \"Join Type\": \"Inner\", \"Parent Relationship\": \"Member\", \"Hash Cond\": \"(a.id = b.id)\", {}, \
                 \"Plans\": [{}, {{\"Node Type\": \"Hash\", \"Parent Relationship\": \"Inner\", \"Hash Batches\": 1, {}, \"Plans\": [\
                 {{\"Node Type\": \"Sort\", \"Parent Relationship\": \"Outer\", \"Sort Key\": [\"a.id\"], {}, \"Plans\": [{}]}}]}}]}}",
                measured(40, 2.0),
                scan("Seq Scan", i),
                measured(40, 0.8),
                measured(40, 0.7),
                scan("Index Scan", i)
            )
        })
        .collect();
    let root = format!("{{\"Node Type\": \"Append\", {}, \"Plans\": [{}]}}", measured(40_000, 2_100.0), partitions.join(", "));
    format!("[{{\"Plan\": {root}, \"Planning Time\": 12.0, \"Execution Time\": 2105.0}}]")
}

/// From the server's text to the screen's. What is still to be freed then nobody waits for.
fn whole(text: &str, full: bool) -> Option<(Answer<Explanation>, String)> {
    let plan = plan::plan(text, &Redactor::default()).ok()?;
    let judged = Judged::of(plan);
    let advice = advice::offline(&candidate::candidates(&judged));
    let facts = Explanation { origin: PlanOrigin::File("a plan".into()), judged, reasons: Vec::new(), advice, diff: None };
    let answer = Answer { facts, findings: Vec::new(), coverage: Coverage::default(), sources: Vec::new() };
    let look = Look::default();
    let doc = explain::explain(&answer, &Where::default(), &look, Shown { full, commands: false });
    let screen = human::text(&doc, &look);
    Some((answer, screen))
}

fn main() -> ExitCode {
    let text = text();
    let mut held = true;
    for full in [false, true] {
        let mut lines = 0;
        let mut times: Vec<Duration> = (0..21)
            .map(|_| {
                let before = Instant::now();
                let shown = whole(&text, full);
                let took = before.elapsed();
                lines = shown.map_or(0, |(_, screen)| screen.lines().count());
                took
            })
            .collect();
        times.sort();
        let median = times[times.len() / 2];
        held &= median <= MOST && lines > 0;
        let what = if full { "all of it" } else { "folded" };
        println!(
            "a plan of {NODES} nodes ({} KiB), {what}: {lines} lines in {:.1} ms (at most {} ms)",
            text.len() >> 10,
            median.as_secs_f64() * 1e3,
            MOST.as_millis()
        );
    }
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
