//! `obsctl queue` against the whole shop: its results and beat's schedule in the database, its harms.

use super::codes;
use crate::support::{Obsctl, obsctl};
use lab::{
    Publish, Version, WorkerOptions, eventually, get,
    hand::Lab,
    process::Start,
    sandbox::{LocalSandbox, Profile},
};
use serde_json::json;
use std::{path::Path, time::Duration};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);

fn at(config: &Path, words: &str) -> Obsctl {
    obsctl(Path::new("/nowhere"), words).arg("--config").arg(config.to_str().unwrap())
}

fn url(sandbox: &LocalSandbox, secret: &str, key: &str) -> String {
    std::fs::read_to_string(sandbox.secret(secret, key)).unwrap().trim().to_owned()
}

/// One statement of the database's owner of everything.
fn psql(sandbox: &LocalSandbox, sql: &str) -> String {
    let url = url(sandbox, "oncall-env", "ADMIN_DATABASE_URL");
    Start::new("psql", "/usr/bin/psql").args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", sql]).arg(url).output().unwrap()
}

/// The sandbox's own configuration, with another way to its database.
fn with_database(sandbox: &LocalSandbox, url: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&sandbox.config).unwrap();
    let other: Vec<String> = text
        .lines()
        .map(|line| if line.contains(" main: {url:") { format!("      main: {{url: '{url}'}}") } else { line.to_owned() })
        .collect();
    std::fs::write(folder.path().join("obsctl.yaml"), other.join("\n")).unwrap();
    folder
}

/// A role that may log in, and nothing else; and the configuration of who is it.
fn blind(sandbox: &LocalSandbox) -> TempDir {
    let make = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'blind') THEN CREATE ROLE blind LOGIN PASSWORD 'b1ind'; END IF; END $$";
    psql(sandbox, make);
    let url = url(sandbox, "oncall-env", "DATABASE_URL");
    let (_, place) = url.rsplit_once('@').unwrap();
    with_database(sandbox, &format!("postgres://blind:b1ind@{place}"))
}

#[test]
fn a_result_in_the_database_is_found_with_its_traceback() {
    let sandbox = get().sandbox_local(Profile::A);
    let planted = sandbox.traffic().fault("failing-task").unwrap();
    let task = planted.iter().flat_map(|planted| &planted.tasks).find(|task| task.name.as_deref() == Some("mail.send_receipt")).unwrap();
    let answer = at(&sandbox.config, &format!("queue find {} -o json", task.id)).run().ends(0).json();
    let outcome = &answer["facts"]["tasks"][0]["outcome"];
    assert_eq!(outcome["state"], "FAILURE", "{answer:#}");
    assert!(outcome["result"].as_str().unwrap().starts_with("SMTPServerDisconnected: "), "{answer:#}");
    assert!(outcome["traceback"].as_array().unwrap().len() > 3 && outcome["done"].is_string(), "{answer:#}");
    assert_eq!(answer["sources"][1]["system"], "postgresql", "{answer:#}");
    at(&sandbox.config, &format!("queue find {}", task.id.get(..13).unwrap())).run().ends(0).shows(&[
        "FAILURE",
        "SMTPServerDisconnected: Connection unexpectedly closed",
        "table django_celery_results_taskresult",
    ]);
    // No pattern of the database's.
    at(&sandbox.config, "queue find %%%%%%").run().ends(3);
    at(&sandbox.config, "queue find ______").run().ends(3);

    // Who may not read them is told what to ask for, and the rest is shown.
    let unseen = blind(&sandbox);
    at(&unseen.path().join("obsctl.yaml"), &format!("queue find {}", task.id)).run().ends(3).never_says(&["b1ind"]).shows(&[
        "results not looked at",
        "refused: needs SELECT on django_celery_results_taskresult",
        "GRANT SELECT ON django_celery_results_taskresult TO",
    ]);
    let url = url(&sandbox, "oncall-env", "ADMIN_DATABASE_URL");
    let (server, _) = url.rsplit_once('/').unwrap();
    let elsewhere = with_database(&sandbox, &format!("{server}/postgres"));
    let answer = at(&elsewhere.path().join("obsctl.yaml"), &format!("queue find {} -o json", task.id)).run().ends(3).json();
    let missing = answer["coverage"]["missing"][0].to_string();
    assert!(missing.contains("django_celery_results_taskresult") && missing.contains("does not exist"), "{answer:#}");
}

#[test]
fn a_result_in_a_redis_of_its_own_is_found() {
    let (redis, results) = (get().redis(), get().redis());
    let app = get().celery(redis.url(), Version::usual()).setting("result_backend", results.url_of(2));
    let ids = app.publish(&[Publish::of("fail").args(json!(["password=hunter2"]))]);
    let _worker = app.worker(WorkerOptions::default());
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("obsctl.yaml");
    let write = |results: &str| {
        let text = format!(
            "environments:\n  lab:\n    broker: {{via: direct, url: '{}'}}\n    results: {{via: direct, url: '{results}'}}\n",
            redis.url()
        );
        std::fs::write(&config, text).unwrap();
    };
    write(&results.url_of(2));
    eventually(SOON, || {
        let ran = at(&config, &format!("queue find {}", ids[0].get(..13).unwrap())).run();
        if ran.status == 0 && ran.out.contains("FAILURE") { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    at(&config, &format!("queue find {}", ids[0]))
        .run()
        .ends(0)
        .shows(&["ValueError", &format!("results in 127.0.0.1:{} db 2", results.port())])
        .never_says(&["hunter2"]);
    write("redis://127.0.0.1:1/2");
    at(&config, &format!("queue find {}", ids[0])).run().ends(3).shows(&["results not looked at", "the stored results: could not be read"]);
}

#[test]
fn beat_and_the_room_of_the_database_are_told() {
    let lab = Lab::start().unwrap();
    let sandbox = lab.sandbox_local(Profile::A);
    let depth = |config: &Path| at(config, "queue depth -o json").run().json();
    eventually(SOON, || {
        let answer = depth(&sandbox.config);
        match answer["facts"]["beat"]["says"].as_str() {
            Some(says) if says.contains("last ran") && says.contains("(django_celery_beat)") => Ok(()),
            _ => Err(format!("{answer:#}")),
        }
    });
    let answer = depth(&sandbox.config);
    assert!(!codes(&answer).contains(&"beat-late") && answer["facts"]["beat"]["late"] == false, "{answer:#}");
    let unseen = blind(&sandbox);
    at(&unseen.path().join("obsctl.yaml"), "queue depth")
        .run()
        .ends(0)
        .shows(&["beat", "not seen", "GRANT SELECT ON django_celery_beat_periodictask"])
        .never_says(&["b1ind"]);

    // All slots are busy: would another worker help, and would the database bear it?
    let answer = at(&sandbox.config, "queue workers --ask --tasks -o json").run().json();
    let room = &answer["facts"]["database"];
    let most: u64 = psql(&sandbox, "SHOW max_connections").trim().parse().unwrap();
    assert_eq!(room["most"], most, "{answer:#}");
    assert!(room["used"].as_u64().is_some_and(|used| used > 3 && used <= most), "{answer:#}");

    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = app.worker(WorkerOptions { prefetch_multiplier: 1, ..WorkerOptions::default() });
    let gate = app.gate("room");
    app.publish(&[Publish::held(&gate).times(20)]);
    gate.await_running(2);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("obsctl.yaml");
    let url = url(&sandbox, "backend-env", "DATABASE_URL");
    let text = format!(
        "environments:\n  lab:\n    postgres: {{main: {{via: direct, url: '{url}'}}}}\n    broker: {{via: direct, url: '{}'}}\n",
        redis.url()
    );
    std::fs::write(&config, text).unwrap();
    at(&config, "queue workers --ask --tasks").run().ends(0).shows(&[
        "all 2 slots of queue celery are busy while",
        "the database has",
        &format!("of {most} connections left"),
    ]);

    let _harmed = sandbox.traffic().harm("dead-beat", &[]).unwrap();
    // Beat has been dead for as long as a test does not wait.
    let ago = "now() - interval '10 minutes'";
    psql(&sandbox, &format!("UPDATE django_celery_beat_periodictask SET last_run_at = {ago}, date_changed = {ago}"));
    let answer = at(&sandbox.config, "queue depth -o json").run().ends(1).json();
    let late = answer["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == "beat-late").unwrap();
    let text = late.to_string();
    assert!(text.contains("has not run") && text.contains("refresh"), "{answer:#}");
}
