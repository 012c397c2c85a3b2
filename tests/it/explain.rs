//! `obsctl explain --plan`: what a user sees of real plans, in all forms in which plans are kept. Screens are snapshots.

mod around;
mod commands;
mod connecting;
mod deadline;
mod sandbox;

use crate::cli_support::{Desk, Seen, fixtures, root};
use serde_json::Value;
use snapbox::{Assert, Data, assert::DEFAULT_ACTION_ENV};
use std::{fs, os::unix::fs::PermissionsExt};

fn explain(words: &str) -> Seen {
    Desk::at_fixtures().run(&format!("explain {words}"))
}

#[track_caller]
fn good(seen: Seen) -> String {
    assert!(seen.status == 0 && seen.err.is_empty(), "{seen:#?}");
    seen.out
}

#[track_caller]
fn refused(seen: &Seen, status: i32, says: &str) {
    assert!(seen.status == status && seen.out.is_empty() && seen.err.contains(says), "not {status}, {says:?}: {seen:#?}");
}

/// Compares a screen with what was seen before, or keeps it (`SNAPSHOTS=overwrite`).
#[track_caller]
fn snapshot(name: &str, screen: String) {
    let path = root().join(format!("tests/it/snapshots/explain-{name}.txt"));
    let expected = Data::read_from(&path, Some(snapbox::data::DataFormat::Text)).raw();
    Assert::new().action_env(DEFAULT_ACTION_ENV).eq(Data::text(screen).raw(), expected);
}

#[test]
fn screens_of_real_plans() {
    for name in [
        "seq-scan",
        "parallel",
        "cte-twice",
        "initplan-gather",
        "never-executed",
        "nested-loop-seq",
        "misestimate",
        "sort-disk",
        "subplan",
        "partitions",
        "triggers",
        "planning",
    ] {
        snapshot(name, good(explain(&format!("--plan plans/pg15/{name}.json"))));
    }
    snapshot("plain", good(explain("--plan plans/pg15/seq-scan.plain.json")));
    snapshot("terse", good(explain("--plan plans/pg15/parallel.terse.json")));
    snapshot("full", good(explain("--plan plans/pg18/seq-scan.json --full")));
    snapshot("names-hidden", good(explain("--plan plans/pg15/subplan.json --redact-names")));
    snapshot("diff", good(explain("--plan plans/pg15/index-filter.json --diff plans/pg15/index-fine.json")));
}

#[test]
fn a_narrow_terminal_is_wide_enough() {
    for name in ["seq-scan", "parallel", "nested-loop-seq", "planning", "temp-cte", "limit-wrong-index"] {
        let screen = Desk::at_fixtures().var("COLUMNS", "80").run(&format!("explain --plan plans/pg15/{name}.json")).out;
        let widest = screen.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{name}: {widest:?}\n{screen}");
    }
}

#[test]
fn every_plan_has_a_screen_and_an_object() {
    // The versions between are read by the unit tests.
    for version in ["pg14", "pg18"] {
        for file in fs::read_dir(fixtures().join("plans").join(version)).expect("a folder").flatten() {
            let path = file.path();
            let name = format!("plans/{version}/{}", path.file_name().expect("a name").to_string_lossy());
            let object: Value = serde_json::from_str(&good(explain(&format!("--plan {name} -o json")))).expect(&name);
            assert_eq!((object["kind"].as_str(), object["exit_status"].as_u64()), (Some("postgres.explain"), Some(0)), "{name}");
            assert_eq!(object["facts"]["plan"]["nodes"].as_array().map(Vec::len), object["facts"]["own"]["nodes"].as_array().map(Vec::len));
        }
    }
}

#[test]
fn a_plan_from_stdin_and_in_the_frame_of_psql() {
    let json = fs::read_to_string(fixtures().join("plans/pg15/seq-scan.json")).expect("a plan");
    let framed: String = json.lines().map(|line| format!(" {line:<60}+\n")).collect();
    let framed = format!("          QUERY PLAN\n-----------------\n{}\n(1 row)\n", framed.trim_end().trim_end_matches('+'));
    for text in [json, framed] {
        let screen = good(Desk::new().stdin(text.as_bytes()).run("explain --plan -"));
        assert!(screen.starts_with("files stdin") && screen.contains("one full read of item"), "{screen}");
    }
}

#[test]
fn without_a_plan_there_is_no_answer() {
    refused(&explain("--plan plans/capture.py"), 3, "reading a plan (file plans/capture.py)");
    refused(&explain("--plan plans/none.json"), 2, "reading plans/none.json");
    refused(&Desk::new().stdin(b"Seq Scan on a  (cost=0.00..1.01 rows=1)").run("explain --plan -"), 3, "a plan in text form");
    refused(&Desk::new().stdin(b"{\"a\": 1}").run("explain --plan -"), 3, "no plan");
    refused(&explain("--plan plans/pg15/seq-scan.json --save /nowhere/x.json"), 2, "saving the plan as /nowhere/x.json");
}

#[test]
fn what_is_saved_is_read_again_and_is_its_owners() {
    let desk = Desk::new().file("plan.json", fs::read(fixtures().join("plans/pg15/never-executed.json")).expect("a plan"));
    let first = good(desk.run("explain --plan plan.json --save kept.json"));
    let again = good(desk.run("explain --plan kept.json"));
    assert_eq!(first.replace("plan.json", "kept.json"), again);
    assert_eq!(fs::metadata(desk.path("kept.json")).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert!(good(desk.run("explain --plan kept.json --diff plan.json")).contains("SAME"));
    good(desk.run("explain --plan plan.json --redact --save hidden.json"));
    let hidden = fs::read_to_string(desk.path("hidden.json")).expect("a file");
    assert!(hidden.contains("customer") && !hidden.contains("nobody"), "{hidden}");
    good(desk.run("explain --plan plan.json --redact-names --save nameless.json"));
    let nameless = fs::read_to_string(desk.path("nameless.json")).expect("a file");
    assert!(!nameless.contains("customer") && !nameless.contains("nobody"), "{nameless}");
}

#[test]
fn a_secret_in_a_condition_is_on_no_screen_and_in_no_file() {
    let plan = r#"[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "users", "Filter": "((email = 'anna@example.org'::text) AND (password = 'hunter2'::text))",
        "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 50.0, "Rows Removed by Filter": 100000}, "Execution Time": 50.0}]"#;
    let desk = Desk::new().file("plan.json", plan);
    for words in ["", "--full", "-o json", "--save kept.json"] {
        let seen = good(desk.run(&format!("explain --plan plan.json {words}")));
        assert!(!seen.contains("anna@") && !seen.contains("hunter2"), "{seen}");
    }
    let kept = fs::read_to_string(desk.path("kept.json")).expect("a file");
    assert!(!kept.contains("anna@") && !kept.contains("hunter2"), "{kept}");
}

#[test]
fn a_deep_plan_and_a_broken_one_end_well() {
    let deep = |levels: usize| {
        let mut text = String::new();
        for _ in 0..levels {
            text.push_str("{\"Node Type\": \"Materialize\", \"Total Cost\": 1, \"Plans\": [");
        }
        text.push_str("{\"Node Type\": \"Result\"}");
        text.push_str(&"]}".repeat(levels));
        format!("[{{\"Plan\": {text}}}]")
    };
    let screen = good(Desk::new().stdin(deep(900).as_bytes()).run("explain --plan - --full"));
    assert!(screen.contains("⋯") && screen.lines().all(|line| line.chars().count() <= 100));
    refused(&Desk::new().stdin(deep(1_100).as_bytes()).run("explain --plan -"), 3, "more nodes than any planner makes");
    let whole = deep(20);
    for cut in [10, 40, 200, whole.len() - 1] {
        refused(&Desk::new().stdin(&whole.as_bytes()[..cut]).run("explain --plan -"), 3, "reading a plan");
    }
}
