//! `lab bench check OBSCTL`: many checks of which one is slow, a long file, and the connections that a run opens, by the servers' own count.
//! For `make bench`.

use std::fmt::Write;
use std::time::Duration;

use super::{Bench, health::Well, median_of, note};
use crate::celery::{Celery, Publish, Version, WorkerOptions};
use crate::failure::{Failure, Result};
use crate::postgres::{Major, PostgresOptions, PostgresServer};
use crate::process::Start;
use crate::redis::{RedisOptions, RedisServer};
use crate::run::Run;

/// Checks of which one answers after two seconds.
const CHECKS: usize = 200;
/// Checks of a file that is only read.
const READ: usize = 5_000;
/// Checks of one system.
const OF_ONE: usize = 40;

/// Prints the table; a broken promise is a failure at its end.
pub fn check(obsctl: &str) -> Result<String> {
    let mut bench = Bench::new(obsctl, Run::claim()?)?;
    bench.slow_one()?;
    bench.long_file()?;
    bench.connections()?;
    bench.end()
}

impl Bench {
    /// Runs a file of checks; how it ended, and what it printed.
    fn checks(&self, config: &str, file: &str, words: &[&str]) -> Result<(i32, String)> {
        let state = self.run.folder("state")?;
        let start = Start::new("obsctl", &self.obsctl).clear_env().env("HOME", &state).env("XDG_STATE_HOME", &state);
        start.args(["--config", config, "check", file]).args(words.iter().copied()).ended()
    }

    fn nowhere(&self) -> Result<String> {
        let text = "environments: {bench: {apps: {x: {url: 'http://127.0.0.1:1/'}}}}\n";
        Ok(self.run.write("nowhere.yaml", text)?.display().to_string())
    }

    fn slow_one(&mut self) -> Result<()> {
        println!("check: {CHECKS} of HTTP, one of which answers after 2 s");
        let server = Well::start()?;
        let config = self.nowhere()?;
        let mut text = "checks:\n".to_owned();
        for (n, url) in server.urls(CHECKS).iter().enumerate() {
            let late = server.late();
            let url = if n == CHECKS / 2 { &late } else { url };
            let _ = writeln!(text, "  - {{name: c{n}, http: '{url}', want: [status == 200, '$.status == healthy']}}");
        }
        let file = self.run.write("many.yaml", text)?.display().to_string();
        let took = median_of(3, || match self.checks(&config, &file, &[])? {
            (0, _) => Ok(()),
            (status, said) => Err(Failure::new(format!("they ended with {status}: {said}"))),
        })?;
        self.hold("  all of them, ms", took.as_millis(), took <= Duration::from_millis(2500), "at most 2500");
        Ok(())
    }

    fn long_file(&mut self) -> Result<()> {
        println!("check --dry-run: a file of {READ} checks");
        let config = self.nowhere()?;
        let mut text = "checks:\n".to_owned();
        for n in 0..READ {
            let _ = writeln!(
                text,
                "  - {{name: c{n}, queue: q{n}, warn: [oldest > 5m, 'growth > 10/s'], fail: waiting > 1000, for: 2m, route: page, tags: [a, b], \
                 runbook: 'https://wiki.example.org/queues#{n}'}}"
            );
        }
        let one = self.run.write("one.yaml", "checks: [{name: c, queue: q, fail: waiting > 1000}]\n")?.display().to_string();
        let file = self.run.write("long.yaml", text)?.display().to_string();
        let planned = |file: &str| match self.checks(&config, file, &["--dry-run", "--only", "c0"])? {
            (0 | 2, _) => Ok(()),
            (status, said) => Err(Failure::new(format!("it ended with {status}: {said}"))),
        };
        let all = median_of(11, || planned(&file))?;
        note("  beside it: a file of one check", median_of(11, || planned(&one))?);
        self.hold("  read, checked and chosen from, whole process, ms", all.as_millis(), all <= Duration::from_millis(100), "at most 100");
        Ok(())
    }

    fn connections(&mut self) -> Result<()> {
        println!("check: {OF_ONE} of a broker and {OF_ONE} of a database in one run");
        let redis = RedisServer::start(RedisOptions::default())?;
        let app = Celery::new(redis.url(), Version::V5_6)?;
        app.try_publish(&[Publish::quick().queue("mail").times(3)])?;
        let worker = app.start_worker(WorkerOptions { queues: vec!["idle".to_owned()], ..WorkerOptions::default() })?;
        worker.await_ready()?;
        let postgres = PostgresServer::start(Major::V15, &PostgresOptions::default())?;
        postgres.try_psql("postgres", "CREATE EXTENSION pg_stat_statements")?;
        postgres.role("oncall", "O-1", "GRANT pg_monitor TO oncall");
        let config = format!(
            "environments:\n  bench:\n    broker: {{url: '{}', via: direct}}\n    postgres: {{main: {{url: '{}', via: direct}}}}\n",
            redis.url(),
            postgres.url_for("oncall", "O-1", "postgres")
        );
        let config = self.run.write("both.yaml", config)?.display().to_string();
        let mut text = "checks:\n".to_owned();
        for n in 0..OF_ONE {
            let broker = [
                "queue: mail, fail: waiting > 100",
                "redis: true, fail: memory > 90%",
                "workers: true, want: heard > 0",
                "queue: all, fail: oldest > 9h",
            ];
            let database =
                ["postgres: main, fail: blocked > 0", "sql: SELECT 1, fail: value > 2", "postgres: main, fail: slow > 1h, on_no_data: ok"];
            let (broker, database) = (broker[n % broker.len()], database[n % database.len()]);
            let _ = writeln!(text, "  - {{name: b{n}, {broker}}}\n  - {{name: d{n}, {database}}}");
        }
        let file = self.run.write("both-checks.yaml", text)?.display().to_string();
        let sessions = "SELECT coalesce(sum(sessions), 0) FROM pg_stat_database";
        let opened = |of: &PostgresServer| -> Result<u128> { Ok(of.try_psql("postgres", sessions)?.trim().parse().unwrap_or(0)) };
        // What counts is counted: each question of ours is a session, or a connection, of its own.
        let (before, again) = (opened(&postgres)?, opened(&postgres)?);
        let own = again - before;
        let received = || redis.info("total_connections_received").and_then(|n| n.parse::<u128>().ok()).unwrap_or(0);
        let (first, second) = (received(), received());
        let (status, said) = self.checks(&config, &file, &["-o", "json"])?;
        if status != 0 {
            return Err(Failure::new(format!("they ended with {status}: {said}")));
        }
        let broker = received() - second - (second - first);
        let database = opened(&postgres)?.saturating_sub(again + own);
        self.hold("  connections to Redis, by its own count", broker, broker <= 2, "at most 2");
        self.hold("  sessions of PostgreSQL, by its own count", database, database <= 2, "at most 2");
        Ok(())
    }
}
