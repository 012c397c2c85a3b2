//! `obsctl queue depth` where Redis refuses, breaks off, hangs, loads or is no primary: an error or a gap with its next step, never a guess.

use super::{Desk, at, codes};
use crate::support::Live;
use lab::{Fault, Proxy, Publish, RedisOptions, Sentinels, Version, get};
use std::time::Duration;

#[test]
fn a_password_that_is_wrong_or_missing() {
    let redis = get().redis_with(RedisOptions { password: Some("s3cret-of-redis".into()), ..RedisOptions::default() });
    let url = |password: &str| format!("redis://{password}127.0.0.1:{}/0", redis.port());
    at(&url(":wr0ng-one@"), "queue depth")
        .run()
        .ends(3)
        .warns(&["WRONGPASS", "compare it with the Secret"])
        .never_says(&["wr0ng-one", "s3cret"]);
    at(&url(""), "queue depth").run().ends(3).warns(&["it wants a password", "broker.url"]);
    at(&redis.url(), "queue depth").run().ends(3).shows(&["no queue"]).never_says(&["s3cret-of-redis"]);
}

#[test]
fn a_right_that_is_missing_is_named() {
    let user = |name: &str, without: &str| format!("user {name} on >pw ~* &* +@all {without}");
    let acl = vec![
        user("noscan", "-scan"),
        user("nosize", "-memory"),
        user("noinfo", "-info"),
        user("nolen", "-llen"),
        user("deaf", "-psubscribe"),
        user("timeless", "-time"),
    ];
    let redis = get().redis_with(RedisOptions { acl, ..RedisOptions::default() });
    let app = get().celery(redis.url(), Version::usual());
    app.publish(&[Publish::quick().queue("mail").times(3)]);
    let of = |name: &str, words: &str| at(&redis.url_for(name, "pw", 0), words).run();
    of("noscan", "queue depth").ends(3).shows(&["not seen", "(SCAN)", "ACL SETUSER … +scan"]);
    // Named, they need no search; asking by name looks for neighbours, and says that it could not.
    of("noscan", "queue depth mail").shows(&["3 waiting", "(SCAN)"]);
    of("nosize", "queue depth").shows(&["3 waiting", "MEMORY USAGE", "+memory|usage"]);
    of("noinfo", "queue depth").shows(&["3 waiting", "(INFO)"]);
    of("nolen", "queue depth").ends(3).shows(&["could not be counted", "(LLEN)"]);
    of("deaf", "queue depth").shows(&["3 waiting", "not heard", "psubscribe"]);
    of("timeless", "queue depth").ends(3).warns(&["may not run TIME", "+time"]);
}

#[test]
fn a_server_that_is_not_there() {
    let redis = get().redis();
    let url = redis.url();
    redis.kill().unwrap();
    at(&url, "queue depth").run().ends(3).warns(&["it refuses connections"]);
    redis.restart_unready().unwrap();
}

#[test]
fn a_connection_that_breaks_is_opened_once_more() {
    let redis = get().redis();
    get().celery(redis.url(), Version::usual()).publish(&[Publish::quick().times(3)]);
    let proxy = Proxy::before(redis.address()).unwrap();
    let url = format!("redis://127.0.0.1:{}/0", proxy.port());
    // Both the first connection and the second one end in the middle of the answers.
    for fault in [Fault::Cut(300), Fault::Reset(300), Fault::Garbage(300)] {
        proxy.set(fault);
        let ran = at(&url, "queue depth").run().ends(3);
        assert!(ran.err.contains("error: ") && ran.out.is_empty(), "{fault:?}: {}\n{}", ran.err, ran.out);
    }
    proxy.set(Fault::Pass);
    let mut live = at(&url, "queue depth -w --interval 100ms").start();
    live.says("\"waiting\":3");
    // An idle connection that the network forgot is no reason to stop.
    proxy.hang_up();
    let before = live.out().lines().count();
    lab::eventually(Duration::from_secs(20), || match live.out().lines().count() > before + 2 {
        true => Ok(()),
        false => Err(live.err()),
    });
    live.signal("TERM");
    live.end(Duration::from_secs(10)).ends(143);
}

#[test]
fn a_server_that_hangs_has_a_deadline() {
    let redis = get().redis();
    let proxy = Proxy::before(redis.address()).unwrap();
    let url = format!("redis://127.0.0.1:{}/0", proxy.port());
    proxy.set(Fault::Stall(200));
    let ran = at(&url, "queue depth --once").run().ends(3).warns(&["no answer within 5 s", "SLOWLOG"]);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    at(&url, "queue depth --deadline 1s").run().ends(124);
}

#[test]
fn a_replica_says_so() {
    let sentinels: Sentinels = get().sentinels();
    let answer = at(&sentinels.replica().url(), "queue depth -o json --once").run().json();
    assert!(codes(&answer).contains(&"redis-replica"), "{answer:#}");
    assert_eq!(answer["facts"]["server"]["role"], "replica");
    let answer = at(&sentinels.primary().url(), "queue depth -o json --once").run().json();
    assert!(!codes(&answer).contains(&"redis-replica"), "{answer:#}");
    assert_eq!(answer["facts"]["server"]["role"], "primary");
}

/// Waits until two more looks were told of, each with so many tasks.
#[track_caller]
fn goes_on(live: &Live, waiting: &str) {
    let before = live.out().lines().count();
    lab::eventually(Duration::from_secs(60), || match live.out().lines().skip(before).filter(|line| line.contains(waiting)).count() {
        n if n >= 2 => Ok(()),
        _ => Err(format!("{}\n{}", live.out(), live.err())),
    });
}

#[test]
fn a_failover_between_two_looks_is_lived_through() {
    let sentinels: Sentinels = get().sentinels();
    let app = get().celery(sentinels.url(), Version::usual()).transport(serde_json::json!({"master_name": Sentinels::MASTER}));
    app.publish(&[Publish::quick().queue("mail").times(3)]);
    let first = sentinels.primary().port();
    let desk = Desk::with(&format!("url: '{}', master_name: {}", sentinels.url(), Sentinels::MASTER));
    let mut live = desk.run("queue depth mail -w --interval 200ms").start();
    live.says("\"waiting\":3");
    sentinels.failover().unwrap();
    goes_on(&live, "\"waiting\":3");
    assert_ne!(sentinels.primary().port(), first);
    // Nobody tells the sentinels: for some seconds there is no primary.
    sentinels.kill_primary().unwrap();
    goes_on(&live, "\"waiting\":3");
    let last = live.out().lines().last().unwrap().to_owned();
    assert!(last.contains(&format!("127.0.0.1:{first}")), "{last}");
    live.signal("TERM");
    live.end(Duration::from_secs(10)).ends(143);
}

#[test]
fn a_server_that_restarts_and_loads_is_waited_for() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    app.fill(&redis, &Publish::quick().queue("mail"), 100_000).unwrap();
    redis.cli(&["SAVE"]);
    let mut live = at(&redis.url(), "queue depth mail -w --interval 200ms").start();
    live.says("\"waiting\":100000");
    redis.kill().unwrap();
    redis.restart_unready().unwrap();
    goes_on(&live, "\"waiting\":100000");
    live.signal("TERM");
    live.end(Duration::from_secs(10)).ends(143);
}
