//! How apps are asked how they are: both forms, what a URL inherits, and every mistake with its place.

use super::{errors::line, *};
use secrecy::ExposeSecret;

fn app(text: &str) -> App {
    let env = Machine::new().own(format!("environments:\n  a:\n    apps:\n      web: {text}\n")).env();
    env.apps.get("web").expect("the app").clone()
}

#[test]
fn a_path_is_the_short_form_of_its_settings() {
    for text in ["{selector: a=b, health: /api/health/}", "{selector: a=b, health: {path: /api/health/}}"] {
        let health = app(text).health;
        assert_eq!((health.path.as_deref(), health.headers.len(), health.verify), (Some("/api/health/"), 0, None));
    }
    let web =
        app("{selector: a=b, url: 'https://app.example.org', health: {path: /h, host: in.example.org, dialect: django-health-check, \
         headers: {X-Api-Key: {secret: s, key: k}, X-Trace: on-call}}}");
    let health = &web.health;
    assert_eq!((health.host.as_deref(), health.dialect), (Some("in.example.org"), Some(Dialect::DjangoHealthCheck)));
    let names: Vec<_> = health.headers.iter().map(|(name, value)| (name.as_str(), value.value.says().to_string())).collect();
    assert_eq!(names, [("x-api-key", "secret/s key k".to_owned()), ("x-trace", "the file itself".to_owned())]);
    // The public URL is asked as the app is, but for the Host that its pods are told.
    let url = &web.urls[0];
    assert_eq!((url.url.as_str(), url.health.host.as_deref(), url.health.headers.len()), ("https://app.example.org", None, 2));
}

#[test]
fn a_further_url_inherits_the_path_and_no_secret() {
    let web = app(
        "{selector: a=b, health: {path: /h, dialect: flat, headers: {Authorization: {secret: s, key: k}}, ca: {secret: s, key: ca}}, \
         urls: ['https://b.example.org', {url: 'https://10.0.3.7', host: app.example.org, path: /other, verify: false, headers: {X-Id: '7'}}]}",
    );
    let [plain, own] = web.urls.as_slice() else { panic!("{:?}", web.urls) };
    assert_eq!((plain.health.path.as_deref(), plain.health.dialect), (Some("/h"), Some(Dialect::Flat)));
    assert!(plain.health.headers.is_empty() && plain.health.ca.is_none() && plain.health.host.is_none());
    assert_eq!(
        (own.health.path.as_deref(), own.health.host.as_deref(), own.health.verify),
        (Some("/other"), Some("app.example.org"), Some(false))
    );
    let SecretRef::Literal(value) = &own.health.headers[0].1.value else { panic!("no literal") };
    assert_eq!((own.health.headers.len(), value.expose_secret()), (1, "7"));
}

#[test]
fn mistakes_are_named_at_their_place() {
    let text = "expected text (in quotes where it reads as a number or as true), or {file}, {command}, {secret, key}, {config_map, key} or {workload, env}";
    // `§` stands before what is wrong.
    let all: &[(&str, &str)] = &[
        ("{health: {§pth: /h}}", "unknown key `pth`: did you mean `path`?"),
        ("{health: {path: /h, §path: /i}}", "the key `path` stands here a second time"),
        ("{health: {path: §h}}", "a health endpoint is a path that begins with /: /api/health/"),
        ("{health: §'/a b'}", "a health endpoint is a path that begins with /: /api/health/"),
        ("{health: {dialect: §flatt}}", "unknown word `flatt`: did you mean `flat`?"),
        ("{health: {verify: §maybe}}", "expected true or false"),
        ("{health: {host: §'u@h'}}", "a host is a name, with its port where that is unusual: app.example.org"),
        ("{health: {headers: {§'a b': c}}}", "no name of a header: X-Api-Key"),
        ("{health: {headers: {§Host: c}}}", "the Host has a key of its own: host"),
        ("{health: {headers: {§Transfer-Encoding: chunked}}}", "a question has no body"),
        ("{health: {headers: {X-Key: §7}}}", "a number where text belongs: put it in quotes"),
        ("{health: {headers: {X-Key: §[hunter2]}}}", text),
        ("{health: {headers: {X-Key: §{secret: s}}}}", "key is missing: which key of it"),
        ("{health: {ca: §ca.pem}}", "a text in PEM form (-----BEGIN …), or where it stands: {file: ca.pem}"),
        ("{health: §[a]}", "expected a path (/api/health/), or the settings of health: path, host, headers, dialect, verify, ca"),
        ("{url: 'https://h', health: {host: §x}}", "health.host is what pods are told, and this app has none: urls: [{url: …, host: …}]"),
        ("{urls: [§{host: x}]}", "url is missing: {url: https://10.0.3.7, host: app.example.org}"),
        ("{urls: [§'https://u:hunter2@h']}", "a user or password in the URL of an app would be shown in answers"),
        ("{urls: [{url: 'https://h', §headrs: {}}]}", "unknown key `headrs`: did you mean `headers`?"),
    ];
    for (given, expected) in all {
        let given = format!("apps: {{web: {given}}}");
        let column = given.chars().position(|c| c == '§').expect("a mark") + 5;
        assert_eq!(line(&given.replace('§', "")), format!("3:{column}: {expected}"), "{given}");
    }
}

#[test]
fn nothing_of_a_header_is_shown_and_an_untrusted_file_turns_no_verification_off() {
    let env = Machine::new()
        .own("environments: {a: {apps: {web: {selector: a=b, health: {headers: {X-Odd: hunter2, X-Api-Key: '${KEY}'}}}}}}")
        .var("KEY", "hunter3")
        .env();
    let shown: Vec<String> = env.settings.iter().map(|s| format!("{} {}", s.key, s.value)).collect();
    assert!(shown.iter().any(|s| s == "apps.web.health.headers.X-Api-Key <secret, from ${KEY}>"), "{shown:?}");
    assert!(!shown.concat().contains("hunter"), "{shown:?}");
    let error = Machine::new().project("environments: {a: {apps: {web: {url: 'https://h', health: {verify: false}}}}}").error();
    assert!(error.what_happened().contains("turns off the verification of a server"), "{error}");
}
