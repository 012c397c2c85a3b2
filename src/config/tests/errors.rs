//! Every error with its exact place and words, and none with a secret.

use super::*;
use crate::{answer::Hint, error::Kind};
use proptest::prelude::*;

const FILE: &str = "home/.config/obsctl/config.yaml";

/// A text and the error that it makes, without the file's name.
fn what(text: &str) -> String {
    let machine = Machine::new().own(text);
    let error = machine.error();
    assert_eq!(error.kind(), Kind::Config, "{text}");
    let what = machine.clean(error.what_happened());
    what.strip_prefix(&format!("{FILE}:")).unwrap_or(&what).to_owned()
}

/// An environment with one line in it.
pub(super) fn line(text: &str) -> String {
    what(&format!("environments:\n  a:\n    {text}\n"))
}

#[test]
fn mistyped_keys_name_the_nearest_one() {
    assert_eq!(what("enviroments: {}"), "1:1: unknown key `enviroments`: did you mean `environments`?");
    assert_eq!(line("kube: {contxt: prod}"), "3:12: unknown key `contxt`: did you mean `context`?");
    assert_eq!(line("apps: {web: {seletcor: a}}"), "3:18: unknown key `seletcor`: did you mean `selector`?");
    assert_eq!(line("broker: {url: {secret: s, kye: k}}"), "3:31: unknown key `kye`: did you mean `key`?");
    assert_eq!(line("broker: {url: x, via: tunel}"), "3:27: unknown word `tunel`: did you mean `tunnel`?");
    assert_eq!(line("kube: {color: red}"), "3:12: unknown key: here stands one of context, namespace, kubeconfig");
}

#[test]
fn keys_stand_once() {
    assert_eq!(line("kube: {context: a, context: b}"), "3:24: the key `context` stands here a second time");
    assert_eq!(what("environments:\n  a: {}\n  a: {}\n"), "3:3: this key stands here a second time");
    assert_eq!(line("apps: {web: {}, web: {}}"), "3:21: this key stands here a second time");
    assert_eq!(what("default_environment: a\ndefault_environment: b\n"), "2:1: the key `default_environment` stands here a second time");
}

#[test]
fn values_of_the_wrong_kind() {
    let mut wrong = Vec::new();
    let text = "expected text (in quotes where it reads as a number or as true), or {file}, {command}, {secret, key}, {config_map, key} or {workload, env}";
    for (given, expected) in [
        ("kube: prod", "3:11: expected settings: {key: value}, or `key: value` lines"),
        ("kube: {context: [a]}", "3:21: expected one text"),
        ("kube: {context: }", "3:19: nothing stands behind this key: write a value, or leave the key out"),
        ("kube: {context: ''}", "3:21: empty: write a value, or leave the key out"),
        ("apps: {web: {port: http}}", "3:24: expected a whole number from 0 to 65535"),
        ("apps: {web: {port: 70000}}", "3:24: expected a whole number from 0 to 65535"),
        ("apps: {web: {port: 0}}", "3:24: a port is 1 to 65535"),
        ("apps: {web: {health: api}}", "3:26: a health endpoint is a path that begins with /: /api/health/"),
        ("apps: {web: {workload: backend}}", "3:28: a workload is kind/name: deployment/backend"),
        ("apps: {web: {url: app.example.org}}", "3:23: no URL: https://app.example.org"),
        ("apps: {web: {url: 'ftp://a/b'}}", "3:23: no URL: https://app.example.org"),
        ("apps: {web: {url: 'https://u:hunter2@h/'}}", "3:23: a user or password in the URL of an app would be shown in answers"),
        ("apps: {web: {files: ['[']}}", "3:26: no glob: logs/*.log, logs/**/*.log"),
        ("apps: {a.b: {}}", "3:12: a name is up to 63 letters, digits, - and _, and begins with a letter or digit"),
        ("timezone: Mars/Base", "3:15: no such time zone: Europe/Istanbul or +03:00"),
        ("deadline: soon", "3:15: no duration: 30s, 2m, 1h30m"),
        ("deadline: 0s", "3:15: no duration: 30s, 2m, 1h30m"),
        ("broker: {user: x}", "3:13: neither url nor host: one of them says where it is"),
        ("broker: {url: a, host: b}", "3:13: url stands beside parts of an address: one or the other"),
        ("broker: {url: a, password: hunter2}", "3:13: url stands beside parts of an address: one or the other"),
        ("broker: {host: a, password: 1234}", "3:33: a number where text belongs: put it in quotes"),
        ("broker: {host: a, password: -1}", &format!("3:33: {text}")),
        ("broker: {host: a, password: 1.5}", &format!("3:33: {text}")),
        ("broker: {host: a, password: ~}", &format!("3:33: {text}")),
        ("broker: {host: a, password: true}", &format!("3:33: {text}")),
        ("broker: {host: a, password: [hunter2]}", &format!("3:33: {text}")),
        ("broker: {url: {secret: s}}", "3:19: key is missing: which key of it"),
        ("broker: {url: {key: k}}", "3:19: a reference is one of {file}, {command}, {secret, key}, {config_map, key} and {workload, env}"),
        ("broker: {url: {file: f, key: k}}", "3:19: key belongs to secret or config_map"),
        ("broker: {url: {}}", "3:19: a reference is one of {file}, {command}, {secret, key}, {config_map, key} and {workload, env}"),
        ("broker: {url: {command: []}}", "3:19: a command is a program and its arguments: [pass, show, db]"),
        ("broker: {url: {workload: backend, env: X}}", "3:30: a workload is kind/name: deployment/backend"),
        ("broker: {url: {workload: deployment/b}}", "3:19: env is missing: which variable of its containers"),
        ("broker: {url: {file: f, env: X}}", "3:19: env belongs to workload"),
        ("broker: {priority_steps: [3, 0]}", "3:30: priority steps ascend, from 0 to 9 at most: [0, 3, 6, 9]"),
        ("broker: {priority_steps: [0, 10]}", "3:30: priority steps ascend, from 0 to 9 at most: [0, 3, 6, 9]"),
        ("broker: {priority_steps: []}", "3:30: priority steps ascend, from 0 to 9 at most: [0, 3, 6, 9]"),
        ("broker: {priority_steps: [hunter2]}", "3:31: expected a whole number from 0 to 255"),
        ("broker: {verify: maybe}", "3:22: expected true or false"),
        ("broker: {relay: backend}", "3:21: relay names none of the apps"),
        ("broker: {cert: {file: c.pem}}", "3:13: cert and key belong together: a client certificate has both"),
        ("broker: {ca: /etc/ca.pem}", "3:18: a text in PEM form (-----BEGIN …), or where it stands: {file: ca.pem}"),
        ("broker: {visibility_timeout: 0s}", "3:34: no duration: 30s, 2m, 1h30m"),
        ("broker: {thresholds: {oldest_warning: 20m}}", "3:26: oldest_warning (20m) is above oldest_failed (10m): it would never warn"),
        ("results: {}", "3:14: either django_db or url says where results are"),
        ("results: {django_db: main}", "3:26: django_db names no database under postgres"),
        ("kube: !secret {context: a}", "3:19: a tag (!…) means nothing here"),
    ] {
        let found = line(given);
        if found != expected {
            wrong.push(format!("{given}\n  found    {found}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn text_that_looks_like_a_number_stays_text() {
    let env =
        Machine::new().own("environments: {a: {kube: {context: 0123, namespace: 1e5}, broker: {host: 0123, port: '6379', db: 2}}}").env();
    assert_eq!((shown_of(&env, "kube.context"), shown_of(&env, "kube.namespace")), ("0123", "1e5"));
    assert_eq!((shown_of(&env, "broker.host"), shown_of(&env, "broker.port"), shown_of(&env, "broker.db")), ("0123", "6379", "2"));
}

#[test]
fn anchors_and_merges_work() {
    let text = "\
environments:
  a:
    kube: &kube {context: prod, namespace: shop}
  b:
    kube: {<<: *kube, namespace: other}
default_environment: b
";
    let kube = Machine::new().own(text).env().kube.expect("Kubernetes");
    assert_eq!((value(kube.context.as_ref()).as_deref(), value(kube.namespace.as_ref()).as_deref()), (Some("prod"), Some("other")));
}

#[test]
fn broken_yaml() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("environments: 'x\n", "not valid YAML: a quote is not closed, or its next line is not indented"),
        ("environments: {a: {}\n", "not valid YAML: a bracket is not closed"),
        ("environments:\n\ta: {}\n", "not valid YAML"),
        ("default_environment: a: b\n", "not valid YAML: a second `key:` in one line; put the value in quotes"),
        ("environments: *x\n", "this alias names no anchor before it"),
        ("environments: {}\n---\nenvironments: {}\n", "a second document begins: one file holds one"),
        ("- a\n", "expected"),
        ("hello\n", "expected"),
        ("\u{0}\u{1}\u{2}", "not valid YAML"),
        ("environments: !!binary aGk=", "expected"),
    ] {
        let error = what(text);
        if !error.contains(expected) || !error.starts_with(|c: char| c.is_ascii_digit()) {
            wrong.push(format!("{text:?}\n  found    {error}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for deep in ["[", "{a: ", "- ", "? ", "!!map {"] {
        what(&format!("environments: {{a: {{request_id_fields: {}", deep.repeat(20_000)));
    }
}

#[test]
fn a_password_is_never_in_an_error() {
    // On the line before, on the line itself and on the line after; as a value, as a key, as a name.
    for text in [
        "environments:\n  a:\n    broker:\n      password: hunter2\n      hosst: b\n      user: hunter2\n",
        "environments:\n  a:\n    broker: {password: {hunter2}}\n",
        "environments:\n  a:\n    broker: {password: {hunter2: x, hunter2: y}}\n",
        "environments:\n  a:\n    broker: {url:redis://:hunter2@h/0}\n",
        "environments:\n  a:\n    broker: {via: hunter2}\n",
        "environments:\n  a:\n    broker: {host: x, port: hunter2, password: 'hunter2', password: hunter2}\n",
        "environments:\n  a:\n    broker: redis://:hunter2@h/0\n",
        "environments:\n  a:\n    broker: {host: h, password: \"hunter2}\n",
        "environments:\n  a:\n    broker: {host: h, password: hunter2\n",
        "environments:\n  a:\n    broker: {host: h, password: @hunter2}\n",
        "environments:\n  a:\n    broker: {host: h, password: %hunter2}\n",
        "environments:\n  a:\n    broker: {host: h, password: *hunter2}\n",
        "environments:\n  a:\n    broker: {host: h, password: !hunter2 x}\n",
        "environments:\n  a:\n    broker: {host: h, password: !hunter2! x}\n",
        "environments:\n  a:\n    broker: {host: h, password: [hunter2]}\n",
        "environments:\n  a:\n    broker: {host: h, password: '${hunter2'}\n    timezone: x\n",
        "environments:\n  a:\n    apps: {web: {port: hunter2}}\n",
        "environments:\n  a:\n    apps: {web: {url: 'https://u:hunter2@h'}}\n",
        "environments:\n  a:\n    hunter2\n",
        "environments:\n  hunter2!: {timezone: x}\n",
        "default_environment: hunter2\nenvironments: {a: {}}\n",
        "hunter2",
        "%YAML hunter2\n---\nenvironments: {}\n",
    ] {
        let machine = Machine::new().own(text);
        let error = machine.error();
        let all = format!("{} {error:?} {:?}", error.says(), error.hints());
        assert!(!all.contains("hunter2"), "{text}\n{all}");
    }
}

#[test]
fn files_that_are_no_configuration() {
    use std::os::unix::fs::PermissionsExt;
    let at = |machine: &Machine| machine.what();
    assert_eq!(at(&Machine::new().own(b"environments: {}\n# \xc3\xa4 \xff\n")), format!("{FILE}:2:5: not UTF-8"));
    assert_eq!(at(&Machine::new().own(b"\xff\xfee\0n\0v\0")), format!("{FILE}:1:1: not UTF-8"));
    let garbage: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert!(at(&Machine::new().own(garbage)).contains("not UTF-8"));
    assert_eq!(at(&Machine::new().own(vec![b'#'; (1 << 20) + 1])), format!("{FILE}: larger than 1 MiB"));
    assert!(Machine::new().own(vec![b'#'; 1 << 20]).load().is_ok());
    assert_eq!(at(&Machine::new().with(|i| i.config = Some("/dev/zero".into()))), "dev/zero: larger than 1 MiB".replacen("dev", "/dev", 1));
    assert_eq!(at(&Machine::new().with(|i| i.config = Some("nowhere.yaml".into()))), "project/nowhere.yaml: no such file");
    assert_eq!(at(&Machine::new().with(|i| i.config = Some("deep".into()))), "project/deep: is a folder, not a file");
    let machine = Machine::new();
    fs::create_dir(machine.at("project/obsctl.yaml")).expect("a folder");
    assert_eq!(at(&machine), "project/obsctl.yaml: is a folder, not a file");
    let machine = Machine::new();
    std::os::unix::fs::symlink("/nowhere/at/all", machine.at("project/obsctl.yaml")).expect("a link");
    assert_eq!(at(&machine), "project/obsctl.yaml: no such file");
    // Permissions mean nothing to root.
    let machine = Machine::new().own("environments: {}");
    fs::set_permissions(machine.at(FILE), fs::Permissions::from_mode(0o000)).expect("our file");
    if fs::read(machine.at(FILE)).is_err() {
        assert_eq!(at(&machine), format!("{FILE}: permission denied"));
    }
}

#[test]
fn a_mistyped_environment_is_usage_with_the_list() {
    let machine = Machine::new().own(SHOP).with(|i| i.env = Some("producton".into()));
    let error = machine.error();
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(error.what_happened().as_str(), "no environment `producton` (--env): there are production, staging, local");
    assert_eq!(error.hints(), [Hint::Try("-e production".into())]);
    let error = Machine::new().own(SHOP).var("OBSCTL_ENV", "x").error();
    assert_eq!((error.kind(), error.hints().len()), (Kind::Usage, 0));
    assert_eq!(error.what_happened().as_str(), "no environment `x` (OBSCTL_ENV): there are production, staging, local");
    let error = Machine::new().with(|i| i.env = Some("x".into())).error();
    assert_eq!(error.what_happened().as_str(), "no environment `x` (--env): no configuration file was found");
    let error = Machine::new().own("environments: {a: {}, b: {}}").error();
    assert_eq!((error.kind(), error.what_happened().as_str()), (Kind::Usage, "there are several and no default_environment: a, b"));
    assert_eq!(what("default_environment: prod\nenvironments: {a: {}}\n"), "1:22: default_environment names none of the environments: a");
    for flag in ["", "x"] {
        let error = Machine::new().with(|i| (i.env, i.context) = (Some(flag.into()), Some(String::new()))).error();
        assert_eq!((error.kind(), error.what_happened().as_str()), (Kind::Usage, "--context is empty"));
    }
}

#[test]
fn own_variables_must_be_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let vars = Vars::of([(OsStr::new("OBSCTL_ENV"), OsStr::from_bytes(b"\xff"))]);
    let error = load(&Inputs { vars, cwd: "/nowhere".into(), ..Inputs::default() }).expect_err("no text");
    assert_eq!(error.what_happened().as_str(), "OBSCTL_ENV is not UTF-8");
}

/// YAML that nearly is a configuration: the parser's far corners are reached by words that it knows.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "environments",
        "a",
        "kube",
        "context",
        "broker",
        "url",
        "password",
        "command",
        "port",
        ": ",
        ":\n  ",
        "\n",
        "    ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "- ",
        "'",
        "\"",
        "&x ",
        "*x ",
        "<<: ",
        "!!binary ",
        "!t ",
        "|\n",
        ">-\n",
        "---\n",
        "#",
        "${",
        "}",
        "1e999",
        "0x1f",
        "~",
        "\t",
        "\u{feff}",
        "é",
        "\\u",
        "%YAML 1.2\n",
        "? ",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = super::super::file::parse(&bytes, Path::new("x.yaml"));
    }

    #[test]
    fn never_panics_on_nearly_yaml(bytes in nearly()) {
        let _ = super::super::file::parse(&bytes, Path::new("x.yaml"));
    }

    #[test]
    fn a_value_stands_in_no_error(secret in "[a-z0-9]{12}", break_at in 0usize..400, with in "[{}\\[\\]:'\"&*!%@`|>,#\t -]{1,3}") {
        let mut text = format!("environments:\n  a:\n    broker: {{host: h, password: {secret}, via: direct}}\n    postgres:\n      main:\n        url: postgres://u:{secret}@h/d\n        via: auto\n    timezone: UTC\n");
        let at = break_at % text.len();
        text.insert_str(at, &with);
        if let Err(error) = super::super::file::parse(text.as_bytes(), Path::new("x.yaml")) {
            // Half of it is as bad as all of it.
            let says = error.says();
            let (first, second) = secret.split_at(6);
            prop_assert!(!says.contains(first) && !says.contains(second), "{}\n{}", says, text);
        }
    }
}
