//! What many runs leave behind: no connection, no key, no temporary file, and a state folder that does not grow with them.

use super::{SOON, at};
use crate::support::Obsctl;
use lab::{
    Major, RedisServer, eventually, get,
    process::Start,
    sandbox::{LocalSandbox, Profile},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// A home that many runs share, and a folder of their own for what is temporary.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.temporary()).unwrap();
        home
    }

    fn temporary(&self) -> PathBuf {
        self.0.path().join("tmp")
    }

    fn of(&self, run: Obsctl) -> Obsctl {
        let state = self.0.path().join("state");
        run.var("XDG_STATE_HOME", state.to_str().unwrap()).var("TMPDIR", self.temporary().to_str().unwrap())
    }

    /// How many files are remembered, and how large they are together.
    fn state(&self) -> (usize, u64) {
        sizes(&self.0.path().join("state"))
    }
}

fn sizes(folder: &Path) -> (usize, u64) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold((0, 0), |(files, bytes), entry| match entry.metadata().unwrap() {
        meta if meta.is_dir() => {
            let (more, larger) = sizes(&entry.path());
            (files + more, bytes + larger)
        }
        meta => (files + 1, bytes + meta.len()),
    })
}

/// Runs it so often, two at a time; each ends as one of these.
fn often(times: usize, statuses: &[i32], run: impl Fn() -> Obsctl + Sync) {
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while begun.fetch_add(1, Ordering::Relaxed) < times {
                    let ran = run().run();
                    assert!(statuses.contains(&ran.status), "{ran:?}");
                }
            });
        }
    });
}

fn keys(redis: &RedisServer) -> (String, String) {
    (redis.cli(&["DBSIZE"]), redis.info("connected_clients").unwrap())
}

#[test]
fn a_thousand_looks_at_a_queue_leave_nothing() {
    let redis = get().redis();
    let home = Home::new();
    let config =
        format!("environments: {{a: {{apps: {{x: {{url: 'http://127.0.0.1:1'}}}}, broker: {{url: '{}', via: direct}}}}}}", redis.url());
    let run = || home.of(crate::support::obsctl(Path::new("/nowhere"), "queue depth --once --config c.yaml").file("c.yaml", &config));
    redis.cli(&["RPUSH", "celery", "{}"]);
    let before = keys(&redis);
    often(100, &[0, 1, 3], run);
    let early = home.state();
    often(900, &[0, 1, 3], run);
    eventually(SOON, || if keys(&redis) == before { Ok(()) } else { Err(format!("{before:?} → {:?}", keys(&redis))) });
    assert_eq!(fs::read_dir(home.temporary()).unwrap().count(), 0);
    let (files, bytes) = home.state();
    assert!(files == early.0 && bytes <= early.1 * 2 + 4096, "{early:?} → {:?}", (files, bytes));
}

/// The sessions of obsctl that the sandbox's database has.
fn sessions(sandbox: &LocalSandbox) -> String {
    let url = fs::read_to_string(sandbox.secret("oncall-env", "ADMIN_DATABASE_URL")).unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'obsctl'";
    Start::new("psql", "/usr/bin/psql").args(["-X", "-q", "-t", "-A", "-c", sql]).arg(url.trim()).output().unwrap().trim().to_owned()
}

#[test]
fn a_run_of_anything_else_leaves_nothing_either() {
    let sandbox = get().sandbox_local(Profile::A);
    let home = Home::new();
    let all = ["db activity", "db locks", "db slow", "queue workers", "queue peek celery", "check", "errors", "logs --stats", "doctor"];
    let explain = || home.of(at(&sandbox, "explain").arg("SELECT count(*) FROM shop_order"));
    let each = |times: usize| {
        for words in all {
            often(times, &[0, 1, 3], || home.of(at(&sandbox, words)));
        }
        often(times, &[0], explain);
    };
    each(2);
    let early = home.state();
    each(10);
    eventually(SOON, || match sessions(&sandbox).as_str() {
        "0" => Ok(()),
        n => Err(format!("{n} sessions")),
    });
    assert_eq!(fs::read_dir(home.temporary()).unwrap().count(), 0);
    let (files, bytes) = home.state();
    assert!(files == early.0 && bytes <= early.1 * 2 + 4096, "{early:?} → {:?}", (files, bytes));
}

#[test]
fn a_database_is_told_that_a_session_ends() {
    let postgres = get().postgres(Major::V15);
    postgres.psql("postgres", "ALTER SYSTEM SET log_min_messages = debug1");
    postgres.psql("postgres", "SELECT pg_reload_conf()");
    postgres.eventually("postgres", "SHOW log_min_messages", "debug1");
    let unexpected = || postgres.log().matches("unexpected EOF on client connection").count();
    let config = format!(
        "environments: {{a: {{apps: {{x: {{url: 'http://127.0.0.1:1'}}}}, postgres: {{main: {{url: '{}', via: direct}}}}}}}}",
        postgres.url()
    );
    let run = |words: &str| crate::support::obsctl(Path::new("/nowhere"), words).arg_all("--config c.yaml").file("c.yaml", &config);
    for words in ["db activity", "db locks", "db slow", "doctor", "check"] {
        run(words).run();
    }
    run("explain").arg("SELECT count(*) FROM pg_class").run().ends(0);
    assert_eq!(unexpected(), 0, "{}", postgres.log());
}
