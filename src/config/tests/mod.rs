//! Tests of the configuration as a whole, on real files in temporary folders.

mod brokers;
mod errors;
mod health;
mod precedence;
mod trust;

use super::*;
use crate::error::Error;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A machine of its own: a home, a project folder, variables and flags.
struct Machine {
    folder: TempDir,
    vars: Vec<(String, String)>,
    inputs: Inputs,
}

impl Machine {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let root = folder.path().canonicalize().expect("it exists");
        for sub in ["home/.config/obsctl", "project/deep/er"] {
            fs::create_dir_all(root.join(sub)).expect("a folder");
        }
        let inputs = Inputs { cwd: root.join("project"), ..Inputs::default() };
        Self { vars: vec![("HOME".into(), root.join("home").display().to_string())], folder, inputs }
    }
    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().expect("it exists").join(path)
    }
    fn write(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.at(path), text).expect("a written file");
        self
    }
    /// The user's own file, which is trusted.
    fn own(self, text: impl AsRef<[u8]>) -> Self {
        self.write("home/.config/obsctl/config.yaml", text)
    }
    /// A file in the project folder, which is not.
    fn project(self, text: impl AsRef<[u8]>) -> Self {
        self.write("project/obsctl.yaml", text)
    }
    fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.into(), value.into()));
        self
    }
    fn with(mut self, set: impl FnOnce(&mut Inputs)) -> Self {
        set(&mut self.inputs);
        self
    }
    fn inputs(&self) -> Inputs {
        Inputs { vars: Vars::of(self.vars.clone()), ..self.inputs.clone() }
    }
    fn load(&self) -> Result<Environment, Error> {
        load(&self.inputs())
    }
    fn env(&self) -> Environment {
        self.load().expect("a good configuration")
    }
    fn error(&self) -> Error {
        self.load().expect_err("a bad configuration")
    }
    /// What happened, with this machine's folder left out.
    fn what(&self) -> String {
        self.clean(self.error().what_happened())
    }
    fn clean(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.at("").display().to_string().trim_end_matches('/')), "")
    }
}

fn value<T: Clone>(sourced: Option<&Sourced<T>>) -> Option<T> {
    sourced.map(|s| s.value.clone())
}

fn from<T>(sourced: Option<&Sourced<T>>) -> String {
    sourced.map(|s| s.from.says().to_string()).unwrap_or_default()
}

fn shown_of<'e>(env: &'e Environment, key: &str) -> &'e str {
    env.settings.iter().find(|s| s.key.as_str() == key).map(|s| s.value.as_str()).unwrap_or("(absent)")
}

const SHOP: &str = "\
default_environment: production
environments:
  production:
    kube: {context: prod, namespace: shop}
    apps:
      backend: {selector: app=backend, port: 8000, health: /api/health/, url: 'https://app.example.org/?t=abc'}
      celery: {workload: deployment/celery, container: worker, timezone: Europe/Istanbul, request_id_fields: [rid]}
    postgres: {main: {url: {secret: backend-env, key: DATABASE_URL}}}
    broker: {url: {config_map: backend-env, key: CELERY_BROKER_URL}, via: tunnel}
    results: {django_db: main}
    request_id_fields: [correlation]
    timezone: '+03:00'
    deadline: 90s
  staging:
    kube: {context: stage}
    apps: {backend: {selector: app=backend}}
  local:
    apps:
      backend: {files: [logs/*.log, ./more/*.log], url: http://localhost:8000}
";

#[test]
fn reads_everything() {
    let env = Machine::new().own(SHOP).env();
    assert_eq!(env.name.as_deref(), Some("production"));
    let kube = env.kube.as_ref().expect("Kubernetes");
    assert_eq!((value(kube.context.as_ref()).as_deref(), value(kube.namespace.as_ref()).as_deref()), (Some("prod"), Some("shop")));
    let backend = &env.apps["backend"];
    assert_eq!(value(backend.selector.as_ref()).as_deref(), Some("app=backend"));
    assert_eq!((backend.port, backend.health.path.as_deref()), (Some(8000), Some("/api/health/")));
    let celery = &env.apps["celery"];
    assert_eq!((celery.workload.as_deref(), celery.container.as_deref()), (Some("deployment/celery"), Some("worker")));
    assert_eq!(celery.timezone.as_ref().and_then(|t| t.iana_name()), Some("Europe/Istanbul"));
    assert_eq!(
        (celery.request_id_fields.as_slice(), env.request_id_fields.as_slice()),
        (&["rid".to_owned()][..], &["correlation".to_owned()][..])
    );
    assert!(
        matches!(&env.postgres["main"].address, Address::Url(Sourced { value: SecretRef::Secret { name, key }, .. }) if name == "backend-env" && key == "DATABASE_URL")
    );
    assert_eq!(env.broker.as_ref().map(|b| b.endpoint.via), Some(Via::Tunnel));
    assert!(matches!(&env.results, Some(Results::DjangoDb(name)) if name.value == "main"));
    assert_eq!(env.deadline, Some(jiff::SignedDuration::from_secs(90)));
    assert!(env.trusted && env.timezone.is_some());
    assert_eq!(shown_of(&env, "postgres.main.url"), "<secret, from secret/backend-env key DATABASE_URL>");
    assert_eq!(shown_of(&env, "apps.backend.url"), "https://app.example.org/?…");
    assert_eq!(shown_of(&env, "apps.backend.port"), "8000");
    let port = env.settings.iter().find(|s| s.key.as_str() == "apps.backend.port").expect("the port");
    assert!(port.from.says().ends_with("config.yaml:6:46"), "{}", port.from.says());
}

#[test]
fn files_and_urls_alone_need_no_kubernetes() {
    let machine = Machine::new().own(SHOP).with(|i| i.env = Some("local".into()));
    let env = machine.env();
    assert!(env.kube.is_none());
    let folder = machine.at("home/.config/obsctl").display().to_string();
    let patterns: Vec<&str> = env.apps["backend"].files.iter().map(|f| f.pattern.as_str()).collect();
    assert_eq!(patterns, [format!("{folder}/logs/*.log"), format!("{folder}/more/*.log")]);
    // A variable was set for another environment; a flag is meant for this one.
    assert!(machine.var("OBSCTL_CONTEXT", "prod").env().kube.is_none());
    let machine = Machine::new().own(SHOP).with(|i| (i.env, i.context) = (Some("local".into()), Some("kind".into())));
    assert_eq!(from(machine.env().kube.expect("Kubernetes").context.as_ref()), "--context");
    // A selector needs a cluster, also beside files.
    let mixed = "environments: {a: {apps: {x: {files: [x.log]}, y: {selector: a=b}}}}";
    assert!(Machine::new().own(mixed).env().kube.is_some());
}

#[test]
fn globs_escape_the_folder_and_know_the_home() {
    let machine = Machine::new();
    fs::create_dir_all(machine.at("project/a[1]")).expect("a folder");
    let machine = machine
        .write("project/a[1]/c.yaml", "environments: {a: {apps: {x: {files: ['*.log', ~/y.log, /var/log/z.log]}}}}")
        .with(|i| i.config = Some("a[1]/c.yaml".into()));
    let found: Vec<String> = machine.env().apps["x"].files.iter().map(|f| machine.clean(&f.pattern)).collect();
    assert_eq!(found, ["project/a[[]1[]]/*.log", "home/y.log", "/var/log/z.log"]);
}

#[test]
fn works_without_a_file() {
    let machine = Machine::new().with(|i| i.namespace = Some("shop".into()));
    let env = machine.env();
    assert_eq!((env.name.is_none(), env.file.is_none(), env.apps.len()), (true, true, 0));
    let kube = env.kube.expect("Kubernetes");
    assert_eq!((kube.context.is_none(), from(kube.namespace.as_ref()).as_str()), (true, "--namespace"));
    for empty in ["", "# nothing yet\n\n", "\u{feff}", "environments: {}\n"] {
        assert!(Machine::new().own(empty).env().name.is_none(), "{empty:?}");
    }
}

#[test]
fn a_schema_that_knows_the_keys() {
    let schema = schema().to_string();
    for key in ["default_environment", "environments", "kubeconfig", "request_id_fields", "django_db", "config_map", "\"tunnel\""] {
        assert!(schema.contains(key), "{key}");
    }
    assert!(schema.contains("\"additionalProperties\":false"));
    assert!(!schema.contains("null"), "{schema}");
}

#[test]
fn lists_names_and_never_fails() {
    assert_eq!(names(&Machine::new().own(SHOP).inputs()), ["production", "staging", "local"]);
    assert!(names(&Machine::new().inputs()).is_empty());
    assert!(names(&Machine::new().own("{{{{").inputs()).is_empty());
}

#[test]
fn check_looks_at_every_environment() {
    use std::os::unix::fs::PermissionsExt;
    let text = "\
environments:
  a:
    timezone: Nowhere/Land
    apps: {web: {health: api, port: 0}}
    broker: {url: '${NOT_SET}'}
  b:
    postgres: {main: {host: db, password: hunter2}}
    results: {django_db: mian}
";
    let machine = Machine::new().own(text);
    let path = machine.at("home/.config/obsctl/config.yaml");
    let found = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our file");
        let check = check(&machine.inputs()).expect("it parses").expect("a file");
        assert_eq!(check.environments.len(), 2);
        check.found.iter().map(|f| machine.clean(&f.says).replace("home/.config/obsctl/", "")).collect::<Vec<_>>()
    };
    let mut expected = vec![
        "config.yaml:3:15: no such time zone: Europe/Istanbul or +03:00",
        "config.yaml:4:26: a health endpoint is a path that begins with /: /api/health/",
        "config.yaml:4:37: a port is 1 to 65535",
        "config.yaml:5:19: the variable NOT_SET is not set",
        "config.yaml:8:26: django_db names no database under postgres",
    ];
    assert_eq!(found(0o600), expected);
    expected.push("config.yaml:7:43: a password stands in a file that others on this machine can read");
    assert_eq!(found(0o644), expected);
    assert!(check(&Machine::new().inputs()).expect("no error").is_none());
}

#[test]
fn an_error_of_several_names_the_command_that_lists_them() {
    let error = Machine::new().own("environments: {a: {timezone: x/y, deadline: soon}}").error();
    assert_eq!(error.hints(), [crate::answer::Hint::Run("obsctl config check".into())]);
}

#[test]
fn variables_for_others() {
    let vars = |pairs: &[(&str, &str)]| Vars::of(pairs.iter().map(|(k, v)| (*k, *v)));
    assert!(vars(&[("NO_COLOR", "1")]).no_color() && !vars(&[("NO_COLOR", "")]).no_color());
    assert!(vars(&[("CLICOLOR_FORCE", "1")]).force_color() && !vars(&[("CLICOLOR_FORCE", "0")]).force_color());
    assert!(vars(&[("CLICOLOR", "0")]).clicolor_off() && !vars(&[]).clicolor_off());
    assert_eq!(
        (vars(&[("COLUMNS", "80")]).columns(), vars(&[("COLUMNS", "0")]).columns(), vars(&[("COLUMNS", "x")]).columns()),
        (Some(80), None, None)
    );
    assert!(vars(&[("TERM", "dumb")]).dumb_terminal());
    assert_eq!(vars(&[("KUBECONFIG", "/a:/b:")]).kubeconfig(), [Path::new("/a"), Path::new("/b")]);
    assert_eq!(vars(&[("KUBECONFIG", ""), ("HOME", "/h")]).kubeconfig(), [Path::new("/h/.kube/config")]);
    assert_eq!(vars(&[("https_proxy", "p"), ("HTTP_PROXY", "q")]).https_proxy(), Some("p"));
    assert_eq!(vars(&[("HTTP_PROXY", "q")]).http_proxy(), None);
    assert_eq!(state_folder(&vars(&[("HOME", "/h"), ("XDG_STATE_HOME", "relative")])), Some("/h/.local/state/obsctl".into()));
    assert_eq!(state_folder(&vars(&[("XDG_STATE_HOME", "/s")])), Some("/s/obsctl".into()));
    assert_eq!(state_folder(&vars(&[])), None);
    assert!(!format!("{:?}", vars(&[("PASSWORD", "hunter2")])).contains("hunter2"));
}
