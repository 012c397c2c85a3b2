//! What harms the sandbox is what faults.json says, and is undone. With a lab of its own: nobody else has to live with the damage.

use std::time::Duration;

use lab::hand::Lab;
use lab::process::Start;
use lab::sandbox::{LocalSandbox, PodSandbox, Profile};
use lab::{eventually, get};

/// The broker, asked by its own password.
fn redis(sandbox: &LocalSandbox, words: &[&str]) -> String {
    let password = std::fs::read_to_string(sandbox.secret("redis-auth", "REDIS_PASSWORD")).unwrap();
    let start =
        Start::new("redis-cli", "redis-cli").env("REDISCLI_AUTH", password).args(["-e", "-p", &sandbox.ports["redis-1"].to_string()]);
    start.args(words.iter().copied()).output().unwrap().trim_end().to_owned()
}

#[test]
fn every_harm_is_planted_and_undone() {
    let lab = Lab::start().unwrap();
    let sandbox = lab.sandbox_local(Profile::A);
    let traffic = sandbox.traffic();
    // The sandbox answers its holder only while every process lives that nobody has killed.
    let well = || lab.sandbox_local(Profile::A);
    let ask = |words: &[&str]| redis(&sandbox, words);

    let harmed = traffic.harm("lost-worker", &["--slow-seconds", "60"]).unwrap();
    assert!(ask(&["HVALS", "unacked"]).contains(harmed.tasks("prefetched")[0]));
    let waiting: usize = ["mail", "mail\u{6}\u{16}6"].iter().map(|key| ask(&["LLEN", key]).parse::<usize>().unwrap()).sum();
    assert_eq!(waiting, 2);
    assert!(ask(&["SMEMBERS", "_kombu.binding.celery.pidbox"]).contains("celery-mail-1@"), "a killed worker stays in the inventory");
    harmed.restore().unwrap();
    assert_eq!(ask(&["HLEN", "unacked"]), "0");

    let harmed = traffic.harm("orphan-queue", &[]).unwrap();
    assert_eq!(ask(&["LLEN", "reports"]), "12");
    harmed.restore().unwrap();
    assert_eq!(ask(&["KEYS", "*reports*"]), "");

    let harmed = traffic.harm("eviction", &[]).unwrap();
    assert!(ask(&["INFO", "memory"]).contains("maxmemory_policy:allkeys-lru"));
    harmed.restore().unwrap();
    assert!(ask(&["INFO", "memory"]).contains("maxmemory_policy:noeviction"));

    let psql = |sql: &str| {
        let url = std::fs::read_to_string(sandbox.secret("oncall-env", "ADMIN_DATABASE_URL")).unwrap();
        Start::new("psql", "/usr/bin/psql").args(["-XAtqc", sql, &url]).output().unwrap().trim_end().to_owned()
    };
    let blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let harmed = traffic.harm("lock-pileup", &["--slow-seconds", "120"]).unwrap();
    assert_eq!(psql(blocked), "3");
    harmed.restore().unwrap();
    assert_eq!(psql(blocked), "0");

    let changed = "SELECT n_mod_since_analyze >= 60000 FROM pg_stat_user_tables WHERE relname = 'shop_pricelistentry'";
    let harmed = traffic.harm("stale-statistics", &[]).unwrap();
    eventually(Duration::from_secs(30), || match psql(changed).as_str() {
        "t" => Ok(()),
        other => Err(format!("the counters say {other:?}")),
    });
    harmed.restore().unwrap();
    assert_eq!(psql("SELECT count(*) FROM shop_pricelistentry"), "0");

    let harmed = traffic.harm("hoarding", &["--slow-seconds", "60"]).unwrap();
    let held = harmed.tasks("held by celery-reindex");
    assert!(held.len() >= 10, "{held:?}");
    // Beat goes on publishing, and the worker takes that too.
    let unacked = ask(&["HVALS", "unacked"]);
    held.iter().for_each(|task| assert!(unacked.contains(task), "{task} is not held: {unacked}"));
    harmed.restore().unwrap();

    traffic.harm("dead-beat", &[]).unwrap().restore().unwrap();
    eventually(Duration::from_secs(30), || match ask(&["HLEN", "unacked"]).as_str() {
        "0" => Ok(()),
        left => Err(format!("{left} unacked")),
    });
    traffic.fault("slow-queue").unwrap();
    well();
    lab.close().unwrap();
}

#[test]
fn pods_are_harmed_and_undone_too() {
    let cluster = get().cluster();
    let sandbox = PodSandbox::start(&cluster, Profile::A).unwrap();
    for name in ["lost-worker", "hoarding", "dead-beat"] {
        let harmed = sandbox.traffic().harm(name, &["--slow-seconds", "90"]).unwrap();
        assert!(!harmed.planted.is_empty());
        harmed.restore().unwrap();
    }
}

#[test]
fn a_day_in_fast_motion_ends_well() {
    let lab = Lab::start().unwrap();
    let sandbox = lab.sandbox_local(Profile::A);
    std::thread::scope(|scope| {
        let day = scope.spawn(|| sandbox.traffic().plant(&["--soak", "8"]));
        for process in ["celery-1", "celery-mail-1"] {
            sandbox.traffic().restart(process).unwrap();
        }
        let day = day.join().unwrap().unwrap();
        eprintln!("{}", day[0].what);
    });
    lab.sandbox_local(Profile::A);
    lab.close().unwrap();
}
