//! `obsctl explain` on real servers, where the plan is not the reason: somebody is in the way, the statistics are stale, the connections
//! are used up, the replica is paused.

use crate::cli_support::{Desk, OBSCTL, Seen};
use lab::{Major, PgSession, PostgresOptions, PostgresServer, get};
use serde_json::Value;

const STOCK: &str = "CREATE TABLE stock (id int PRIMARY KEY, n int) WITH (autovacuum_enabled = off); \
    INSERT INTO stock SELECT n, 10 FROM generate_series(1, 5000) n; ANALYZE stock";

fn shop(version: Major) -> PostgresServer {
    let server = get().postgres(version);
    server.psql("postgres", STOCK);
    server.role("watcher", "W-1", "GRANT pg_monitor, pg_read_all_data TO watcher");
    server
}

fn desk(server: &PostgresServer) -> Desk {
    Desk::new().var("DATABASE_URL", server.url_for("watcher", "W-1", "postgres"))
}

fn explain(desk: &Desk, words: &[&str]) -> Seen {
    desk.start(OBSCTL, ["explain"].iter().chain(words).copied())
}

#[track_caller]
fn answer(desk: &Desk, words: &[&str]) -> Value {
    let seen = explain(desk, &[words, &["-o", "json"]].concat());
    assert_eq!(seen.status, 0, "{seen:#?}");
    serde_json::from_str(&seen.out).expect("an object")
}

#[track_caller]
fn finding<'a>(answer: &'a Value, code: &str) -> &'a Value {
    let found = answer["findings"].as_array().expect("findings").iter().find(|f| f["code"] == code);
    found.unwrap_or_else(|| panic!("no {code}: {:#}", answer["findings"]))
}

fn list(answer: &Value, name: &str) -> String {
    answer["facts"]["meaning"][name].to_string()
}

/// One that idles in its transaction, and one whose statement waits for it.
fn held(server: &PostgresServer) -> (PgSession, PgSession) {
    let mut holder = server.session("postgres", "postgres", "import");
    holder.run("BEGIN");
    holder.run("UPDATE stock SET n = 9 WHERE id = 1 AND 'hunter2' <> ''");
    let mut waiter = server.session("postgres", "postgres", "checkout");
    waiter.send("UPDATE stock SET n = n - 1 WHERE id = 1");
    server.eventually("postgres", &format!("SELECT {} = ANY (pg_blocking_pids({}))", holder.pid(), waiter.pid()), "t");
    (holder, waiter)
}

#[test]
fn a_blocked_statement_is_told_with_its_blocker() {
    for version in Major::tested() {
        let server = shop(version);
        let desk = desk(&server);
        let (holder, mut waiter) = held(&server);
        let pid = waiter.pid().to_string();
        // A role that only reads may not even plan the UPDATE of another.
        let unplanned = explain(&desk, &["--pid", &pid]);
        assert!(unplanned.status == 3 && unplanned.out.is_empty(), "{unplanned:#?}");
        for part in [&format!("blocked by session {} (import", holder.pid()), "UPDATE stock", "permission denied", "obsctl db locks"] {
            assert!(unplanned.err.contains(part) && !unplanned.err.contains("hunter2"), "{part}: {}", unplanned.err);
        }
        server.psql("postgres", "GRANT UPDATE ON stock TO watcher");
        let told = answer(&desk, &["--pid", &pid]);
        let blocked = &told["findings"][0];
        assert_eq!(blocked["code"], "blocked", "{:#}", told["findings"]);
        let text = blocked.to_string();
        for part in [&format!("blocked by session {}", holder.pid()), "import", "idle in transaction", "UPDATE stock", "obsctl db locks"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!told.to_string().contains("hunter2"));
        let screen = explain(&desk, &["--pid", &pid]);
        assert!(screen.out.contains("BLOCKED  it is not slow, it waits for") && !screen.out.contains("hunter2"), "{}", screen.out);
        assert!(screen.out.lines().all(|line| line.chars().count() <= 100), "{}", screen.out);

        server.terminate_backend(holder.pid());
        waiter.answer().expect("its turn");
        let well = answer(&desk, &["UPDATE stock SET n = 1 WHERE id = 1"]);
        assert!(list(&well, "ruled_out").contains("blocked (nobody waits for a lock)"), "{}", list(&well, "ruled_out"));
    }
}

#[test]
fn a_locked_table_leaves_no_plan_and_the_blocker_is_named_all_the_same() {
    for version in Major::tested() {
        let server = shop(version);
        let mut holder = server.session("postgres", "postgres", "migration");
        holder.run("BEGIN");
        holder.run("ALTER TABLE stock ADD COLUMN seen int");
        let mut waiter = server.session("postgres", "postgres", "checkout");
        waiter.send("SELECT count(*) FROM stock");
        server.eventually("postgres", &format!("SELECT {} = ANY (pg_blocking_pids({}))", holder.pid(), waiter.pid()), "t");
        let seen = explain(&desk(&server), &["--pid", &waiter.pid().to_string()]);
        assert!(seen.status == 3 && seen.out.is_empty(), "{seen:#?}");
        for part in ["lock timeout", &format!("blocked by session {} (migration", holder.pid()), "obsctl db locks"] {
            assert!(seen.err.contains(part), "{part}: {}", seen.err);
        }
    }
}

#[test]
fn a_blocker_that_nobody_else_waits_for_is_named() {
    for version in Major::ALL {
        let server = shop(version);
        server.psql("postgres", "CREATE VIEW shelf AS SELECT * FROM stock; CREATE TABLE other (n int)");
        let mut holder = server.session("postgres", "postgres", "migration");
        holder.run("BEGIN");
        holder.run("ALTER TABLE stock ADD COLUMN seen int");
        let mut bystander = server.session("postgres", "postgres", "bystander");
        bystander.run("BEGIN");
        bystander.run("LOCK TABLE other");
        for sql in ["SELECT count(*) FROM stock", "SELECT count(*) FROM public.\"stock\" s"] {
            let seen = explain(&desk(&server), &[sql]);
            assert!(seen.status == 3 && seen.out.is_empty(), "{seen:#?}");
            for part in
                [&format!("session {} (migration", holder.pid()), "is in the way", "AccessExclusiveLock on public.stock", "lock timeout"]
            {
                assert!(seen.err.contains(part), "{version:?} {part}: {}", seen.err);
            }
            assert!(!seen.err.contains("bystander"), "{}", seen.err);
        }
        // A view hides which table it is: whoever may be meant is named.
        let seen = explain(&desk(&server), &["SELECT count(*) FROM shelf"]);
        assert!(seen.err.contains("(migration") && seen.err.contains("public.stock"), "{}", seen.err);
    }
}

#[test]
fn stale_statistics_are_named_and_well_again_after_analyze() {
    for version in Major::tested() {
        let server = shop(version);
        let desk = desk(&server);
        server.psql("postgres", "INSERT INTO stock SELECT n, 10 FROM generate_series(5001, 60000) n");
        let sql = "SELECT count(*) FROM stock WHERE n = 10";
        let told = answer(&desk, &[sql]);
        let stale = finding(&told, "stale-statistics").to_string();
        assert!(stale.contains("public.stock") && stale.contains("ANALYZE public.stock;"), "{stale}");
        let screen = explain(&desk, &[sql]).out;
        assert!(screen.contains("WARNING  the statistics of public.stock are stale"), "{screen}");
        server.psql("postgres", "ANALYZE stock");
        let well = answer(&desk, &[sql]);
        assert!(list(&well, "ruled_out").contains("stale statistics (analyzed"), "{}", list(&well, "ruled_out"));
    }
}

#[test]
fn connections_that_run_out_and_what_is_not_seen_are_said() {
    let options = PostgresOptions { config: vec!["max_connections = 10".into()], ..PostgresOptions::default() };
    let server = get().postgres_with(Major::V15, &options);
    server.psql("postgres", STOCK);
    server.role("outsider", "O-1", "GRANT SELECT ON stock TO outsider");
    let desk = Desk::new().var("DATABASE_URL", server.url_for("outsider", "O-1", "postgres"));
    let sql = "SELECT count(*) FROM stock";
    let calm = answer(&desk, &[sql]);
    assert!(list(&calm, "ruled_out").contains("connections used up"), "{}", list(&calm, "ruled_out"));
    assert!(list(&calm, "not_seen").contains("what other roles run: GRANT pg_monitor TO outsider;"), "{}", list(&calm, "not_seen"));
    let _held: Vec<_> = (0..6).map(|_| server.session("postgres", "postgres", "greedy")).collect();
    finding(&answer(&desk, &[sql]), "connections-nearly-used-up");
}

#[test]
fn a_cold_cache_is_told_where_the_tables_are_read_from_files() {
    let options = PostgresOptions { config: vec!["shared_buffers = 1MB".into()], ..PostgresOptions::default() };
    let server = get().postgres_with(Major::V15, &options);
    server.psql("postgres", "CREATE TABLE big AS SELECT n, repeat('x', 500) AS t FROM generate_series(1, 40000) n; ANALYZE big");
    server.role("watcher", "W-1", "GRANT pg_monitor, pg_read_all_data TO watcher");
    let desk = desk(&server);
    server.psql("postgres", "SELECT pg_stat_reset()");
    for _ in 0..3 {
        server.psql("postgres", "SELECT count(t) FROM big");
    }
    let told = answer(&desk, &["SELECT count(t) FROM big"]);
    finding(&told, "cold-cache");
    assert!(!list(&told, "ruled_out").contains("cold cache"), "{}", list(&told, "ruled_out"));
}

#[test]
fn a_replica_says_how_far_it_is() {
    for version in Major::tested() {
        let primary = shop(version);
        let replica = primary.replica().expect("a replica");
        replica.await_caught_up(&primary).expect("caught up");
        let desk = desk(&replica);
        let sql = "SELECT count(*) FROM stock";
        let well = list(&answer(&desk, &[sql]), "ruled_out");
        assert!(well.contains("replica lag") && well.contains("conflicts with recovery"), "{well}");
        replica.pause_replay();
        finding(&answer(&desk, &[sql]), "replica-paused");
        replica.resume_replay();
    }
}

#[test]
fn recovery_that_cancelled_statements_is_said() {
    let primary = shop(Major::V15);
    let replica = primary.replica().expect("a replica");
    replica.await_caught_up(&primary).expect("caught up");
    replica.psql("postgres", "ALTER SYSTEM SET max_standby_streaming_delay = 0");
    replica.psql("postgres", "SELECT pg_reload_conf()");
    replica.eventually("postgres", "SHOW max_standby_streaming_delay", "0");
    // What a reader of the replica holds, the primary has locked: whoever replays that ends the reader.
    let mut reader = replica.session("postgres", "postgres", "report");
    reader.run("BEGIN");
    reader.run("SELECT count(*) FROM stock");
    primary.psql("postgres", "ALTER TABLE stock ADD COLUMN seen int");
    replica.eventually("postgres", "SELECT sum(confl_lock) > 0 FROM pg_stat_database_conflicts", "t");
    finding(&answer(&desk(&replica), &["SELECT count(*) FROM stock"]), "recovery-conflicts");
}

#[test]
fn what_a_replica_does_not_have_yet_is_on_the_primary() {
    let primary = shop(Major::V15);
    let replica = primary.replica().expect("a replica");
    replica.await_caught_up(&primary).expect("caught up");
    replica.pause_replay();
    primary.psql("postgres", "CREATE TABLE newer (n int)");
    let seen = explain(&desk(&replica), &["SELECT * FROM newer"]);
    assert!(seen.status != 0 && seen.err.contains("does not exist"), "{seen:#?}");
    assert!(seen.err.contains("the primary: this replica "), "{}", seen.err);
    let there = explain(&desk(&primary), &["SELECT * FROM newer"]);
    assert!(there.status == 0, "{there:#?}");
}

#[test]
fn a_role_that_sees_nothing_is_told_so_and_not_that_there_is_nothing() {
    let server = get().postgres(Major::V15);
    server.role("outsider", "O-1", "SELECT 1");
    let outsider = Desk::new().var("DATABASE_URL", server.url_for("outsider", "O-1", "postgres"));
    let missing = explain(&outsider, &["--slowest"]);
    assert!(missing.status == 3 && missing.err.contains("CREATE EXTENSION pg_stat_statements"), "{missing:#?}");
    server.psql("postgres", "CREATE EXTENSION pg_stat_statements");
    server.psql("postgres", "SELECT count(*) FROM generate_series(1, 100000)");
    let unseen = explain(&outsider, &["--slowest"]);
    assert!(unseen.status == 3 && unseen.err.contains("GRANT pg_monitor TO outsider;"), "{unseen:#?}");
}
