//! The command line without root and without a cluster: files, stdin, forms, colour, width, times, exit statuses, what is hidden.

use crate::cli_support::{Desk, Seen, fixtures};
use serde_json::Value;
use std::fs;

const TWO: &str = "{\"request_id\":\"abcdef01-1\",\"event\":\"first\",\"level\":\"info\",\"timestamp\":\"2026-11-21T18:00:00.100Z\"}\n\
                   {\"request_id\":\"abcdef02-1\",\"event\":\"second\",\"level\":\"error\",\"timestamp\":\"2026-11-21T18:00:00.200Z\"}\n";

/// The planted fault's request in the captured logs of a profile.
fn planted(profile: &str, fault: &str) -> String {
    let text = fs::read_to_string(fixtures().join(format!("shop-{profile}/planted.jsonl"))).expect("it is there");
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    let one = all.into_iter().find(|one| one["fault"] == fault).expect("it was planted");
    one["request_id"].as_str().expect("an ID").to_owned()
}

/// What the production's authors say must never be shown, and what is no secret.
fn secrets() -> (Vec<String>, Vec<String>) {
    let text = include_str!("../sandbox/faults.json");
    let all: Value = serde_json::from_str(text).expect("an object");
    let list = |name: &str| all[name].as_array().expect("a list").iter().map(|s| s.as_str().expect("text").to_owned()).collect();
    (list("secrets"), list("not_secrets"))
}

fn expect(seen: &Seen, status: i32, out: &str, err: &str) {
    assert!(seen.status == status && seen.out.contains(out) && seen.err.contains(err), "not {status}, {out:?}, {err:?}: {seen:#?}");
}

#[test]
fn help_and_version_are_answers() {
    let desk = Desk::new();
    expect(&desk.run("--version"), 0, concat!("obsctl ", env!("CARGO_PKG_VERSION")), "");
    let help = desk.run("--help");
    expect(&help, 0, "Usage: obsctl", "");
    expect(&desk.run("logs --help"), 0, "--request-id", "");
    assert_eq!(help.err, "");
}

#[test]
fn wrong_arguments_are_usage() {
    let desk = Desk::new();
    expect(&desk.run("logs --nope"), 2, "", "unexpected argument '--nope'");
    expect(&desk.run("nope"), 2, "", "unrecognized subcommand 'nope'");
    for words in [
        "logs x.log --since yesterday",
        "logs x.log -i (",
        "logs x.log -r abc",
        "logs x.log --level loud",
        "logs --first",
        "logs --max-bytes lots",
    ] {
        let seen = Desk::new().file("x.log", TWO).run(words);
        assert!(seen.status == 2 && seen.out.is_empty() && !seen.err.is_empty(), "{words}: {seen:#?}");
    }
}

#[test]
fn a_file_a_glob_and_stdin() {
    let desk = Desk::new().file("a/x.log", TWO).file("a/y.log", "hello\n");
    let one = desk.run("logs a/x.log");
    expect(&one, 0, "first  request_id=abcdef01-1", "files a/x.log");
    assert_eq!(one.out.lines().count(), 2);
    let both = desk.run("logs a/*.log");
    expect(&both, 0, "hello", "files a/*.log");
    assert_eq!(both.out.lines().count(), 3);
    let piped = Desk::new().stdin(TWO.as_bytes());
    expect(&piped.run("logs -"), 0, "second  request_id=abcdef02-1", "");
    expect(&piped.run("logs - -r abcdef01"), 0, "abcdef01-1", "");
    // The last line has no end; nothing is lost.
    expect(&Desk::new().stdin(b"one\ntwo").run("logs -"), 0, "stdin two\n", "");
}

#[test]
fn what_is_no_file_is_usage() {
    let desk = Desk::new().file("logs/x.log", TWO);
    expect(&desk.run("logs ./missing.log"), 2, "", "error: looking for ./missing.log: no such file");
    expect(&desk.run("logs none/*.log"), 2, "", "error: looking for none/*.log: no such file");
    expect(&desk.run("logs ./logs/x.log deploy/web"), 2, "", "files and pods in one question");
    // A bare word is a name, never a file.
    expect(&Desk::new().file("web", TWO).run("logs web"), 2, "", "kubeconfig");
}

#[test]
fn odd_files_are_read() {
    let empty = Desk::new().file("e.log", "").run("logs e.log");
    expect(&empty, 0, "", "files e.log");
    assert_eq!(empty.out, "");
    let latin = Desk::new().file("l.log", b"caf\xe9\n\xff\xfe\n").run("logs l.log");
    expect(&latin, 0, "caf\u{fffd}\n", "");
    // Every byte there is, in an order that repeats nothing.
    let garbage: Vec<u8> = (0..40_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let desk = Desk::new().file("g.bin", garbage);
    for form in ["", "--raw", "-o json", "-o ndjson", "-r abcdef"] {
        let seen = desk.run(&format!("logs ./g.bin {form}"));
        assert!(matches!(seen.status, 0 | 1 | 3), "{form}: {}", seen.err);
        assert_clean(&seen);
    }
}

#[test]
fn a_line_of_five_mebibytes_is_cut_and_that_is_said() {
    let mut text = "x".repeat(5 << 20);
    text.push_str("\nafter\n");
    let seen = Desk::new().file("long.log", text).run("logs long.log");
    expect(&seen, 0, "[obsctl: line cut here]", "cut at 4 MiB: 1 line");
    assert!(seen.out.ends_with("long.log after\n") && seen.out.len() < (4 << 20) + 200);
}

#[test]
fn a_request_has_four_answers() {
    let desk = Desk::new().file("x.log", TWO).file("none.log", "{\"event\":\"no ID here\"}\nplain\n");
    expect(&desk.run("logs x.log -r abcdef01"), 0, "abcdef01-1", "");
    expect(&desk.run("logs x.log -r 99999999"), 1, "no record carries the request ID 99999999: all 2 records were read", "");
    expect(&desk.run("logs none.log -r 99999999"), 3, "these logs carry no request ID: none of their 2 records", "");
    expect(&desk.run("logs x.log -r abcdef"), 2, "", "give more of it: abcdef01-1, abcdef02-1");
}

#[test]
fn filters_have_an_answer_too() {
    let desk = Desk::new().file("x.log", TWO);
    expect(&desk.run("logs x.log --level error"), 0, "second", "");
    expect(&desk.run("logs x.log --field request_id=abcdef01-1"), 0, "first", "");
    expect(&desk.run("logs x.log -i sec.nd"), 0, "second", "");
    expect(&desk.run("logs x.log -x first"), 0, "second", "");
    expect(&desk.run("logs x.log --level critical"), 1, "", "nothing matches");
    assert_eq!(desk.run("logs x.log --tail 1").out.lines().count(), 1);
    assert_eq!(desk.run("logs x.log -i second --around 1").out.lines().count(), 2);
}

#[test]
fn json_is_one_object_and_ndjson_a_stream_with_an_end() {
    let desk = Desk::new().file("x.log", TWO);
    let records: Value = serde_json::from_str(&desk.run("logs x.log -o json").out).expect("one object");
    assert_eq!((&records["kind"], &records["version"], &records["end"]["records"]), (&"logs.records".into(), &1.into(), &2.into()));
    assert_eq!((&records["records"][1]["level"], &records["end"]["exit_status"]), (&"error".into(), &0.into()));
    let stream = desk.run("logs x.log -o ndjson").out;
    let lines: Vec<Value> = stream.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(lines.iter().map(|l| l["kind"].as_str().unwrap_or_default()).collect::<Vec<_>>(), ["record", "record", "end"]);
    for (id, status) in [("abcdef01", 0), ("99999999", 1)] {
        for form in ["json", "ndjson"] {
            let seen = desk.run(&format!("logs x.log -r {id} -o {form}"));
            let answer: Value = serde_json::from_str(&seen.out).expect("one object");
            assert_eq!((seen.status, &answer["exit_status"], &answer["kind"]), (status, &status.into(), &"logs.request".into()));
            assert_eq!(answer["coverage"]["searched"][0]["name"], "x.log");
        }
    }
    expect(&desk.run("logs x.log -f -o json"), 2, "", "-o ndjson");
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let coloured = |vars: &[(&str, &str)], flags: &str| {
        let desk = vars.iter().fold(Desk::new().file("x.log", TWO), |desk, (name, value)| desk.var(name, value));
        desk.run(&format!("logs x.log {flags}")).out.contains('\x1b')
    };
    assert!(!coloured(&[], ""));
    assert!(coloured(&[], "--color always"));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")], ""));
    assert!(!coloured(&[("CLICOLOR_FORCE", "0")], ""));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], ""));
    assert!(coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], ""));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1")], "--color never"));
    assert!(coloured(&[("NO_COLOR", "1")], "--color always"));
    // A machine's form has no colour, whatever was asked.
    assert!(!coloured(&[("CLICOLOR_FORCE", "1")], "-o ndjson --color always"));
}

#[test]
fn a_terminal_gets_colour_and_its_width() {
    let desk = Desk::new().file("x.log", TWO).var("TERM", "xterm");
    let on_terminal = |flags: &str| desk.bash(&format!("script -qec \"$OBSCTL logs x.log {flags}\" /dev/null"));
    assert!(on_terminal("").out.contains("\x1b["), "{:#?}", on_terminal(""));
    assert!(!on_terminal("--color never").out.contains("\x1b["));
}

#[test]
fn the_screen_keeps_to_the_width() {
    let id = planted("a", "failing-task");
    for width in [80, 120, 200] {
        let seen = Desk::at_fixtures().var("COLUMNS", width.to_string()).run(&format!("logs shop-a/*.log -r {id}"));
        let wide: Vec<&str> = seen.out.lines().skip(1).filter(|line| line.chars().count() > width).collect();
        assert!(wide.is_empty() && seen.status == 0, "{width}: {wide:#?}");
    }
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let desk = Desk::at_fixtures();
    for form in ["", "-o json", "-o ndjson", "--raw"] {
        let seen = desk.bash(&format!("\"$OBSCTL\" logs 'shop-*/*.log' {form} -q | head -c 10; echo \" ${{PIPESTATUS[0]}}\""));
        assert!(seen.out.ends_with(" 0\n") && seen.err.is_empty(), "{form}: {seen:#?}");
    }
}

#[test]
fn secrets_appear_in_no_form() {
    let desk = Desk::at_fixtures();
    let (secrets, figures) = secrets();
    for profile in ["a", "b", "c", "d"] {
        let written: String = files(profile).iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        let there: Vec<&String> = secrets.iter().filter(|secret| written.contains(*secret)).collect();
        assert!(there.len() > 4, "the captured logs hold what must be hidden");
        let id = planted(profile, "leaky-log");
        let request = [format!("-r {id}"), format!("-r {id} -v -o json")];
        // All forms once; the other profiles differ in what is written, not in how it is shown.
        let forms = ["-o json", "", "--raw", "-o ndjson", "--color always", "--timestamps -v"];
        let forms = forms.iter().copied().take(if profile == "a" { forms.len() } else { 1 });
        for form in forms.chain(request.iter().map(String::as_str)) {
            let seen = desk.run(&format!("logs shop-{profile}/*.log {form}"));
            for secret in &there {
                assert!(!seen.out.contains(*secret) && !seen.err.contains(*secret), "{profile} {form}: {secret}");
            }
            assert_clean(&seen);
        }
        let all = desk.run(&format!("logs shop-{profile}/*.log"));
        assert!(figures.iter().all(|figure| !written.contains(figure) || all.out.contains(figure)), "{profile}: figures are hidden");
    }
}

#[test]
fn show_sensitive_shows_them_and_stays_safe_for_the_terminal() {
    let seen = Desk::at_fixtures().run("logs shop-a/*.log --show-sensitive");
    expect(&seen, 0, "Tr0ub4dor-and-3", "");
    assert_clean(&seen);
    assert!(seen.out.contains("CRM WARNING"), "what was written is still to be read");
    let raw = Desk::at_fixtures().run("logs shop-a/*.log --show-sensitive --raw");
    assert!(raw.out.contains("\\x1b[31;1mCRM WARNING"), "and what coloured it, as it is");
}

#[test]
fn a_value_has_the_same_mask_in_each_run_of_a_user() {
    let line = "{\"event\": \"mail to kim@example.org and to ada@example.org\"}\n";
    let mask = |desk: &Desk| desk.run("logs x.log").out;
    let new_user = || {
        let desk = Desk::new().file("x.log", line);
        fs::remove_dir_all(desk.home().join(".local")).expect("its state");
        desk
    };
    let one = new_user();
    let first = mask(&one);
    assert!(first.contains("<email:") && first == mask(&one), "{first}");
    let keys: Vec<_> = [one, new_user()]
        .iter()
        .map(|desk| {
            mask(desk);
            fs::read(desk.home().join(".local/state/obsctl/mask-key")).expect("a key")
        })
        .collect();
    assert_ne!(keys[0], keys[1], "each user has a key of their own");
    // Where nothing can be stored it still runs.
    let homeless = new_user().var("HOME", "/proc/nowhere");
    expect(&homeless.run("logs x.log"), 0, "<email:", "");
}

#[test]
fn times_are_utc_or_local() {
    let desk = Desk::new().file("x.log", TWO).var("TZ", "Europe/Berlin");
    expect(&desk.run("logs x.log"), 0, "11-21 18:00:00.100", "");
    expect(&desk.run("logs x.log --local"), 0, "11-21 19:00:00.100", "");
    assert_eq!(desk.run("logs x.log --since 2026-11-21T18:00:00.150Z").out.lines().count(), 1);
    assert_eq!(desk.run("logs x.log --local --since 2026-11-21T19:00:00.150").out.lines().count(), 1);
    assert_eq!(desk.run("logs x.log --until 2026-11-21T18:00:00.150Z").out.lines().count(), 1);
    expect(&desk.run("logs x.log --since 2026-11-21T18:00:01Z --until 2026-11-21T18:00:00Z"), 2, "", "is after --until");
}

#[test]
fn a_clock_time_is_the_most_recent_one_in_the_shown_zone() {
    // One line an hour, over the three days around now, whenever that is: the last 24 hours hold each clock time once.
    let hour = |h: i64| jiff::Timestamp::from_second(h * 3600).expect("a time");
    let desk = Desk::new().file("now.log", "");
    let now: i64 = desk.bash("echo $(($(date +%s) / 3600))").out.trim().parse().expect("hours");
    let text: String = (now - 48..=now).map(|h| format!("{{\"event\":\"tick\",\"timestamp\":\"{}\"}}\n", hour(h))).collect();
    let desk = desk.file("now.log", text).var("TZ", "Asia/Kolkata");
    let clock = |ago: i64, zone: &str| hour(now - ago).in_tz(zone).expect("a zone").strftime("%H:%M").to_string();
    let between = |flags: String| desk.run(&format!("logs now.log {flags}")).out.lines().count();
    assert_eq!(between(format!("--since {} --until {}", clock(5, "UTC"), clock(3, "UTC"))), 3);
    assert_eq!(between(format!("--local --since {} --until {}", clock(5, "Asia/Kolkata"), clock(3, "Asia/Kolkata"))), 3);
    assert_eq!(between(format!("--since {}", clock(23, "UTC"))), 24);
}

#[test]
fn an_environment_without_kubernetes() {
    let yaml =
        "environments:\n  shop:\n    apps:\n      web: {files: ['logs/backend-*.log']}\n      worker: {files: ['logs/celery-*.log']}\n";
    let mut desk = Desk::new().file("obsctl.yaml", yaml);
    for (name, bytes) in names("b").into_iter().zip(files("b")) {
        desk = desk.file(&format!("logs/{name}"), bytes);
    }
    expect(&desk.run("logs web --level error"), 0, "Internal Server Error: /api/products/13/margin/", "shop  files of web");
    let id = planted("b", "failing-task");
    expect(&desk.run(&format!("logs -r {}", &id.split_at(13).0)), 0, "mail.send_receipt then failed", "");
    // From a folder below, too.
    expect(&desk.bash("cd logs && \"$OBSCTL\" logs web --tail 1"), 0, "backend", "");
    expect(&desk.run("logs -e staging web"), 2, "", "there are shop");
    expect(&desk.run("logs nosuch"), 2, "", "this environment has none");
    let broken = desk.file("obsctl.yaml", "environments:\n  shop:\n    app: {}\n");
    expect(&broken.run("logs web"), 2, "", "obsctl.yaml:3:5");
}

#[test]
fn one_request_on_a_screen_in_each_profile() {
    for (profile, status) in [("a", 0), ("b", 0), ("c", 3), ("d", 3)] {
        let id = planted(profile, "failing-task");
        let seen = Desk::at_fixtures().var("COLUMNS", "100").run(&format!("logs shop-{profile}/*.log -r {id}"));
        assert_eq!((seen.status, seen.err.as_str()), (status, ""), "{profile}");
        let path = crate::cli_support::root().join(format!("tests/it/snapshots/request-{profile}.txt"));
        snapbox::assert_data_eq!(seen.out, snapbox::Data::read_from(&path, None).raw());
    }
}

fn names(profile: &str) -> Vec<String> {
    let folder = fs::read_dir(fixtures().join(format!("shop-{profile}"))).expect("it is there");
    let names = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    names.filter(|name| name.ends_with(".log")).collect()
}

fn files(profile: &str) -> Vec<Vec<u8>> {
    names(profile).iter().map(|name| fs::read(fixtures().join(format!("shop-{profile}/{name}"))).expect("it is there")).collect()
}

/// Nothing of a log reaches the terminal as a command: no control characters but line ends and our own colours, no hidden directions.
fn assert_clean(seen: &Seen) {
    let colours = regex::Regex::new("\x1b\\[[0-9;]*m").expect("a pattern");
    for text in [&seen.out, &seen.err] {
        let bare = colours.replace_all(text, "");
        let bad = |c: char| {
            (c.is_control() && c != '\n' && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!bare.contains(bad), "{:?}", bare.chars().find(|c| bad(*c)));
    }
}

#[test]
fn alone_it_says_what_to_type_first_here() {
    let desk = Desk::new();
    let seen = desk.run("");
    expect(&seen, 0, "obsctl logs FILE", "");
    assert!(seen.out.contains("KUBECONFIG") && !seen.out.contains("queue depth"), "{seen:#?}");
    let desk = desk.file("obsctl.yaml", "environments: {shop: {broker: {url: 'redis://localhost/0'}}}\n");
    let seen = desk.run("");
    assert!(seen.out.contains("shop") && seen.out.contains("obsctl queue depth") && !seen.out.contains("db locks"), "{seen:#?}");
    let desk = desk.file("obsctl.yaml", "environments: {a: {}, b: {}}\n");
    expect(&desk.run(""), 0, "there are several and no default_environment", "");
    let version = desk.run("version -o json");
    let build: Value = serde_json::from_str(&version.out).expect("an object");
    assert_eq!((&build["kind"], &build["version"]), (&"version".into(), &env!("CARGO_PKG_VERSION").into()));
}
