//! The rights that the README names, on a real Redis: those for reading suffice for every verb, those for `--ask` suffice for it, and
//! neither allows more.

use super::{at, codes};
use lab::{Publish, RedisOptions, RedisServer, Version, WorkerOptions, eventually, get};
use serde_json::json;
use std::time::Duration;

/// The words behind the n-th `ACL SETUSER obsctl` of the README.
fn readme(nth: usize) -> String {
    let text = include_str!("../../../README.md");
    let block = text.split("\nACL SETUSER obsctl ").nth(nth + 1).and_then(|rest| rest.split("```").next()).unwrap();
    block.replace('\'', "").split_whitespace().filter(|word| !word.starts_with('>') && *word != "on").collect::<Vec<_>>().join(" ")
}

fn redis() -> RedisServer {
    let reader = format!("user reader on >pw {}", readme(0));
    let asker = format!("user asker on >pw {} {}", readme(0), readme(1));
    get().redis_with(RedisOptions { acl: vec![reader, asker], ..RedisOptions::default() })
}

#[test]
fn reading_needs_no_more_than_the_readme_says() {
    let redis = redis();
    let app = get().celery(redis.url(), Version::usual());
    let worker = app.worker(WorkerOptions::default());
    let ids = app.publish(&[
        Publish::quick().queue("mail").times(3),
        Publish::quick().countdown(600.0),
        Publish::of("fail").args(json!(["gone"])),
    ]);
    let (waiting, delivered, failed) = (&ids[0], &ids[3], &ids[4]);
    let url = redis.url_for("reader", "pw", 0);
    let run = |words: &str| at(&url, words).run().never_says(&["NOPERM", "not permitted", "may not run", "not seen"]);
    eventually(Duration::from_secs(30), || {
        let ran = at(&url, &format!("queue find {failed}")).run();
        if ran.out.contains("FAILURE") { Ok(()) } else { Err(format!("{ran:?}\n{}", worker.log())) }
    });
    run(&format!("queue find {failed}")).ends(0).shows(&["FAILURE", "ValueError"]);
    run(&format!("queue find {waiting}")).ends(0).shows(&["waits in queue mail"]);
    run(&format!("queue find {delivered}")).ends(0).shows(&["delivered to a worker"]);
    run(&format!("queue find {}", failed.get(..13).unwrap())).ends(0).shows(&["FAILURE"]);
    run("queue find 00000000").ends(3);
    run("queue peek mail").ends(0).shows(&["quick"]);
    run("queue workers").ends(0).shows(&["w1@lab", "heard"]);
    let answer = run("queue depth -o json").json();
    assert_eq!(answer["complete"], true, "{answer:#}");
    at(&url, "queue workers --ask").run().ends(3).shows(&["may not run SADD", "w1@lab"]);
}

#[test]
fn asking_needs_no_more_than_the_readme_says() {
    let redis = redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = app.worker(WorkerOptions { concurrency: 1, ..WorkerOptions::default() });
    let gate = app.gate("rights");
    let ids = app.publish(&[Publish::held(&gate)]);
    gate.await_running(1);
    let url = redis.url_for("asker", "pw", 0);
    let answer = at(&url, "queue workers --ask --tasks -o json").run().ends(0).json();
    assert_eq!((&answer["facts"]["bus"]["complete"], codes(&answer)), (&json!(true), Vec::new()), "{answer:#}");
    at(&url, &format!("queue find {} --ask", ids[0])).run().ends(0).shows(&["running", "on w1@lab"]);
    assert_eq!(redis.cli(&["KEYS", "*reply.celery.pidbox"]).trim(), "", "left behind");
    let denied = |words: &[&str]| {
        let as_asker = [&["--user", "asker", "--pass", "pw", "--no-auth-warning"], words].concat();
        let said = redis.try_cli(&as_asker).map_err(|failure| failure.to_string());
        assert!(said.as_ref().is_err_and(|says| says.contains("NOPERM") || says.contains("No permissions")), "{words:?}: {said:?}");
    };
    denied(&["DEL", "celery"]);
    denied(&["SADD", "_kombu.binding.celery", "x"]);
    denied(&["PUBLISH", "/0.celeryev/worker.heartbeat", "x"]);
    denied(&["LPUSH", "x.reply.celery.pidbox", "x"]);
}
