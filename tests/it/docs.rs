//! What the README and the hints tell people to type exists: every `obsctl …` in them is read by the command tree itself.

use clap::Parser;
use obsctl::cli::Cli;
use std::{fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Splits a command at spaces; quotes keep words together.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            (_, c) => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

/// The commands of a text's code blocks.
fn commands(text: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            code = !code;
        } else if code && let Some((before, words)) = line.split_once("obsctl ") {
            let before = before.trim_end();
            // The command itself: at the line's start, after a prompt, or at the end of a pipe.
            if before.is_empty() || before == "$" || before.ends_with('|') || before == "NEXT" {
                let words = words.split(" #").next().unwrap_or_default().trim();
                // NEXT names several, far apart.
                found.extend(words.split("  obsctl ").map(|words| format!("obsctl {}", words.trim())));
            }
        }
    }
    found
}

#[test]
fn every_command_of_the_readme_exists() {
    let pages = ["README.md", "docs/runbook.md", "docs/faults.md", "SECURITY.md", "CONTRIBUTING.md"];
    let text: String = pages.iter().map(|page| fs::read_to_string(root().join(page)).expect("a page")).collect();
    let commands = commands(&text);
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        if let Err(e) = Cli::try_parse_from(words(&command)) {
            panic!("{command}: {e}");
        }
    }
}

#[test]
fn every_test_of_the_fault_matrix_exists() {
    let text = fs::read_to_string(root().join("docs/faults.md")).expect("the matrix");
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|name| name.contains("::") && !name.contains(' ')).collect();
    assert!(names.len() > 60, "{names:?}");
    for name in names {
        let (module, test) = name.rsplit_once("::").expect("a module and a test");
        let file = root().join("tests/it").join(format!("{}.rs", module.replace("::", "/")));
        let source = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{name}: {}: {e}", file.display()));
        assert!(source.contains(&format!("#[test]\nfn {test}()")), "{name} is no test of {}", file.display());
    }
}

#[test]
fn every_command_that_an_answer_names_exists() {
    let mut asked = 0;
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source");
            // Hints are written as "obsctl …" literals; `{}` stands for what is filled in.
            for literal in text.split('"').filter(|l| l.starts_with("obsctl ")) {
                asked += 1;
                // A time, or a query's ID.
                let filled = ["2026-11-21T02:44:10Z", "-42"].map(|value| Cli::try_parse_from(words(&literal.replace("{}", value))));
                if let [Err(e), Err(_)] = filled {
                    panic!("{}: {literal}: {e}", path.display());
                }
            }
        }
    }
    assert!(asked >= 2);
}
