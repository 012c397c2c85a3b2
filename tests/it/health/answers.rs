//! What endpoints answer, and what is made of it.

use super::health;
use lab::{
    ports,
    web::{Act, Nginx, Scripted, answer, redirect},
};
use std::time::Duration;

const WELL: &str = r#"{"status":"healthy","db":"ok","redis":"ok","version":"0.57.0"}"#;
const ILL: &str = r#"{"status":"unhealthy","db":"ok","redis":"error: redis://:Tr0ub4dor-and-3@redis:6379 refused"}"#;

#[test]
fn nginx_before_nothing_and_before_a_login() {
    let port = ports::free().unwrap();
    let silent = Scripted::start(|_| Act::Hang).unwrap();
    let hung = silent.port();
    let blocks = format!(
        "server {{ listen 127.0.0.1:{port}; default_type application/json;
            location /well {{ return 200 '{WELL}'; }}
            location /ill {{ return 503 '{ILL}'; }}
            location /502 {{ proxy_pass http://127.0.0.1:1; }}
            location /503 {{ return 503; }}
            location /504 {{ proxy_read_timeout 300ms; proxy_pass http://127.0.0.1:{hung}; }}
            location /api/ {{ return 302 /accounts/login/?next=$request_uri; }}
            location /accounts/login/ {{ default_type text/html; return 200 '<!doctype html><title>Log in</title><input type=\"password\">'; }}
        }}"
    );
    let _nginx = Nginx::start(&blocks, port).unwrap();
    let ask = |path: &str| health(&format!("http://127.0.0.1:{port}{path}")).run();
    ask("/well").ends(0).shows(&["OK", "1 URL is well", "0.57.0", "DB", "REDIS"]);
    ask("/ill").ends(1).shows(&["FAILED", "redis failed on", "refused"]).never_says(&["Tr0ub4dor"]);
    ask("/502").ends(1).shows(&["a proxy answered 502 in its place", "502 Bad Gateway"]);
    ask("/503").ends(1).shows(&["a proxy answered 503"]);
    ask("/504").ends(1).shows(&["a proxy answered 504 in its place", "504 Gateway Time-out"]);
    ask("/api/health/").ends(3).shows(&["UNKNOWN", "wants a login", "302 to"]);
    ask("/nothing").ends(3).shows(&["there is no such path"]);
    let json = health(&format!("-o json http://127.0.0.1:{port}/ill")).run().ends(1).json();
    assert_eq!((&json["kind"], &json["verdict"]), (&"health".into(), &"failed".into()));
    let target = &json["facts"]["targets"][0];
    assert_eq!((&target["condition"], &target["exchange"]["status"]), (&"failed".into(), &503.into()));
    assert!(target["exchange"]["phases"]["connect_ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{target}");
    assert_eq!(target["body"]["health"]["components"][1]["name"], "redis");
}

#[test]
fn a_secret_never_crosses_to_another_place_nor_down_to_http() {
    let other = Scripted::start(|_| Act::Say(answer("200 OK", "application/json", WELL))).unwrap();
    let to = other.url("/there");
    let first = Scripted::start(move |path| match path {
        "/away" => Act::Say(redirect(&to)),
        "/around" => Act::Say(redirect("/around")),
        _ => Act::Say(redirect("/away")),
    })
    .unwrap();
    let ran = health(&first.url("/begin?token=Tr0ub4dor-and-3")).run().ends(0).shows(&["302 to"]);
    ran.never_says(&["Tr0ub4dor"]);
    let asked = other.asked().concat();
    assert!(
        asked.contains("get /there") && !asked.contains("tr0ub4dor") && !asked.contains("referer") && !asked.contains("authorization"),
        "{asked}"
    );
    health(&first.url("/around")).run().ends(3).shows(&["which was not followed"]);
    assert_eq!(first.asked().iter().filter(|head| head.starts_with("get /around")).count(), 6);
}

#[test]
fn metrics_that_answer_to_the_world_are_a_warning() {
    let server = Scripted::start(|path| match path {
        "/metrics" => Act::Say(answer("200 OK", "text/plain", "# HELP a b\n# TYPE a counter\na 1\n")),
        _ => Act::Say(answer("200 OK", "application/json", WELL)),
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("obsctl.yaml");
    std::fs::write(
        &file,
        format!("environments:\n  production:\n    apps:\n      shop: {{url: \"{}\", health: /api/health/}}\n", server.url("")),
    )
    .unwrap();
    let ask = |words: &str| health(words).arg("--config").arg(file.to_str().unwrap()).run();
    ask("").ends(0).shows(&["production", "gives its metrics to whoever asks", "/api/health/"]);
    ask("--fail-on warn").ends(4);
    ask("shop --path /other").ends(0).shows(&["/other"]);
}

#[test]
fn a_hundred_endpoints_and_a_slow_one() {
    let server = Scripted::start(|path| match path {
        "/slow" => Act::SayLate(Duration::from_secs(2), answer("200 OK", "application/json", WELL)),
        _ => Act::Say(answer("200 OK", "application/json", WELL)),
    })
    .unwrap();
    let urls: Vec<String> = (0..99).map(|i| server.url(&format!("/{i}"))).chain([server.url("/slow")]).collect();
    let ran = health(&urls.join(" ")).run().ends(0).shows(&["100 URLs are well", "/slow"]);
    assert!(ran.took < Duration::from_millis(2_500) * patience(), "{:?}", ran.took);
}

/// How much slower than a quiet machine this one may be: tests run beside each other.
fn patience() -> u32 {
    2
}

#[test]
fn proxies_of_the_environment_are_used_as_curl_uses_them() {
    let proxy = Scripted::start(|path| match path {
        "http://app.example.test/x" => Act::Say(answer("200 OK", "application/json", WELL)),
        _ => Act::Say(b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec()),
    })
    .unwrap();
    let at = format!("http://lab:Tr0ub4dor-and-3@127.0.0.1:{}", proxy.port());
    health("http://app.example.test/x").var("http_proxy", &at).run().ends(0).shows(&["1 URL is well"]).never_says(&["Tr0ub4dor"]);
    let asked = proxy.asked().concat();
    assert!(asked.contains("host: app.example.test") && asked.contains("proxy-authorization: basic"), "{asked}");
    let refused = health("https://app.example.test/x").var("https_proxy", &at).run().ends(1);
    refused.shows(&["going through the proxy", "403 Forbidden"]).never_says(&["Tr0ub4dor"]);
    let around = health("http://app.example.test/x").var("http_proxy", &at).var("no_proxy", "example.test").run().ends(1);
    around.shows(&["its name was looked up"]);
    health("https://app.example.test/x").var("https_proxy", "socks5://127.0.0.1:1").run().ends(1).shows(&["only proxies with http://"]);
}

#[test]
fn docker_compose_from_a_pipe() {
    let fixture = |name: &str| std::fs::read(format!("{}/tests/fixtures/health/compose/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for name in ["v2.12-array.json", "v2.17-array.json", "v2.26-lines.json", "docker-ps-lines.json"] {
        let seen = crate::cli_support::Desk::new().stdin(&fixture(name)).run("health -");
        assert_eq!(seen.status, 1, "{name}: {}{}", seen.out, seen.err);
        for text in ["shop-worker-1 is not well: its healthcheck fails", "ended with status 137", "docker compose logs --tail 50 worker"] {
            assert!(seen.out.contains(text), "{name} lacks {text}: {}", seen.out);
        }
        assert!(!seen.out.contains("kubectl") && !seen.out.contains("--all"), "{name}: {}", seen.out);
    }
    // All is well: nothing is said but that what ended is not in the list.
    let well: Vec<u8> = fixture("v2.26-lines.json")
        .split_inclusive(|b| *b == b'\n')
        .enumerate()
        .filter(|(i, _)| [0, 2, 6].contains(i))
        .flat_map(|(_, l)| l.to_vec())
        .collect();
    let seen = crate::cli_support::Desk::new().stdin(&well).run("health - --fail-on warn");
    assert_eq!(seen.status, 0, "{}{}", seen.out, seen.err);
    assert!(seen.out.contains("3 containers are well, 1 of them still starting") && seen.out.contains("--all"), "{}", seen.out);
    let seen = crate::cli_support::Desk::new().stdin(b"NAME IMAGE\n").run("health -");
    assert_eq!(seen.status, 2, "{}{}", seen.out, seen.err);
}
