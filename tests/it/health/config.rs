//! What the configuration says of health: headers that stay where they belong, authorities, names of single machines, dialects.

use super::health;
use crate::support::{Obsctl, Ran};
use lab::{
    ports,
    web::{Act, Authority, Nginx, Scripted, answer, redirect},
};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

const WELL: &str = r#"{"status":"healthy","db":"ok"}"#;
/// A secret that no redactor could know by its looks.
const PLAIN: &str = "zebra-crossing-77";

/// A folder with a configuration that its user trusts, and the files that it names.
struct Desk(TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("c.yaml")
    }

    /// With this as the app `web`.
    fn ask(&self, app: &str, words: &str) -> Obsctl {
        fs::write(self.config(), format!("environments: {{lab: {{apps: {{web: {app}}}}}}}\n")).unwrap();
        health(words).arg("--config").arg(self.config().to_str().unwrap())
    }

    fn run(&self, app: &str, words: &str) -> Ran {
        self.ask(app, words).run()
    }
}

#[test]
fn each_secret_header_stays_with_its_scheme_host_and_port() {
    let other = Scripted::start(|_| Act::Say(answer("200 OK", "application/json", WELL))).unwrap();
    let authority = Authority::new("lab web authority").unwrap();
    let signed = authority.sign("good", &["127.0.0.1"], -1..90).unwrap();
    let tls = ports::free().unwrap();
    // Whoever gets one of them there says 500.
    let refuse = ["authorization", "cookie", "x_api_key", "x_odd"].map(|name| format!("if ($http_{name}) {{ return 500; }}")).concat();
    let _nginx = Nginx::start(
        &format!(
            "server {{ listen 127.0.0.1:{tls} ssl; ssl_certificate {}; ssl_certificate_key {}; default_type application/json;
              location / {{ {refuse} return 200 '{WELL}'; }} }}",
            signed.certificate.display(),
            signed.key.display()
        ),
        tls,
    )
    .unwrap();
    let (port, https) = (other.url("/port"), format!("https://127.0.0.1:{tls}/scheme"));
    let first = Scripted::start(move |path| match path {
        "/to-port" => Act::Say(redirect(&port)),
        "/to-scheme" => Act::Say(redirect(&https)),
        // The same server and port under another name.
        "/to-host" => Act::Say(redirect("HOST")),
        "/to-path" => Act::Say(redirect("/same")),
        _ => Act::Say(answer("200 OK", "application/json", WELL)),
    })
    .unwrap();
    let desk = Desk::new(&[
        ("auth", &format!("Bearer {PLAIN}-auth")),
        ("cookie", &format!("sid={PLAIN}-cookie")),
        ("key", &format!("{PLAIN}-key")),
    ]);
    let headers = "headers: {Authorization: {file: auth}, Cookie: {file: cookie}, X-Api-Key: {file: key}, X-Odd: {file: key}}";
    let app = |path: &str| {
        format!("{{url: '{}', health: {{path: {path}, {headers}, ca: {{file: '{}'}}}}}}", first.url(""), authority.ca().display())
    };
    let sent = |server: &Scripted, begins: &str| {
        let asked = server.asked();
        let head = asked.iter().rev().find(|head| head.starts_with(begins)).unwrap_or_else(|| panic!("no {begins} in {asked:?}"));
        ["authorization: ", "cookie: ", "x-api-key: ", "x-odd: "].map(|name| head.contains(name))
    };
    desk.run(&app("/to-path"), "").ends(0).never_says(&[PLAIN]);
    assert_eq!((sent(&first, "get /to-path"), sent(&first, "get /same")), ([true; 4], [true; 4]));
    desk.run(&app("/to-port"), "").ends(0).never_says(&[PLAIN]);
    assert_eq!((sent(&first, "get /to-port"), sent(&other, "get /port")), ([true; 4], [false; 4]));
    desk.run(&app("/to-scheme"), "").ends(0).shows(&["302 to https://127.0.0.1"]).never_says(&[PLAIN]);
    // The world's question for metrics carries none of them either.
    assert_eq!(sent(&first, "get /metrics"), [false; 4]);
    // What is typed gets them where scheme, host and port are those of the file, and nowhere else.
    desk.run(&app("/x"), &first.url("/typed")).ends(0);
    assert_eq!(sent(&first, "get /typed"), [true; 4]);
    desk.run(&app("/x"), &first.url("/by-name").replace("127.0.0.1", "localhost")).ends(0);
    assert_eq!(sent(&first, "get /by-name"), [false; 4]);
    desk.run(&app("/x"), &other.url("/typed")).ends(0);
    assert_eq!(sent(&other, "get /typed"), [false; 4]);
}

#[test]
fn a_redirect_to_another_name_of_the_same_server_loses_them_too() {
    let port = ports::free().unwrap();
    let _nginx = Nginx::start(
        &format!(
            "server {{ listen 127.0.0.1:{port}; default_type application/json;
              location /away {{ return 302 http://localhost:{port}/there; }}
              location /there {{ if ($http_x_odd) {{ return 500; }} return 200 '{WELL}'; }} }}"
        ),
        port,
    )
    .unwrap();
    let desk = Desk::new(&[("key", PLAIN)]);
    let app = format!("{{url: 'http://127.0.0.1:{port}', health: {{path: /away, headers: {{X-Odd: {{file: key}}}}}}}}");
    desk.run(&app, "").ends(0).shows(&["302 to http://localhost"]).never_says(&[PLAIN]);
    let app = app.replace("/away", "/there");
    desk.run(&app, "").ends(1).shows(&["500"]);
}

#[test]
fn what_a_server_repeats_of_its_secrets_is_not_shown() {
    let body = format!(r#"{{"status":"unhealthy","db":"error: who is {PLAIN}?","{PLAIN}":"ok","version":"{PLAIN}"}}"#);
    let server = Scripted::start(move |path| match path {
        "/body" => Act::Say(answer("503 Service Unavailable", "application/json", &body)),
        "/page" => Act::Say(answer("500 Internal Server Error", "text/html", &format!("<html><title>{PLAIN}</title></html>"))),
        "/word" => Act::Say(answer("200 OK", "text/plain", PLAIN)),
        _ => Act::Say(redirect(&format!("http://{PLAIN}.example/{PLAIN}?{PLAIN}"))),
    })
    .unwrap();
    let desk = Desk::new(&[("key", PLAIN)]);
    for path in ["/body", "/page", "/word", "/redirect"] {
        for words in ["", "-v", "-o json"] {
            let app = format!("{{url: '{}', health: {{path: {path}, headers: {{X-Odd: {{file: key}}}}}}}}", server.url(""));
            desk.run(&app, words).never_says(&[PLAIN]);
        }
    }
    desk.run("{url: 'http://127.0.0.1:1', health: {headers: {X-Odd: {file: key}}}}", "-v").ends(1).never_says(&[PLAIN]);
}

#[test]
fn authorities_names_and_verification_per_url() {
    let authority = Authority::new("lab web authority").unwrap();
    let signed = authority.sign("app", &["app.example.test"], -1..90).unwrap();
    let port = ports::free().unwrap();
    let _nginx = Nginx::start(
        &format!(
            "server {{ listen 127.0.0.1:{port} ssl default_server; ssl_certificate {0}; ssl_certificate_key {1}; return 404; }}
             server {{ listen 127.0.0.1:{port} ssl; server_name app.example.test; ssl_certificate {0}; ssl_certificate_key {1}; default_type application/json;
               location /away {{ return 302 https://elsewhere.example.test/; }} location /down {{ return 302 http://app.example.test/; }}
               location /around {{ return 302 /h; }} location / {{ return 200 '{WELL}'; }} }}",
            signed.certificate.display(),
            signed.key.display()
        ),
        port,
    )
    .unwrap();
    let ca = format!("ca: {{file: '{}'}}", authority.ca().display());
    let desk = Desk::new(&[]);
    let one = |settings: &str| format!("{{urls: [{{url: 'https://127.0.0.1:{port}', {settings}}}], health: /h}}");
    // One machine behind a balancer, by its address: the name is that of the certificate and of the Host.
    desk.run(&one(&format!("host: app.example.test, {ca}")), "-v --fail-on warn").ends(0).shows(&[
        "1 URL is well",
        "/h",
        "Host app.example.test",
        "cert 90d",
    ]);
    desk.run(&one(&ca), "").ends(1).shows(&["it is for app.example.test, not for 127.0.0.1"]);
    desk.run(&one("host: app.example.test"), "").ends(1).shows(&["no authority of this machine signed it"]);
    desk.run(&one("host: app.example.test, verify: false"), "--fail-on warn")
        .ends(4)
        .shows(&["its certificate was not verified, as asked"]);
    // No proxy leads to one machine.
    desk.ask(&one(&format!("host: app.example.test, {ca}")), "").var("https_proxy", "http://127.0.0.1:1").run().ends(0);
    let at = |path: &str| one(&format!("host: app.example.test, path: {path}, {ca}"));
    desk.run(&at("/around"), "").ends(0).shows(&["302 to"]);
    desk.run(&at("/away"), "").ends(3).shows(&["it leads away from the machine that was asked"]);
    desk.run(&at("/down"), "").ends(3).shows(&["from https to http: not followed"]);
    // What is typed is trusted as the file says, and only under the same scheme, host and port.
    desk.run(&one(&format!("host: app.example.test, {ca}")), &format!("https://127.0.0.1:{port}/typed")).ends(0).shows(&["/typed"]);
    // A file that is no certificate, or is not there, is said; nothing is asked without it.
    let desk = Desk::new(&[("ca.pem", "nothing of that kind")]);
    desk.run(&one("ca: {file: ca.pem}"), "").ends(3).shows(&["could not be asked: its ca", "holds no certificate in PEM form"]);
    desk.run(&one("ca: {file: gone.pem}"), "").ends(3).shows(&["could not be asked: its ca", "no such file"]);
    desk.run(&one("headers: {X-Odd: {file: gone}}"), "").ends(3).shows(&["could not be asked: its header x-odd", "no such file"]);
}

#[test]
fn dialects_per_app_and_per_url() {
    let server = Scripted::start(|path| match path {
        "/prose" => Act::Say(answer("200 OK", "text/html", "<h1>Welcome to this fine machine</h1>")),
        _ => Act::Say(answer("200 OK", "text/plain", "hunky-dory")),
    })
    .unwrap();
    let desk = Desk::new(&[]);
    let app = |health: &str| format!("{{url: '{}', health: {health}}}", server.url(""));
    desk.run(&app("/word"), "").ends(3).shows(&["which is no known word"]);
    desk.run(&app("{path: /word, dialect: empty}"), "").ends(0);
    // The flag is stronger than the file; another path may speak another dialect.
    desk.run(&app("{path: /word, dialect: empty}"), "--dialect text").ends(3);
    desk.run(&app("{path: /word, dialect: empty}"), &server.url("/other")).ends(3);
    desk.run(&app("{path: /word, dialect: empty}"), &server.url("/word")).ends(0);
    let both = format!("{{urls: ['{0}/word', {{url: '{0}/prose', dialect: text}}], health: {{dialect: empty}}}}", server.url(""));
    let json = desk.run(&both, "-o json").ends(3).json();
    let dialects: Vec<&serde_json::Value> =
        json["facts"]["targets"].as_array().unwrap().iter().map(|t| &t["body"]["health"]["dialect"]).collect();
    assert_eq!(dialects[0], "empty", "{json:#}");
    // A page stays a page, whatever its dialect is said to be.
    assert!(dialects[1].is_null(), "{json:#}");
}

#[test]
fn the_example_of_the_readme_is_a_good_configuration() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("## `obsctl health").nth(1).unwrap();
    let example = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let desk = Desk::new(&[]);
    fs::write(desk.config(), format!("environments:\n  production:\n{example}")).unwrap();
    let ran = crate::support::obsctl(std::path::Path::new("/nonexistent"), "config show --config")
        .arg(desk.config().to_str().unwrap())
        .run()
        .ends(0);
    ran.shows(&["apps.api.health.headers.X-Api-Key", "<secret, from secret/api-env key HEALTH_KEY>", "apps.api.urls", "/readyz"]);
}
