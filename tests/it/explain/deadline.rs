//! Whatever hangs, `obsctl explain` ends in time, leaves nothing running on the server, and shows the plan if it was known by then.

use crate::cli_support::{Desk, OBSCTL, Seen};
use lab::{Fault, Major, PostgresServer, Proxy, eventually, get, process};
use std::{thread, time::Duration};
use tokio::time::Instant;

const ITEMS: &str = "CREATE EXTENSION hypopg; CREATE TABLE item (id int PRIMARY KEY, n int); \
    INSERT INTO item SELECT n, n % 9000 FROM generate_series(1, 90000) n; ANALYZE item";
/// What a stop may take beyond the deadline: the two seconds of any command, and the start of a process on a busy machine.
const GRACE: Duration = Duration::from_millis(2_900);

fn shop() -> (PostgresServer, Desk) {
    let server = get().postgres(Major::V15);
    server.psql("postgres", ITEMS);
    server.role("oncall", "O-1", "GRANT pg_monitor TO oncall; GRANT SELECT ON item TO oncall");
    let desk = at(&server, &server.address());
    (server, desk)
}

fn at(server: &PostgresServer, address: &str) -> Desk {
    Desk::new().var("DATABASE_URL", server.url_for("oncall", "O-1", "postgres").replace(&server.address(), address))
}

/// As one line: a screen breaks its lines where it must.
fn flowing(screen: &str) -> String {
    screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What was seen, and how long it took.
fn timed(desk: &Desk, words: &[&str]) -> (Seen, Duration) {
    let begun = Instant::now();
    let seen = desk.start(OBSCTL, ["explain"].iter().chain(words).copied());
    (seen, begun.elapsed())
}

/// Runs obsctl until its session waits for a lock before there is a plan, and stops that session's process there.
fn frozen(server: &PostgresServer, desk: &Desk, words: &[&str]) -> (Seen, Duration) {
    // Read while a statement is parsed and screened, and not for a session to begin.
    let mut holder = server.session("postgres", "postgres", "migration");
    holder.run("BEGIN; LOCK TABLE pg_catalog.pg_range IN ACCESS EXCLUSIVE MODE");
    let (seen, pid) = thread::scope(|scope| {
        let seen = scope.spawn(|| timed(desk, words));
        let waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'obsctl' AND wait_event_type = 'Lock'";
        let pid = eventually(Duration::from_secs(20), || server.psql("postgres", waiting).parse::<i32>().map_err(|e| e.to_string()));
        process::run(&["kill", "-STOP", &pid.to_string()]).expect("a signal");
        (seen.join().expect("its end"), pid)
    });
    process::run(&["kill", "-CONT", &pid.to_string()]).expect("a signal");
    server.eventually("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'obsctl'", "0");
    seen
}

#[test]
fn a_server_process_that_hangs_is_left() {
    let (server, desk) = shop();
    let (seen, took) = frozen(&server, &desk, &["SELECT count(*) FROM item WHERE n = 7", "--deadline", "4s"]);
    assert!(seen.status == 124 && seen.out.is_empty(), "{seen:#?}");
    for part in ["having PostgreSQL parse the statement", "the deadline passed, before there was a plan", "--deadline 2m"] {
        assert!(seen.err.contains(part), "{part}: {seen:#?}");
    }
    assert!(took < Duration::from_secs(4) + GRACE, "{took:?}");
}

#[test]
fn without_a_word_it_ends_within_thirty_seconds() {
    let (server, desk) = shop();
    let (seen, took) = frozen(&server, &desk, &["SELECT count(*) FROM item WHERE n = 7"]);
    assert!(seen.status == 3 || seen.status == 124, "{seen:#?}");
    assert!(took < Duration::from_secs(31), "{took:?}");
}

#[test]
fn a_statement_that_runs_at_the_deadline_is_cancelled_and_its_plan_shown() {
    let (server, desk) = shop();
    let slow = "SELECT count(*) FROM item a, item b, item c WHERE a.n + b.n + c.n < 0";
    let (seen, took) = timed(&desk, &[slow, "--timeout", "1m", "--deadline", "4s"]);
    assert_eq!(seen.status, 124, "{seen:#?}");
    for part in ["NOT RUN", "the deadline passed", "Nested Loop", "what surrounds it (the deadline passed)", "which index would help"] {
        assert!(flowing(&seen.out).contains(part), "{part}: {seen:#?}");
    }
    assert!(took < Duration::from_secs(4) + GRACE, "{took:?}");
    eventually(Duration::from_secs(10), || {
        server.log().contains("canceling statement due to user request").then_some(()).ok_or_else(|| "not cancelled".to_owned())
    });
}

#[test]
fn a_server_that_never_answers_is_left() {
    let (server, _) = shop();
    let proxy = Proxy::before(server.address()).expect("a proxy");
    proxy.set(Fault::Stall(0));
    let desk = at(&server, &format!("127.0.0.1:{}", proxy.port()));
    let (seen, took) = timed(&desk, &["SELECT 1", "--deadline", "2s"]);
    assert!(seen.status == 124 && seen.err.contains("connecting to PostgreSQL"), "{seen:#?}");
    assert!(took < Duration::from_secs(2) + GRACE, "{took:?}");
}

#[test]
fn at_whatever_step_the_deadline_falls_what_is_known_is_shown() {
    let (server, _) = shop();
    let proxy = Proxy::far(server.address(), Duration::from_millis(150)).expect("a proxy");
    let address = format!("127.0.0.1:{}", proxy.port());
    let runs: Vec<(Seen, Duration)> = thread::scope(|scope| {
        let one = |tenths: u32| {
            let (server, address) = (&server, &address);
            scope.spawn(move || {
                let limit = Duration::from_millis(u64::from(tenths) * 100);
                let words = ["SELECT count(*) FROM item WHERE n = 7", "--deadline", &format!("{}ms", limit.as_millis())];
                let (seen, took) = timed(&at(server, address), &words);
                assert!(took < limit + GRACE, "{limit:?}: {took:?} {seen:#?}");
                (seen, took)
            })
        };
        let started: Vec<_> = (5..60).step_by(5).chain([550]).map(one).collect();
        started.into_iter().map(|run| run.join().expect("its end")).collect()
    });
    let mut kinds = [0; 3];
    for (seen, _) in &runs {
        let kind = match (seen.status, seen.out.is_empty()) {
            (0, false) => 0,
            (124, true) => 1,
            (124, false) => 2,
            _ => panic!("{seen:#?}"),
        };
        assert_eq!(kind == 1, seen.err.contains("before there was a plan"), "{seen:#?}");
        assert_eq!(kind == 2, flowing(&seen.out).contains("(the deadline passed)"), "{seen:#?}");
        kinds[kind] += 1;
    }
    assert!(kinds.iter().all(|seen| *seen > 0), "{kinds:?}");
    server.eventually("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'obsctl'", "0");
}
