//! `obsctl check` against real systems: every kind once as it should be and once not, every fault, every status.

mod addresses;
mod examples;
mod files;
mod gate;
mod readers;
mod runbook;
mod systems;

use crate::support::{Obsctl, Ran, obsctl};
use serde_json::Value;
use std::path::Path;

/// `obsctl check` of a file, with a configuration that names nothing but this.
fn check(environment: &str, checks: &str, words: &str) -> Obsctl {
    let config = format!("environments:\n  lab: {{{environment}}}\n");
    obsctl(Path::new("/nowhere"), "check checks.yaml --config obsctl.yaml")
        .arg_all(words)
        .file("obsctl.yaml", &config)
        .file("checks.yaml", checks)
}

/// The same at nothing in particular.
fn alone(checks: &str, words: &str) -> Obsctl {
    check("apps: {x: {url: \"http://127.0.0.1:1/\"}}", checks, words)
}

/// The check of this name in an answer.
#[track_caller]
pub fn of<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let checks = answer["facts"]["checks"].as_array().unwrap_or_else(|| panic!("{answer:#}"));
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name}: {answer:#}"))
}

/// The status and, where nothing was found out, why.
#[track_caller]
pub fn outcomes(ran: &Ran) -> Vec<(String, String, String)> {
    let answer = ran.json();
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let checks = answer["facts"]["checks"].as_array().unwrap();
    let mut all: Vec<_> = checks.iter().map(|c| (word(&c["name"]), word(&c["status"]), word(&c["unanswered"]))).collect();
    all.sort();
    all
}

/// Compares outcomes with what was expected, `name status [why]` each.
#[track_caller]
pub fn came_out(ran: &Ran, expected: &[(&str, &str, &str)]) {
    assert_eq!(outcomes(ran), sorted(expected), "{ran:#?}");
}

/// The outcomes that are expected, as [`outcomes`] has those that came.
pub fn sorted(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let mut wanted: Vec<(String, String, String)> = expected.iter().map(|(n, s, w)| ((*n).into(), (*s).into(), (*w).into())).collect();
    wanted.sort();
    wanted
}
