//! `obsctl queue workers`: what is said of workers that live, hang, work, hoard, or are dead; and that asking leaves nothing behind.

use super::{at, codes, each_pool, queue};
use lab::{Celery, Fault, Pool, Proxy, Publish, RedisOptions, RedisServer, Sentinels, Version, Worker, WorkerOptions, eventually, get};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(30);

/// The worker of this name in an answer.
#[track_caller]
fn worker<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let workers = answer["facts"]["workers"].as_array().unwrap();
    workers.iter().find(|worker| worker["name"] == name).unwrap_or_else(|| panic!("no worker {name}: {answer:#}"))
}

fn named(app: &Celery, name: &str, options: WorkerOptions) -> Worker {
    app.worker(WorkerOptions { name: name.to_owned(), ..options })
}

fn ask(redis: &RedisServer, words: &str) -> (Value, i32) {
    let ran = at(&redis.url(), &format!("queue workers --ask -o json {words}")).run();
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    (ran.json(), ran.status)
}

/// Nothing of a conversation is left.
#[track_caller]
fn nothing_left(redis: &RedisServer) {
    let keys = redis.cli(&["KEYS", "*reply.celery.pidbox"]);
    assert_eq!(keys.trim(), "", "left behind");
}

/// Two workers; one task runs, and each is asked and heard.
fn alive(version: Version, pool: Pool) {
    let redis = get().redis();
    let app = get().celery(redis.url(), version);
    let concurrency = if pool == Pool::Solo { 1 } else { 2 };
    let options = WorkerOptions { pool, concurrency, ..WorkerOptions::default() };
    let (one, two) = (named(&app, "w1", options.clone()), named(&app, "w2", options));
    let watched = redis.monitor().unwrap();
    let passive = at(&redis.url(), "queue workers -o json").run().ends(0).json();
    let sent = watched.commands();
    for write in ["SADD", "SREM", "PUBLISH", "BRPOP", "DEL", "LPUSH", "SET"] {
        let ours = watched.lines().iter().filter(|line| line.contains(write) && line.contains("obsctl-")).count();
        assert_eq!(ours, 0, "{write}: {sent:?}");
    }
    drop(watched);
    for name in ["w1@lab", "w2@lab"] {
        assert_eq!(worker(&passive, name)["state"], "alive", "{passive:#}");
        assert_eq!(worker(&passive, name)["heard"], true, "{passive:#}");
    }
    let (asked, status) = ask(&redis, "--tasks");
    assert_eq!(status, 0, "{asked:#}");
    assert_eq!((&asked["facts"]["bus"]["subscribers"], &asked["facts"]["bus"]["complete"]), (&2.into(), &true.into()), "{asked:#}");
    assert_eq!(worker(&asked, "w1@lab")["stats"]["slots"], concurrency, "{asked:#}");
    assert_eq!(queue(&asked, "celery")["consumers"], 2, "{asked:#}");
    assert_eq!(codes(&asked), Vec::<&str>::new(), "{asked:#}\n{}\n{}", one.log(), two.log());
    nothing_left(&redis);
}

#[test]
fn living_workers_are_heard_and_answer() {
    each_pool(alive);
}

#[test]
fn a_killed_worker_is_dead_and_its_tasks_are_held_by_nobody() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let doomed = named(&app, "w1", WorkerOptions { concurrency: 1, prefetch_multiplier: 4, ..WorkerOptions::default() });
    let gate = app.gate("dead");
    app.publish(&[Publish::held_late(&gate).times(4)]);
    gate.await_running(1);
    eventually(SOON, || match redis.cli(&["HLEN", "unacked"]).trim() {
        "4" => Ok(()),
        n => Err(format!("{n} delivered")),
    });
    let survivor = named(&app, "w2", WorkerOptions { queues: vec!["other".into()], ..WorkerOptions::default() });
    let (before, _) = ask(&redis, "--tasks");
    assert_eq!(before["facts"]["orphans"], serde_json::json!([]), "{before:#}");
    doomed.kill9().unwrap();
    eventually(SOON, || {
        let (answer, status) = ask(&redis, "--tasks");
        let dead = worker(&answer, "w1@lab")["state"] == "dead";
        let orphans = answer["facts"]["orphans"].as_array().map(Vec::len);
        match (status, dead, orphans) {
            (1, true, Some(4)) => Ok(()),
            _ => Err(format!("exit {status}: {answer:#}\n{}", survivor.log())),
        }
    });
    at(&redis.url(), "queue workers --ask --tasks")
        .run()
        .ends(1)
        .shows(&["w1@lab is dead", "4 tasks held by a dead worker, given back in 59m"]);
    // Passively nobody is called dead.
    let passive = at(&redis.url(), "queue workers").run().ends(0);
    passive.shows(&["w1@lab was not heard in 3 s", "obsctl queue workers --ask"]).never_says(&["dead", "DEAD"]);
    nothing_left(&redis);
}

#[test]
fn what_a_worker_held_whose_successor_lives_is_held_by_the_dead() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let of = |queue: &str| WorkerOptions { concurrency: 1, queues: vec![queue.into()], ..WorkerOptions::default() };
    // It was there before, and never consumed that queue.
    let _other = named(&app, "w2", of("other"));
    let doomed = named(&app, "w1", of("mail"));
    let gate = app.gate("successor");
    app.publish(&[Publish::held_late(&gate).queue("mail")]);
    gate.await_running(1);
    let delivered = Instant::now();
    doomed.kill9().unwrap();
    // As a pod leaves that is deleted: its entry goes with it, and another name comes in its place.
    redis.cli(&["SREM", "_kombu.binding.celery.pidbox", "\u{6}\u{16}\u{6}\u{16}w1@lab.celery.pidbox"]);
    // Workers tell how long they have been up in whole seconds.
    eventually(SOON, || if delivered.elapsed() > Duration::from_secs(3) { Ok(()) } else { Err("too early".to_owned()) });
    let _successor = named(&app, "w3", of("mail"));
    let (answer, status) = ask(&redis, "--tasks");
    let orphans = answer["facts"]["orphans"].as_array().unwrap();
    assert_eq!((status, orphans.len(), &orphans[0]["sure"]), (0, 1, &true.into()), "{answer:#}");
    at(&redis.url(), "queue workers --ask --tasks").run().ends(0).shows(&["1 task held by a dead worker", "obsctl queue find"]);
}

#[test]
fn a_stopped_worker_is_silent_and_not_dead() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::V5_4);
    let worker_one = named(&app, "w1", WorkerOptions::default());
    worker_one.stop().unwrap();
    let (answer, status) = ask(&redis, "");
    worker_one.cont().unwrap();
    assert_eq!((status, worker(&answer, "w1@lab")["state"].as_str()), (0, Some("silent")), "{answer:#}");
    assert_eq!(codes(&answer), ["worker-silent"], "{answer:#}");
    // What it answers too late finds no binding.
    eventually(SOON, || {
        if ask(&redis, "").0["facts"]["bus"]["complete"] == true { Ok(()) } else { Err("it does not answer again".to_owned()) }
    });
    nothing_left(&redis);
}

#[test]
fn a_busy_solo_worker_is_silent_and_not_dead() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let solo = named(&app, "w1", WorkerOptions { pool: Pool::Solo, concurrency: 1, ..WorkerOptions::default() });
    let gate = app.gate("solo");
    app.publish(&[Publish::held(&gate)]);
    gate.await_running(1);
    let (answer, status) = ask(&redis, "");
    gate.open().unwrap();
    assert_eq!((status, worker(&answer, "w1@lab")["state"].as_str()), (0, Some("silent")), "{answer:#}\n{}", solo.log());
    nothing_left(&redis);
}

#[test]
fn saturated_workers_are_counted_and_unconsumed_queues_named() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let busy = named(&app, "w1", WorkerOptions { prefetch_multiplier: 1, ..WorkerOptions::default() });
    let gate = app.gate("busy");
    app.publish(&[Publish::held(&gate).times(20)]);
    gate.await_running(2);
    let (answer, status) = ask(&redis, "");
    assert_eq!((status, worker(&answer, "w1@lab")["state"].as_str()), (0, Some("saturated")), "{answer:#}\n{}", busy.log());
    at(&redis.url(), "queue workers --ask").run().ends(0).shows(&["all 2 slots of queue celery are busy while", "was not seen"]);
    app.publish(&[Publish::quick().queue("orphan").times(3)]);
    let (answer, status) = ask(&redis, "");
    assert_eq!((status, &queue(&answer, "orphan")["consumers"]), (1, &0.into()), "{answer:#}");
    assert!(codes(&answer).contains(&"queue-unconsumed"), "{answer:#}");
}

#[test]
fn a_hoarding_worker_is_named() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _hoarder = named(&app, "w1", WorkerOptions { concurrency: 1, prefetch_multiplier: 50, ..WorkerOptions::default() });
    let gate = app.gate("hoard");
    app.publish(&[Publish::held(&gate).times(20)]);
    gate.await_running(1);
    let _idle = named(&app, "w2", WorkerOptions::default());
    eventually(SOON, || {
        let (answer, _) = ask(&redis, "--tasks");
        if worker(&answer, "w1@lab")["state"] == "hoarding" && codes(&answer).contains(&"hoarding") {
            Ok(())
        } else {
            Err(format!("{answer:#}"))
        }
    });
}

#[test]
fn a_rate_limited_task_is_not_called_lost() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = named(&app, "w1", WorkerOptions::default());
    app.publish(&[Publish::of("limited").times(3)]);
    eventually(SOON, || match redis.cli(&["HLEN", "unacked"]).trim() {
        "0" => Err("none is delivered".to_owned()),
        _ => Ok(()),
    });
    at(&redis.url(), "queue workers --ask --tasks").run().ends(0).never_says(&["dead"]);
}

#[test]
fn a_prefix_and_a_database_of_its_own_are_asked_too() {
    let redis = get().redis();
    let app = get().celery(redis.url_of(3), Version::usual()).transport(serde_json::json!({"global_keyprefix": "shop:"}));
    let _worker = named(&app, "w1", WorkerOptions::default());
    let desk = super::Desk::with(&format!("url: '{}', key_prefix: 'shop:'", redis.url_of(3)));
    let answer = desk.run("queue workers --ask -o json").run().ends(0).json();
    assert_eq!(worker(&answer, "w1@lab")["state"], "alive", "{answer:#}");
    assert_eq!(redis.cli(&["-n", "3", "KEYS", "*reply.celery.pidbox"]).trim(), "");
}

#[test]
fn what_may_not_be_written_is_said_and_the_rest_is_shown() {
    let reader = "user reader on >pw ~* &* -@all +@read +@connection +info +psubscribe +punsubscribe +time +memory|usage -keys";
    let redis = get().redis_with(RedisOptions { acl: vec![reader.to_owned()], ..RedisOptions::default() });
    let app = get().celery(redis.url(), Version::usual());
    let _worker = named(&app, "w1", WorkerOptions::default());
    let url = redis.url_for("reader", "pw", 0);
    at(&url, "queue workers --ask").run().ends(3).shows(&["may not run SADD", "NOPERM", "w1@lab", "heard"]);
    at(&url, "queue workers").run().ends(0).shows(&["w1@lab"]);
}

#[test]
fn leftovers_of_an_older_conversation_are_cleared() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = named(&app, "w1", WorkerOptions::default());
    let now: u64 = redis.cli(&["TIME"]).lines().next().unwrap().trim().parse().unwrap();
    let member = |oid: &str| format!("{oid}\u{6}\u{16}\u{6}\u{16}{oid}.reply.celery.pidbox");
    let (old, young, other) = (format!("obsctl-{}-aa", now - 4000), format!("obsctl-{now}-bb"), "6f1c-other".to_owned());
    for oid in [&old, &young, &other] {
        redis.cli(&["SADD", "_kombu.binding.reply.celery.pidbox", &member(oid)]);
        redis.cli(&["LPUSH", &format!("{oid}.reply.celery.pidbox"), "x"]);
    }
    ask(&redis, "");
    let left = redis.cli(&["SMEMBERS", "_kombu.binding.reply.celery.pidbox"]);
    assert!(!left.contains(&old) && left.contains(&young) && left.contains(&other), "{left}");
    assert_eq!(redis.cli(&["EXISTS", &format!("{old}.reply.celery.pidbox")]).trim(), "0");
    assert_eq!(redis.cli(&["EXISTS", &format!("{other}.reply.celery.pidbox")]).trim(), "1");
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let silent = named(&app, "w1", WorkerOptions::default());
    silent.stop().unwrap();
    let live = at(&redis.url(), "queue workers --ask --timeout 60s").start();
    eventually(SOON, || match redis.cli(&["SCARD", "_kombu.binding.reply.celery.pidbox"]).trim() {
        "1" => Ok(()),
        n => Err(format!("{n} conversations")),
    });
    live.signal("INT");
    let ran = live.end(Duration::from_secs(5));
    silent.cont().unwrap();
    assert_eq!(ran.status, 130, "{ran:?}");
    nothing_left(&redis);
}

#[test]
fn a_connection_that_is_cut_is_cleared_up_after_over_another() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let silent = named(&app, "w1", WorkerOptions::default());
    silent.stop().unwrap();
    let proxy = Proxy::before(redis.address()).unwrap();
    let url = format!("redis://127.0.0.1:{}/0", proxy.port());
    let conversations = |wanted: &str| {
        eventually(SOON, || match redis.cli(&["SCARD", "_kombu.binding.reply.celery.pidbox"]).trim() {
            n if n == wanted => Ok(()),
            n => Err(format!("{n} conversations")),
        });
    };
    let live = at(&url, "queue workers --ask --timeout 60s").start();
    conversations("1");
    proxy.hang_up();
    let ran = live.end(Duration::from_secs(20));
    assert_eq!(ran.status, 3, "{ran:?}");
    ran.shows(&["broke off", "w1@lab"]);
    nothing_left(&redis);
    // Nothing comes through any more: what is left is named, with the command that takes it away.
    let live = at(&url, "queue workers --ask --timeout 60s").start();
    conversations("1");
    proxy.set(Fault::Stall(0));
    live.signal("INT");
    let ran = live.end(Duration::from_secs(20));
    silent.cont().unwrap();
    assert_eq!(ran.status, 130, "{ran:?}");
    ran.shows(&["what was written could not be taken away", "redis-cli -n 0 SREM", "redis-cli -n 0 DEL obsctl-"]);
}

#[test]
fn a_replica_is_not_asked_and_the_rest_is_shown() {
    let sentinels = get().sentinels();
    let app = get().celery(sentinels.url(), Version::usual()).transport(serde_json::json!({"master_name": Sentinels::MASTER}));
    let worker = named(&app, "w1", WorkerOptions::default());
    eventually(SOON, || {
        let ran = at(&sentinels.replica().url(), "queue workers --ask").run();
        if ran.status == 3 && ran.out.contains("w1@lab") { Ok(()) } else { Err(format!("{ran:?}\n{}", worker.log())) }
    });
    at(&sentinels.replica().url(), "queue workers --ask").run().ends(3).shows(&[
        "the workers could not be asked",
        "READONLY",
        "this is a replica, and workers listen on the primary",
        "w1@lab",
    ]);
}

#[test]
fn a_server_that_cannot_save_is_not_asked_and_the_rest_is_shown() {
    let redis = get().redis_with(RedisOptions { config: vec!["save 3600 1000000".into()], ..RedisOptions::default() });
    let app = get().celery(redis.url(), Version::usual());
    let _worker = named(&app, "w1", WorkerOptions::default());
    // What it saves would take the place of a folder.
    std::fs::create_dir_all(redis.dir().join("dump.rdb").join("in-the-way")).unwrap();
    redis.cli(&["BGSAVE"]);
    eventually(SOON, || match redis.info("rdb_last_bgsave_status") {
        Some(status) if status == "err" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    at(&redis.url(), "queue workers --ask").run().ends(3).shows(&[
        "the workers could not be asked",
        "MISCONF",
        "Redis takes no writes because it cannot save",
        "w1@lab",
    ]);
}
