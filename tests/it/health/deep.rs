//! `obsctl health --deep`: what an endpoint says beside what real servers say to obsctl itself.

use crate::support::{Ran, obsctl};
use lab::{
    Fault, Major, PostgresOptions, Proxy, WorkerOptions, get,
    sandbox::Profile,
    web::{Act, Scripted, answer},
};
use std::path::Path;

/// An endpoint that says this of its parts.
fn endpoint(status: &'static str, body: &'static str) -> Scripted {
    Scripted::start(move |_| Act::Say(answer(status, "application/json", body))).unwrap()
}

fn deep(config: &Path, words: &str, url: &str) -> Ran {
    obsctl(Path::new("/nonexistent"), "health --deep").arg_all(words).arg("--config").arg(config.to_str().unwrap()).arg(url).run()
}

#[test]
fn a_database_and_a_broker_that_work_beside_an_endpoint_that_says_they_failed() {
    let sandbox = get().sandbox_local(Profile::A);
    let liar = endpoint("503 Service Unavailable", r#"{"status":"unhealthy","db":"ok","redis":"error"}"#);
    let ran = deep(&sandbox.config, "-o json", &liar.url("/health")).ends(1);
    let json = ran.json();
    let parts = json["facts"]["from_here"].as_array().unwrap();
    let says = |kind: &str| parts.iter().find(|p| p["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {json:#}"));
    assert_eq!((&says("redis")["condition"], &says("database")["condition"]), (&"ok".into(), &"ok".into()), "{json:#}");
    assert_eq!(says("workers")["condition"], "ok", "{json:#}");
    deep(&sandbox.config, "", &liar.url("/health"))
        .ends(1)
        .shows(&["FROM HERE", "PONG in", "primary", "heard", "redis works from here, though every target says it failed"])
        .never_says(&["cross-check-optimistic"]);
}

#[test]
fn a_broker_that_is_down_though_the_endpoint_says_ok_and_workers_that_nobody_speaks_of() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yaml");
    let broker = |url: &str| {
        std::fs::write(&config, format!("environments: {{lab: {{apps: {{x: {{url: 'http://x.example'}}}}, broker: {{url: '{url}'}}}}}}"))
            .unwrap();
    };
    let well = endpoint("200 OK", r#"{"status":"healthy","redis":"ok"}"#);
    let redis = get().redis();
    broker(&redis.url());
    // Without workers.
    deep(&config, "", &well.url("/health")).ends(0).shows(&["WARN", "no worker is connected to the broker", "PONG in"]);
    let app = get().celery(redis.url(), lab::Version::V5_6);
    let worker = app.worker(WorkerOptions { name: "w1".into(), ..WorkerOptions::default() });
    deep(&config, "", &well.url("/health")).ends(0).shows(&["OK", "1 worker heard"]);
    drop(worker);
    let before = redis.commandstats();
    deep(&config, "", &well.url("/health"));
    for (command, stat) in redis.commandstats() {
        let new = stat.calls > before.get(&command).map_or(0, |b| b.calls);
        let writes = ["set", "del", "lpush", "sadd", "srem", "publish", "config"].iter().any(|word| command.starts_with(word));
        assert!(!(new && writes), "{command} was sent");
    }
    broker("redis://:Tr0ub4dor-and-3@127.0.0.1:1/0");
    deep(&config, "", &well.url("/health"))
        .ends(0)
        .shows(&["WARN", "says that redis is well, and it does not work from here"])
        .never_says(&["Tr0ub4dor"]);
}

/// An endpoint that says what the word says: of a part of this name.
fn saying(part: &'static str, word: &'static str) -> Scripted {
    let status = if word == "ok" { "200 OK" } else { "503 Service Unavailable" };
    let (whole, word) = if word == "ok" { ("healthy", "ok") } else { ("unhealthy", "error: timed out") };
    let body = format!(r#"{{"status":"{whole}","{part}":"{word}"}}"#);
    Scripted::start(move |_| Act::Say(answer(status, "application/json", &body))).unwrap()
}

#[test]
fn every_part_said_well_or_ill_and_seen_well_or_ill() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yaml");
    let postgres = get().postgres_with(Major::V15, &PostgresOptions::default());
    let redis = get().redis();
    let (to_postgres, to_redis) = (Proxy::before(postgres.address()).unwrap(), Proxy::before(redis.address()).unwrap());
    let app = get().celery(redis.url(), lab::Version::V5_6);
    let mut worker = Some(app.worker(WorkerOptions { name: "w1".into(), ..WorkerOptions::default() }));
    let at = |url: &str, real: &str, proxy: &Proxy| url.replace(real, &proxy.address().to_string());
    std::fs::write(
        &config,
        format!(
            "environments: {{lab: {{apps: {{x: {{url: 'http://x.example'}}}}, broker: {{url: '{}', via: direct}}, postgres: {{main: {{url: '{}', via: direct}}}}}}}}",
            at(&redis.url(), &redis.address(), &to_redis),
            at(&postgres.url(), &postgres.address(), &to_postgres),
        ),
    )
    .unwrap();
    let ask = |part, word| deep(&config, "-o json", &saying(part, word).url("/h")).json();
    let codes = |json: &serde_json::Value| -> Vec<String> {
        let all = json["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap().to_owned());
        all.filter(|code| code.starts_with("cross-check")).collect()
    };
    // On a busy machine a heartbeat comes late: asked again until the worker was heard.
    let settles = |part, word, expected: &[&str]| {
        lab::eventually(crate::support::SOON, || {
            let json = ask(part, word);
            if codes(&json) == expected { Ok(json) } else { Err(format!("{part} {word}: {json:#}")) }
        })
    };
    // Where both agree that all is well, nothing is said.
    for part in ["db", "redis", "celery"] {
        assert_eq!(settles(part, "ok", &[])["verdict"], "ok");
        settles(part, "failed", &["cross-check-disagrees"]);
    }
    // The workers are gone.
    worker.take().expect("it works").shutdown().unwrap();
    eventually_silent(&config);
    assert_eq!(codes(&ask("celery", "ok")), ["cross-check-optimistic"]);
    assert_eq!(codes(&ask("celery", "failed")), ["cross-check-agrees"]);
    assert_eq!(codes(&ask("db", "ok")), ["cross-check-unspoken"]);
    // The database is out of reach from here.
    to_postgres.set(Fault::Reset(0));
    to_postgres.hang_up();
    let of = |json: &serde_json::Value| codes(json).into_iter().filter(|code| code != "cross-check-unspoken").collect::<Vec<_>>();
    assert_eq!(of(&ask("database", "ok")), ["cross-check-optimistic"]);
    assert_eq!(of(&ask("database", "failed")), ["cross-check-agrees"]);
    to_postgres.set(Fault::Pass);
    // So is Redis, and with it every word of the workers.
    to_redis.set(Fault::Reset(0));
    to_redis.hang_up();
    assert_eq!(of(&ask("redis", "ok")), ["cross-check-optimistic"]);
    assert_eq!(of(&ask("redis", "failed")), ["cross-check-agrees"]);
    assert_eq!(codes(&ask("db", "ok")), ["cross-check-unspoken"]);
    // A cache is often another Redis: that it is well says nothing of the broker.
    assert_eq!(codes(&ask("cache", "ok")), ["cross-check-unspoken"]);
}

/// A worker that was killed is known to the broker for a moment.
fn eventually_silent(config: &Path) {
    lab::eventually(crate::support::SOON, || {
        let json = deep(config, "-o json", &saying("x", "ok").url("/h")).json();
        let parts = json["facts"]["from_here"].as_array().cloned().unwrap_or_default();
        match parts.iter().find(|p| p["kind"] == "workers").map(|p| p["condition"].clone()) {
            Some(condition) if condition == "failed" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn nothing_is_written_to_a_database_that_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yaml");
    let postgres = get().postgres_with(Major::V15, &PostgresOptions::default());
    postgres.role("looker", "pw", "");
    std::fs::write(
        &config,
        format!(
            "environments: {{lab: {{apps: {{x: {{url: 'http://x.example'}}}}, postgres: {{main: {{url: '{}', via: direct}}}}}}}}",
            postgres.url_for("looker", "pw", "postgres")
        ),
    )
    .unwrap();
    deep(&config, "", &saying("db", "ok").url("/h")).ends(0).shows(&["main", "answers in", "primary"]);
    let said = postgres.statements("obsctl");
    assert!(!said.is_empty());
    for statement in said {
        let begins =
            ["BEGIN", "START TRANSACTION", "SELECT", "SET", "SHOW", "ROLLBACK"].iter().any(|word| statement.trim_start().starts_with(word));
        assert!(begins && (!statement.contains("BEGIN") || statement.contains("READ ONLY")), "{statement}");
    }
}
