//! No secret of a production is in any byte that any command writes, nor in the arguments of any program that it starts.

use super::at;
use crate::support::{Live, Ran, obsctl};
use lab::{
    get,
    sandbox::{LocalSandbox, Profile},
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Every value of the production's Secrets; of a URL its password too.
fn secrets(sandbox: &LocalSandbox) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for secret in fs::read_dir(sandbox.dir.join("secrets")).unwrap().flatten() {
        let keys: Vec<_> = if secret.path().is_dir() { fs::read_dir(secret.path()).unwrap().flatten().collect() } else { vec![secret] };
        for key in keys {
            let value = fs::read_to_string(key.path()).unwrap().trim().to_owned();
            if let Some((_, rest)) = value.split_once("://")
                && let Some((user, _)) = rest.rsplit_once('@')
                && let Some((_, password)) = user.split_once(':')
            {
                all.insert(password.to_owned());
            }
            // Of a key each line tells something.
            all.extend(value.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        }
    }
    // Too short to be one.
    all.retain(|text| text.len() >= 6);
    all
}

/// What programs are started with, looked at again and again.
struct Watched<'a> {
    stop: &'a AtomicBool,
    found: &'a Mutex<BTreeSet<String>>,
    secrets: &'a BTreeSet<String>,
}

fn arguments(process: &Path) -> String {
    String::from_utf8_lossy(&fs::read(process.join("cmdline")).unwrap_or_default()).replace('\0', " ")
}

fn is_obsctl(process: &Path) -> bool {
    fs::read_link(process.join("exe")).is_ok_and(|program| program.ends_with("obsctl"))
}

fn parent(process: &Path) -> Option<PathBuf> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, after) = stat.rsplit_once(") ")?;
    Some(Path::new("/proc").join(after.split(' ').nth(1)?))
}

impl Watched<'_> {
    fn look(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let line = arguments(&entry.path());
                let secret = self.secrets.iter().any(|secret| line.contains(secret.as_str()));
                if secret && (is_obsctl(&entry.path()) || parent(&entry.path()).is_some_and(|parent| is_obsctl(&parent))) {
                    self.found.lock().unwrap().insert(line);
                }
            }
        }
    }
}

#[track_caller]
fn clean(words: &str, ran: &Ran, secrets: &BTreeSet<String>) {
    for secret in secrets {
        for (name, text) in [("stdout", &ran.out), ("stderr", &ran.err)] {
            assert!(!text.contains(secret.as_str()), "{words}: {secret:?} on {name}:\n{text}");
        }
    }
    assert!(!ran.err.contains("panicked"), "{words}: {}", ran.err);
}

#[test]
fn no_command_writes_a_secret_of_production() {
    let sandbox = get().sandbox_local(Profile::A);
    let secrets = secrets(&sandbox);
    assert!(secrets.len() >= 8, "{secrets:?}");
    let planted = sandbox.traffic().fault("failing-task").unwrap();
    let request = planted.iter().find_map(|planted| planted.request_id.clone()).unwrap();
    let task = planted.iter().flat_map(|planted| &planted.tasks).next().unwrap().id.clone();
    let commands = [
        "config show".to_owned(),
        "config check".to_owned(),
        "doctor".to_owned(),
        "doctor --print grants".to_owned(),
        "doctor --print redis-acl".to_owned(),
        "logs --tail -1".to_owned(),
        "logs --tail -1 --raw".to_owned(),
        format!("logs -r {request}"),
        "logs --stats".to_owned(),
        "logs --leaks".to_owned(),
        "errors --tracebacks".to_owned(),
        "queue depth --show-commands".to_owned(),
        "queue workers --ask --tasks".to_owned(),
        "queue peek mail".to_owned(),
        format!("queue find {task} --ask"),
        "db activity".to_owned(),
        "db activity -d oncall".to_owned(),
        "db locks".to_owned(),
        "db slow".to_owned(),
        "explain --slowest --show-commands".to_owned(),
        "health".to_owned(),
        "health --deep".to_owned(),
        "check".to_owned(),
        "check --explain".to_owned(),
        "check init".to_owned(),
        "incident x.md".to_owned(),
        "version".to_owned(),
    ];
    let (stop, found) = (AtomicBool::new(false), Mutex::default());
    let watched = Watched { stop: &stop, found: &found, secrets: &secrets };
    thread::scope(|scope| {
        scope.spawn(|| watched.look());
        for words in &commands {
            for more in ["", "-o json", "-v"] {
                let ran = at(&sandbox, words).arg_all(more).run();
                clean(&format!("{words} {more}"), &ran, &secrets);
            }
        }
        // What is typed into variables is as secret as what stands in files.
        let url = |secret: &str, key: &str| fs::read_to_string(sandbox.secret(secret, key)).unwrap().trim().to_owned();
        for words in ["queue depth -v", "db activity -v", "config show", "doctor -v", "explain -v SELECT-1"] {
            let ran = obsctl(Path::new("/nowhere"), words)
                .var("CELERY_BROKER_URL", &url("backend-env", "CELERY_BROKER_URL"))
                .var("DATABASE_URL", &url("backend-env", "DATABASE_URL"))
                .run();
            clean(words, &ran, &secrets);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(found.lock().unwrap().is_empty(), "{found:?}");
}

/// Errors repeat what was asked: the wrong password, the wrong host, the wrong form.
#[test]
fn no_error_repeats_a_secret() {
    let sandbox = get().sandbox_local(Profile::A);
    let (postgres, redis) = (sandbox.ports["postgres-1"], sandbox.ports["redis-1"]);
    let wrong = "n0t-the-Passw0rd";
    for (database, broker) in [
        (format!("postgres://shop_app:{wrong}@127.0.0.1:{postgres}/shop"), format!("redis://:{wrong}@127.0.0.1:{redis}/0")),
        (format!("postgres://shop_app:{wrong}@127.0.0.1:1/shop"), format!("redis://:{wrong}@127.0.0.1:1/0")),
        (format!("postgres://shop_app:{wrong}@no.such.host.example/shop"), format!("redis://:{wrong}@no.such.host.example/0")),
        // A slash in a password ends the host too early; a form that nobody knows; a port that is none.
        (format!("postgres://shop_app:a/{wrong}@127.0.0.1:{postgres}/shop"), format!("redis://:a/{wrong}@127.0.0.1:{redis}/0")),
        (format!("mysql://shop_app:{wrong}@127.0.0.1/shop"), format!("kafka://:{wrong}@127.0.0.1/0")),
        (format!("postgres://shop_app:{wrong}@127.0.0.1:port/shop"), format!("redis://:{wrong}@127.0.0.1:port/0")),
        (format!("host=127.0.0.1 password={wrong} port=x"), wrong.to_owned()),
        (
            format!("postgres://127.0.0.1:{postgres}/shop?user=shop_app&password={wrong}&sslmode=maybe"),
            format!("redis://127.0.0.1:{redis}/x?password={wrong}"),
        ),
    ] {
        let config = format!(
            "environments: {{a: {{apps: {{x: {{url: 'http://me:{wrong}@127.0.0.1:1/?token={wrong}'}}}}, postgres: {{main: {{url: '{database}', via: direct}}}}, \
             broker: {{url: '{broker}', via: direct}}}}}}"
        );
        for words in [
            "db activity",
            "db activity -o json",
            "queue depth -v",
            "queue depth -o json",
            "doctor -v",
            "config show",
            "config check",
            "health -v",
            "check -v",
            "explain -v --slowest",
        ] {
            let ran = obsctl(Path::new("/nowhere"), words).arg_all("--config c.yaml").file("c.yaml", &config).run();
            assert_ne!(ran.status, 101, "{ran:?}");
            ran.never_says(&[wrong, "panicked"]);
        }
    }
}

/// A part of an incident is a program of its own, and so is a command of the configuration.
#[test]
fn what_is_started_has_no_secret_among_its_arguments() {
    let sandbox = get().sandbox_local(Profile::A);
    let secrets = secrets(&sandbox);
    let mut live: Live = at(&sandbox, "incident x.md").start();
    let (stop, found) = (AtomicBool::new(false), Mutex::default());
    let watched = Watched { stop: &stop, found: &found, secrets: &secrets };
    thread::scope(|scope| {
        scope.spawn(|| watched.look());
        live.says("written to");
        stop.store(true, Ordering::Relaxed);
    });
    assert!(found.lock().unwrap().is_empty(), "{found:?}");
}
