//! Servers that mean harm, or have lost their mind: obsctl says what came, in bounded time and memory.

use super::health;
use lab::web::{Act, Scripted, answer};
use std::time::Duration;

#[test]
fn each_is_named_for_what_it_does() {
    let server = Scripted::start(|path| match path {
        "/slow-head" => Act::Trickle(b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec()),
        "/slow-body" => Act::Trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec()),
        "/large" => Act::Pour(1 << 30),
        "/chunks" => Act::Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n\x00\xff\r\n".to_vec()),
        "/reset" => Act::Reset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"sta".to_vec()),
        "/garbage" => Act::Say(vec![0xff; 4096]),
        "/many" => {
            let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
            (0..20_000).for_each(|i| head.extend(format!("X-{i}: y\r\n").bytes()));
            Act::Say(head)
        }
        "/packed" => {
            let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1048576\r\n\r\n\x1f\x8b".to_vec();
            bytes.resize(bytes.len() + 1_048_574, 0);
            Act::Say(bytes)
        }
        "/controls" => Act::Say(answer("200 OK", "application/json", "{\"status\":\"ok\",\"db\":\"\\u001b[2Jerror\\u202e: x\"}")),
        _ => Act::Hang,
    })
    .unwrap();
    for (path, status, says) in [
        ("/slow-head", 1, "waiting for its answer: nothing came within"),
        ("/slow-body", 1, "reading its answer: its end did not come in time"),
        ("/large", 3, "answered more than 1 MiB"),
        ("/chunks", 1, "reading its answer: the answer broke off"),
        ("/reset", 1, "reading its answer: the answer broke off"),
        ("/garbage", 1, "waiting for its answer: what came is no HTTP"),
        ("/many", 1, "waiting for its answer"),
        ("/packed", 3, "answered compressed, though it was asked not to"),
        ("/hang", 1, "waiting for its answer: nothing came within"),
    ] {
        let ran = health("--timeout 1500ms").arg(&server.url(path)).run().ends(status).shows(&[says]);
        assert!(ran.took < Duration::from_secs(10), "{path}: {:?}", ran.took);
    }
    let ran = health(&server.url("/controls")).run();
    assert!(!ran.out.contains('\u{1b}') && !ran.out.contains('\u{202e}'), "{}", ran.out);
}

#[test]
fn one_hung_target_does_not_hide_the_others() {
    let server = Scripted::start(|path| match path {
        "/ok" => Act::Say(answer("200 OK", "text/plain", "OK")),
        _ => Act::Hang,
    })
    .unwrap();
    let ran = health("--timeout 1s").arg(&server.url("/hang")).arg(&server.url("/ok")).run().ends(1);
    assert!(ran.out.contains("200"), "{}", ran.out);
    // The deadline of the whole command ends it with what is known.
    health("--timeout 60s --deadline 1s")
        .arg(&server.url("/hang"))
        .arg(&server.url("/ok"))
        .run()
        .ends(124)
        .shows(&["stopped before it answered", "200"]);
}

#[test]
fn what_cannot_be_asked_is_usage() {
    for bad in ["https://user:Tr0ub4dor-and-3@host/", "ftp://host/", "http://", "http://h:99999/"] {
        health(bad).run().ends(2).never_says(&["Tr0ub4dor"]);
    }
    health("--path api https://h/").run().ends(2);
    health("--dialect klingon https://h/").run().ends(2).warns(&["django-health-check"]);
}
