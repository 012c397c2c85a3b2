//! The built-in runbook on the sandbox: well, with one harm at a time, and the first file that it writes.

use super::of;
use crate::support::{Obsctl, Ran, obsctl};
use lab::{
    eventually,
    hand::Lab,
    process::Start,
    sandbox::{LocalSandbox, Profile},
};
use std::{path::Path, time::Duration};
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(300);

/// The sandbox's own configuration; its URL is behind a balancer that is not there.
fn at(sandbox: &LocalSandbox, words: &str) -> Obsctl {
    at_url(sandbox, "", words)
}

/// The same with this URL instead.
fn at_url(sandbox: &LocalSandbox, url: &str, words: &str) -> Obsctl {
    let text = std::fs::read_to_string(&sandbox.config).unwrap();
    let lines = text.lines().map(|line| match line.split_once(", url: ") {
        Some((before, _)) if url.is_empty() => format!("{before}}}"),
        Some((before, _)) => format!("{before}, url: '{url}'}}"),
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

    for harm in &HARMS {
        // A wait for a lock is news after a minute: the import has to hold it for longer.
        let options: &[&str] = if harm.name == "lock-pileup" { &["--slow-seconds", "600"] } else { &[] };
        let harmed = sandbox.traffic().harm(harm.name, options).unwrap();
        if harm.name == "dead-beat" {
            // It has been dead for as long as a test does not wait: what it ran it writes down every three minutes.
            let ago = "now() - interval '10 minutes'";
            psql(&sandbox, &format!("UPDATE django_celery_beat_periodictask SET last_run_at = {ago}, date_changed = {ago}"));
        }
        let url = match harm.name {
            "bad-certificate" => format!("https://127.0.0.1:{}/api/health/", sandbox.ports["tls-front-1"]),
            _ => String::new(),
        };
        shown_in_time(harm, || named_first(harm, &at_url(&sandbox, &url, "check").run(), &at_url(&sandbox, &url, "check -o json").run()));
        harmed.restore().unwrap();
        // As it was before: what the next harm shows is its own.
        eventually(SOON, || {
            let ran = at(&sandbox, "check --fail-on warn").run();
            if ran.status == 0 { Ok(()) } else { Err(format!("still not well after {}: {}", harm.name, ran.out)) }
        });
    }
    // What stands in the logs stays there: last.
    sandbox.traffic().fault("failing-task").unwrap();
    let harm = Harm { name: "failing-task", check: "errors", says: &["SMTPServerDisconnected at mail/tasks.py"], reaches: &[] };
    shown_in_time(&harm, || named_first(&harm, &at(&sandbox, "check").run(), &at(&sandbox, "check -o json").run()));
}

/// Waits until the harm is named first; prints how long that took, and what else was reported then.
fn shown_in_time(harm: &Harm, named: impl Fn() -> Result<Vec<String>, String>) {
    let planted = Instant::now();
    let others = eventually(SOON, named);
    lab::say(&format!("{}: named first after {:.1} s, beside {}", harm.name, planted.elapsed().as_secs_f64(), others.join(", ")));
}

fn psql(sandbox: &LocalSandbox, sql: &str) {
    let url = std::fs::read_to_string(sandbox.secret("backend-env", "DATABASE_URL")).unwrap();
    Start::new("psql", "psql").arg(url.trim()).args(["-c", sql]).output().unwrap();
}

/// A harm of the sandbox, the check whose line has to be the first, what that line says, and which others it may reach: the same fault, seen
/// from where they stand.
struct Harm {
    name: &'static str,
    check: &'static str,
    says: &'static [&'static str],
    reaches: &'static [&'static str],
}

const HARMS: [Harm; 6] = [
    Harm { name: "orphan-queue", check: "queues", says: &["reports"], reaches: &[] },
    Harm { name: "eviction", check: "redis", says: &["evict"], reaches: &[] },
    Harm { name: "lost-worker", check: "workers", says: &["celery-mail"], reaches: &["queues", "errors"] },
    // An idle transaction that holds a lock is one as well; the role on call sees the same server.
    Harm {
        name: "lock-pileup",
        check: "blocked",
        says: &["holds up"],
        reaches: &["sessions", "oncall blocked", "oncall sessions", "queues", "workers"],
    },
    Harm { name: "bad-certificate", check: "health", says: &["its certificate is refused: it expired"], reaches: &["certificates"] },
    Harm { name: "dead-beat", check: "beat", says: &["beat has not run", "refresh"], reaches: &[] },
];

/// Whether the verdict names the harm, and no other check is wrongly not well; those that the harm reaches.
fn named_first(harm: &Harm, shown: &Ran, told: &Ran) -> Result<Vec<String>, String> {
    // The verdict, over as many lines as it needs.
    let line = shown.out.lines().skip(1).take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
    let bad = ["FAIL ", "WARN "].iter().any(|word| line.contains(word));
    if !(bad && line.contains(&format!(" {}: ", harm.check)) && harm.says.iter().all(|text| line.contains(text))) {
        return Err(shown.out.clone());
    }
    let answer = told.json();
    let checks = answer["facts"]["checks"].as_array().unwrap();
    let ill = checks.iter().filter(|check| check["status"] != "ok").map(|check| check["name"].as_str().unwrap().to_owned());
    let others: Vec<String> = ill.filter(|name| name != harm.check).collect();
    match others.iter().all(|name| harm.reaches.contains(&name.as_str())) {
        true => Ok(others),
        false => Err(format!("{}: wrongly not well: {others:?}\n{}", harm.name, shown.out)),
    }
}
