//! Servers that mean harm, or have lost their mind: obsctl says what came, in bounded time and memory.

use super::health;
use lab::{
    eventually, ports, process,
    web::{Act, Nginx, Scripted, answer},
};
use std::{fs, net::SocketAddr, path::Path, process::Child, time::Duration};

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
    // A URL to whoever types it.
    for near in ["app.example.org/health", "localhost:8000/health"] {
        health(near).run().ends(2).warns(&[&format!("https://{near}")]);
    }
    health("--dialect klingon https://h/").run().ends(2).warns(&["django-health-check"]);
}

#[test]
fn a_real_gzip_bomb_is_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    // 512 MiB of nothing in half a MiB.
    process::run(&[
        "sh",
        "-c",
        &format!("head -c 536870912 /dev/zero | gzip -1 > {at}/bomb.json.gz && printf '{{\"status\":\"ok\"}}' > {at}/well.json"),
    ])
    .unwrap();
    let port = ports::free().unwrap();
    let _nginx = Nginx::start(
        &format!(
            "types {{ application/json json; }} server {{ listen 127.0.0.1:{port}; root {at};
              location /bomb.json {{ gzip_static always; }}
              location /well.json {{ gzip on; gzip_min_length 1; gzip_types application/json; }} }}"
        ),
        port,
    )
    .unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let ran = health(&url("/bomb.json")).run().ends(3).shows(&["answered compressed, though it was asked not to"]);
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    // A server that listens to what it is asked for does not compress.
    health(&url("/well.json")).run().ends(0).shows(&["1 URL is well"]);
}

#[test]
fn a_real_gunicorn_that_reloads_and_restarts() {
    let sandbox = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox");
    let venv = lab::venv::ready(&sandbox, "requirements.txt").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("app.py"),
        "def app(environ, start):\n    body = b'{\"status\":\"ok\",\"db\":\"ok\"}'\n    start('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])\n    return [body]\n",
    )
    .unwrap();
    let port = ports::free().unwrap();
    let start = || {
        let bind = format!("127.0.0.1:{port}");
        let words = ["-m", "gunicorn", "--workers", "2", "--graceful-timeout", "5", "--bind", &bind, "app:app"];
        Gunicorn(process::Start::new("gunicorn", venv.join("bin/python")).args(words).folder(folder.path()).child().unwrap())
    };
    let answers = || match ports::answers(SocketAddr::from(([127, 0, 0, 1], port))) {
        true => Ok(()),
        false => Err("gunicorn does not listen".to_owned()),
    };
    let url = format!("http://127.0.0.1:{port}/h");
    let mut gunicorn = start();
    eventually(Duration::from_secs(60), answers);
    // Its workers are replaced one by one: nobody notices.
    for _ in 0..5 {
        gunicorn.signal("HUP");
        let urls = vec![url.as_str(); 20].join(" ");
        health(&urls).run().ends(0);
    }
    // Its end: each answer is whole, or says what was missing; none is taken for a sick body.
    let asking: Vec<_> = (0..4).map(|_| health(&vec![url.as_str(); 20].join(" ")).start()).collect();
    gunicorn.signal("TERM");
    for one in asking {
        let ran = one.end(Duration::from_secs(60));
        assert!(matches!(ran.status, 0 | 1), "{ran:?}");
        assert!(
            ran.status == 0 || ran.out.contains("nothing listens there") || ran.out.contains("closed") || ran.out.contains("reset"),
            "{}",
            ran.out
        );
    }
    gunicorn.0.wait().unwrap();
    health(&url).run().ends(1).shows(&["connecting: it refuses connections: nothing listens there"]);
    let _again = start();
    eventually(Duration::from_secs(60), answers);
    health(&url).run().ends(0).shows(&["1 URL is well"]);
}

/// A running gunicorn. Its workers end when they miss it.
struct Gunicorn(Child);

impl Gunicorn {
    fn signal(&self, name: &str) {
        process::run(&["kill", &format!("-{name}"), &self.0.id().to_string()]).unwrap();
    }
}

impl Drop for Gunicorn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
