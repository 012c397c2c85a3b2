//! `obsctl explain` from a statement to the index that it lacks, as a user runs it, on a real server with hypopg and without.

use super::server;
use crate::cli_support::{Desk, Seen};
use lab::{Major, PostgresServer};

const SHOP: &str = "CREATE TABLE item (id int PRIMARY KEY, order_id int NOT NULL, product_id int NOT NULL, state varchar(10) NOT NULL); \
    INSERT INTO item SELECT n, n % 60000, n % 900, CASE WHEN n % 2 = 0 THEN 'open' ELSE 'done' END FROM generate_series(1, 200000) n; \
    CREATE INDEX item_order ON item (order_id); \
    CREATE ROLE reader LOGIN PASSWORD 'secret-of-reader'; GRANT SELECT ON item TO reader; ANALYZE item";

fn shop(version: Major) -> PostgresServer {
    let server = server(version);
    server.psql("postgres", SHOP);
    server
}

fn desk(server: &PostgresServer) -> Desk {
    Desk::new().var("DATABASE_URL", server.url_for("reader", "secret-of-reader", "postgres"))
}

#[track_caller]
fn explain(desk: &Desk, words: &[&str]) -> Seen {
    let seen = desk.start(crate::cli_support::OBSCTL, ["explain"].iter().chain(words).copied());
    assert_eq!(seen.status, 0, "{seen:#?}");
    assert!(!seen.out.contains("secret-of-reader") && !seen.err.contains("secret-of-reader"), "{seen:#?}");
    seen
}

#[track_caller]
fn says(seen: &Seen, texts: &[&str]) {
    for text in texts {
        assert!(seen.out.contains(text), "{text:?} is missing:\n{}\n{}", seen.out, seen.err);
    }
}

const FEW: &str = "SELECT * FROM item WHERE product_id = 77";

#[test]
fn hypopg_proves_the_index_and_is_left_as_it_was() {
    let server = shop(Major::V15);
    server.psql("postgres", "CREATE SCHEMA tools; CREATE EXTENSION hypopg SCHEMA tools; GRANT USAGE ON SCHEMA tools TO reader");
    let desk = desk(&server);
    let seen = explain(&desk, &[FEW]);
    says(
        &seen,
        &[
            "one full read of item: no index leads with product_id.",
            "CREATE INDEX CONCURRENTLY ON item (product_id);",
            "hypopg: cost",
            "NEXT",
        ],
    );
    says(&explain(&desk, &[FEW, "--show-commands"]), &["sent  BEGIN", "hypopg_create_index"]);
    // The last that was sent before every end of a transaction with a hypothetical index takes it away.
    let object: serde_json::Value = serde_json::from_str(&explain(&desk, &[FEW, "-o", "json"]).out).expect("an object");
    let sent: Vec<&str> =
        object["facts"]["origin"]["server"]["sent"].as_array().expect("a list").iter().filter_map(|s| s.as_str()).collect();
    let created = sent.iter().position(|s| s.contains("hypopg_create_index")).expect("it was tried");
    let reset = sent.iter().rposition(|s| s.contains("hypopg_reset")).expect("it was taken away");
    assert!(created < reset && sent[reset + 1..].iter().any(|s| s.contains("ROLLBACK")), "{sent:#?}");
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM pg_indexes WHERE tablename = 'item'"), "2");
}

#[test]
fn behind_a_pooler_no_hypothetical_index_is_left() {
    let server = shop(Major::V15);
    server.psql("postgres", "CREATE EXTENSION hypopg");
    let bouncer = server.bouncer(1, &[("reader", "secret-of-reader")]).expect("a pooler");
    let url = bouncer.url("reader", "secret-of-reader", "postgres");
    says(&explain(&Desk::new().var("DATABASE_URL", &url), &[FEW]), &["hypopg: cost"]);
    // The one session of the pool is the one that was asked.
    let left = lab::process::run(&["psql", &url, "-XAtc", "SELECT count(*) FROM hypopg()"]).expect("psql");
    assert_eq!(left.trim(), "0");
}

#[test]
fn without_hypopg_it_is_a_candidate_and_says_so() {
    for version in [Major::V15, Major::V18] {
        let server = shop(version);
        let seen = explain(&desk(&server), &[FEW]);
        says(&seen, &["no index leads with product_id", "a candidate only: hypopg is not installed"]);
    }
}

#[test]
fn what_the_catalog_speaks_against_is_not_said() {
    let server = shop(Major::V15);
    let desk = desk(&server);
    // Two values: an index keeps half of the table. And a number that is read as text is no column of an index.
    for sql in ["SELECT * FROM item WHERE state = 'open' AND id % 9973 = 0", "SELECT * FROM item WHERE product_id::text = '77'"] {
        let seen = explain(&desk, &[sql]);
        assert!(!seen.out.contains("CREATE INDEX"), "{}", seen.out);
    }
}

#[test]
fn an_index_that_is_there_is_named_with_what_it_would_cost() {
    let server = shop(Major::V15);
    server.psql("postgres", "CREATE INDEX item_product ON item (product_id); ALTER ROLE reader SET random_page_cost = 10000");
    let seen = explain(&desk(&server), &[FEW]);
    says(&seen, &["item_product is there already: the planner expects it to cost more"]);
    assert!(!seen.out.contains("CREATE INDEX"), "{}", seen.out);
}

#[test]
fn a_plan_before_and_after_the_index() {
    let server = shop(Major::V15);
    let desk = desk(&server);
    let before = desk.path("before.json");
    let before = before.to_str().expect("a name");
    says(
        &explain(&desk, &["SELECT * FROM item WHERE product_id = %(product)s", "--param", "product=77", "--save", before]),
        &["the plan for any values (generic) is the same"],
    );
    server.psql("postgres", "CREATE INDEX ON item (product_id)");
    says(&explain(&desk, &[FEW, "--diff", before]), &["BETTER", "another plan", "Seq Scan item →"]);
    says(&explain(&desk, &["--plan", before]), &["one full read of item"]);
}

#[test]
fn what_was_not_run_says_why() {
    let server = shop(Major::V15);
    let desk = desk(&server);
    says(&explain(&desk, &[FEW, "--plain"]), &["NOT RUN", "runs        EXPLAIN only; READ ONLY"]);
    says(&explain(&desk, &["SELECT * FROM item WHERE product_id = %s"]), &["NOT RUN", "its parameters have no values"]);
    says(
        &explain(&desk, &["SELECT count(*) FROM item a, item b WHERE a.state <> b.state", "--timeout", "200ms"]),
        &["NOT RUN", "cancelled"],
    );
    let refused = desk.start(crate::cli_support::OBSCTL, ["explain", "SELECT pg_advisory_lock(42)"]);
    assert!(refused.status == 3 && refused.out.is_empty(), "{refused:#?}");
    let two = desk.start(crate::cli_support::OBSCTL, ["explain", "SELECT 1; SELECT 2"]);
    assert!(two.status == 2 && two.out.is_empty(), "{two:#?}");
}

#[test]
fn the_slowest_statement_is_found_planned_and_not_run_unasked() {
    let server = shop(Major::V15);
    server.psql("postgres", "CREATE EXTENSION pg_stat_statements; GRANT pg_monitor TO reader; SELECT pg_stat_statements_reset()");
    for product in [7, 8, 9] {
        server.psql("postgres", &format!("SELECT count(*) FROM item WHERE product_id = {product}"));
    }
    let desk = desk(&server);
    let seen = explain(&desk, &["--slowest", "--by", "mean"]);
    says(&seen, &["statement", "of pg_stat_statements", "product_id = $1", "run with --analyze only", "NOT RUN", "sampled"]);
}
