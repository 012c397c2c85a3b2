//! The built-in runbook on the sandbox: well, with one harm at a time, and the first file that it writes.

use super::of;
use crate::support::{Obsctl, obsctl};
use lab::{
    eventually,
    hand::Lab,
    sandbox::{LocalSandbox, Profile},
};
use std::{path::Path, time::Duration};

const SOON: Duration = Duration::from_secs(180);

/// The sandbox's own configuration; its URL is behind a balancer that is not there.
fn at(sandbox: &LocalSandbox, words: &str) -> Obsctl {
    let text = std::fs::read_to_string(&sandbox.config).unwrap();
    let lines = text.lines().map(|line| match line.split_once(", url: ") {
        Some((before, _)) => format!("{before}}}"),
        None => line.to_owned(),
    });
    obsctl(Path::new("/nowhere"), words).arg_all("--config obsctl.yaml").file("obsctl.yaml", &lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_sandbox_is_well_and_one_harm_at_a_time_is_named_first() {
    let lab = Lab::start().unwrap();
    let sandbox = lab.sandbox_local(Profile::A);
    // Beat has run, and the replica has caught up.
    eventually(SOON, || {
        let ran = at(&sandbox, "check").run();
        if ran.status == 0 && ran.out.contains("OK    all is as it should be") { Ok(()) } else { Err(format!("{}{}", ran.out, ran.err)) }
    });
    let answer = at(&sandbox, "check -o json").run().ends(0).json();
    assert!(answer["facts"]["counts"]["checks"].as_u64().is_some_and(|n| n >= 14), "{answer:#}");
    assert_eq!(of(&answer, "connections")["status"], "ok");

    // What it writes passes.
    let first = at(&sandbox, "check init").run().ends(0);
    assert!(first.out.contains("queue: mail") && first.out.contains("postgres: main"), "{}", first.out);
    at(&sandbox, "check first.yaml").file("first.yaml", &first.out).run().ends(0);

    let traffic = sandbox.traffic();
    for (harm, check) in [("orphan-queue", "queues"), ("eviction", "redis")] {
        let harmed = traffic.harm(harm, &[]).unwrap();
        eventually(SOON, || {
            let ran = at(&sandbox, "check").run();
            let line = ran.out.lines().nth(1).unwrap_or_default().to_owned();
            let bad = ran.status != 0 || line.contains("WARN");
            if bad && line.contains(&format!(" {check}: ")) { Ok(()) } else { Err(ran.out) }
        });
        harmed.restore().unwrap();
    }
}
