//! `obsctl db` on real servers of several versions: who holds up whom, what idles, what is slow, and what a role without rights is told.

use crate::cli_support::{Desk, Seen};
use lab::{Major, PostgresServer, get};
use serde_json::Value;

/// A configuration whose database is this one.
fn desk(url: &str) -> Desk {
    let url = serde_json::to_string(url).expect("a string");
    let text = format!("environments:\n  a:\n    apps: {{web: {{files: [x.log]}}}}\n    postgres: {{main: {{url: {url}}}}}\n");
    Desk::new().file("obsctl.yaml", text)
}

/// As `role`, which may see everything.
fn watched(server: &PostgresServer) -> Desk {
    server.role("watcher", "W-1", "GRANT pg_monitor TO watcher");
    desk(&server.url_for("watcher", "W-1", "postgres"))
}

fn run(desk: &Desk, words: &str) -> Seen {
    desk.run(&format!("--config obsctl.yaml -e a {words}"))
}

fn json(desk: &Desk, words: &str) -> Value {
    let seen = run(desk, &format!("{words} -o json"));
    assert_eq!(seen.status, 0, "{}", seen.err);
    serde_json::from_str(&seen.out).expect("JSON")
}

fn codes(answer: &Value) -> Vec<&str> {
    answer["findings"].as_array().expect("findings").iter().filter_map(|f| f["code"].as_str()).collect()
}

/// A table, a holder that idles in its transaction, and two that wait for it, one behind the other.
fn pileup(server: &PostgresServer) -> [lab::PgSession; 3] {
    server.psql("postgres", "CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock VALUES (1, 10)");
    let mut holder = server.session("postgres", "postgres", "import");
    holder.run("BEGIN");
    holder.run("UPDATE stock SET n = 9 WHERE id = 1 AND 'hunter2' <> ''");
    let mut first = server.session("postgres", "postgres", "checkout");
    first.send("UPDATE stock SET n = n - 1 WHERE id = 1");
    waits_for(server, first.pid(), holder.pid());
    let mut second = server.session("postgres", "postgres", "migrate");
    second.send("ALTER TABLE stock ADD COLUMN seen int");
    waits_for(server, second.pid(), holder.pid());
    [holder, first, second]
}

fn waits_for(server: &PostgresServer, pid: i32, blocker: i32) {
    server.eventually("postgres", &format!("SELECT {blocker} = ANY (pg_blocking_pids({pid}))"), "t");
}

#[test]
fn locks_name_the_holder_and_all_that_wait() {
    for version in Major::tested() {
        let server = get().postgres(version);
        let desk = watched(&server);
        let calm = run(&desk, "db locks");
        assert_eq!(calm.status, 0, "{}", calm.err);
        assert!(calm.out.contains("nobody waits for a lock."), "{}", calm.out);

        let [holder, first, second] = pileup(&server);
        let answer = json(&desk, "db locks");
        let tree = &answer["facts"]["trees"][0];
        assert_eq!(tree["who"]["pid"], holder.pid(), "{answer:#}");
        assert_eq!(tree["held_up"], 2);
        // The migration waits for both: it stands behind the checkout, and the holder is named there too.
        let behind = &tree["blocks"][0];
        assert_eq!((behind["who"]["pid"].as_i64(), behind["waits"]["mode"].as_str()), (Some(first.pid().into()), Some("ShareLock")));
        assert_eq!(behind["blocks"][0]["who"]["pid"], second.pid(), "{answer:#}");
        assert_eq!(behind["blocks"][0]["also_blocked_by"][0], holder.pid());
        assert!(tree["holds"].to_string().contains("RowExclusiveLock"), "{}", tree["holds"]);

        let seen = run(&desk, "db locks");
        for part in ["import", "idle in transaction", "holds up 2", "public.stock", "pg_terminate_backend", "└ session"] {
            assert!(seen.out.contains(part), "{part}: {}", seen.out);
        }
        assert!(!seen.out.contains("hunter2") && !answer.to_string().contains("hunter2"), "{}", seen.out);
        assert!(run(&desk, "--show-sensitive db locks").out.contains("hunter2"));
        assert!(seen.out.lines().all(|line| line.chars().count() <= 100), "{}", seen.out);
    }
}

#[test]
fn a_prepared_transaction_holds_without_a_session() {
    let server = get().postgres(Major::V15);
    let desk = watched(&server);
    server.psql("postgres", "CREATE TABLE t (n int)");
    let mut session = server.session("postgres", "postgres", "two-phase");
    session.run("BEGIN");
    session.run("LOCK TABLE t");
    session.run("PREPARE TRANSACTION 'nightly-4711'");
    drop(session);
    let mut waiter = server.session("postgres", "postgres", "reader");
    waiter.send("SELECT * FROM t");
    server.eventually("postgres", &format!("SELECT pg_blocking_pids({})", waiter.pid()), "{0}");
    let seen = run(&desk, "db locks");
    assert!(seen.out.contains("a prepared transaction") && seen.out.contains("nightly-4711"), "{}", seen.out);
    server.psql("postgres", "ROLLBACK PREPARED 'nightly-4711'");
}

#[test]
fn activity_shows_what_sessions_do() {
    for version in Major::tested() {
        let server = get().postgres(version);
        let desk = watched(&server);
        let [holder, ..] = pileup(&server);
        let answer = json(&desk, "db activity");
        assert!(codes(&answer).contains(&"waits-for-lock"), "{answer:#}");
        let sessions = answer["facts"]["backends"].as_array().expect("a list");
        let found = sessions.iter().find(|s| s["pid"] == holder.pid()).expect("the holder");
        assert_eq!((found["state"].as_str(), found["application"].as_str()), (Some("idle_in_transaction"), Some("import")));
        let seen = run(&desk, "db activity");
        assert!(seen.out.contains("Lock transactionid") && seen.out.contains("NEXT  obsctl db locks"), "{}", seen.out);
        assert!(!seen.out.contains("hunter2"), "{}", seen.out);
    }
}

#[test]
fn connections_that_run_out_are_said() {
    let options = lab::PostgresOptions { config: vec!["max_connections = 10".into()], ..Default::default() };
    let server = get().postgres_with(Major::V15, &options);
    let desk = watched(&server);
    let _held: Vec<_> = (0..6).map(|_| server.session("postgres", "postgres", "greedy")).collect();
    let answer = json(&desk, "db activity");
    assert_eq!(codes(&answer), ["connections-nearly-used-up"], "{answer:#}");
}

#[test]
fn a_role_without_pg_monitor_is_told_what_it_does_not_see() {
    let server = get().postgres(Major::V15);
    server.psql("postgres", "CREATE EXTENSION pg_stat_statements");
    server.role("outsider", "O-1", "");
    let desk = desk(&server.url_for("outsider", "O-1", "postgres"));
    let [holder, ..] = pileup(&server);
    for verb in ["activity", "locks", "slow"] {
        let seen = run(&desk, &format!("db {verb}"));
        assert_eq!(seen.status, 0, "{}", seen.err);
        assert!(seen.out.contains("not seen") && seen.out.contains("GRANT pg_monitor TO outsider;"), "{verb}: {}", seen.out);
    }
    // Who waits for whom everybody may know.
    let answer = json(&desk, "db locks");
    assert_eq!(answer["facts"]["trees"][0]["who"]["pid"], holder.pid());
    assert_eq!(answer["complete"], false);
}

#[test]
fn slow_ranks_what_was_run_and_suspects_n_plus_one() {
    for version in Major::tested() {
        let server = get().postgres(version);
        let desk = watched(&server);
        let missing = run(&desk, "db slow");
        assert_eq!(missing.status, 3, "{}", missing.out);
        assert!(missing.err.contains("CREATE EXTENSION pg_stat_statements"), "{}", missing.err);

        server.psql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE c (id int PRIMARY KEY, name text)");
        server.psql("postgres", "INSERT INTO c SELECT n, 'c' || n FROM generate_series(1, 2000) n");
        let mut web = server.session("postgres", "postgres", "web");
        let one_by_one: Vec<String> =
            (1..=1200).map(|n| format!("SELECT name FROM c WHERE id = {n} /*controller='shop.views.report'*/")).collect();
        web.run(&one_by_one.join(";\n"));
        web.run("SELECT pg_sleep(0.3)");
        let answer = json(&desk, "db slow --by calls");
        let first = &answer["facts"]["statements"][0];
        assert_eq!((first["calls"].as_i64(), first["n_plus_one"].as_bool()), (Some(1200), Some(true)), "{answer:#}");
        assert_eq!(first["askers"][0]["name"], "shop.views.report");
        assert!(codes(&answer).contains(&"n-plus-one-suspected"));
        let by_mean = json(&desk, "db slow --by mean");
        let means: Vec<f64> =
            by_mean["facts"]["statements"].as_array().expect("a list").iter().filter_map(|s| s["mean_ms"].as_f64()).collect();
        assert!(means.is_sorted_by(|a, b| a >= b) && by_mean["facts"]["statements"].to_string().contains("pg_sleep"), "{by_mean:#}");

        // Saved before, slower after: the same statement, eight times the work.
        assert_eq!(run(&desk, "db slow --save before.json").status, 0);
        web.run("SELECT pg_sleep(0.9)");
        let diff = json(&desk, "db slow --diff before.json");
        let slept = &diff["facts"]["statements"][0];
        assert_eq!((slept["calls"].as_i64(), diff["facts"]["span"]["kind"].as_str()), (Some(1), Some("between")), "{diff:#}");
        assert!(slept["mean_before_ms"].as_f64().expect("a mean") < 400.0);
        assert!(codes(&diff).contains(&"slower-than-before"), "{diff:#}");
        let shown = run(&desk, "db slow --diff before.json");
        assert!(shown.out.contains("BEFORE") && shown.out.lines().all(|line| line.chars().count() <= 100), "{}", shown.out);

        // What is slow now: only what runs between the two readings.
        web.send("SELECT count(*) FROM c a, c b WHERE a.id % 7 = b.id % 11");
        let now = json(&desk, "db slow --during 2s");
        assert!(!now["facts"]["statements"].to_string().contains("pg_sleep"), "{now:#}");
        web.answer().expect("its count");
    }
}

#[test]
fn nothing_is_written_and_every_question_is_short() {
    let server = get().postgres(Major::V15);
    let desk = watched(&server);
    server.psql("postgres", "CREATE EXTENSION pg_stat_statements");
    let _held = pileup(&server);
    for verb in ["activity", "locks", "slow"] {
        run(&desk, &format!("db {verb}"));
    }
    let statements = server.statements("obsctl");
    assert!(!statements.is_empty());
    for statement in &statements {
        let first = statement.split_whitespace().next().unwrap_or_default();
        assert!(matches!(first.trim_end_matches(';'), "BEGIN" | "SELECT" | "ROLLBACK"), "{statement}");
    }
}

#[test]
fn a_replica_is_called_one() {
    let server = get().postgres(Major::V15);
    server.role("watcher", "W-1", "GRANT pg_monitor TO watcher");
    let replica = server.replica().expect("a replica");
    let seen = run(&desk(&replica.url_for("watcher", "W-1", "postgres")), "db activity");
    assert!(seen.out.lines().next().expect("a line").contains("replica"), "{}", seen.out);
}

/// The faults of `tests/sandbox/faults.json` that are the database's, each told as it says there.
#[test]
fn the_sandboxs_faults_are_told() {
    let lab = lab::hand::Lab::start().expect("a lab of our own: nobody else lives with the damage");
    let sandbox = lab.sandbox_local(lab::sandbox::Profile::A);
    let traffic = sandbox.traffic();
    let config = sandbox.config.display().to_string();
    let ask = |words: &str| {
        let seen = Desk::new().run(&format!("--config {config} db -d oncall {words} -o json"));
        assert_eq!(seen.status, 0, "{}", seen.err);
        serde_json::from_str::<Value>(&seen.out).expect("JSON")
    };
    for fault in ["n-plus-one", "slow-report", "disk-sort"] {
        traffic.fault(fault).expect("a fault");
    }
    let slow = ask("slow --limit 5");
    let of = |answer: &Value, code: &str| {
        let found = answer["findings"].as_array().expect("findings").iter().find(|f| f["code"] == code);
        found.unwrap_or_else(|| panic!("no {code}: {answer:#}")).to_string()
    };
    let report = slow["facts"]["statements"].to_string();
    assert!(report.contains("products.views.sales") && report.contains("orders.views.ranking"), "{slow:#}");
    let many = ask("slow --by calls --limit 3");
    assert!(of(&many, "n-plus-one-suspected").contains("orders.views.customers"), "{many:#}");

    let harmed = traffic.harm("lock-pileup", &["--slow-seconds", "120"]).expect("a harm");
    let locks = ask("locks");
    let blocked = of(&locks, "blocked-by-lock");
    for part in ["products.import_prices", "idle in transaction", "holds up 3 sessions", "shop_product"] {
        assert!(blocked.contains(part), "{part}: {blocked}");
    }
    harmed.restore().expect("well again");
    assert_eq!(ask("locks")["facts"]["waiting"], 0);

    let replica = Desk::new().run(&format!("--config {config} db -d replica activity"));
    assert!(replica.out.lines().next().expect("a line").contains("replica"), "{} {}", replica.out, replica.err);
    lab.close().expect("an end");
}
