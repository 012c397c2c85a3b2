//! `errors`, `logs --stats`, `logs --leaks` and the forms of records, on files and pipes: real logs of real servers, and faults.

use crate::cli_support::{Desk, Seen};
use serde_json::Value;
use std::fmt::Write;

fn json(seen: &Seen) -> Value {
    serde_json::from_str(&seen.out).unwrap_or_else(|e| panic!("{e}: {seen:#?}"))
}

fn expect(seen: &Seen, status: i32, texts: &[&str]) {
    let flat = |t: &str| t.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in texts {
        assert!(seen.status == status && flat(&seen.out).contains(&flat(text)), "not {status}, {text:?}: {seen:#?}");
    }
}

/// `title count` of each kind.
fn kinds(answer: &Value) -> Vec<String> {
    let kinds = answer["facts"]["kinds"].as_array().expect("kinds");
    let title = |k: &Value| k["cause"]["exception"].as_str().or(k["cause"]["message"].as_str()).unwrap_or_default().to_owned();
    kinds.iter().map(|k| format!("{} {}", title(k), k["count"])).collect()
}

#[test]
fn the_planted_errors_of_every_profile_are_told_by_their_cause() {
    let desk = Desk::at_fixtures();
    for profile in ["a", "b", "c", "d"] {
        let seen = desk.run(&format!("errors shop-{profile}/*.log"));
        let (mail, price) = ("SMTPServerDisconnected  mail/tasks.py:29 send_receipt", "DivisionByZero  products/views.py:34 margin");
        // Two of the profiles log the answer 500 at level error too.
        let also = if matches!(profile, "b" | "c") { "GET /api/products/<n>/margin/ 500" } else { "errors of 2 kinds" };
        expect(&seen, 0, &[also, mail, price, "NEXT  obsctl logs 'shop-"]);
        // The same failure told by two loggers counts once.
        let answer = json(&desk.run(&format!("errors shop-{profile}/*.log -o json")));
        assert_eq!(answer["kind"], "errors");
        assert!(kinds(&answer).contains(&"DivisionByZero 1".to_owned()), "{profile}: {:?}", kinds(&answer));
        assert_eq!(answer["facts"]["kinds"][0]["timeline"].as_array().map(Vec::len), Some(24));
        if matches!(profile, "a" | "b") {
            assert!(seen.out.contains("-r 51c035ca") || seen.out.contains(" -r "), "{seen:#?}");
        }
    }
    // What is named as the next step finds it.
    let answer = json(&desk.run("errors shop-a/*.log -o json"));
    let next = answer["facts"]["kinds"][0]["next"]["run"].as_str().expect("a command");
    let again = desk.run(&next.replace("obsctl ", "").replace('\'', ""));
    expect(&again, 0, &["mail.send_receipt"]);
}

#[test]
fn every_prefix_of_postgresql_gives_the_same_errors() {
    let desk = Desk::at_fixtures();
    let expected = [
        "division by zero 1",
        "duplicate key value violates unique constraint \"x_pkey\" 1",
        "relation \"no_such_table\" does not exist",
        "role \"nobody_here\" does not exist 1",
        "stop 1",
    ];
    for name in [
        "pg15.stderr",
        "pg18.stderr",
        "pg15-badger.stderr",
        "pg15-rds.stderr",
        "pg15-bare.stderr",
        "pg15.csv",
        "pg18.csv",
        "pg15.json",
        "pg18.json",
    ] {
        let answer = json(&desk.run(&format!("errors formats/{name}.log -o json")));
        let mut found = kinds(&answer);
        found.sort();
        assert_eq!(found.len(), 5, "{name}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{name}: {found}");
        }
        // DETAIL, HINT and STATEMENT are part of the record, over several lines too.
        let of = |title: &str| {
            let all = answer["facts"]["kinds"].as_array().expect("kinds").iter();
            let one = all.clone().find(|k| k["cause"]["message"].as_str().is_some_and(|m| m.starts_with(title)));
            one.unwrap_or_else(|| panic!("{name}: {title}")).to_owned()
        };
        let duplicate = of("duplicate");
        let whole = format!("{} {}", duplicate["sample"]["line"], duplicate["sample"]["more"]);
        for part in ["already exists", "INSERT INTO x", "VALUES (1)"] {
            assert!(whole.contains(part), "{name}: {part}: {whole}");
        }
        if name != "pg15-bare.stderr" {
            assert!(duplicate["first"].is_string() && duplicate["level"] == "error", "{name}: {duplicate:#}");
        }
        // A warning is no error, and its password is nobody's business.
        let lines = desk.run(&format!("logs formats/{name}.log --level warning"));
        assert!(lines.out.contains("careful") && !lines.out.contains("hunter2secret"), "{name}: {lines:#?}");
    }
}

#[test]
fn statements_are_measured_whatever_the_form() {
    let desk = Desk::at_fixtures();
    for name in ["pg15.stderr", "pg18.csv", "pg18.json", "pg15-rds.stderr"] {
        let answer = json(&desk.run(&format!("logs formats/{name}.log --stats --of duration_ms -i pg_sleep -o json")));
        let total = &answer["facts"]["measures"][0]["total"];
        assert_eq!((total["count"].as_u64(), total["exact"].as_bool()), (Some(1), Some(true)), "{name}: {answer:#}");
        assert!(total["max"].as_f64().is_some_and(|ms| (20.0..2_000.0).contains(&ms)), "{name}: {total}");
    }
}

#[test]
fn gunicorn_s_own_lines_and_its_access_lines() {
    let desk = Desk::at_fixtures();
    for name in ["gunicorn-tcp", "gunicorn-socket"] {
        let seen = desk.run(&format!("errors formats/{name}.log"));
        expect(
            &seen,
            0,
            &[
                "ValueError",
                "app.py:5 application",
                "SystemExit",
                "app.py:7 application",
                "WORKER TIMEOUT (pid:<n>)",
                "no price for user <email",
            ],
        );
        assert!(!seen.out.contains("bob@example"), "{seen:#?}");
        // Each access line is a record of its own, one behind a traceback as well.
        let answer = json(&desk.run(&format!("logs formats/{name}.log --stats --by status_code --of bytes -o json")));
        let rows = answer["facts"]["measures"][0]["rows"].as_array().expect("rows").clone();
        let of = |status: &str| rows.iter().find(|r| r["value"][0] == status).map(|r| r["count"].clone());
        assert_eq!((of("404"), of("500")), (Some(1.into()), Some(2.into())), "{name}: {rows:#?}");
        let paths = desk.run(&format!("logs formats/{name}.log --stats --by method --by path"));
        expect(&paths, 0, &["GET /orders/<n>/", "METHOD PATH"]);
        assert!(!paths.out.contains("tok-4411"), "{paths:#?}");
    }
}

#[test]
fn every_form_in_one_file() {
    let text = "{\"level\": \"error\", \"event\": \"lost 17\", \"request_id\": \"abcdef01\", \"timestamp\": \"2026-11-21T18:00:00Z\"}
level=error ts=2026-11-21T18:00:01Z msg=\"lost 18\" request_id=abcdef02 exception=\"Traceback (most recent call last):\\n  File \\\"/srv/a/b.py\\\", line 1, in f\\nKeyError: 'x'\"
2026-11-21 18:00:02.000 UTC [88] ERROR:  division by zero
2026-11-21 18:00:02.000 UTC [88] STATEMENT:  SELECT 1/0
2026-11-21 18:00:02.100 UTC,\"shop\",\"orders\",88,\"[local]\",6740.58,3,\"SELECT\",2026-11-21 18:00:00 UTC,3/4,0,ERROR,22012,\"division by zero\",,,,,,\"SELECT
 1/0\",,,\"x\",\"client backend\",,0
127.0.0.1 - - [21/Nov/2026:18:00:03 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"
Traceback (most recent call last):
  File \"/srv/a/c.py\", line 2, in g
ValueError: no

just words
ERROR:shop:basic
";
    let desk = Desk::new().file("mixed.log", text);
    let mut found = kinds(&json(&desk.run("errors mixed.log -o json")));
    found.sort();
    // stderr's and csvlog's are one kind.
    assert_eq!(found, ["KeyError 1", "ValueError 1", "basic 1", "division by zero 2", "lost <n> 1"]);
    expect(&Desk::new().stdin(text.as_bytes()).run("errors -"), 0, &["6 errors of 5 kinds", "b.py:1 f"]);
}

#[test]
fn silent_when_all_is_well() {
    let desk = Desk::new().file("x.log", "{\"level\": \"info\", \"event\": \"fine\"}\n");
    let seen = desk.run("errors x.log");
    assert_eq!((seen.status, seen.out.as_str(), seen.err.as_str()), (0, "files x.log\nno errors: 1 record of 1 log\n", ""));
    let seen = desk.run("logs x.log --leaks");
    assert_eq!((seen.status, seen.out.as_str(), seen.err.as_str()), (0, "files x.log\nnothing had to be hidden: 1 record of 1 log\n", ""));
    let empty = Desk::new().file("x.log", "");
    expect(&empty.run("errors x.log"), 0, &["no errors: 0 records of 1 log"]);
    expect(&empty.run("logs x.log --stats --of n"), 0, &["0 records in 1 log"]);
}

#[test]
fn filters_and_windows_hold_for_all_three() {
    let mut text = String::new();
    for i in 0..10 {
        let _ = writeln!(
            text,
            "{{\"level\": \"error\", \"event\": \"e{}\", \"n\": {i}, \"timestamp\": \"2026-11-21T18:00:0{i}Z\", \"password\": \"p{i}-secret\"}}",
            i % 2
        );
    }
    let desk = Desk::new().file("x.log", text);
    assert_eq!(kinds(&json(&desk.run("errors x.log -i e1 -o json"))), ["e1 5"]);
    assert_eq!(kinds(&json(&desk.run("errors x.log --since 2026-11-21T18:00:08Z -o json"))), ["e0 1", "e1 1"]);
    let stats = json(&desk.run("logs x.log --stats --of n --until 2026-11-21T18:00:03Z -o json"));
    assert_eq!((&stats["facts"]["records"], &stats["facts"]["measures"][0]["total"]["max"]), (&4.into(), &3.0.into()));
    let leaks = json(&desk.run("logs x.log --leaks --tail 3 -o json"));
    assert_eq!((&leaks["facts"]["values"], &leaks["facts"]["rows"][0]["kind"]), (&3.into(), &"secret".into()), "{leaks:#}");
    // Nothing is counted around a hit, and nobody is let believe so.
    for words in ["logs x.log --stats --level error --around 2", "logs x.log --leaks --level error --around 5s"] {
        assert!(desk.run(words).status == 2, "{words}");
    }
    for (words, status) in
        [("logs x.log --of n", 2), ("logs x.log --stats -f", 2), ("logs x.log --stats --leaks", 2), ("errors ./no.log", 2)]
    {
        assert_eq!(desk.run(words).status, status, "{words}");
    }
}

#[test]
fn what_a_search_passes_over_is_said_in_bytes_and_never_as_a_number_of_records() {
    let (mut text, mut errors) = (String::new(), 0);
    for i in 0..40_000 {
        let level = if i % 10_000 == 7 { "error" } else { "info" };
        errors += usize::from(level == "error");
        let _ = writeln!(text, "{{\"level\": \"{level}\", \"event\": \"tick {i}\", \"n\": {i}, \"api_key\": \"k{i}-secret\"}}");
    }
    let bytes = text.len();
    let desk = Desk::new().file("x.log", text);
    let whole = json(&desk.run("logs x.log --stats -o json"));
    assert_eq!((&whole["facts"]["records"], &whole["facts"]["read"]), (&40_000.into(), &40_000.into()));
    assert_eq!(json(&desk.run("logs x.log --leaks -o json"))["facts"]["read"], 40_000);
    let some = json(&desk.run("logs x.log --stats -i tick.77 -o json"));
    assert_eq!((&some["facts"]["records"], &some["facts"]["read"]), (&111.into(), &serde_json::Value::Null), "{:#}", some["facts"]);
    assert_eq!(some["coverage"]["bytes"], bytes);
    let size = "MiB of 1 log";
    expect(&desk.run("errors x.log -i no-such-thing"), 0, &["no errors: ", size]);
    expect(&desk.run("logs x.log --leaks -i tick.77"), 0, &["111 values in 111 records had to be hidden, of ", size]);
    let found = json(&desk.run("errors x.log -o json"));
    assert_eq!(found["facts"]["occurrences"], errors);
    // A log without any ID is not an empty one.
    let ran = desk.run("logs x.log -r some-request-77");
    assert!(ran.status == 3 && !ran.out.contains("empty"), "{ran:?}");
}

#[test]
fn leaks_are_counted_and_never_shown() {
    let desk = Desk::at_fixtures();
    let all: Value = serde_json::from_str(include_str!("../sandbox/faults.json")).expect("an object");
    let secrets: Vec<&str> = all["secrets"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for words in
        ["logs shop-a/*.log --leaks --limit 0", "logs shop-a/*.log --leaks -o json", "logs shop-d/*.log --leaks --show-sensitive -o json"]
    {
        let seen = desk.run(words);
        assert_eq!(seen.status, 0, "{seen:#?}");
        assert!(seen.out.contains("card") && seen.out.contains("email"), "{words}: {seen:#?}");
        for secret in &secrets {
            assert!(!seen.out.contains(secret), "{words}: {secret}");
        }
    }
}

#[test]
fn garbage_is_no_panic_and_huge_cardinality_is_bounded_and_said() {
    let garbage: Vec<u8> = (0..60_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let desk = Desk::new().file("g.bin", garbage);
    for words in [
        "errors ./g.bin",
        "errors ./g.bin -o json",
        "logs ./g.bin --stats --of n --by x",
        "logs ./g.bin --leaks",
        "logs ./g.bin --leaks -o ndjson",
    ] {
        let seen = desk.run(words);
        assert_eq!(seen.status, 0, "{words}: {}", seen.err);
        assert!(!seen.out.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{words}");
    }
    let mut text = String::new();
    for i in 0..9_000_u32 {
        let word: String = i.to_string().bytes().map(|d| char::from(b'a' + (d - b'0'))).collect();
        let _ = writeln!(text, "{{\"level\": \"error\", \"event\": \"{word}\", \"k\": \"{word}\", \"n\": {i}}}");
    }
    let desk = Desk::new().file("many.log", text);
    expect(
        &desk.run("errors many.log"),
        0,
        &["9 000 errors of 2 000 kinds", "7 000 × further kinds: too many to tell apart", "1 990 more kinds"],
    );
    let stats = desk.run("logs many.log --stats --of n --by k --limit 2");
    expect(&stats, 0, &["8 000 records are in no row", "within 1 %", "4 000 records are in no row", "all"]);
}

#[test]
fn a_wrong_clock_and_no_clock_are_said() {
    let text = "{\"level\": \"error\", \"event\": \"now\", \"timestamp\": \"2026-11-21T18:00:00Z\"}
{\"level\": \"error\", \"event\": \"later\", \"timestamp\": \"2099-01-01T00:00:00Z\"}
{\"level\": \"error\", \"event\": \"never\"}
";
    let desk = Desk::new().file("x.log", text);
    let seen = desk.run("errors x.log");
    expect(&seen, 0, &["3 errors of 3 kinds", "1 × with a time that is yet to come", "1 × without a time"]);
    let answer = json(&desk.run("errors x.log -o json"));
    assert_eq!((&answer["facts"]["last"], &answer["findings"][0]["code"]), (&"2026-11-21T18:00:00Z".into(), &"clock-ahead".into()));
}
