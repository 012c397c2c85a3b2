//! `obsctl queue depth`: every figure of the accounting, compared with what the test published and what its workers do.

use super::{Desk, at, codes, each_pool, queue};
use lab::{Celery, Pool, Publish, RedisOptions, Version, WorkerOptions, eventually, get};
use serde_json::{Value, json};
use std::time::Duration;

/// What a Celery user does by hand.
fn by_hand(redis: &lab::RedisServer, list: &str) -> (u64, u64) {
    (redis.cli(&["LLEN", list]).trim().parse().unwrap(), redis.cli(&["HLEN", "unacked"]).trim().parse().unwrap())
}

/// Twenty tasks that run until told otherwise: each of them is somewhere, and obsctl says where.
fn accounted(version: Version, pool: Pool) {
    for late in [false, true] {
        let redis = get().redis();
        let app = get().celery(redis.url(), version);
        let slots: u64 = if pool == Pool::Solo { 1 } else { 2 };
        let concurrency = usize::try_from(slots).unwrap();
        let worker =
            app.worker(WorkerOptions { pool, concurrency, acks_late: Some(late), prefetch_multiplier: 2, ..WorkerOptions::default() });
        let gate = app.gate("all");
        app.publish(&[Publish::held(&gate).times(20)]);
        gate.await_running(concurrency);
        // The rest of what it may prefetch is on its way.
        // How many of those that run are acknowledged, and so in its memory only: of gevent's nobody knows, their acks wait for the loop.
        let in_memory = match pool {
            _ if late => 0..=0,
            Pool::Prefork | Pool::Threads => slots..=slots,
            Pool::Solo => 0..=0,
            Pool::Gevent => 0..=slots,
        };
        let held = eventually(Duration::from_secs(20), || {
            let (waiting, unacked) = by_hand(&redis, "celery");
            let rest = 20_u64.checked_sub(waiting + unacked);
            if rest.is_some_and(|rest| in_memory.contains(&rest)) && unacked > 0 {
                Ok((waiting, unacked))
            } else {
                Err(format!("{waiting} wait, {unacked} unacked"))
            }
        });
        let seen = at(&redis.url(), "queue depth -o json").run();
        let answer = seen.json();
        let facts = &answer["facts"];
        let case = format!("{version} {} late {late}:\n{answer:#}\n{}", pool.name(), worker.log());
        assert_eq!(facts["waiting"], held.0, "{case}");
        assert_eq!(facts["delivered"]["count"], held.1, "{case}");
        assert_eq!(queue(&answer, "celery")["priorities"][0]["waiting"], held.0, "{case}");
        assert_eq!(queue(&answer, "celery")["composition"], json!([["hold", held.0.min(10)]]), "{case}");
        if pool == Pool::Solo {
            // A solo worker says nothing while it works.
            assert_eq!((&facts["running"], &facts["workers"]["silent"]), (&Value::Null, &json!(["w1@lab"])), "{case}");
        } else {
            assert_eq!(facts["running"], slots, "{case}");
            assert_eq!(facts["workers"]["heard"][0]["name"], "w1@lab", "{case}");
            assert_eq!(facts["workers"]["silent"], json!([]), "{case}");
            assert_ne!(answer["verdict"], "failed", "{case}");
        }
        drop(worker);
    }
}

#[test]
fn every_task_is_accounted_for() {
    each_pool(accounted);
}

#[test]
fn all_priorities_are_counted() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let of = |priority: u8, times| Publish::quick().queue("mail").priority(priority).times(times);
    app.publish(&[of(0, 4), of(2, 1), of(4, 2), of(7, 3), of(9, 5), Publish::quick().times(2)]);
    let seen = at(&redis.url(), "queue depth").run().ends(0);
    // 0 and 2 are bucket 0; 4 is bucket 3; 7 is 6.
    seen.shows(&["17 waiting (7 in priority 0, 2 in priority 3, 3 in priority 6, 5 in priority 9)", "mail", "celery"]);
    let answer = at(&redis.url(), "queue depth mail --once -o json").run().json();
    let steps: Vec<(u64, u64)> = queue(&answer, "mail")["priorities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|list| (list["step"].as_u64().unwrap(), list["waiting"].as_u64().unwrap()))
        .collect();
    assert_eq!(steps, [(0, 5), (3, 2), (6, 3), (9, 5)]);
    assert_eq!((&queue(&answer, "mail")["waiting"], answer["facts"]["queues"].as_array().unwrap().len()), (&json!(15), 1));
}

#[test]
fn transport_options_decide_where_it_looks() {
    let redis = get().redis();
    let options = json!({"global_keyprefix": "shop:", "sep": ":", "priority_steps": [0, 5], "visibility_timeout": 300});
    let app = get().celery(redis.url_of(3), Version::usual()).transport(options);
    let worker = app.worker(WorkerOptions { queues: vec!["celery".to_owned()], ..WorkerOptions::default() });
    app.publish(&[
        Publish::quick().queue("mail").times(3),
        Publish::quick().queue("mail").priority(7).times(2),
        Publish::quick().countdown(120.0),
    ]);
    eventually(Duration::from_secs(20), || match redis.cli(&["-n", "3", "HLEN", "shop:unacked"]).trim() {
        "1" => Ok(()),
        other => Err(format!("{other} unacked")),
    });
    let broker = format!("url: '{}', key_prefix: 'shop:', sep: ':', priority_steps: [0, 5], visibility_timeout: 5m", redis.url_of(3));
    let desk = Desk::with(&broker);
    let answer = desk.run("queue depth -o json").run().json();
    assert_eq!(queue(&answer, "mail")["waiting"], 5, "{answer:#}");
    assert_eq!(queue(&answer, "mail")["priorities"][1]["step"], 5);
    assert_eq!((&answer["facts"]["delivered"]["count"], &answer["facts"]["delivered"]["timeout_assumed"]), (&json!(1), &json!(false)));
    assert_eq!(answer["facts"]["workers"]["heard"][0]["name"], "w1@lab", "{}", worker.log());
    assert!(!codes(&answer).contains(&"other-prefix"), "{answer:#}");
}

#[test]
fn the_size_of_messages_costs_nothing() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let huge = "x".repeat(15 << 20);
    // Far more small ones at the head than the server samples for its estimate, and a huge one next to run.
    app.publish(&[
        Publish::quick().queue("bait").kwarg("x", huge.clone()),
        Publish::quick().queue("bait").times(200),
        Publish::quick().queue("heavy").kwarg("x", huge).times(2),
        Publish::quick().queue("light").times(3),
    ]);
    let seen = at(&redis.url(), "queue depth -o json").run();
    let answer = seen.json();
    let received = answer["facts"]["cost"]["received"].as_u64().unwrap();
    // Two samples, of which one is given up where it becomes too much.
    assert!(received <= 2 * (64 << 10), "{received} bytes");
    let why = |name: &str| queue(&answer, name)["priorities"][0]["unreadable"].as_str().unwrap_or_default().to_owned();
    assert!(why("heavy").contains("MiB are not fetched"), "{}", why("heavy"));
    assert!(why("bait").contains("none is fetched"), "{}", why("bait"));
    assert_eq!((&queue(&answer, "bait")["waiting"], &queue(&answer, "light")["waiting"]), (&json!(201), &json!(3)));
    assert!(seen.took < Duration::from_secs(20), "{:?}", seen.took);
}

#[test]
fn three_round_trips_and_64_kib_a_sample() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let mut all = Vec::new();
    for queue in 0..8 {
        for priority in [0, 3, 6, 9] {
            all.push(Publish::quick().queue(&format!("q{queue}")).priority(priority).times(20));
        }
    }
    app.publish(&all);
    redis.reset_stats();
    let answer = at(&redis.url(), "queue depth -o json").run().json();
    assert_eq!(answer["facts"]["waiting"], 640);
    let cost = &answer["facts"]["cost"];
    // The greeting, three for the first sample, two for the second.
    assert!(cost["round_trips"].as_u64().unwrap() <= 6, "{cost}");
    assert!(cost["received"].as_u64().unwrap() <= 2 * (64 << 10), "{cost}");
    let busy: u64 = redis.commandstats().iter().filter(|(name, _)| !name.starts_with("config")).map(|(_, stat)| stat.usec).sum();
    assert!(busy < 20_000, "{busy} µs of the server's time: {:?}", redis.commandstats());
}

#[test]
fn elements_that_are_no_messages_and_keys_that_are_no_lists() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    app.publish(&[Publish::quick().queue("old").protocol_1().times(2), Publish::quick().queue("mail").times(2)]);
    redis.cli(&["RPUSH", "mail", "\u{1b}[2Jno JSON"]);
    redis.cli(&["RPUSH", "rq:queue:default", "4711"]);
    redis.cli(&["SET", "reports", "a string"]);
    let answer = at(&redis.url(), "queue depth -o json").run().json();
    assert_eq!(queue(&answer, "mail")["waiting"], 3);
    assert!(queue(&answer, "mail")["priorities"][0]["unreadable"].as_str().unwrap().contains("no JSON"), "{answer:#}");
    assert_eq!(queue(&answer, "old")["priorities"][0]["next"]["protocol"], 1);
    assert_eq!(queue(&answer, "old")["composition"], json!([["quick", 2]]));
    assert!(!answer.to_string().contains("rq:queue"), "another library's list is no queue");
    assert_eq!(answer["facts"]["beside"]["lists"], 1);
    let asked = at(&redis.url(), "queue depth reports mail -o json").run().ends(3).json();
    assert_eq!(queue(&asked, "reports")["waiting"], Value::Null);
    assert!(queue(&asked, "reports")["why"].as_str().unwrap().contains("another type"), "{asked:#}");
    assert_eq!(queue(&asked, "mail")["waiting"], 3);
    at(&redis.url(), "queue depth").run().never_says(&["\u{1b}[2J"]);
}

#[test]
fn ages_say_how_they_are_known() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::V5_4);
    let now: f64 = redis.cli(&["TIME"]).lines().next().unwrap().parse().unwrap();
    app.publish(&[
        Publish::quick().queue("sentry").header("sentry-task-enqueued-time", now - 150.0),
        Publish::quick().queue("late").eta_in(-700.0),
        Publish::quick().queue("expiring").expires(3600.0),
    ]);
    let desk = Desk::with(&format!("url: '{}'", redis.url()));
    let seen = desk.run("queue depth").run().ends(1);
    let seen = seen.shows(&[
        "header sentry-task-enqueued-time",
        "late by its eta",
        "expires less expiration",
        "FAILED  late: its oldest task waits at least 11m",
    ]);
    assert!(seen.out.contains("2m 3"), "{}", seen.out);
    let answer = desk.run("queue depth -o json").run().json();
    assert_eq!(queue(&answer, "sentry")["verdict"], "warning");
    assert_eq!(queue(&answer, "expiring")["oldest"]["by"], "expiration");
    assert!(queue(&answer, "expiring")["oldest"]["s"].as_f64().unwrap() < 60.0);
}

#[test]
fn the_next_run_knows_what_this_one_saw() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    app.publish(&[Publish::quick().queue("mail").times(3)]);
    let desk = Desk::with(&format!("url: '{}', thresholds: {{stuck_after: 1s}}", redis.url()));
    desk.run("queue depth --once").run().ends(3).shows(&["UNKNOWN"]);
    app.publish(&[Publish::quick().queue("mail").times(2)]);
    let answer = desk.run("queue depth mail --once -o json").run().json();
    assert_eq!(queue(&answer, "mail")["oldest"]["earlier_run"], true, "{answer:#}");
    assert!(queue(&answer, "mail")["net_per_s"].as_f64().unwrap() > 0.0);
    let mut seen = desk.run("queue depth --once").run();
    seen = seen.shows(&["lower bound, seen by the run of"]);
    assert_eq!(seen.status, 3);
    // Without a folder to remember in, everything else works.
    let no_state = at(&redis.url(), "queue depth --once -o json").var("XDG_STATE_HOME", "/proc/nowhere").run();
    assert_eq!(queue(&no_state.json(), "mail")["waiting"], 5);
}

#[test]
fn the_screen() {
    let redis = get().redis_with(RedisOptions { maxmemory: Some(("2gb".into(), "allkeys-lru".into())), ..RedisOptions::default() });
    let app = get().celery(redis.url(), Version::usual());
    let worker = app.worker(WorkerOptions { prefetch_multiplier: 1, ..WorkerOptions::default() });
    let gate = app.gate("screen");
    let now: f64 = redis.cli(&["TIME"]).lines().next().unwrap().parse().unwrap();
    app.publish(&[
        Publish::held(&gate).times(6),
        Publish::quick().queue("mail").header("sentry-task-enqueued-time", now - 4000.0).times(12),
    ]);
    gate.await_running(2);
    eventually(Duration::from_secs(20), || match by_hand(&redis, "celery") {
        (2, 2) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let seen = at(&redis.url(), "queue depth").run().ends(1);
    // What differs from run to run; the widths stay.
    let mut screen = seen.out.replace(&redis.port().to_string(), "[PORT]");
    for (pattern, with) in [(r"\d+\.\d MiB", "[N] MiB"), (r"\d+\.\d s", "[N] s"), (r"1h 6m", "[AGE]"), (r"59m \d+s", "59m [N]s")] {
        screen = regex::Regex::new(pattern).unwrap().replace_all(&screen, with).into_owned();
    }
    let path = crate::cli_support::root().join("tests/it/snapshots/queue-depth.txt");
    snapbox::assert_data_eq!(screen, snapbox::Data::read_from(&path, None).raw());
    drop(worker);
}

#[test]
fn it_watches_until_it_is_told_to_stop() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    app.publish(&[Publish::quick().queue("mail").times(3)]);
    let mut live = at(&redis.url(), "queue depth -w --interval 200ms").start();
    live.says("\"waiting\":3");
    app.publish(&[Publish::quick().queue("mail").times(4)]);
    live.says("\"waiting\":7");
    live.signal("INT");
    let ran = live.end(Duration::from_secs(10)).ends(130);
    let lines = ran.ndjson();
    assert!(lines.len() >= 2 && lines.iter().all(|line| line["kind"] == "queue.depth"), "{}", ran.out);
}

#[test]
fn the_commands_it_shows_are_those_it_sent() {
    let redis = get().redis();
    let app: Celery = get().celery(redis.url(), Version::usual());
    app.publish(&[Publish::quick().queue("mail").priority(9).times(3)]);
    let ran = at(&redis.url(), "queue depth --once --show-commands").run();
    let commands: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("redis-cli ")).collect();
    assert!(commands.contains(&"redis-cli LLEN $'mail\\x06\\x169'"), "{}", ran.err);
    // Pasted into a shell, each of them works.
    let port = redis.port().to_string();
    let script: String =
        commands.iter().map(|line| format!("{} || exit 1\n", line.replacen("redis-cli", &format!("redis-cli -e -p {port}"), 1))).collect();
    lab::process::run(&["bash", "-c", &script]).unwrap();
}

#[test]
fn a_user_with_few_rights_is_enough_and_writes_nothing() {
    // As the README has it.
    let acl = "user reader on >pw ~* resetchannels &/0.celeryev/worker.* -@all +auth +hello +select +client|setname +ping +time +info +scan +sscan +llen +lindex +lrange +hlen +hmget +zcount +zrange +memory|usage +psubscribe +punsubscribe";
    let redis = get().redis_with(RedisOptions { acl: vec![acl.to_owned()], ..RedisOptions::default() });
    let app = get().celery(redis.url(), Version::usual());
    let worker = app.worker(WorkerOptions::default());
    app.publish(&[Publish::quick().queue("mail").times(3), Publish::quick().countdown(600.0).times(2)]);
    let recording = redis.monitor().unwrap();
    let ran = at(&redis.url_for("reader", "pw", 0), "queue depth -o json").run();
    let answer = ran.json();
    assert_eq!((&answer["coverage"]["missing"], &answer["complete"]), (&json!([]), &json!(true)), "{answer:#}");
    assert_eq!(answer["facts"]["workers"]["heard"][0]["name"], "w1@lab", "{}", worker.log());
    assert_eq!(queue(&answer, "mail")["waiting"], 3);
    let allowed = [
        "AUTH",
        "SELECT",
        "CLIENT",
        "TIME",
        "INFO",
        "SCAN",
        "SSCAN",
        "LLEN",
        "LINDEX",
        "LRANGE",
        "HLEN",
        "HMGET",
        "ZCOUNT",
        "ZRANGE",
        "MEMORY",
        "PSUBSCRIBE",
    ];
    drop(worker);
    // Workers speak too; what the reader sent is what no worker sends, and of its own connection.
    let ours: Vec<String> = recording.lines().into_iter().filter(|line| line.contains("\"MEMORY\"")).collect();
    let address =
        ours.first().and_then(|line| line.split('[').nth(1)?.split(']').next()).and_then(|part| part.split(' ').nth(1)).unwrap().to_owned();
    let sent: Vec<String> = recording
        .lines()
        .into_iter()
        .filter(|line| line.contains(&address))
        .filter_map(|line| Some(line.split('"').nth(1)?.to_ascii_uppercase()))
        .collect();
    assert!(sent.len() > 20 && sent.iter().all(|command| allowed.contains(&command.as_str())), "{sent:?}");
}
