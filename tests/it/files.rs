//! Logs in files, pipes and commands: packed and rotated ones, those of other tools, followed ones, broken ones. No root, no server.

use crate::{
    cli_support::{Desk, Seen, fixtures},
    support::{Live, SOON, obsctl},
};
use lab::eventually;
use serde_json::Value;
use std::{fs, io::Write, path::Path, time::Duration};

/// A structlog line at this second of the hour.
fn line(second: u32, event: &str) -> String {
    format!(
        "{{\"event\": \"{event}\", \"level\": \"info\", \"request_id\": \"abcdef01-{second}\", \"timestamp\": \"2026-11-21T18:{:02}:{:02}Z\"}}\n",
        second / 60,
        second % 60
    )
}

#[track_caller]
fn shows(seen: &Seen, status: i32, events: &[&str]) {
    let order: Vec<usize> = events.iter().map(|e| seen.out.find(e).unwrap_or_else(|| panic!("no {e:?}: {seen:#?}"))).collect();
    assert!(seen.status == status && order.is_sorted(), "not {status}, in this order: {events:?}: {seen:#?}");
}

fn packed(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(text.as_bytes()).expect("memory");
    out.finish().expect("memory")
}

#[test]
fn rotated_and_packed_files_are_one_log_in_order() {
    let mut traceback = line(2, "third");
    traceback.push_str("Traceback (most recent call last):\n  File \"x\"\n");
    let desk = Desk::new()
        .file("logs/app.log.2.gz", packed(&line(0, "first")))
        .file("logs/app.log.1", line(1, "second"))
        .file("logs/app.log", traceback)
        .file("logs/old/mail.log-20261120.gz", packed(&line(3, "fourth")))
        .file("logs/old/mail.log", "plain\n")
        .file("logs/core.bin", "nothing");
    for words in ["logs logs/app.log*", "logs ./logs", "logs logs/app.log logs/app.log.1 logs/app.log.2.gz"] {
        let seen = desk.run(words);
        shows(&seen, 0, &["first", "second", "third", "Traceback"]);
        assert!(seen.out.lines().take(3).all(|l| l.contains("app.log ")), "one log has one name: {}", seen.out);
    }
    let all = desk.run("logs ./logs -o ndjson");
    let objects: Vec<Value> = all.out.lines().map(|l| serde_json::from_str(l).expect("an object")).collect();
    assert_eq!(objects.len(), 6, "five records and the end: {}", all.out);
    assert_eq!(objects[5]["coverage"]["searched"].as_array().map(Vec::len), Some(5));
    shows(&desk.run("logs ./logs -r abcdef01-3"), 0, &["fourth"]);
    let none = Desk::new().file("folder/data.bin", "x").run("logs ./folder");
    assert!(none.status == 2 && none.err.contains("no file in this folder is named like a log"), "{none:#?}");
}

#[test]
fn a_damaged_packed_file_is_a_gap() {
    let mut bytes = packed(&(0..2_000).map(|i| line(i % 3600, "kept")).collect::<String>());
    bytes.truncate(bytes.len() / 2);
    let desk = Desk::new().file("app.log.1.gz", bytes).file("app.log", line(9, "newest"));
    let seen = desk.run("logs ./app.log*");
    shows(&seen, 0, &["kept", "newest"]);
    assert!(seen.err.contains("app.log.1.gz") && seen.err.contains("it is no whole gzip file"), "{}", seen.err);
    assert_eq!(desk.run("logs ./app.log* -r 99999999").status, 3, "absent, but not all could be read");
}

#[test]
fn what_may_not_be_read_is_a_gap() {
    let desk = Desk::new().file("a.log", line(1, "hidden")).file("b.log", line(2, "shown"));
    // Root reads everything, unless it is without that capability.
    let script = "chmod 000 a.log; run=; [ $(id -u) != 0 ] || run='setpriv --bounding-set=-dac_override,-dac_read_search'; \
                  $run \"$OBSCTL\" logs a.log b.log";
    let seen = desk.bash(script);
    shows(&seen, 0, &["shown"]);
    assert!(!seen.out.contains("hidden") && seen.err.contains("a.log") && seen.err.contains("Permission denied"), "{seen:#?}");
}

/// Every tool's form of the same lines: each is known to be its pod's, and a traceback stays with its own.
#[test]
fn other_tools_prefixes_name_the_writer() {
    let (web, worker) = ("backend-6d8f9c7b5-x2x4z", "celery-0");
    let lines = [
        (web, "app", line(5, "later")),
        (worker, "main", line(1, "sooner")),
        (web, "app", "Traceback (most recent call last):\n".to_owned()),
        (worker, "main", line(2, "between")),
        (web, "app", "  File \"x.py\", line 1\n".to_owned()),
        (web, "app", "ValueError: broken\n".to_owned()),
    ];
    type Form = (&'static str, fn(&str, &str) -> String, bool);
    let forms: [Form; 5] = [
        ("kubectl", |pod, c| format!("[pod/{pod}/{c}] "), true),
        ("stern", |pod, c| format!("{pod} {c} "), true),
        ("stern-colours", |pod, c| format!("\x1b[95m{pod}\x1b[0m \x1b[35;1m{c}\x1b[0m "), true),
        ("compose", |pod, _| format!("{pod:<24} | "), false),
        ("compose-colours", |pod, _| format!("\x1b[36m{pod:<24} | \x1b[0m"), false),
    ];
    for (name, prefix, containers) in forms {
        let text: String = lines.iter().map(|(pod, container, text)| format!("{}{text}", prefix(pod, container))).collect();
        let seen = Desk::new().file("captured.txt", &text).run("logs ./captured.txt");
        shows(&seen, 0, &["sooner", "between", "later", "Traceback", "x.py", "ValueError"]);
        let tag = if containers { format!("{web}/app") } else { web.to_owned() };
        assert!(seen.out.lines().any(|l| l.contains(&format!("{tag} ")) && l.contains("later")), "{name}: {}", seen.out);
        let piped = Desk::new().stdin(text.as_bytes()).run("logs - -r abcdef01-5");
        shows(&piped, 0, &[web, "ValueError"]);
    }
}

#[test]
fn files_of_the_container_runtime_are_understood() {
    let at = |s: u32| format!("2026-11-21T18:00:{s:02}.123456789+00:00");
    let long = "x".repeat(40_000);
    let whole = format!("{{\"event\": \"{long}\", \"request_id\": \"abcdef01-9\", \"level\": \"error\"}}");
    let (first, rest) = whole.split_at(16_384);
    let (second, third) = rest.split_at(16_384);
    let text = format!(
        "{} stdout F {{\"event\": \"start\"}}\n{} stdout P {first}\n{} stderr F other\n{} stdout P {second}\n{} stdout F {third}\n",
        at(1),
        at(2),
        at(2),
        at(2),
        at(2)
    );
    let desk = Desk::new().file("pods/shop_backend-0_0f3c/app/0.log", &text);
    let seen = desk.run("logs ./pods --raw --timestamps");
    shows(&seen, 0, &["2026-11-21T18:00:01.123456", "start", "other"]);
    let found = desk.run("logs ./pods -r abcdef01-9 -o json");
    let answer: Value = serde_json::from_str(&found.out).expect("an object");
    assert_eq!(found.status, 0, "a value that stands in two parts is found: {}", found.err);
    assert!(found.out.contains("backend-0") && answer["exit_status"] == 0);
    let levels = desk.run("logs ./pods --level error -o ndjson");
    let record: Value = serde_json::from_str(levels.out.lines().next().expect("a record")).expect("an object");
    assert_eq!((&record["namespace"], &record["name"], &record["container"]), (&"shop".into(), &"backend-0".into(), &"app".into()));
}

#[test]
fn json_text_and_tracebacks_in_one_file() {
    let text = "{\"event\": \"one\", \"level\": \"error\", \"timestamp\": \"2026-11-21T18:00:00Z\"}\nTraceback (most recent call last):\n  File \"x\"\nValueError: y\n\
                127.0.0.1 - - [21/Nov/2026:18:00:01 +0000] \"GET /x HTTP/1.1\" 200 5\nplain words\nERROR 2026-11-21 18:00:02,000 views 1 2 two\n";
    let desk = Desk::new().file("x.log", text);
    shows(&desk.run("logs x.log"), 0, &["one", "ValueError", "GET /x", "plain words", "two"]);
    let errors = desk.run("logs x.log --level error");
    shows(&errors, 0, &["one", "Traceback", "ValueError", "two"]);
    assert!(!errors.out.contains("GET /x") && !errors.out.contains("plain words"), "{}", errors.out);
}

#[test]
fn nul_bytes_and_no_lines_at_all() {
    let mut bytes = vec![0; 3 << 20];
    bytes.extend(line(1, "behind the hole").bytes());
    let desk = Desk::new().file("hole.log", &bytes).file("empty.log", "");
    let seen = desk.run("logs hole.log -r abcdef01-1");
    assert!(matches!(seen.status, 0 | 1 | 3), "{seen:#?}");
    bytes.insert(3 << 20, b'\n');
    shows(&Desk::new().file("hole.log", &bytes).run("logs hole.log -r abcdef01-1"), 0, &["behind the hole"]);
    assert_eq!(desk.run("logs empty.log -r abcdef01-1").status, 3);
}

#[test]
fn a_line_of_a_hundred_mebibytes_is_cut_and_the_memory_stays_small() {
    let desk = Desk::new();
    let script = format!(
        "{{ printf '%s' '{}'; head -c 104857600 /dev/zero | tr '\\0' x; printf '\\n%s' '{}'; }} >long.log; \
         for ask in '' '--level info' '-r abcdef01-2'; do \
           python3 -c 'import os,sys; p=os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]); u=os.wait4(p,0); print(\"peak\", u[2].ru_maxrss // 1024, \"status\", u[1] >> 8, file=sys.stderr)' \
             \"$OBSCTL\" logs long.log --raw $ask | cut -c1-200 | grep -c after; \
         done",
        line(1, "before"),
        line(2, "after")
    );
    let seen = desk.bash(&script);
    assert_eq!(seen.out, "1\n1\n1\n", "{}", seen.err);
    assert!(seen.err.matches("cut at 4 MiB: 1 line").count() >= 2, "{}", seen.err);
    let peaks: Vec<u64> = seen.err.lines().filter_map(|l| l.strip_prefix("peak ")?.split(' ').next()?.parse().ok()).collect();
    // The unoptimised binary itself takes some 20 MiB more than the one that is released.
    assert!(peaks.len() == 3 && peaks.iter().all(|p| *p < 110), "{peaks:?} MiB");
}

#[test]
fn five_hundred_logs_are_merged_in_little_memory() {
    let mut desk = Desk::new();
    for file in 0..500 {
        let text: String = (0..40).map(|i| line(i * 7 + file % 7, &format!("event {file} {}", "x".repeat(500)))).collect();
        desk = desk.file(&format!("logs/web-a{file}.log"), text);
    }
    let script = "python3 -c 'import os,sys; p=os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]); u=os.wait4(p,0); print(\"peak\", u[2].ru_maxrss // 1024, file=sys.stderr)' \
                  \"$OBSCTL\" logs ./logs --timestamps | cut -c1-19 >times; sort -c times && wc -l <times";
    let seen = desk.bash(script);
    assert_eq!(seen.out.trim(), "20000", "{}", seen.err);
    let peak: u64 = seen.err.lines().find_map(|l| l.strip_prefix("peak ")?.parse().ok()).expect("a figure");
    assert!(peak < 110, "{peak} MiB");
}

/// A configuration whose app prints its log.
fn with_command(command: &str) -> Desk {
    Desk::new().file("obs.yaml", format!("environments:\n  local:\n    apps:\n      web: {{command: {command}}}\n"))
}

#[test]
fn a_command_of_the_configuration_is_read_without_a_shell() {
    let desk = with_command("[printf, 'web-1  | {\"event\": \"$(id) one\"}\\ndb-1   | two\\n']");
    let seen = desk.run("--config obs.yaml logs");
    shows(&seen, 0, &["web-1 $(id) one"]);
    shows(&seen, 0, &["db-1 two"]);
    let failing = with_command("[sh, -c, 'echo shown; echo no such service >&2; exit 3']").run("--config obs.yaml logs web");
    shows(&failing, 0, &["shown"]);
    assert!(failing.err.contains("it failed with status 3: no such service"), "{}", failing.err);
    let missing = with_command("[no-such-command-at-all]").run("--config obs.yaml logs web -r abcdef01");
    assert!(missing.status == 3 && missing.out.contains("there is no such command"), "{missing:#?}");
    let followed = with_command("[sh, -c, 'echo \"$0 $1\"', x]").run("--config obs.yaml logs web -f");
    shows(&followed, 0, &["x --follow"]);
    // A file that lies in a project runs nothing before it is trusted.
    let untrusted = Desk::new().file("obsctl.yaml", "environments: {local: {apps: {web: {command: [touch, ran]}}}}").run("logs");
    assert!(untrusted.status == 2 && untrusted.err.contains("obsctl config trust"), "{untrusted:#?}");
}

/// A followed log in a folder of its own.
fn followed(folder: &Path, words: &str) -> Live {
    obsctl(&fixtures().join("none"), &format!("logs {} -f", folder.join("app.log").display())).arg_all(words).start()
}

fn append(path: &Path, text: &str) {
    fs::OpenOptions::new().create(true).append(true).open(path).and_then(|mut f| f.write_all(text.as_bytes())).expect("a file");
}

#[test]
fn a_followed_file_goes_on_across_rotation_and_truncation() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("app.log");
    append(&log, "line 1\nline 2\n");
    let mut live = followed(folder.path(), "--raw");
    live.says("line 2\n");
    // logrotate's create.
    append(&log, "line 3\n");
    fs::rename(&log, folder.path().join("app.log.1")).expect("renamed");
    append(&folder.path().join("app.log.1"), "line 4\n");
    append(&log, "line 5\n");
    live.says("line 5\n");
    // logrotate's copytruncate.
    append(&log, "line 6\n");
    fs::copy(&log, folder.path().join("app.log.2")).expect("copied");
    fs::OpenOptions::new().write(true).open(&log).and_then(|f| f.set_len(0)).expect("cut");
    append(&log, "line 7\nline 8\nline 9\n");
    live.says("line 9\n");
    // Removed and made again.
    fs::remove_file(&log).expect("removed");
    eventually(SOON, || if live.err().contains("is gone") { Ok(()) } else { Err(live.err()) });
    append(&log, "line 10\n");
    live.says("line 10\n");
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5)).ends(130);
    let numbers: Vec<&str> = ran.out.lines().collect();
    let expected: Vec<String> = (1..=10).map(|n| format!("line {n}")).collect();
    assert_eq!(numbers, expected, "each once, in order\n{}", ran.err);
    ran.warns(&["goes on in a new file (rotated)", "was copied and cut (rotated)"]);
}

#[test]
fn a_writer_that_rotates_all_the_time_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("app.log");
    append(&log, "line 0\n");
    let mut live = followed(folder.path(), "--raw");
    live.says("line 0\n");
    for number in 1..=3_000 {
        append(&log, &format!("line {number}\n"));
        if number % 500 == 0 {
            for old in (1..5).rev() {
                let _ = fs::rename(folder.path().join(format!("app.log.{old}")), folder.path().join(format!("app.log.{}", old + 1)));
            }
            fs::rename(&log, folder.path().join("app.log.1")).expect("renamed");
        }
    }
    append(&log, "the end\n");
    live.says("the end\n");
    live.signal("TERM");
    let ran = live.end(Duration::from_secs(5)).ends(143);
    let mut numbers: Vec<u32> = ran.out.lines().filter_map(|l| l.strip_prefix("line ")?.parse().ok()).collect();
    assert!(numbers.is_sorted(), "in order");
    numbers.dedup();
    assert_eq!(numbers.len(), 3_001, "each once\n{}", ran.err);
}

#[test]
fn the_newest_lines_and_then_what_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("app.log");
    append(&log, "old 1\nold 2\nold 3\n");
    let mut live = followed(folder.path(), "--tail 1 --raw");
    live.says("old 3\n");
    append(&log, "new\n");
    live.says("new\n");
    live.signal("INT");
    assert_eq!(live.end(Duration::from_secs(5)).ends(130).out, "old 3\nnew\n");
}

#[test]
fn a_pipe_is_shown_as_it_comes_and_a_closed_stdout_ends_it() {
    let desk = Desk::new();
    let seen = desk.bash("(echo first; sleep 30) | timeout 20 \"$OBSCTL\" logs - --raw | head -1; echo ended");
    assert_eq!(seen.out, "first\nended\n", "{}", seen.err);
    let seen = desk.bash("yes '{\"event\": \"x\"}' | \"$OBSCTL\" logs - --raw | head -2 | wc -l");
    assert_eq!(seen.out.trim(), "2", "{}", seen.err);
}

#[test]
fn ctrl_c_ends_a_search_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("huge.log");
    append(&log, &line(1, "the first"));
    // A hole: it takes no room, and longer to read than anybody waits.
    fs::OpenOptions::new().write(true).open(&log).and_then(|f| f.set_len(1 << 40)).expect("a hole");
    for ask in ["--level error", "-x nothing"] {
        let live = obsctl(&fixtures().join("none"), &format!("logs {} {ask}", log.display())).start();
        eventually(SOON, || if live.err().contains("huge.log") { Ok(()) } else { Err(live.err()) });
        live.signal("INT");
        let ran = live.end(Duration::from_secs(5)).ends(130);
        ran.warns(&["interrupted before its end"]);
    }
}
