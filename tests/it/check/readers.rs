//! Reports, read by what reads them: junitparser and a schema, promtool and the parser of Prometheus' client, and Nagios' own rules. Every
//! report is of one run with one check of each outcome, whose text wants to break out of its form.

use super::{alone, of};
use lab::{need, ports, process::Start, prometheus::Prometheus, venv};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One of each outcome, and values in every unit.
const HOSTILE: &str = r#"checks:
  - {name: good, command: ['true']}
  - {name: 'soso <b>&"x', command: [echo, '5'], warn: value > 4}
  - {name: 'bad ]]> %', command: [sh, -c, 'printf "a|b =1\n::error::x\n<i>&amp; \033[31mred\001" >&2; exit 3']}
  - {name: lost, command: [no-such-command-at-all]}
  - {name: late, command: [sleep, '60']}
  - {name: nothing, command: ['true'], fail: value > 4}
  - {name: 'after\bad', command: ['false'], needs: 'bad ]]> %'}
  - {name: ranged, command: [echo, '15'], warn: 'value range 10:20', fail: 'value range ~:100'}
"#;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers")
}

/// The reports of one run, and its answer.
fn reports(words: &str) -> (tempfile::TempDir, Value) {
    let dir = tempfile::tempdir().unwrap();
    let at = |form: &str| format!("{form}={}", dir.path().join(form).display());
    let mut run = alone(HOSTILE, "-o json --timeout 2s").arg_all(words);
    for form in ["junit", "prometheus", "github", "summary", "nagios", "ndjson"] {
        run = run.arg("--report").arg(&at(form));
    }
    let answer = run.run().ends(1).json();
    (dir, answer)
}

fn read(kind: &str, file: &Path) -> Value {
    let python = venv::ready(&folder(), "requirements.txt").unwrap().join("bin/python");
    let read = Start::new("read", python).arg(folder().join("read.py")).arg(kind).arg(file).output().unwrap();
    serde_json::from_str(&read).unwrap()
}

#[test]
fn junit_is_valid_and_junitparser_understands_it() {
    need::all("reading JUnit", &[need::need("xmllint", "libxml2-utils")]).unwrap();
    let (dir, answer) = reports("");
    let file = dir.path().join("junit");
    let valid = Start::new("xmllint", "xmllint").args(["--noout", "--schema"]).arg(folder().join("junit.xsd")).arg(&file);
    valid.output().unwrap();
    let read = read("junit", &file);
    assert_eq!(read["suites"], serde_json::json!([["obsctl check lab", 8, 1, 3, 1]]), "{read:#}");
    let kind = |name: &str| (read["results"][name][0].as_str().unwrap_or_default(), read["results"][name][1].as_str().unwrap_or_default());
    assert_eq!(kind("bad ]]> %"), ("failure", "failed"), "{read:#}");
    assert_eq!((kind("lost"), kind("late"), kind("nothing")), (("error", "error"), ("error", "timeout"), ("error", "no-data")), "{read:#}");
    assert_eq!(kind("after\\bad").0, "skipped", "{read:#}");
    assert_eq!((kind("good").0, kind("soso <b>&\"x").0), ("", ""), "{read:#}");
    // What they read is what the run said, to the letter.
    let bad = of(&answer, "bad ]]> %");
    let said = format!("{} (want {})", bad["says"].as_str().unwrap(), bad["want"].as_str().unwrap());
    assert_eq!(
        (&read["results"]["bad ]]> %"][2], &read["results"]["bad ]]> %"][3][0]),
        (&Value::from(said.as_str()), &Value::from(said.as_str()))
    );
    // With warnings that fail, the warning is a failure.
    let (dir, _) = reports("--fail-on warn");
    let read = self::read("junit", &dir.path().join("junit"));
    assert_eq!(read["results"]["soso <b>&\"x"][0], "failure", "{read:#}");
}

#[test]
fn prometheus_reads_its_own_format() {
    need::all("reading Prometheus' text", &[need::need("promtool", "prometheus")]).unwrap();
    let (dir, answer) = reports("");
    let file = dir.path().join("prometheus");
    let text = fs::read(&file).unwrap();
    // It complains of names and help as well; whatever it says is an error here.
    let (status, said) = Start::new("promtool", "promtool").args(["check", "metrics"]).input(text).ended().unwrap();
    assert_eq!((status, said.trim()), (0, ""), "{said}");
    let read = read("prometheus", &file);
    let states = read["obsctl_check_status"]["samples"].as_array().unwrap();
    let state = |name: &str| {
        let one = states.iter().find(|s| s[0]["check"] == name).unwrap_or_else(|| panic!("no {name}: {read:#}"));
        (one[1].as_f64().unwrap(), one[0]["why"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!((state("good"), state("soso <b>&\"x").0, state("bad ]]> %").0), ((0.0, String::new()), 1.0, 2.0));
    assert_eq!((state("late"), state("nothing"), state("after\\bad").0), ((3.0, "timeout".into()), (3.0, "no-data".into()), 4.0));
    assert!(states.iter().all(|s| s[2].is_null() && s[0]["environment"] == "lab"), "no time stamps: {read:#}");
    assert_eq!(states.len(), answer["facts"]["counts"]["checks"].as_u64().unwrap() as usize);
    assert_eq!(read["obsctl_check_exit_status"]["samples"][0][1], 1.0);
}

#[test]
fn nagios_github_and_lines_keep_their_form() {
    let (dir, answer) = reports("");
    let text = |form: &str| fs::read_to_string(dir.path().join(form)).unwrap();
    let nagios = text("nagios");
    let (first, performance) = nagios.lines().next().unwrap().split_once(" | ").unwrap();
    assert!(first.starts_with("OBSCTL CRITICAL - bad ]]> %: "), "{first}");
    assert!(!nagios.contains("\u{1b}") && nagios.lines().skip(1).all(|l| !l.contains('|')), "{nagios}");
    let values: Vec<(String, f64, String, Vec<String>)> = performance_data(performance);
    let value = |label: &str| values.iter().find(|v| v.0 == label).unwrap_or_else(|| panic!("no {label}: {performance}"));
    assert_eq!(value("ranged value").1, 15.0);
    // Range by range as the file has them.
    assert_eq!(value("ranged value").3, ["10:20", "~:100"], "{performance}");
    assert_eq!(value("soso <b>&\"x value").3, ["~:4", ""], "{performance}");
    assert_eq!(value("good time").2, "s");
    // A workflow command is a line that begins with ::, of a word, properties and a message; no other line may begin so.
    let github = text("github");
    for line in github.lines() {
        let (command, _) = line.strip_prefix("::").and_then(|rest| rest.split_once("::")).unwrap_or_else(|| panic!("no command: {line}"));
        let (word, properties) = command.split_once(' ').unwrap();
        assert!(["error", "warning", "notice"].contains(&word), "{line}");
        for property in properties.split(',') {
            let (key, value) = property.split_once('=').unwrap_or_else(|| panic!("{property}: {line}"));
            assert!(["file", "line", "col", "title"].contains(&key) && !value.contains(':'), "{line}");
        }
    }
    assert_eq!(github.lines().filter(|l| l.starts_with("::error ")).count(), 4, "{github}");
    assert!(github.contains("title=bad ]]> %25 failed::"), "{github}");
    // The summary: nothing of what a program printed is markup.
    let summary = text("summary");
    assert!(!summary.contains("<i>") && !summary.contains("<b>"), "{summary}");
    // Lines: a beginning, one of each check in the order of the answer, an end.
    let lines: Vec<Value> = text("ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["type"], &lines[lines.len() - 1]["type"]), (&Value::from("run_start"), &Value::from("run_end")));
    assert_eq!(lines.len() - 2, answer["facts"]["checks"].as_array().unwrap().len());
    assert!(lines.iter().all(|line| line["schema_version"].is_u64() || line["type"] == "check"), "{lines:#?}");
}

/// `'label'=value[UOM];warn;crit`, as the guidelines of the plugins have it: label, value, unit, ranges. What does not fit is no data.
fn performance_data(text: &str) -> Vec<(String, f64, String, Vec<String>)> {
    let mut rest = text.trim();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (label, after) = rest.strip_prefix('\'').and_then(|r| r.split_once("'=")).unwrap_or_else(|| panic!("no label: {rest}"));
        assert!(!label.contains(['=', '\'', '|', '\n']), "{label}");
        let (word, more) = after.split_once(' ').unwrap_or((after, ""));
        let mut parts = word.split(';');
        let measured = parts.next().unwrap();
        let digits = measured.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = measured.strip_prefix(digits).unwrap().to_owned();
        assert!(["", "s", "B", "%", "c"].contains(&unit.as_str()), "{measured}");
        let mut ranges: Vec<String> = parts.map(str::to_owned).collect();
        ranges.resize(2, String::new());
        all.push((label.to_owned(), digits.parse().unwrap(), unit, ranges));
        rest = more.trim_start();
    }
    all
}

#[test]
fn a_real_prometheus_is_asked() {
    let server = Prometheus::start().unwrap();
    let url = server.url();
    let closed = ports::free().unwrap();
    let checks = format!(
        "checks:\n  \
         - {{name: well, promql: up, url: '{url}', want: value == 1}}\n  \
         - {{name: ill, promql: up, url: '{url}', fail: value >= 1}}\n  \
         - {{name: scalar, promql: '0.5 * 2', url: '{url}', unit: share, fail: value > 101%}}\n  \
         - {{name: scalar ill, promql: '0.5 * 4', url: '{url}', unit: share, fail: value > 101%}}\n  \
         - {{name: absent, promql: no_such_metric_at_all, url: '{url}', fail: value > 1}}\n  \
         - {{name: absent is fine, promql: no_such_metric_at_all, url: '{url}', fail: value > 1, on_no_data: ok}}\n  \
         - {{name: no number, promql: '0 / 0', url: '{url}', fail: value > 1}}\n  \
         - {{name: no question, promql: 'up{{', url: '{url}', fail: value > 1}}\n  \
         - {{name: away, promql: up, url: 'http://127.0.0.1:{closed}', fail: value > 1}}\n"
    );
    lab::eventually(crate::support::SOON, || {
        let ran = alone(&checks, "--only well").run();
        if ran.status == 0 { Ok(()) } else { Err(format!("not yet scraped: {}", ran.out)) }
    });
    let ran = alone(&checks, "-o json").run().ends(1);
    super::came_out(
        &ran,
        &[
            ("well", "ok", ""),
            ("ill", "failed", ""),
            ("scalar", "ok", ""),
            ("scalar ill", "failed", ""),
            ("absent", "unknown", "no-data"),
            ("absent is fine", "ok", "no-data"),
            ("no number", "unknown", "no-data"),
            ("no question", "unknown", "error"),
            ("away", "unknown", "unreachable"),
        ],
    );
}
