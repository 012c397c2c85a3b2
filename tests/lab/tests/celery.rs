//! Real workers do what the lab tells them to, in every version and pool that is tried.

use std::time::Duration;

use lab::celery::filled_id;
use lab::{Pool, Publish, RedisServer, Version, WorkerOptions, eventually, get};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

fn length(redis: &RedisServer, command: &str, key: &str) -> usize {
    redis.cli(&[command, key]).parse().unwrap()
}

#[track_caller]
fn becomes(redis: &RedisServer, command: &str, key: &str, wanted: usize) {
    eventually(SOON, || match length(redis, command, key) {
        found if found == wanted => Ok(()),
        found => Err(format!("{command} {key}: {found}, not {wanted}")),
    });
}

/// What a killed worker leaves, by the acknowledgement of its tasks.
#[test]
fn workers_hold_tasks_and_lose_them() {
    for version in Version::tested() {
        for pool in Pool::tested().into_iter().filter(|pool| version.has(*pool)) {
            eprintln!("{version} {pool:?}");
            let redis = get().redis();
            let app = get().celery(redis.url(), version);
            let worker = app.worker(WorkerOptions { pool, concurrency: 1, prefetch_multiplier: 2, ..WorkerOptions::default() });
            let gate = app.gate("one");
            let ids = app.publish(&[Publish::held(&gate).times(5)]);
            assert_eq!(gate.await_running(1), ids[..1], "{version} {pool:?}");
            // One runs and is acknowledged, two are fetched, the rest waits. Two pools acknowledge late whatever they are told: a solo
            // worker when it comes to that, which is after the run, and fetches nothing meanwhile; gevent as long as it may fetch no more.
            let (unacked, waiting) = match pool {
                Pool::Prefork | Pool::Threads => (2, 2),
                Pool::Solo => (1, 4),
                Pool::Gevent => (2, 3),
            };
            becomes(&redis, "HLEN", "unacked", unacked);
            becomes(&redis, "LLEN", "celery", waiting);
            assert_eq!(redis.cli(&["SMEMBERS", "_kombu.binding.celery.pidbox"]), "\u{6}\u{16}\u{6}\u{16}w1@lab.celery.pidbox");
            worker.kill9().unwrap();
            assert!(!worker.is_alive());
            assert_eq!(length(&redis, "HLEN", "unacked"), unacked);
        }
    }
}

#[test]
fn a_shutdown_gives_back_what_is_not_running() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::V5_6);
    let worker = app.worker(WorkerOptions { concurrency: 1, acks_late: Some(true), prefetch_multiplier: 4, ..WorkerOptions::default() });
    let gate = app.gate("one");
    app.publish(&[Publish::held(&gate).times(3), Publish::quick().countdown(600.0)]);
    gate.await_running(1);
    becomes(&redis, "HLEN", "unacked", 4);
    let reserved = app.inspect("reserved").unwrap();
    assert_eq!(reserved["w1@lab"].as_array().unwrap().len(), 2);
    worker.begin_shutdown().unwrap();
    worker.says("Warm shutdown");
    gate.open().unwrap();
    worker.shutdown().unwrap();
    assert_eq!(length(&redis, "HLEN", "unacked"), 0);
    assert_eq!(redis.cli(&["SMEMBERS", "_kombu.binding.celery.pidbox"]), "");
}

#[test]
fn messages_are_what_was_asked_for() {
    let redis = get().redis();
    let app =
        get().celery(redis.url_of(2), Version::V5_4).transport(json!({"global_keyprefix": "shop:", "sep": ":", "priority_steps": [0, 5]}));
    let ids = app.publish(&[
        Publish::quick().args(json!([7, "x"])).queue("mail").priority(6).header("request_id", "r-1").expires(60.0),
        Publish::quick().queue("old").protocol_1().id("first-protocol"),
        Publish::of("nobody.knows").queue("packed").compression("gzip").serializer("pickle"),
    ]);
    assert_eq!(ids[1], "first-protocol");
    let at = |key: &str| -> Value { serde_json::from_str(&redis.cli(&["-n", "2", "LINDEX", key, "-1"])).unwrap() };
    let mail = at("shop:mail:5");
    assert_eq!(
        (&mail["headers"]["id"], &mail["headers"]["request_id"], &mail["headers"]["argsrepr"]),
        (&json!(ids[0]), &json!("r-1"), &json!("[7, 'x']"))
    );
    assert_eq!(at("shop:old")["headers"], json!({}));
    assert_eq!(at("shop:packed")["content-type"], "application/x-python-serialize");
    assert!(at("shop:packed")["headers"]["compression"].is_string());
}

#[test]
fn chords_retries_and_children_run() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::V5_6);
    let _worker = app.worker(WorkerOptions { pool: Pool::Threads, events: true, ..WorkerOptions::default() });
    let ids = app.publish(&[
        Publish::chord(3),
        Publish::of("retrying").args(json!([1, 0])),
        Publish::of("parent").args(json!([2])),
        Publish::of("fail"),
    ]);
    let result = |id: &str| redis.cli(&["GET", &format!("celery-task-meta-{id}")]);
    for (id, wanted) in [(3, r#""result": 6"#), (4, r#""result": 1"#), (5, "SUCCESS"), (6, "as planted")] {
        eventually(SOON, || if result(&ids[id]).contains(wanted) { Ok(()) } else { Err(format!("{id}: {}", result(&ids[id]))) });
    }
}

#[test]
fn a_long_queue_is_made_quickly() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::V5_6);
    let genuine = app.fill(&redis, &Publish::quick().queue("mail").priority(3), 50_000).unwrap();
    assert_eq!(length(&redis, "LLEN", "mail\u{6}\u{16}3"), 50_000);
    let at = |index: &str| -> Value { serde_json::from_str(&redis.cli(&["LINDEX", "mail\u{6}\u{16}3", index])).unwrap() };
    assert_eq!(at("-1")["headers"]["id"], json!(genuine));
    assert_eq!(at("-2")["headers"]["id"], json!(filled_id(1)));
    assert_eq!(at("-2")["properties"]["correlation_id"], json!(filled_id(1)));
    assert_ne!(at("-2")["properties"]["delivery_tag"], at("-3")["properties"]["delivery_tag"]);
    // Genuine enough for a worker.
    let worker = app.worker(WorkerOptions { pool: Pool::Threads, queues: vec!["mail".into()], concurrency: 1, ..WorkerOptions::default() });
    worker.says(&format!("[{}] succeeded", filled_id(2)));
}
