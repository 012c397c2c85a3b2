//! Ctrl-C in the middle of every command, with a server that hangs: the end comes at once, and says what it is.

use super::{Hung, SOON};
use crate::support::obsctl;
use lab::eventually;
use std::time::Duration;

/// What a person waits.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The commands, and whether they ask Kubernetes.
const COMMANDS: &[(&str, bool)] = &[
    ("logs backend", true),
    ("logs backend -f", true),
    ("logs -r some-request-1", true),
    ("logs backend --stats", true),
    ("logs backend --leaks", true),
    ("errors", true),
    ("changes", true),
    ("queue depth", true),
    ("db activity", true),
    ("health", true),
    ("doctor", true),
    ("check", true),
    ("queue depth", false),
    ("queue depth -w", false),
    ("queue workers", false),
    ("queue workers --ask", false),
    ("queue peek celery", false),
    ("queue find 7ec25367-0c7c-4a1e-9d5d-1f2a3b4c5d6e", false),
    ("db activity", false),
    ("db locks", false),
    ("db slow", false),
    ("explain --slowest", false),
    ("health", false),
    ("health --deep", false),
    ("watch", false),
    ("check", false),
    ("doctor", false),
    ("incident x.md", false),
];

#[test]
fn every_command_ends_at_once() {
    let mut late = Vec::new();
    for (words, kubernetes) in COMMANDS {
        let mut hung = Hung::new();
        // A busy machine may be slow itself; a command that is slow is so each time.
        let took: Vec<Duration> = (0..3)
            .map_while({
                let mut done = false;
                let hung = &mut hung;
                move |_| {
                    if done {
                        return None;
                    }
                    let took = stopped(words, *kubernetes, hung);
                    done = took <= AT_ONCE;
                    Some(took)
                }
            })
            .collect();
        if took.iter().all(|took| *took > AT_ONCE) {
            late.push(format!("{words}: {took:?}"));
        }
    }
    assert!(late.is_empty(), "{late:#?}");
}

/// How long the end takes.
fn stopped(words: &str, kubernetes: bool, hung: &mut Hung) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, hung.kubeconfig()).unwrap();
    let start = if kubernetes {
        obsctl(&kubeconfig, words)
    } else {
        obsctl(&folder.path().join("none"), words).arg_all("--config c.yaml").file("c.yaml", &hung.config())
    };
    hung.came();
    let live = start.start();
    eventually(SOON, || if hung.came() > 0 { Ok(()) } else { Err(format!("{words}: {}{}", live.out(), live.err())) });
    let begun = tokio::time::Instant::now();
    live.signal("INT");
    let ran = live.end(Duration::from_secs(20));
    let took = begun.elapsed();
    assert_eq!(ran.status, 130, "{words}: {ran:?}");
    ran.never_says(&["pw-hung", "panicked"]);
    took
}
