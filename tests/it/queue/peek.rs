//! `obsctl queue peek`: the next to run first, whatever a message is made of, and never more than is needed.

use super::{at, codes};
use lab::{Publish, Version, get};
use serde_json::{Value, json};

fn tasks(answer: &Value) -> Vec<&str> {
    answer["facts"]["next"].as_array().unwrap().iter().filter_map(|task| task["message"]["task"].as_str()).collect()
}

#[test]
fn shows_what_runs_next_with_its_arguments_redacted() {
    for version in Version::tested() {
        let redis = get().redis();
        let app = get().celery(redis.url(), version);
        let ids = app.publish(&[
            Publish::of("mail.send")
                .args(json!([4411, "anna@example.org"]))
                .kwarg("password", "hunter2")
                .header("request_id", "req-abc123")
                .queue("mail"),
            Publish::of("urgent").queue("mail").priority(3),
            Publish::of("sync").queue("mail").countdown(600.0),
            Publish::of("first").queue("mail").protocol_1(),
            Publish::of("zip").args(json!(["a".repeat(400)])).compression("gzip").queue("mail"),
            Publish::of("pickled").serializer("pickle").queue("mail"),
        ]);
        let watched = redis.monitor().unwrap();
        let ran = at(&redis.url(), "queue peek mail -o json").run().ends(0).never_says(&["hunter2", "anna@example.org"]);
        let ours = ["SADD", "PUBLISH", "DEL", "SREM", "BRPOP", "RPOP", "LPOP"];
        assert!(watched.commands().iter().all(|command| !ours.contains(&&**command)), "{:?}", watched.commands());
        let answer = ran.json();
        assert_eq!(tasks(&answer), ["mail.send", "sync", "first", "zip", "pickled", "urgent"], "{version}: {answer:#}");
        let first = &answer["facts"]["next"][0]["message"];
        assert_eq!((&first["id"], &first["request"]["id"]), (&ids[0].clone().into(), &"req-abc123".into()), "{answer:#}");
        assert_eq!(answer["facts"]["waiting"], 6, "{answer:#}");
        at(&redis.url(), "queue peek mail").run().ends(0).shows(&[
            "ETA in",
            "body pickled, not decoded",
            "body application/x-gzip",
            "request req-abc123",
        ]);
    }
}

#[test]
fn garbage_is_counted_and_large_bodies_are_not_fetched() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    app.publish(&[Publish::quick().queue("mail").times(3)]);
    redis.cli(&["RPUSH", "mail", "garbage"]);
    let answer = at(&redis.url(), "queue peek mail -o json").run().ends(0).json();
    assert_eq!((codes(&answer)[0], &answer["facts"]["sample"]["undecodable"]), ("undecodable", &1.into()), "{answer:#}");
    redis.pipe(lab::redis::resp(&["LPUSH", "huge", &"x".repeat(20 << 20)])).unwrap();
    let answer = at(&redis.url(), "queue peek huge -o json").run().ends(0).json();
    assert!(answer["coverage"]["bytes"].as_u64().unwrap() < 64 << 10, "{answer:#}");
    assert!(answer["facts"]["next"][0]["why"].as_str().unwrap().contains(" MiB each"), "{answer:#}");
}

#[test]
fn an_unknown_queue_lists_what_there_is() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    app.publish(&[Publish::quick().queue("mail")]);
    at(&redis.url(), "queue peek mial").run().ends(2).warns(&["no worker or publisher ever declared it", "there are: mail"]);
    redis.cli(&["DEL", "mail"]);
    at(&redis.url(), "queue peek mail").run().ends(0).shows(&["queue mail is empty"]);
}
