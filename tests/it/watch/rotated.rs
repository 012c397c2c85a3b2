//! Secrets that are rotated while a watch runs: what a server refuses is read anew from its reference, and nobody is called for it.

use super::{
    Patient, Place,
    told::{alerts, comes_to, says},
};
use crate::support::{Live, SOON};
use lab::{
    RedisOptions, eventually, get, ports,
    web::{Act, Nginx, Scripted, answer},
};
use serde_json::Value;
use std::fs;

/// How many looks at its only subject a watch remembers, and how many of them were good.
fn looks(place: &Place) -> (usize, usize) {
    let kept: Value = serde_json::from_str(&place.kept()).unwrap_or_default();
    let history = kept["watch"]["subjects"].as_object().and_then(|all| all.values().next()).map(|subject| subject["history"].clone());
    let history = history.unwrap_or_default();
    let all = history.as_array().map_or(0, Vec::len);
    (all, history.to_string().matches("good").count())
}

/// Waits for so many more looks.
#[track_caller]
fn more_looks(place: &Place, live: &Live, more: usize) {
    let before = looks(place).0;
    eventually(SOON, || if looks(place).0 >= before + more { Ok(()) } else { Err(format!("{} {}", place.kept(), live.err())) });
}

#[test]
fn an_endpoint_that_wants_another_password_gets_the_one_that_its_reference_gives_now() {
    let place = Place::with("");
    let (users, header) = (place.0.path().join("users"), place.0.path().join("header"));
    // Basic authentication: watcher with the first password, and with the second.
    let (first, second) =
        (("watcher:{PLAIN}first-77\n", "Basic d2F0Y2hlcjpmaXJzdC03Nw=="), ("watcher:{PLAIN}other-88\n", "Basic d2F0Y2hlcjpvdGhlci04OA=="));
    fs::write(&users, first.0).unwrap();
    fs::write(&header, first.1).unwrap();
    let port = ports::free().unwrap();
    let blocks = format!(
        "server {{ listen 127.0.0.1:{port}; default_type application/json; location / {{ auth_basic x; auth_basic_user_file {}; \
         try_files /none =204; }} }}",
        users.display()
    );
    let _nginx = Nginx::start(&blocks, port).unwrap();
    let config = format!(
        "environments: {{lab: {{apps: {{site: {{url: 'http://127.0.0.1:{port}', health: {{path: /h, headers: {{Authorization: {{file: '{}'}}}}}}}}}}}}}}\n",
        header.display()
    );
    fs::write(place.config(), config).unwrap();
    let live = place.run("watch site --interval 150ms --fail-after 1").start();
    more_looks(&place, &live, 3);
    fs::write(&header, second.1).unwrap();
    fs::write(&users, second.0).unwrap();
    more_looks(&place, &live, 4);
    let (all, good) = looks(&place);
    assert!(all == good, "{all} {good}: {}", place.kept());
    // Where the reference lags behind, nobody can tell how it is; every few seconds it is read again, and the watch recovers by itself.
    fs::write(&users, first.0).unwrap();
    eventually(SOON, || if place.kept().contains("\"unknown\"") { Ok(()) } else { Err(place.kept()) });
    fs::write(&header, first.1).unwrap();
    let good = looks(&place).1;
    eventually(SOON, || if looks(&place).1 > good { Ok(()) } else { Err(place.kept()) });
    live.signal("INT");
    live.end(SOON).ends(130).never_says(&["first-77", "other-88", "d2F0Y2hl"]);
}

#[test]
fn a_broker_whose_password_changes_is_asked_with_the_new_one() {
    let redis = get().redis_with(RedisOptions { password: Some("first-77".into()), ..RedisOptions::default() });
    let place = Place::with("");
    let (url, checks) = (place.0.path().join("url"), place.0.path().join("checks.yaml"));
    let give = |password: &str| fs::write(&url, format!("redis://:{password}@{}/0", redis.address())).unwrap();
    give("first-77");
    fs::write(&checks, "checks:\n  - {name: redis, redis: true}\n").unwrap();
    fs::write(place.config(), format!("environments: {{lab: {{broker: {{via: direct, url: {{file: '{}'}}}}}}}}\n", url.display())).unwrap();
    let live = place.run("watch --interval 150ms --fail-after 1").arg(checks.to_str().unwrap()).start();
    more_looks(&place, &live, 3);
    give("other-88");
    redis.cli(&["CONFIG", "SET", "requirepass", "other-88"]);
    more_looks(&place, &live, 4);
    let (all, good) = looks(&place);
    assert!(all == good, "{all} {good}: {}", place.kept());
    live.signal("INT");
    live.end(SOON).ends(130).never_says(&["first-77", "other-88"]);
}

#[test]
fn a_channel_whose_address_was_replaced_is_told_at_the_new_one() {
    let (old, new) =
        (Scripted::start(|_| says("410 Gone", "")).unwrap(), Scripted::start(|_| Act::Say(answer("200 OK", "text/plain", "ok"))).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("address");
    fs::write(&address, old.url("/first-77")).unwrap();
    let place = Place::with(&format!("    notify: {{channels: {{hook: {{webhook: {{file: '{}'}}}}}}}}\n", address.display()));
    let patient = Patient::new();
    let mut live = place.watch("--fail-after 1 --recover-after 1", &patient).start();
    more_looks(&place, &live, 1);
    fs::write(&address, new.url("/other-88")).unwrap();
    patient.is(false);
    comes_to(&new, 1);
    patient.is(true);
    live.says("ok again");
    comes_to(&new, 2);
    live.signal("INT");
    let ran = live.end(SOON).ends(130).never_says(&["first-77", "other-88", "was not told"]);
    assert_eq!(alerts(&new), [("firing".to_owned(), false), ("resolved".to_owned(), false)], "{}", ran.err);
    assert_eq!(old.asked().len(), 1, "{:?}", old.asked());
}
