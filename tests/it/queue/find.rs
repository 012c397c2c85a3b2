//! `obsctl queue find`: one task through its whole life, compared with where the test put it.

use super::at;
use lab::{Publish, RedisServer, Version, WorkerOptions, celery::filled_id, eventually, get};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn find(redis: &RedisServer, id: &str, words: &str, status: i32) -> Value {
    at(&redis.url(), &format!("queue find {id} -o json {words}")).run().ends(status).json()
}

/// The places of the one task of an answer.
fn places(answer: &Value) -> Vec<&str> {
    answer["facts"]["tasks"][0]["places"].as_array().unwrap().iter().map(|place| place["at"].as_str().unwrap()).collect()
}

#[test]
fn a_task_is_found_wherever_it_is() {
    for version in Version::tested() {
        let redis = get().redis();
        let app = get().celery(redis.url(), version);
        let gate = app.gate("life");
        let ids = app.publish(&[
            Publish::held(&gate).header("request_id", "req-abc123-9f4e"),
            Publish::held(&gate),
            Publish::quick().countdown(900.0),
            Publish::of("fail").args(json!(["password=hunter2"])).queue("failing"),
        ]);
        let [running, reserved, scheduled, failed] = ids.as_slice() else { panic!("{ids:?}") };
        // Nobody works yet.
        let answer = find(&redis, reserved, "", 0);
        assert_eq!(places(&answer), ["waiting"], "{answer:#}");
        assert_eq!(answer["facts"]["tasks"][0]["places"][0]["before"], 1, "{answer:#}");
        assert_eq!(find(&redis, "req-abc", "", 0)["facts"]["tasks"][0]["id"], running.as_str());
        let worker =
            app.worker(WorkerOptions { concurrency: 1, queues: vec!["celery".into(), "failing".into()], ..WorkerOptions::default() });
        gate.await_running(1);
        eventually(SOON, || {
            let held =
                |id: &str| find(&redis, id, "--ask", 0)["facts"]["tasks"][0]["places"].as_array().unwrap().last().unwrap()["hold"].clone();
            let all = [running, reserved, scheduled].map(|id| held(id));
            if all == ["running", "reserved", "scheduled"].map(Value::from) { Ok(()) } else { Err(format!("{all:?}\n{}", worker.log())) }
        });
        // Without asking, a task that was acknowledged early is in no key: that is said, not guessed.
        let answer = find(&redis, running, "", 3);
        assert_eq!(answer["findings"][0]["code"], "not-found", "{answer:#}");
        assert_eq!(places(&find(&redis, reserved, "", 0)), ["delivered"]);
        gate.open().unwrap();
        eventually(SOON, || {
            let answer = find(&redis, failed, "--ask", 0);
            let outcome = &answer["facts"]["tasks"][0]["outcome"];
            if outcome["state"] == "FAILURE" { Ok(()) } else { Err(format!("{answer:#}")) }
        });
        at(&redis.url(), &format!("queue find {failed}")).run().ends(0).shows(&["FAILURE", "ValueError"]).never_says(&["hunter2"]);
        assert_eq!(redis.cli(&["KEYS", "*reply.celery.pidbox"]).trim(), "");
    }
}

#[test]
fn a_task_that_was_lost_with_its_worker_is_nowhere() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let worker = app.worker(WorkerOptions { concurrency: 1, ..WorkerOptions::default() });
    let gate = app.gate("lost");
    let ids = app.publish(&[Publish::held(&gate)]);
    gate.await_running(1);
    worker.kill9().unwrap();
    eventually(SOON, || {
        let ran = at(&redis.url(), &format!("queue find {} --ask", ids[0])).run();
        if ran.status == 1 && ran.out.contains("NOWHERE") { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    find(&redis, "zzzzzz", "", 3);
    // Where nothing says where results are, or where they are nothing that obsctl reads, "nowhere" would be a guess.
    let asked =
        |backend: &str| at(&redis.url(), &format!("queue find {} --ask", ids[0])).var("CELERY_RESULT_BACKEND", backend).run().ends(3);
    asked("").shows(&["nothing says where results are stored", "results:"]).never_says(&["NOWHERE"]);
    asked("rpc://").shows(&["Celery keeps them in rpc"]).never_says(&["NOWHERE"]);
    asked("db+postgresql://shop:hunter2@db/shop").shows(&["db+postgresql"]).never_says(&["NOWHERE", "hunter2"]);
    asked("django-db").shows(&["the stored results in database main"]).never_says(&["NOWHERE"]);
}

#[test]
fn a_retry_and_a_revoked_task_are_told_as_such() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let _worker = app.worker(WorkerOptions::default());
    let ids = app.publish(&[Publish::of("retrying").args(json!([3, 600])), Publish::quick().countdown(900.0)]);
    let [retried, revoked] = ids.as_slice() else { panic!("{ids:?}") };
    eventually(SOON, || {
        let answer = find(&redis, retried, "--ask", 0);
        let task = &answer["facts"]["tasks"][0];
        let hold = &task["places"].as_array().and_then(|all| all.last()).map_or(Value::Null, |place| place["hold"].clone());
        if task["message"]["retries"] == 1 && hold == "scheduled" { Ok(()) } else { Err(format!("{answer:#}")) }
    });
    // Both are delivered and counted, and neither is called late or lost.
    let answer = at(&redis.url(), "queue depth -o json").run().ends(0).json();
    assert_eq!((&answer["facts"]["waiting"], &answer["facts"]["delivered"]["count"]), (&json!(0), &json!(2)), "{answer:#}");
    app.revoke(revoked).unwrap();
    eventually(SOON, || {
        let answer = find(&redis, revoked, "--ask", 0);
        let place = answer["facts"]["tasks"][0]["places"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
        if place["hold"] == "revoked" { Ok(()) } else { Err(format!("{answer:#}")) }
    });
    at(&redis.url(), &format!("queue find {revoked} --ask")).run().ends(0).shows(&["revoked on w1@lab", "drops it when its turn comes"]);
    assert_eq!(redis.cli(&["KEYS", "*reply.celery.pidbox"]).trim(), "");
}

#[test]
fn relatives_are_met_on_the_way() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    let ids = app.publish(&[Publish::chord(3)]);
    let answer = find(&redis, ids[0].get(..13).unwrap(), "", 0);
    let group = answer["facts"]["tasks"][0]["message"]["group"].as_str().unwrap().to_owned();
    // The group's own ID finds its members.
    let answer = find(&redis, &group, "", 3);
    let kin: Vec<&str> = answer["facts"]["relatives"].as_array().unwrap().iter().map(|r| r["kinship"].as_str().unwrap()).collect();
    assert_eq!(kin, ["group", "group", "group"], "{answer:#}");
}

#[test]
fn a_long_queue_is_searched_in_pieces_and_can_be_gone_on_with() {
    let redis = get().redis();
    let app = get().celery(redis.url(), Version::usual());
    app.fill(&redis, &Publish::quick().queue("long"), 100_000).unwrap();
    let last = filled_id(99_999);
    let watched = redis.monitor().unwrap();
    let answer = find(&redis, &last, "", 0);
    assert_eq!(answer["facts"]["tasks"][0]["places"][0]["before"], 99_999, "{answer:#}");
    assert!(!watched.commands().iter().any(|command| matches!(&**command, "KEYS" | "SADD" | "PUBLISH" | "DEL")));
    let stopped = find(&redis, &last, "--max 20000", 3);
    let from = &stopped["facts"]["searched"]["stopped"];
    let from = format!("--from {}:{}:{}", from["queue"].as_str().unwrap(), from["step"], from["place"]);
    assert_eq!(find(&redis, &last, &from, 0)["facts"]["tasks"][0]["id"], last.as_str());
    // Several begin so.
    at(&redis.url(), "queue find 0000001").run().ends(2).warns(&["tasks begin so", "give more of it"]);
}
