//! Which statement `obsctl explain` takes of those that run now, and what it runs by name only.

use super::commands::explain;
use crate::cli_support::Desk;
use lab::{Major, PgSession, PostgresServer};

/// The shop of the other tests, with a function that its author called immutable.
fn shop() -> (PostgresServer, Desk) {
    let (server, desk) = super::commands::shop(Major::V15);
    server.psql("postgres", "CREATE FUNCTION vat(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 * 2; END'");
    (server, desk)
}

/// A session whose statement waits for a row that another holds: it runs for as long as the test likes.
fn waiting(server: &PostgresServer, sql: &str) -> PgSession {
    let mut waiter = server.session("postgres", "postgres", "checkout");
    waiter.send(sql);
    server.eventually(
        "postgres",
        &format!("SELECT wait_event_type FROM pg_stat_activity WHERE pid = {} AND state = 'active'", waiter.pid()),
        "Lock",
    );
    waiter
}

#[test]
fn what_runs_now_is_found_by_its_age() {
    let (server, desk) = shop();
    let mut holder = server.session("postgres", "postgres", "import");
    holder.run("BEGIN");
    holder.run("UPDATE item SET n = 9 WHERE id = 1");
    let first = waiting(&server, "UPDATE item SET n = 1 WHERE id = 1");
    let second = waiting(&server, "UPDATE item SET n = n + 2 WHERE id = 1");
    for (rank, waiter) in [("1", &first), ("2", &second)] {
        let seen = explain(&desk, &["--slowest", "--by", "now", "--rank", rank]);
        assert!(seen.status == 0 && seen.out.contains(&format!("of process {}", waiter.pid())), "{rank}: {seen:#?}");
        assert!(seen.out.contains("run with --analyze only"), "{seen:#?}");
    }
    let none = explain(&desk, &["--slowest", "--by", "now", "--rank", "9"]);
    assert!(none.status != 0 && none.err.contains("there are not so many statements"), "{none:#?}");
    // The server keeps the beginning only, which is another statement.
    let long = waiting(&server, &format!("UPDATE item SET n = 1 WHERE id = 1 AND t <> '{}'", "x".repeat(1_200)));
    let cut = explain(&desk, &["--pid", &long.pid().to_string()]);
    assert!(cut.status == 3 && cut.err.contains("track_activity_query_size"), "{cut:#?}");
}

#[test]
fn a_function_of_the_users_runs_by_its_name_only() {
    let (_server, desk) = shop();
    let sql = "SELECT count(*) FROM item WHERE vat(n) = 4";
    let refused = explain(&desk, &[sql]);
    assert!(refused.status == 3 && refused.out.is_empty() && refused.err.contains("--allow-function public.vat"), "{refused:#?}");
    let allowed = explain(&desk, &[sql, "--allow-function", "public.vat"]);
    assert!(allowed.status == 0 && allowed.out.contains("public.vat runs because it was allowed by name"), "{allowed:#?}");
}
