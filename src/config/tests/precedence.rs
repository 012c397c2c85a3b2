//! Who wins over whom.

use super::*;

/// Every pair of sources of a context and a namespace.
#[test]
fn flag_over_variable_over_file_over_default() {
    for flag in [false, true] {
        for variable in [false, true] {
            for file in [false, true] {
                let mut machine = Machine::new();
                if flag {
                    machine = machine.with(|i| (i.context, i.namespace) = (Some("flag".into()), Some("flag".into())));
                }
                if variable {
                    machine = machine.var("OBSCTL_CONTEXT", "variable").var("OBSCTL_NAMESPACE", "variable");
                }
                if file {
                    machine = machine.own("environments: {a: {kube: {context: file, namespace: file}}}");
                }
                let kube = machine.env().kube.expect("Kubernetes");
                let expected = match (flag, variable, file) {
                    (true, ..) => Some(("flag", "--context", "--namespace")),
                    (_, true, _) => Some(("variable", "OBSCTL_CONTEXT", "OBSCTL_NAMESPACE")),
                    (_, _, true) => Some(("file", "config.yaml:1:36", "config.yaml:1:53")),
                    _ => None,
                };
                for (sourced, place) in [(&kube.context, 0), (&kube.namespace, 1)] {
                    match expected {
                        None => assert!(sourced.is_none()),
                        Some((value, context, namespace)) => {
                            assert_eq!(super::value(sourced.as_ref()).as_deref(), Some(value));
                            let origin = from(sourced.as_ref());
                            assert!(origin.ends_with([context, namespace][place]), "{origin}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_kubeconfig_that_is_meant() {
    let text = "environments: {a: {kube: {kubeconfig: ./k}}}";
    let shown = |m: &Machine| {
        let env = m.env();
        let setting = env.settings.iter().find(|s| s.key.as_str() == "kube.kubeconfig").expect("a kubeconfig");
        let from = m.clean(&setting.from.says());
        (m.clean(&setting.value), from, env.kube.and_then(|k| k.kubeconfig).map(|k| m.clean(&k.value.display().to_string())))
    };
    let flag = Machine::new().own(text).var("KUBECONFIG", "/v").with(|i| i.kubeconfig = Some("f".into()));
    assert_eq!(shown(&flag), ("project/f".into(), "--kubeconfig".into(), Some("project/f".into())));
    let file = Machine::new().own(text).var("KUBECONFIG", "/v");
    let path = "home/.config/obsctl/k".to_owned();
    assert_eq!(shown(&file), (path.clone(), "home/.config/obsctl/config.yaml:1:39".into(), Some(path)));
    assert_eq!(shown(&Machine::new().var("KUBECONFIG", "/v:/w")), ("/v, /w".into(), "KUBECONFIG".into(), None));
    assert_eq!(shown(&Machine::new()), ("home/.kube/config".into(), "default".into(), None));
    // A flag needs no trust, also where the file's own would.
    assert!(Machine::new().project(text).with(|i| i.kubeconfig = Some("f".into())).load().is_ok());
}

#[test]
fn a_variable_in_place_of_the_file_is_warned_about() {
    let text = "environments: {staging: {kube: {context: stage}}}";
    let env = Machine::new().own(text).var("OBSCTL_CONTEXT", "prod").with(|i| i.env = Some("staging".into())).env();
    assert_eq!(env.warnings.len(), 1);
    assert_eq!(env.warnings[0].as_str(), "OBSCTL_CONTEXT names context prod, in place of stage of environment staging");
    assert!(Machine::new().own(text).var("OBSCTL_CONTEXT", "stage").env().warnings.is_empty());
    assert!(Machine::new().own(text).with(|i| i.context = Some("prod".into())).env().warnings.is_empty());
}

#[test]
fn the_environment_that_is_meant() {
    let both = "default_environment: b\nenvironments: {a: {}, b: {}, c: {}}";
    let name = |m: Machine| m.env().name.map(|n| n.to_string());
    let flag = |m: Machine| m.with(|i| i.env = Some("a".into()));
    assert_eq!(name(flag(Machine::new().own(both).var("OBSCTL_ENV", "c"))).as_deref(), Some("a"));
    assert_eq!(name(Machine::new().own(both).var("OBSCTL_ENV", "c")).as_deref(), Some("c"));
    assert_eq!(name(Machine::new().own(both).var("OBSCTL_ENV", "")).as_deref(), Some("b"));
    assert_eq!(name(Machine::new().own("environments: {only: {}}")).as_deref(), Some("only"));
    assert_eq!(name(Machine::new().own("environments: {}")), None);
}

#[test]
fn the_file_that_is_meant() {
    let text = |name: &str| format!("environments: {{{name}: {{}}}}");
    let all = || {
        Machine::new().own(text("own")).project(text("project")).write("flag.yaml", text("flag")).write("variable.yaml", text("variable"))
    };
    let name = |m: &Machine| m.env().name.map(|n| n.to_string()).unwrap_or_default();
    let machine = all();
    let variable = machine.at("variable.yaml").display().to_string();
    assert_eq!(name(&machine), "project");
    let machine = machine.with(|i| i.cwd.push("deep/er"));
    assert_eq!(name(&machine), "project");
    let machine = machine.with(|i| i.cwd = "/".into());
    assert_eq!(name(&machine), "own");
    let machine = machine.var("OBSCTL_CONFIG", &variable);
    assert_eq!(name(&machine), "variable");
    let flag = machine.at("flag.yaml");
    let machine = machine.with(|i| i.config = Some(flag));
    assert_eq!(name(&machine), "flag");
    let machine = all().with(|i| i.config = Some("./../flag.yaml".into()));
    assert_eq!(name(&machine), "flag");
    // XDG_CONFIG_HOME, and its default when it is relative.
    let machine = Machine::new().own(text("own")).var("XDG_CONFIG_HOME", "relative");
    assert_eq!(name(&machine), "own");
    let other = machine.at("home").display().to_string();
    fs::create_dir_all(machine.at("home/obsctl")).expect("a folder");
    let machine = Machine { vars: machine.vars.iter().filter(|(k, _)| k == "HOME").cloned().collect(), ..machine }
        .write("home/obsctl/config.yaml", text("xdg"))
        .var("XDG_CONFIG_HOME", &other);
    assert_eq!(name(&machine), "xdg");
}

#[test]
fn generic_variables_count_only_where_nothing_names_an_environment() {
    let shell =
        |m: Machine| m.var("DATABASE_URL", "postgres://u:hunter2@h/d").var("CELERY_BROKER_URL", "redis://c").var("REDIS_URL", "redis://r");
    let env = shell(Machine::new()).env();
    assert_eq!((env.postgres.len(), env.broker.as_ref().map(|b| b.endpoint.via)), (1, Some(Via::Direct)));
    assert!(
        matches!(&env.broker.as_ref().expect("a broker").endpoint.address, Address::Url(u) if u.from == Origin::Variable("CELERY_BROKER_URL".into()))
    );
    assert!(!format!("{env:?}").contains("hunter2"));
    let redis = Machine::new().var("REDIS_URL", "redis://r").env().broker.expect("a broker");
    assert!(matches!(&redis.endpoint.address, Address::Url(u) if u.from == Origin::Variable("REDIS_URL".into())));
    for named in
        [shell(Machine::new().own("environments: {a: {}}")), shell(Machine::new().own(SHOP)).with(|i| i.env = Some("staging".into()))]
    {
        let env = named.env();
        assert!(env.postgres.is_empty() && env.broker.is_none());
    }
    assert_eq!(shell(Machine::new().own("# empty")).env().postgres.len(), 1);
}

#[test]
fn variables_expand_once_and_dollars_can_be_written() {
    let machine = |text: &str| {
        Machine::new().own(format!("environments: {{a: {{kube: {{namespace: '{text}'}}}}}}")).var("A", "x").var("B", "${A}").var("E", "")
    };
    let namespace = |text: &str| value(machine(text).env().kube.expect("Kubernetes").namespace.as_ref()).expect("a namespace");
    for (text, expected) in [
        ("${A}", "x"),
        ("p-${A}-${A}", "p-x-x"),
        ("${B}", "${A}"),
        ("$${A}", "${A}"),
        ("$A $", "$A $"),
        ("${E}y", "y"),
        ("$$${A}", "$${A}"),
    ] {
        assert_eq!(namespace(text), expected, "{text}");
    }
    let env = machine("p-${A}").env();
    let setting = env.settings.iter().find(|s| s.key.as_str() == "kube.namespace").expect("the namespace");
    assert_eq!((setting.value.as_str(), setting.variables.len()), ("p-x", 1));
    for (text, what) in [
        ("${NOPE}", "the variable NOPE is not set"),
        ("${E}", "empty: write a value, or leave the key out"),
        ("${A", "a variable is written ${NAME}, and a plain ${ is written $${"),
        ("${A:-b}", "a variable is written ${NAME}, and a plain ${ is written $${"),
        ("${}", "a variable is written ${NAME}, and a plain ${ is written $${"),
        ("${1}", "a variable is written ${NAME}, and a plain ${ is written $${"),
    ] {
        assert_eq!(machine(text).what(), format!("home/.config/obsctl/config.yaml:1:38: {what}"), "{text}");
    }
}

#[test]
fn endpoints_say_where_values_stand_and_never_what_they_are() {
    let text = "\
environments:
  a:
    postgres:
      main: {host: db.internal, port: 5432, user: ro, password: hunter2, dbname: shop}
      url: {url: 'postgres://u:hunter2@h/d', via: direct}
      file: {url: {file: ./db.url}}
      command: {url: {command: [vault, read, hunter2]}}
      variable: {url: 'postgres://u:${PW}@h/d'}
      unset: {url: '${NOPE}'}
";
    let env = Machine::new().own(text).var("PW", "hunter2").env();
    let of = |key| shown_of(&env, key);
    assert_eq!((of("postgres.main.host"), of("postgres.main.port"), of("postgres.main.dbname")), ("db.internal", "5432", "shop"));
    assert_eq!(of("postgres.main.password"), "<secret, from the file itself>");
    assert_eq!((of("postgres.url.url"), of("postgres.url.via")), ("<secret, from the file itself>", "direct"));
    assert!(of("postgres.file.url").ends_with("home/.config/obsctl/db.url>"), "{}", of("postgres.file.url"));
    assert_eq!(of("postgres.command.url"), "<secret, from command vault with 2 arguments>");
    assert_eq!(of("postgres.variable.url"), "<secret, from ${PW}>");
    assert_eq!(of("postgres.unset.url"), "<secret, from ${NOPE}, which is not set>");
    assert!(!format!("{env:?}").contains("hunter2"));
}
