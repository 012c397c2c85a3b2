//! The flags of `obsctl explain` on real servers: query IDs, writes, Ctrl-C, what is shown of what was sent.

use crate::cli_support::{Desk, OBSCTL, Seen};
use lab::{Major, PostgresServer, eventually, get, process};
use serde_json::Value;
use std::{fs, thread, time::Duration};

const ITEMS: &str = "CREATE EXTENSION pg_stat_statements; CREATE TABLE item (id int PRIMARY KEY, n int, t text); \
    INSERT INTO item SELECT n, n % 90, 'x' FROM generate_series(1, 20000) n; ANALYZE item";

pub(super) fn shop(version: Major) -> (PostgresServer, Desk) {
    let server = get().postgres(version);
    server.psql("postgres", ITEMS);
    server.role("oncall", "O-1", "GRANT pg_monitor TO oncall; GRANT SELECT, UPDATE ON item TO oncall");
    let url = server.url_for("oncall", "O-1", "postgres");
    (server, Desk::new().var("DATABASE_URL", url))
}

pub(super) fn explain(desk: &Desk, words: &[&str]) -> Seen {
    desk.start(OBSCTL, ["explain"].iter().chain(words).copied())
}

#[test]
fn a_query_id_may_be_negative() {
    let (server, desk) = shop(Major::V15);
    // Half of all IDs are.
    for column in ["id", "n", "t", "id, n", "id, t", "n, t", "id + n", "id - n", "id * n", "n * n", "id % 7", "n % 7"] {
        server.psql("postgres", &format!("SELECT {column} FROM item WHERE n = 5"));
    }
    let negative = "SELECT queryid FROM pg_stat_statements WHERE queryid < 0 AND query LIKE 'SELECT%FROM item%' LIMIT 1";
    let id = server.psql("postgres", negative);
    assert!(id.starts_with('-'), "{id}");
    let seen = explain(&desk, &["--queryid", &id]);
    assert!(seen.status == 0 && seen.out.contains(&format!("query {id} of pg_stat_statements")), "{seen:#?}");
    let unknown = explain(&desk, &["--queryid", "-42"]);
    assert!(unknown.status != 0 && unknown.err.contains("no such query"), "{unknown:#?}");
}

#[test]
fn a_write_is_run_only_by_its_flag_and_rolled_back() {
    for version in Major::tested() {
        let (server, desk) = shop(version);
        let sql = "UPDATE item SET n = 1000 WHERE n = 5";
        let changed = || server.psql("postgres", "SELECT count(*) FROM item WHERE n = 1000");
        let kept = explain(&desk, &[sql]);
        assert!(kept.status == 0 && kept.out.contains("NOT RUN") && kept.out.contains("it changes or locks rows"), "{kept:#?}");
        let run = explain(&desk, &[sql, "--run-write-and-roll-back"]);
        assert!(run.status == 0 && run.err.contains("EXPLAIN ANALYZE of a write, rolled back") && !run.out.contains("NOT RUN"), "{run:#?}");
        assert_eq!(changed(), "0");
        assert!(server.log().contains("READ WRITE"));
    }
}

#[test]
fn ctrl_c_cancels_on_the_server_and_shows_the_plan() {
    let (server, desk) = shop(Major::V15);
    let script = "echo $$ > pid; exec \"$OBSCTL\" explain 'SELECT count(*) FROM item a, item b, item c WHERE a.n + b.n + c.n < 0'";
    let pid = desk.path("pid");
    let seen = thread::scope(|scope| {
        let seen = scope.spawn(|| desk.bash(script));
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'EXPLAIN (ANALYZE%' AND state = 'active'";
        server.eventually("postgres", running, "1");
        let pid = fs::read_to_string(&pid).expect("its id");
        process::run(&["kill", "-INT", pid.trim()]).expect("a signal");
        seen.join().expect("its end")
    });
    assert_eq!(seen.status, 130, "{seen:#?}");
    for part in ["NOT RUN", "stopped", "Nested Loop", "what surrounds it (stopped)"] {
        assert!(seen.out.contains(part), "{part}: {seen:#?}");
    }
    eventually(Duration::from_secs(10), || {
        server.log().contains("canceling statement due to user request").then_some(()).ok_or_else(|| "not cancelled".to_owned())
    });
}

#[test]
fn what_is_shown_is_all_that_was_sent() {
    for version in Major::tested() {
        let (server, desk) = shop(version);
        server.psql("postgres", "SELECT pg_stat_statements_reset()");
        server.psql("postgres", "SELECT count(*) FROM item WHERE n = 7");
        for words in [&["SELECT count(*) FROM item WHERE n = %s", "--param", "7"][..], &["--slowest", "--analyze"]] {
            let before = server.statements("obsctl").len();
            let seen = explain(&desk, &[words, &["-o", "json"]].concat());
            assert_eq!(seen.status, 0, "{seen:#?}");
            let object: Value = serde_json::from_str(&seen.out).expect("an object");
            let sent = object["facts"]["origin"]["server"]["sent"].as_array().expect("a list");
            let mut sent: Vec<String> = sent.iter().filter_map(Value::as_str).map(one_line).collect();
            if version == Major::V14 {
                // The statement is parsed by itself there, for its tree: what is not executed is not in the server's log.
                sent.retain(|sql| sql != "SELECT count(*) FROM item WHERE n = $1");
            }
            let logged: Vec<String> = server.statements("obsctl").iter().skip(before).map(|s| one_line(s)).collect();
            assert_eq!(logged, sent);
        }
        let shown = explain(&desk, &["SELECT 1", "--show-commands"]);
        assert!(shown.out.contains("sent  BEGIN"), "{}", shown.out);
    }
}

fn one_line(sql: &str) -> String {
    sql.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_statement_of_nearly_a_megabyte_is_answered() {
    let (_server, desk) = shop(Major::V15);
    let values: Vec<String> = (0..100_000).map(|n| (n + 1_000_000).to_string()).collect();
    let desk = desk.file("long.sql", format!("SELECT count(*) FROM item WHERE id IN ({})", values.join(",")));
    // Whoever runs obsctl in a test ends it after a minute.
    let seen = explain(&desk, &["-f", "long.sql", "--full", "--deadline", "55s"]);
    assert!(seen.status == 0 && seen.out.contains("item"), "{} {}", seen.status, seen.err);
}

#[test]
fn what_it_proposes_to_run_exists() {
    use clap::Parser;
    let (server, desk) = shop(Major::V15);
    let _held: Vec<_> = (0..33).map(|_| server.session("postgres", "postgres", "greedy")).collect();
    let seen = explain(&desk, &["SELECT count(*) FROM item", "-o", "json"]);
    let object: Value = serde_json::from_str(&seen.out).expect("an object");
    let hints = object["findings"].as_array().expect("findings").iter().flat_map(|f| f["next"].as_array().cloned().unwrap_or_default());
    let commands: Vec<String> = hints.filter_map(|h| h["run"].as_str().map(str::to_owned)).collect();
    assert!(commands.contains(&"obsctl db activity".to_owned()), "{object:#}");
    for command in commands {
        obsctl::cli::Cli::try_parse_from(command.split(' ')).unwrap_or_else(|e| panic!("{command}: {e}"));
    }
}

/// What the README says to create is all that is needed.
#[test]
fn the_role_of_the_readme_suffices() {
    let readme = fs::read_to_string(crate::cli_support::root().join("README.md")).expect("the README");
    let (_, block) = readme.split_once("```sql\nCREATE ROLE oncall").expect("its role");
    let (block, _) = block.split_once("```").expect("its end");
    let server = get().postgres(Major::V15);
    server.psql("postgres", "CREATE ROLE shop_owner; CREATE DATABASE shop OWNER shop_owner");
    server.psql("shop", &format!("CREATE ROLE oncall{}", block.replace('…', "O-1")));
    let table = "GRANT CREATE ON SCHEMA public TO shop_owner; SET ROLE shop_owner; CREATE TABLE item AS SELECT n, n % 900 AS product FROM generate_series(1, 200000) n";
    server.psql("shop", table);
    server.psql("shop", "ANALYZE item");
    let desk = Desk::new().var("DATABASE_URL", server.url_for("oncall", "O-1", "shop"));
    let seen = explain(&desk, &["SELECT * FROM item WHERE product = 77"]);
    assert!(seen.status == 0 && seen.out.contains("hypopg: cost") && !seen.out.contains("GRANT"), "{seen:#?}");
    assert_eq!(desk.run("db slow").status, 0);
}

#[test]
fn a_statement_of_django_is_taken_as_it_stands_in_the_log() {
    let (server, desk) = shop(Major::V15);
    let sql = "SELECT id FROM item WHERE n = %(n)s AND t NOT LIKE 'a%%' AND n < %(n)s + 1 /*controller='orders%3Alist'*/";
    let desk = desk.file("slow.sql", sql);
    let before = server.statements("obsctl").len();
    let seen = explain(&desk, &["-f", "slow.sql", "--param", "n=7"]);
    assert!(seen.status == 0 && seen.out.contains("Seq Scan item"), "{seen:#?}");
    let sent = server.statements("obsctl").split_off(before).join("\n");
    assert!(sent.contains("n = $1 AND t NOT LIKE 'a%' AND n < $1 + 1") && !sent.contains("controller"), "{sent}");
    let without = explain(&desk, &["-f", "slow.sql", "--param", "m=7"]);
    assert!(without.status == 2 && without.err.contains("n has no value") && without.err.contains("--param n=VALUE"), "{without:#?}");
}
