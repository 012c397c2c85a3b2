//! Records as they are: order, filters, windows, forms, and bytes that are no text.

use super::{standard::standard, written};
use jiff::Timestamp;

#[test]
fn records_of_all_pods_come_in_order_of_time() {
    let shared = standard();
    let mut expected: Vec<(Timestamp, String)> = shared.pods("backend").iter().flat_map(|pod| written(&shared.ns, pod)).collect();
    expected.sort();
    let ran = shared.obsctl("logs deploy/backend --tail -1 -o ndjson").run().ends(0);
    let mut objects = ran.ndjson();
    let end = objects.pop().unwrap();
    assert_eq!((&end["kind"], &end["records"], &end["complete"]), (&"end".into(), &expected.len().into(), &true.into()), "{end}");
    let shown: Vec<(Timestamp, String)> =
        objects.iter().map(|o| (o["at"].as_str().unwrap().parse().unwrap(), o["line"].as_str().unwrap().to_owned())).collect();
    assert_eq!(shown, expected);
    // A healthy reading: where it ran, and not a word more.
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(ran.err.contains(shared.ns.name()), "{}", ran.err);
}

#[test]
fn the_default_window_is_said() {
    let shared = standard();
    let ran = shared.obsctl("logs api").run().ends(0).shows(&["api is quiet"]).warns(&["the last 10m", "200"]);
    ran.never_says(&["COVERAGE", "warning"]);
    shared.obsctl("logs api -q").run().ends(0).shows(&["api is quiet"]).never_says(&["the last 10m"]);
}

#[test]
fn tail_counts_records() {
    let shared = standard();
    let ran = shared.obsctl("logs deploy/backend --tail 3").run().ends(0);
    assert_eq!((ran.out.lines().count(), ran.count("\"n\"") + ran.count("n=9"), ran.count("is quiet")), (6, 2, 2), "{}", ran.out);
    let ran = shared.obsctl("logs deploy/backend --tail 2 -i tick").run().ends(0).shows(&["n=9", "n=10"]);
    assert_eq!(ran.out.lines().count(), 4, "{}", ran.out);
    let ran = shared.obsctl("logs api --tail 0").run().ends(0);
    assert_eq!(ran.out, "");
    // A traceback is part of its record.
    let ran = shared.obsctl("logs api --tail 2").run().ends(0).shows(&["broken", "Traceback", "ValueError: no price", "api is quiet"]);
    ran.never_says(&["slow"]);
}

#[test]
fn windows_are_those_of_the_runtime() {
    let shared = standard();
    let pod = shared.pods("backend").remove(0);
    let lines = written(&shared.ns, &pod);
    let (from, to) = (lines[3].0, lines[6].0);
    let window = |words: String| {
        let ran = shared.obsctl("logs -o ndjson").arg(&format!("po/{pod}")).arg_all(&words).run().ends(0);
        ran.ndjson().iter().filter_map(|o| o["line"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let texts = |range: std::ops::RangeInclusive<usize>| lines[range].iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
    let last = lines.len() - 1;
    assert_eq!(window(format!("--since {from}")), texts(3..=last));
    assert_eq!(window(format!("--since-time {from}")), texts(3..=last));
    assert_eq!(window(format!("--until {to}")), texts(0..=6));
    assert_eq!(window(format!("--since {from} --until {to}")), texts(3..=6));
    assert_eq!(window("--since 24h".into()), texts(0..=last));
    // The newest two of the window, not those of the window that are among the newest two.
    assert_eq!(window(format!("--until {to} --tail 2")), texts(5..=6));
    shared.obsctl("logs api --since 1h --until 2h").run().ends(2).warns(&["--since"]);
    shared.obsctl("logs api --since tomorrowish").run().ends(2).warns(&["tomorrowish"]);
}

#[test]
fn filters() {
    let shared = standard();
    let lines = |words: &str| shared.obsctl("logs api").arg_all(words).run().ends(0).out;
    let all = lines("-i slow -i broken");
    assert!(all.contains("slow") && all.contains("broken") && !all.contains("api is quiet"), "{all}");
    let without = lines("-x request_started -x task_");
    assert!(without.contains("slow") && !without.contains("request_started"), "{without}");
    let warnings = lines("--level warning");
    assert!(warnings.contains("slow") && warnings.contains("ValueError: no price") && !warnings.contains("request_started"), "{warnings}");
    let errors = lines("--level error");
    assert!(!errors.contains("slow") && errors.contains("broken"), "{errors}");
    let field = lines("--field user_id=4411");
    assert!(field.contains("slow") && field.contains("/api/orders/") && !field.contains("broken"), "{field}");
    let around = lines("-i slow --around 1");
    assert_eq!(around.lines().filter(|line| line.contains(" ~ ")).count(), 2, "{around}");
    assert!(around.contains("twin-1234-b") && around.contains("broken"), "{around}");
    shared.obsctl("logs api -i nothing-like-it").run().ends(1).warns(&["nothing matches"]);
    shared.obsctl("logs api --level wrong").run().ends(2).warns(&["debug, info, warning, error, critical"]);
    shared.obsctl("logs api -i (").run().ends(2).warns(&["no regular expression"]);
}

#[test]
fn raw_is_what_was_written() {
    let shared = standard();
    let ran = shared.obsctl("logs api --raw --tail -1").run().ends(0);
    let really: Vec<String> = written(&shared.ns, "api").into_iter().map(|(_, text)| text).collect();
    assert_eq!(ran.out.lines().map(str::to_owned).collect::<Vec<_>>(), really);
    let ran = shared.obsctl("logs api --raw --timestamps --tail 1").run().ends(0);
    let at: Timestamp = ran.out.split(' ').next().unwrap().parse().unwrap();
    let wrote = written(&shared.ns, "api").pop().unwrap().0;
    assert_eq!(at.as_microsecond(), wrote.as_microsecond(), "{}", ran.out);
}

#[test]
fn previous_is_the_container_before() {
    let shared = standard();
    let ran = shared.obsctl("logs restarted --previous").run().ends(0).shows(&["first life"]);
    ran.never_says(&["second life"]);
    // Without it both lives are one stream, with the end between them.
    let whole = shared.obsctl("logs restarted --tail -1").run().ends(0);
    let at = |text: &str| whole.out.find(text).unwrap_or_else(|| panic!("{text}: {}", whole.out));
    assert!(at("first life") < at("exit code 3") && at("exit code 3") < at("second life"), "{}", whole.out);
    // There is a pod; only no earlier container of it.
    let ran = shared.obsctl("logs api --previous").run().ends(3).warns(&["api", "no container ran before"]);
    ran.never_says(&["no pod is there"]);
}

#[test]
fn what_is_no_text_is_made_safe() {
    let shared = standard();
    for words in [
        "logs odd --tail -1",
        "logs odd --tail -1 --raw",
        "logs odd --tail -1 -o ndjson",
        "logs odd --tail -1 --color always",
        "logs odd --show-sensitive",
    ] {
        let ran = shared.obsctl(words).run().ends(0).shows(&["latin", "alarm", "carriage", "end"]);
        let painted = words.contains("always");
        for (number, line) in ran.out.lines().enumerate() {
            let bad = |c: char| (c.is_control() && !(painted && c == '\u{1b}')) || ('\u{80}'..='\u{9f}').contains(&c);
            assert!(!line.contains(bad), "{words}, line {number}: {line:?}");
            assert!(!line.contains("\u{1b}]"), "{line:?}");
        }
    }
    // The colour of an application is not our colour.
    let ran = shared.obsctl("logs odd --tail -1 --raw").var("CLICOLOR_FORCE", "1").run().ends(0);
    assert!(!ran.out.contains("\u{1b}[31malarm"), "{:?}", ran.out);
}

#[test]
fn secrets_are_hidden_unless_asked_for() {
    let shared = standard();
    for words in ["logs odd --tail -1", "logs odd --tail -1 --raw", "logs odd --tail -1 -o ndjson", "logs odd --tail -1 -o json"] {
        shared.obsctl(words).run().ends(0).shows(&["tokens=812"]).never_says(&["hunter2secret"]);
    }
    shared.obsctl("logs odd --tail -1 --show-sensitive").run().ends(0).shows(&["hunter2secret"]);
}

#[test]
fn json_has_an_end() {
    let shared = standard();
    let answer = shared.obsctl("logs api --tail 2 -o json").run().ends(0).json();
    assert_eq!(answer["kind"], "logs.records");
    assert_eq!(answer["records"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(answer["end"]["exit_status"], 0, "{answer}");
    let answer = shared.obsctl("logs api -i nothing-like-it -o json").run().ends(1).json();
    assert_eq!((&answer["records"], &answer["end"]["exit_status"]), (&serde_json::json!([]), &1.into()), "{answer}");
    let objects = shared.obsctl("logs po/waiting -o ndjson").run().ends(3).ndjson();
    assert_eq!((objects.len(), &objects[0]["kind"], &objects[0]["complete"]), (1, &"end".into(), &false.into()));
    shared.obsctl("logs api -f -o json").run().ends(2).warns(&["ndjson"]);
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let shared = standard();
    let ran = shared.obsctl("logs deploy/backend --tail -1 -q").piped_into("head -1").run().ends(0);
    assert_eq!((ran.out.lines().count(), ran.err.as_str()), (1, ""), "{}", ran.out);
    let ran = shared.obsctl("logs api -r found-1111").piped_into("true").run().ends(0);
    assert_eq!(ran.err, "");
}
