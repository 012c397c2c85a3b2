//! The findings of `obsctl queue depth`, each on a real broker in which it is true, and silent in one where all is well.

use super::{Desk, at, codes, queue};
use lab::{Publish, RedisOptions, RedisServer, Version, WorkerOptions, eventually, get};
use serde_json::Value;
use std::time::Duration;

#[track_caller]
fn depth(redis: &RedisServer, words: &str) -> Value {
    at(&redis.url(), &format!("queue depth -o json {words}")).run().json()
}

#[track_caller]
fn fires(answer: &Value, code: &str) {
    assert!(codes(answer).contains(&code), "no {code}: {answer:#}");
}

/// What is unacked, as it should be.
#[track_caller]
fn await_unacked(redis: &RedisServer, count: &str) {
    eventually(Duration::from_secs(30), || match redis.cli(&["HLEN", "unacked"]).trim() {
        n if n == count => Ok(()),
        n => Err(format!("{n} unacked, not {count}")),
    });
}

#[test]
fn a_healthy_broker_gives_no_finding() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _two = [app.worker(WorkerOptions::default()), app.worker(WorkerOptions { name: "w2".into(), ..WorkerOptions::default() })];
    app.publish(&[Publish::quick().times(50), Publish::quick().countdown(600.0).times(3), Publish::quick().priority(9).times(10)]);
    await_unacked(&redis, "3");
    let ran = at(&redis.url(), "queue depth --fail-on warn -o json").run().ends(0);
    assert_eq!(codes(&ran.json()), Vec::<&str>::new(), "{}", ran.out);
    at(&redis.url(), "queue depth").run().ends(0).shows(&["OK      nothing waits.", "3 delivered, not acknowledged", "0 running"]);
}

#[test]
fn a_queue_that_nobody_consumes() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = app.worker(WorkerOptions::default());
    app.publish(&[Publish::quick().queue("orphan").times(3)]);
    let desk = Desk::with(&format!("url: '{}', thresholds: {{stuck_after: 3s}}", redis.url()));
    let answer = desk.run("queue depth -o json --fail-on warn").run().ends(4).json();
    fires(&answer, "queue-unconsumed");
    // Four seconds later there is no doubt.
    let answer = desk.run("queue depth -o json --interval 3s").run().ends(1).json();
    fires(&answer, "queue-stuck");
    desk.run("queue depth").run().ends(1).shows(&[
        "FAILED  orphan: nothing was taken from it for",
        "w1@lab is idle",
        "obsctl queue workers --ask",
    ]);
}

#[test]
fn a_busy_worker_is_no_reason_to_call_a_queue_stuck() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::V5_4);
    let _busy =
        app.worker(WorkerOptions { queues: vec!["slow".into()], concurrency: 1, prefetch_multiplier: 1, ..WorkerOptions::default() });
    let _idle = app.worker(WorkerOptions { name: "w2".into(), queues: vec!["celery".into()], ..WorkerOptions::default() });
    let gate = app.gate("slow");
    app.publish(&[Publish::held(&gate).queue("slow").times(9)]);
    gate.await_running(1);
    let desk = Desk::with(&format!("url: '{}', thresholds: {{stuck_after: 1s}}", redis.url()));
    desk.run("queue depth").run();
    let answer = desk.run("queue depth -o json").run().json();
    assert_ne!(answer["verdict"], "failed", "{answer:#}");
    assert!(queue(&answer, "slow")["untaken_s"].as_f64().unwrap() >= 2.0, "{answer:#}");
}

#[test]
fn no_worker_at_all() {
    let redis = get().redis();
    get().celery(redis.url(), Version::usual()).publish(&[Publish::quick().times(3)]);
    let answer = depth(&redis, "");
    fires(&answer, "no-workers");
    assert_eq!(answer["verdict"], "warning");
}

#[test]
fn tasks_in_the_hands_of_a_dead_worker() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let alive = app.worker(WorkerOptions::default());
    let dies = app.worker(WorkerOptions {
        name: "w2".into(),
        queues: vec!["mail".into()],
        acks_late: Some(true),
        concurrency: 1,
        ..WorkerOptions::default()
    });
    let gate = app.gate("dies");
    app.publish(&[Publish::held(&gate).queue("mail").times(3)]);
    gate.await_running(1);
    await_unacked(&redis, "3");
    let answer = depth(&redis, "");
    assert!(!codes(&answer).contains(&"held-by-dead-worker"), "{answer:#}");
    dies.kill9().unwrap();
    // Ten seconds in a dead worker's hands are a suspicion.
    let answer = eventually(Duration::from_secs(60), || {
        let answer = depth(&redis, "");
        if codes(&answer).contains(&"held-by-dead-worker") { Ok(answer) } else { Err(format!("{answer:#}")) }
    });
    fires(&answer, "silent-workers");
    assert_eq!(answer["facts"]["workers"]["silent"], serde_json::json!(["w2@lab"]), "{}", alive.log());
    assert_eq!(answer["facts"]["delivered"]["count"], 3);
    at(&redis.url(), "queue depth").run().shows(&["silent", "w2@lab", "suspected", "obsctl queue workers --ask", "sent again in 59m"]);
}

#[test]
fn tasks_that_will_run_twice() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual()).transport(serde_json::json!({"visibility_timeout": 60}));
    let _worker = app.worker(WorkerOptions::default());
    app.publish(&[Publish::quick().countdown(600.0)]);
    await_unacked(&redis, "1");
    let answer = Desk::with(&format!("url: '{}', visibility_timeout: 60s", redis.url())).run("queue depth -o json").run().json();
    fires(&answer, "duplicates-to-come");
    let answer = Desk::with(&format!("url: '{}', visibility_timeout: 20m", redis.url())).run("queue depth -o json").run().json();
    assert_eq!(codes(&answer), Vec::<&str>::new(), "{answer:#}");
}

#[test]
fn tasks_that_nobody_gives_back() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let worker = app.worker(WorkerOptions { acks_late: Some(true), concurrency: 1, ..WorkerOptions::default() });
    let gate = app.gate("lost");
    app.publish(&[Publish::held(&gate)]);
    gate.await_running(1);
    await_unacked(&redis, "1");
    worker.kill9().unwrap();
    // Two hours later: the one thing that time would have changed.
    let tag = redis.cli(&["ZRANGE", "unacked_index", "0", "0"]).trim().to_owned();
    redis.cli(&["ZINCRBY", "unacked_index", "-7200", &tag]);
    let answer = depth(&redis, "");
    fires(&answer, "redelivery-overdue");
    at(&redis.url(), "queue depth").run().shows(&["should have been given back long ago", "sent again due since 1h 0m"]);
    redis.cli(&["ZINCRBY", "unacked_index", "4000", &tag]);
    let answer = depth(&redis, "");
    fires(&answer, "redelivery-near");
    assert!(!codes(&answer).contains(&"redelivery-overdue"), "{answer:#}");
}

#[test]
fn low_priorities_that_starve() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = app.worker(WorkerOptions { concurrency: 1, prefetch_multiplier: 1, ..WorkerOptions::default() });
    app.publish(&[Publish::of("sleep").args(serde_json::json!([0.3])).priority(0).times(100), Publish::quick().priority(9).times(5)]);
    let desk = Desk::with(&format!("url: '{}', thresholds: {{stuck_after: 2s}}", redis.url()));
    let answer = desk.run("queue depth -o json --interval 3s").run().json();
    fires(&answer, "priority-starvation");
    desk.run("queue depth --interval 3s").run().shows(&["priority 9 starves: 5 wait behind priority 0"]);
}

#[test]
fn tasks_in_another_database_or_under_another_name() {
    let redis = get().redis();
    get().celery(redis.url_of(1), Version::usual()).publish(&[Publish::quick().times(12)]);
    let answer = depth(&redis, "");
    fires(&answer, "wrong-database");
    at(&redis.url(), "queue depth").run().ends(3).shows(&["12 in database 1", "broker.url: with /1"]);

    let redis = get().redis();
    let prefixed = get().celery(redis.url(), Version::usual()).transport(serde_json::json!({"global_keyprefix": "shop:"}));
    prefixed.publish(&[Publish::quick().queue("mail").times(2)]);
    at(&redis.url(), "queue depth").run().ends(3).shows(&["Celery's keys begin with shop: here", "broker.key_prefix: 'shop:'"]);

    let redis = get().redis();
    let other = get().celery(redis.url(), Version::usual()).transport(serde_json::json!({"sep": ":"}));
    other.publish(&[Publish::quick().queue("mail").times(2), Publish::quick().queue("mail").priority(9).times(2)]);
    fires(&depth(&redis, ""), "other-separator");
}

#[test]
fn answers_of_the_control_bus_that_nobody_fetched() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = app.worker(WorkerOptions::default());
    for n in 0..12 {
        redis.cli(&["LPUSH", &format!("0000-{n}.reply.celery.pidbox"), "{}"]);
    }
    let answer = depth(&redis, "");
    fires(&answer, "leaked-replies");
    assert_eq!((answer["facts"]["beside"]["replies"].as_u64(), answer["verdict"].as_str()), (Some(12), Some("ok")));
}

#[test]
fn a_redis_that_does_not_keep_tasks() {
    let with = |maxmemory: &str, policy: &str| {
        get().redis_with(RedisOptions { maxmemory: Some((maxmemory.into(), policy.into())), ..RedisOptions::default() })
    };
    let app = |redis: &RedisServer| get().celery(redis.url(), Version::usual()).publish(&[Publish::quick()]);
    let redis = with("256mb", "allkeys-lru");
    app(&redis);
    let answer = depth(&redis, "--once");
    fires(&answer, "redis-eviction");
    assert_ne!(answer["verdict"], "failed");
    // A full one.
    redis.cli(&["SET", "ballast", &"x".repeat(100_000)]);
    let used: u64 = redis.info("used_memory").unwrap().trim().parse().unwrap();
    redis.cli(&["CONFIG", "SET", "maxmemory", &(used + used / 20).to_string()]);
    at(&redis.url(), "queue depth --once").run().ends(1).shows(&["FAILED  Redis may evict queued tasks: its policy is allkeys-lru"]);
    let redis = with("256mb", "volatile-lru");
    app(&redis);
    assert!(!codes(&depth(&redis, "--once")).contains(&"redis-eviction"));
}

#[test]
fn a_name_that_is_mistyped() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = app.worker(WorkerOptions { queues: vec!["celery".into(), "reports".into()], ..WorkerOptions::default() });
    at(&redis.url(), "queue depth report").run().ends(3).shows(&["no such queue", "reports: did you mean that queue?"]);
    // Bound and empty: a queue all the same.
    at(&redis.url(), "queue depth reports").run().ends(0).shows(&["reports", "empty"]);
    let desk = Desk::with(&format!("url: '{}', queues: [mail]", redis.url()));
    desk.run("queue depth").run().ends(0).shows(&["mail", "empty"]).never_says(&["reports"]);
}
