//! Live completion in the shells that not every machine has.

use crate::completions::{desk, offered};

#[test]
fn zsh_completes() {
    let script = "compdef() { }; _describe() { print -rl -- ${(P)argv[-1]} }; words=(obsctl logs -e ''); CURRENT=4; \
                  source \"$ROOT/completions/_obsctl\"; _clap_dynamic_completer_obsctl";
    assert_eq!(offered(&desk().start("zsh", ["-f", "-c", script])), ["production", "staging"]);
}

#[test]
fn fish_completes() {
    let script = "source \"$ROOT/completions/obsctl.fish\"; complete -C 'obsctl logs -e '";
    assert_eq!(offered(&desk().start("fish", ["--no-config", "-c", script])), ["production", "staging"]);
}
