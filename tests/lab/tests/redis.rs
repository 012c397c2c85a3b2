//! The lab's Redis servers are what a test asked for, can be harmed in every way, and go with their handles.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use lab::redis::resp;
use lab::{RedisOptions, eventually, get};

#[test]
fn one_lives_as_long_as_its_handle() {
    let redis = get().redis();
    assert_eq!(redis.cli(&["SET", "a", "1"]), "OK");
    let recording = redis.monitor().unwrap();
    redis.reset_stats();
    redis.pipe([resp(&["LPUSH", "list", "x"]), resp(&["LPUSH", "list", "y"])].concat()).unwrap();
    assert_eq!(redis.cli(&["LRANGE", "list", "0", "-1"]), "y\nx");
    let stats = redis.commandstats();
    assert_eq!((stats["lpush"].calls, stats["lrange"].calls), (2, 1));
    assert!(recording.lines().iter().any(|line| line.ends_with(r#""LPUSH" "list" "y""#)), "{:?}", recording.lines());
    assert_eq!(recording.commands().iter().filter(|command| *command == "LPUSH").count(), 2);
    assert!(redis.try_cli(&["LLEN", "a"]).unwrap_err().to_string().contains("WRONGTYPE"));
    drop(recording);
    let (pid, dir) = (redis.pid(), redis.dir().to_owned());
    drop(redis);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!dir.exists());
}

#[test]
fn it_is_what_the_options_say() {
    let redis = get().redis_with(RedisOptions {
        password: Some("Br0ker".into()),
        acl: vec!["user reader on >r ~* -@all +llen +ping".into()],
        socket: true,
        databases: Some(3),
        maxmemory: Some(("32mb".into(), "allkeys-lru".into())),
        config: vec!["timeout 77".into()],
        ..RedisOptions::default()
    });
    assert_eq!(redis.url(), format!("redis://:Br0ker@127.0.0.1:{}/0", redis.port()));
    assert_eq!(redis.cli(&["CONFIG", "GET", "timeout"]), "timeout\n77");
    assert_eq!(redis.info("maxmemory_policy").as_deref(), Some("allkeys-lru"));
    assert!(redis.try_cli(&["SELECT", "3"]).is_err());
    let socket =
        lab::process::Start::new("redis-cli", "redis-cli").arg("-s").arg(redis.socket()).args(["-e", "--user", "reader", "--pass", "r"]);
    assert!(socket.args(["LLEN", "x"]).output().unwrap().starts_with('0'));
}

#[test]
fn tls_is_verified() {
    let redis = get().redis_with(RedisOptions { tls: true, ..RedisOptions::default() });
    assert_eq!(redis.cli(&["PING"]), "PONG");
    assert!(redis.url().starts_with("rediss://127.0.0.1:"));
    let plain = lab::process::Start::new("redis-cli", "redis-cli").args(["-e", "-p", &redis.port().to_string(), "PING"]);
    assert!(plain.output().is_err());
}

#[test]
fn it_hangs_dies_and_comes_back() {
    let redis = get().redis();
    redis.cli(&["SET", "kept", "1"]);
    redis.cli(&["SAVE"]);
    redis.stop().unwrap();
    let mut waiting = redis.command().arg("PING").child().unwrap();
    assert!(waiting.try_wait().unwrap().is_none());
    redis.cont().unwrap();
    assert!(waiting.wait().unwrap().success());
    redis.kill().unwrap();
    assert!(redis.try_cli(&["PING"]).is_err());
    redis.restart().unwrap();
    assert_eq!(redis.cli(&["GET", "kept"]), "1");
}

#[test]
fn sentinels_fail_over() {
    let sentinels = get().sentinels();
    let before = sentinels.primary().port();
    sentinels.primary().cli(&["SET", "a", "1"]);
    eventually(Duration::from_secs(10), || match sentinels.replica().cli(&["GET", "a"]).as_str() {
        "1" => Ok(()),
        other => Err(format!("the replica has {other:?}")),
    });
    sentinels.failover().unwrap();
    assert_ne!(sentinels.primary().port(), before);
    assert_eq!(sentinels.primary().cli(&["GET", "a"]), "1");
}

/// The process of a test may be killed in the middle; its holder then ends its servers. Runs itself once more, to be killed.
#[test]
fn a_killed_test_leaves_no_server() {
    if std::env::var_os("LAB_TO_BE_KILLED").is_some() {
        let redis = get().redis();
        println!("\nserver {}", redis.pid());
        loop {
            std::thread::park();
        }
    }
    let own = std::env::current_exe().unwrap();
    let start = lab::process::Start::new("test", own)
        .args(["--exact", "a_killed_test_leaves_no_server", "--nocapture"])
        .env("LAB_TO_BE_KILLED", "1");
    let mut child = start.child().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let server = lines.filter_map(|line| line.strip_prefix("server ").map(str::to_owned)).next().unwrap();
    let server = Path::new("/proc").join(server);
    assert!(server.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    eventually(Duration::from_secs(20), || if server.exists() { Err(format!("{} lives", server.display())) } else { Ok(()) });
}
