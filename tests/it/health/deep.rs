//! `obsctl health --deep`: what an endpoint says beside what real servers say to obsctl itself.

use crate::support::{Ran, obsctl};
use lab::{
    WorkerOptions, get,
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
        .shows(&["WARN", "1 of the targets say redis is well, and it does not work from here"])
        .never_says(&["Tr0ub4dor"]);
}
