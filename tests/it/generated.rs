//! `completions/` and `man/` are what the command tree says. `make generate` writes them; otherwise they are compared.

use crate::cli_support::root;
use clap::CommandFactory;
use clap_complete::env::Shells;
use obsctl::cli::Cli;
use snapbox::{Assert, Data, assert::DEFAULT_ACTION_ENV};
use std::{collections::BTreeSet, fs};

/// Compares one file, or writes it.
fn fresh(path: &str, text: String) {
    let expected = Data::read_from(&root().join(path), Some(snapbox::data::DataFormat::Text)).raw();
    Assert::new().action_env(DEFAULT_ACTION_ENV).eq(Data::text(text).raw(), expected);
}

/// Live completion: the shell asks the installed obsctl what fits.
#[test]
fn completions() {
    for (shell, file) in [("bash", "obsctl.bash"), ("zsh", "_obsctl"), ("fish", "obsctl.fish")] {
        let mut script = Vec::new();
        let shells = Shells::builtins();
        let completer = shells.completer(shell).expect("clap knows it");
        completer.write_registration("COMPLETE", "obsctl", "obsctl", "obsctl", &mut script).expect("memory");
        fresh(&format!("completions/{file}"), String::from_utf8(script).expect("text"));
    }
}

/// One page per command.
#[test]
fn man_pages() {
    let pages = tempfile::tempdir().expect("a folder");
    clap_mangen::generate_to(Cli::command(), pages.path()).expect("pages");
    let names = |folder: &std::path::Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).map(|all| all.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")));
        entries.map(Iterator::collect).unwrap_or_default()
    };
    let made = names(pages.path());
    assert!(made.contains("obsctl.1") && made.contains("obsctl-logs.1"), "{made:?}");
    for name in &made {
        fresh(&format!("man/{name}"), fs::read_to_string(pages.path().join(name)).expect("a page"));
    }
    assert_eq!(names(&root().join("man")), made, "pages of commands that are gone");
}
