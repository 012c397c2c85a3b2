//! HTTP, TCP, TLS, Prometheus' protocol and commands: each as it should be, each not, and each fault told from the others.

use super::{alone, came_out, of};
use lab::{
    ports,
    web::{Act, Authority, Nginx, Scripted, answer},
};
use std::time::Duration;

fn server() -> Scripted {
    Scripted::start(|path| match path.split('?').next().unwrap_or_default() {
        "/ok" => Act::Say(answer("200 OK", "application/json", r#"{"status":"ok","n":3,"parts":[{"name":"db","ok":true},{"name":"redis","ok":true}],"version":"0.57.0"}"#)),
        "/ill" => Act::Say(answer("503 Service Unavailable", "application/json", r#"{"status":"ill","n":9,"parts":[{"name":"db","ok":false},{"name":"redis","ok":true}]}"#)),
        "/login" => Act::Say(answer("401 Unauthorized", "text/plain", "who are you")),
        "/late" => Act::SayLate(Duration::from_secs(20), answer("200 OK", "text/plain", "late")),
        "/api/v1/query" => Act::Say(answer(
            "200 OK",
            "application/json",
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"web"},"value":[1,"0.25"]},{"metric":{"job":"celery"},"value":[1,"3"]}]}}"#,
        )),
        "/bad/api/v1/query" => Act::Say(answer("400 Bad Request", "application/json", r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#)),
        _ => Act::Say(answer("404 Not Found", "text/plain", "nothing")),
    })
    .unwrap()
}

#[test]
fn http_by_status_header_path_body_and_time() {
    let server = server();
    let (ok, ill) = (server.url("/ok"), server.url("/ill"));
    let all = |url: &str, name: &str| {
        format!(
            "  - {{name: {name} plain, http: '{url}'}}\n  \
             - {{name: {name} status, http: '{url}', want: status == 200}}\n  \
             - {{name: {name} header, http: '{url}', want: header content-type =~ json}}\n  \
             - {{name: {name} path, http: '{url}', want: [\"$.status == ok\", \"$.n < 5\", \"$.parts[*].ok == true\"]}}\n  \
             - {{name: {name} body, http: '{url}', want: 'body =~ \"version\"'}}\n  \
             - {{name: {name} time, http: '{url}', fail: time > 5s, want: size < 1KiB}}\n"
        )
    };
    let checks = format!("checks:\n{}{}", all(&ok, "ok"), all(&ill, "ill"));
    let ran = alone(&checks, "-o json").run().ends(1);
    came_out(
        &ran,
        &[
            ("ok plain", "ok", ""),
            ("ok status", "ok", ""),
            ("ok header", "ok", ""),
            ("ok path", "ok", ""),
            ("ok body", "ok", ""),
            ("ok time", "ok", ""),
            ("ill plain", "failed", ""),
            ("ill status", "failed", ""),
            ("ill header", "ok", ""),
            ("ill path", "failed", ""),
            ("ill body", "failed", ""),
            ("ill time", "ok", ""),
        ],
    );
    let answer = ran.json();
    assert_eq!(of(&answer, "ill status")["says"], "status 503");
    assert_eq!(of(&answer, "ill status")["want"], "status == 200");
    assert!(of(&answer, "ill plain")["place"]["line"].as_u64().is_some_and(|line| line == 8), "{answer:#}");
    // Equal questions are asked once.
    assert_eq!(server.asked().iter().filter(|head| head.starts_with("get /ok")).count(), 1);
}

#[test]
fn faults_are_told_apart_and_what_must_not_answer_does_not() {
    let server = server();
    let closed = ports::free().unwrap();
    let checks = format!(
        "checks:\n  \
         - {{name: refused, http: 'http://127.0.0.1:{closed}/', want: status == 200}}\n  \
         - {{name: late, http: '{}', timeout: 500ms, want: status == 200}}\n  \
         - {{name: no path, http: '{}', want: '$.nothing == 1'}}\n  \
         - {{name: no path is fine, http: '{}', want: '$.nothing == 1', on_no_data: ok}}\n  \
         - {{name: denied, http: '{}', want: status == 200}}\n  \
         - {{name: shut, http: 'http://127.0.0.1:{closed}/', reachable: false}}\n  \
         - {{name: open, http: '{}', reachable: false}}\n  \
         - {{name: tcp, tcp: '127.0.0.1:{}', fail: time > 1s}}\n  \
         - {{name: tcp refused, tcp: '127.0.0.1:{closed}'}}\n  \
         - {{name: tcp shut, tcp: '127.0.0.1:{closed}', reachable: false}}\n  \
         - {{name: tcp open, tcp: '127.0.0.1:{}', reachable: false}}\n",
        server.url("/late"),
        server.url("/ok"),
        server.url("/ok"),
        server.url("/login"),
        server.url("/ok"),
        server.port(),
        server.port(),
    );
    let ran = alone(&checks, "-o json").run().ends(1);
    came_out(
        &ran,
        &[
            ("refused", "failed", "unreachable"),
            ("late", "failed", "timeout"),
            ("no path", "unknown", "no-data"),
            ("no path is fine", "ok", "no-data"),
            ("denied", "failed", ""),
            ("shut", "ok", ""),
            ("open", "failed", ""),
            ("tcp", "ok", ""),
            ("tcp refused", "failed", "unreachable"),
            ("tcp shut", "ok", ""),
            ("tcp open", "failed", ""),
        ],
    );
}

#[test]
fn health_endpoints_by_condition_status_version_and_time() {
    let json = |status: &str, body: &str| Act::Say(answer(status, "application/json", body));
    let server = Scripted::start(move |path| match path {
        "/well" => json("200 OK", r#"{"status":"healthy","db":"ok","version":"0.57.0"}"#),
        "/ill" => json("503 Service Unavailable", r#"{"status":"unhealthy","db":"error: gone"}"#),
        "/soso" => json("200 OK", r#"{"status":"degraded","db":"ok","cache":"degraded"}"#),
        "/late" => Act::Hang,
        _ => Act::Say(answer("200 OK", "text/html", "<html><title>Log in</title></html>")),
    })
    .unwrap();
    let closed = ports::free().unwrap();
    let check = |name: &str, path: &str, more: &str| format!("  - {{name: {name}, health: '{}'{more}}}\n", server.url(path));
    let checks = [
        check("well", "/well", ""),
        check("ill", "/ill", ""),
        check("soso", "/soso", ""),
        check("page", "/page", ""),
        check("late", "/late", ""),
        check("condition", "/well", ", want: condition == ok"),
        check("condition ill", "/ill", ", want: condition == ok"),
        check("status", "/well", ", want: status == 200"),
        check("status ill", "/ill", ", want: status == 200"),
        check("version", "/well", ", want: version == 0.57.0"),
        check("version ill", "/well", ", want: version == 0.58.0"),
        check("no version", "/soso", ", want: version == 0.58.0"),
        check("time", "/well", ", fail: time > 10s"),
        check("time ill", "/well", ", fail: time > 0s"),
        format!("  - {{name: away, health: 'http://127.0.0.1:{closed}/'}}\n"),
        format!("  - {{name: away status, health: 'http://127.0.0.1:{closed}/', want: status == 200}}\n"),
    ];
    let ran = alone(&format!("checks:\n{}", checks.concat()), "-o json --timeout 10s").run().ends(1);
    came_out(
        &ran,
        &[
            ("well", "ok", ""),
            ("ill", "failed", ""),
            ("soso", "warning", ""),
            ("page", "unknown", "no-data"),
            ("late", "failed", "timeout"),
            ("condition", "ok", ""),
            ("condition ill", "failed", ""),
            ("status", "ok", ""),
            ("status ill", "failed", ""),
            ("version", "ok", ""),
            ("version ill", "failed", ""),
            ("no version", "unknown", "no-data"),
            ("time", "ok", ""),
            ("time ill", "failed", ""),
            ("away", "failed", "unreachable"),
            ("away status", "unknown", "unreachable"),
        ],
    );
}

#[test]
fn certificates_that_are_good_refused_and_soon_over() {
    let pki = Authority::new("check").unwrap();
    let (expired, soon) = (pki.sign("expired", &["127.0.0.1"], -30..-1).unwrap(), pki.sign("soon", &["127.0.0.1"], -30..2).unwrap());
    let (a, b) = (ports::free().unwrap(), ports::free().unwrap());
    let block = |port: u16, signed: &lab::web::Signed| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; location / {{ return 200 'x'; }} }}\n",
            signed.certificate.display(),
            signed.key.display()
        )
    };
    let _nginx = Nginx::start(&format!("{}{}", block(a, &expired), block(b, &soon)), a).unwrap();
    let checks = format!(
        "checks:\n  \
         - {{name: expired, tls: '127.0.0.1:{a}'}}\n  \
         - {{name: expired left, tls: '127.0.0.1:{a}', fail: certificate < 3d}}\n  \
         - {{name: soon left, tls: '127.0.0.1:{b}', warn: certificate < 14d, fail: certificate < 1d}}\n  \
         - {{name: verified, tls: '127.0.0.1:{b}', want: verified == yes}}\n  \
         - {{name: issuer, tls: '127.0.0.1:{b}', want: 'issuer =~ .'}}\n"
    );
    let ran = alone(&checks, "-o json").var("SSL_CERT_FILE", pki.ca().to_str().unwrap()).run();
    let ran = ran.ends(1);
    let answer = ran.json();
    assert_eq!(
        (&of(&answer, "expired")["status"], &of(&answer, "expired left")["status"]),
        (&"failed".into(), &"failed".into()),
        "{answer:#}"
    );
    assert_eq!((&of(&answer, "soon left")["status"], &of(&answer, "issuer")["status"]), (&"warning".into(), &"ok".into()), "{answer:#}");
}

#[test]
fn prometheus_and_commands() {
    let server = server();
    let base = server.url("");
    let closed = ports::free().unwrap();
    let checks = format!(
        "checks:\n  \
         - {{name: well, promql: up, url: '{base}', fail: value > 5}}\n  \
         - {{name: ill, promql: up, url: '{base}', fail: value > 1}}\n  \
         - {{name: share, promql: 'a / b', url: '{base}', unit: share, fail: value > 400%}}\n  \
         - {{name: refused question, promql: 'up(', url: '{base}/bad', fail: value > 1}}\n  \
         - {{name: refused, promql: up, url: 'http://127.0.0.1:{closed}', fail: value > 1}}\n  \
         - {{name: command, command: ['true']}}\n  \
         - {{name: command ill, command: [sh, -c, 'echo password=hunter2 >&2; exit 7']}}\n  \
         - {{name: command value, command: [echo, '12.5'], fail: value > 20}}\n  \
         - {{name: command status, command: [sh, -c, 'exit 7'], want: status == 7}}\n  \
         - {{name: no command, command: [no-such-command-at-all]}}\n  \
         - {{name: endless, command: [sleep, '60'], tags: slow}}\n"
    );
    let ran = alone(&checks, "-o json --timeout 3s").run().ends(1).never_says(&["hunter2"]);
    came_out(
        &ran,
        &[
            ("well", "ok", ""),
            ("ill", "failed", ""),
            ("share", "ok", ""),
            ("refused question", "unknown", "error"),
            ("refused", "unknown", "unreachable"),
            ("command", "ok", ""),
            ("command ill", "failed", ""),
            ("command value", "ok", ""),
            ("command status", "ok", ""),
            ("no command", "unknown", "error"),
            ("endless", "unknown", "timeout"),
        ],
    );
    let answer = ran.json();
    assert_eq!(of(&answer, "ill")["figures"][0]["of"], "job=celery");
}

#[test]
fn two_hundred_checks_wait_for_the_slowest_and_not_for_their_sum() {
    let server = Scripted::start(|path| match path {
        "/200" => Act::SayLate(Duration::from_secs(2), answer("200 OK", "text/plain", "late")),
        _ => Act::Say(answer("200 OK", "text/plain", "x")),
    })
    .unwrap();
    let checks: String = (1..=200).map(|n| format!("  - {{http: '{}'}}\n", server.url(&format!("/{n}")))).collect();
    let ran = alone(&format!("checks:\n{checks}"), "-o json").run().ends(0);
    let took = ran.json()["facts"]["took_ms"].as_u64().unwrap();
    assert_eq!(ran.json()["facts"]["counts"]["ok"], 200);
    // A quiet machine needs 2.1 s.
    assert!((2000..8000).contains(&took), "{took} ms");
}
