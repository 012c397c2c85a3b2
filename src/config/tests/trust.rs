//! What a file that merely lies in a project folder may do, before and after its user trusted it.

use super::*;
use crate::{answer::Hint, error::Kind};
use std::os::unix::fs::PermissionsExt;

const ASKING: &str = "\
environments:
  a:
    kube: {context: prod, namespace: shop}
    apps: {web: {selector: app=web, files: [logs/*.log]}}
    postgres:
      main: {url: {command: [pass, show, db]}}
    broker: {host: h, user: {file: /etc/user}, password: '${PW}'}
";

#[test]
fn plain_literals_of_an_untrusted_file_work() {
    let env = Machine::new().project(ASKING).var("PW", "hunter2").env();
    assert!(!env.trusted);
    assert_eq!(shown_of(&env, "kube.context"), "prod");
    assert_eq!(shown_of(&env, "apps.web.selector"), "app=web");
    // What it may not do is not kept, so that nothing can do it by mistake.
    assert!(matches!(&env.postgres["main"].address, Address::Url(u) if matches!(u.value, SecretRef::Untrusted("a command"))));
    let broker = env.broker.as_ref().expect("a broker").endpoint.address.values();
    let (user, password) = (broker[1], broker[2]);
    assert!(matches!((&user.value, &password.value), (SecretRef::Untrusted("a file"), SecretRef::Untrusted("a variable"))));
    assert_eq!(shown_of(&env, "broker.password"), "<secret, from a variable, which an untrusted file may not use>");
}

#[test]
fn what_is_needed_at_once_is_an_error_that_names_the_way_out() {
    for (line, what) in [
        ("kube: {context: '${PW}'}", "3:21: this file reads variables (${PW}), and nobody trusted it yet"),
        ("kube: {kubeconfig: ./k}", "3:24: this file uses a kubeconfig, which can run commands (./k), and nobody trusted it yet"),
        (
            "apps: {web: {files: [/etc/passwd]}}",
            "3:26: this file reads log files outside its folder (/etc/passwd), and nobody trusted it yet",
        ),
        (
            "broker: {url: 'redis://h', verify: false}",
            "3:40: this file turns off the verification of a server (broker.verify), and nobody trusted it yet",
        ),
        ("apps: {web: {files: [../x.log]}}", "3:26: this file reads log files outside its folder (../x.log), and nobody trusted it yet"),
        (
            "apps: {web: {files: [a/../../x.log]}}",
            "3:26: this file reads log files outside its folder (a/../../x.log), and nobody trusted it yet",
        ),
        ("apps: {web: {files: [~/x.log]}}", "3:26: this file reads log files outside its folder (~/x.log), and nobody trusted it yet"),
    ] {
        let text = format!("environments:\n  a:\n    {line}\n");
        let machine = Machine::new().project(&text).var("PW", "hunter2");
        let error = machine.error();
        assert_eq!(error.kind(), Kind::Config);
        assert_eq!(machine.clean(error.what_happened()), format!("project/obsctl.yaml:{what}"));
        assert_eq!(error.hints(), [Hint::Run("obsctl config trust".into())]);
        // The same file, named or the user's own, is trusted.
        let machine = machine.with(|i| i.config = Some("obsctl.yaml".into()));
        assert!(machine.env().trusted, "{line}");
        assert!(Machine::new().own(&text).var("PW", "x").env().trusted);
        let named = Machine::new().project(&text).var("PW", "x");
        let path = named.at("project/obsctl.yaml").display().to_string();
        assert!(named.var("OBSCTL_CONFIG", &path).env().trusted);
    }
}

#[test]
fn a_flag_in_place_of_an_untrusted_variable_works() {
    let machine = Machine::new().project("environments: {a: {kube: {context: '${PW}'}}}").with(|i| i.context = Some("prod".into()));
    assert!(machine.load().is_ok());
}

#[test]
fn trust_is_stored_by_content_and_place() {
    let machine = Machine::new().project(ASKING).var("PW", "hunter2");
    let inputs = machine.inputs();
    let plan = plan_trust(&inputs, None).expect("a plan");
    assert!(!plan.already);
    let actions: Vec<String> = plan.actions.iter().map(|a| machine.clean(&format!("{} {} {}", a.place, a.does, a.what))).collect();
    assert_eq!(
        actions,
        [
            "project/obsctl.yaml:6:19 runs a command pass show db",
            "project/obsctl.yaml:7:36 reads a file /etc/user",
            "project/obsctl.yaml:7:58 reads variables ${PW}",
        ]
    );
    assert!(!machine.env().trusted, "a plan stores nothing");
    let entry = plan.store(&inputs.vars).expect("stored");
    assert!(entry.starts_with(machine.at("home/.local/state/obsctl/trust")));
    assert_eq!(fs::metadata(&entry).expect("the entry").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(entry.parent().expect("a folder")).expect("the folder").permissions().mode() & 0o777, 0o700);
    assert_eq!(entry.file_name().map(|n| n.len()), Some(64));
    plan.store(&inputs.vars).expect("stored twice is stored");
    assert_eq!(fs::read_dir(entry.parent().expect("a folder")).expect("the folder").count(), 1, "no temporary file is left");

    let env = machine.env();
    assert!(env.trusted);
    assert!(matches!(&env.postgres["main"].address, Address::Url(u) if matches!(&u.value, SecretRef::Command(c) if c.len() == 3)));
    assert!(plan_trust(&inputs, None).expect("a plan").already);
    // Seen from deeper, and through another name of the folder, it is the same file.
    assert!(plan_trust(&Inputs { cwd: machine.at("project/deep/er"), ..inputs.clone() }, None).expect("a plan").already);
    std::os::unix::fs::symlink(machine.at("project"), machine.at("link")).expect("a link");
    assert!(load(&Inputs { cwd: machine.at("link"), ..inputs.clone() }).expect("loads").trusted);
    // The same content elsewhere means other files.
    fs::create_dir(machine.at("other")).expect("a folder");
    fs::copy(machine.at("project/obsctl.yaml"), machine.at("other/obsctl.yaml")).expect("a copy");
    assert!(!load(&Inputs { cwd: machine.at("other"), ..inputs.clone() }).expect("loads").trusted);
    // One changed byte ends it.
    let machine = machine.project(format!("{ASKING}#"));
    assert!(!machine.env().trusted);
}

#[test]
fn trust_of_a_named_file_and_without_one() {
    let machine = Machine::new().write("project/deep/obsctl.yaml", ASKING);
    let plan = plan_trust(&machine.inputs(), Some(Path::new("deep/obsctl.yaml"))).expect("a plan");
    assert!(!plan.already);
    plan.store(&machine.inputs().vars).expect("stored");
    assert!(load(&Inputs { cwd: machine.at("project/deep"), ..machine.inputs() }).expect("loads").trusted);
    let error = plan_trust(&Machine::new().inputs(), None).expect_err("no file");
    assert_eq!(error.what_happened().as_str(), "no configuration file was found");
    let error = plan.store(&Vars::default()).expect_err("no home");
    assert_eq!(error.hints(), [Hint::Set("HOME or XDG_STATE_HOME, as an absolute path".into())]);
    let error = plan.store(&Vars::of([("XDG_STATE_HOME", "/dev/null")])).expect_err("no folder");
    assert_eq!(error.kind(), Kind::Config);
    assert!(plan_trust(&Machine::new().own(ASKING).inputs(), None).expect("a plan").already);
    assert!(plan_trust(&Machine::new().own("{{").inputs(), None).is_err());
}

#[test]
fn an_untrusted_file_reads_logs_of_its_own_folder_only() {
    let machine = Machine::new().project(ASKING).write("project/in.log", "x").write("secret.log", "x");
    std::os::unix::fs::symlink(machine.at("secret.log"), machine.at("project/out.log")).expect("a link");
    let env = machine.env();
    let glob = &env.apps["web"].files[0];
    assert!(glob.admits(&machine.at("project/in.log")));
    assert!(!glob.admits(&machine.at("project/out.log")), "a link leads out");
    assert!(!glob.admits(&machine.at("project/gone.log")));
    plan_trust(&machine.inputs(), None).and_then(|p| p.store(&machine.inputs().vars)).expect("stored");
    assert!(machine.env().apps["web"].files[0].admits(&machine.at("project/out.log")));
}

#[test]
fn check_says_that_a_file_is_untrusted() {
    let machine = Machine::new().project(ASKING).var("PW", "hunter2");
    let found = check(&machine.inputs()).expect("it parses").expect("a file").found;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code, found[0].only_warning), ("config-untrusted", true));
    assert!(found[0].says.ends_with("not trusted yet: 3 of its values need a file, a command, a variable or log files outside its folder"));
    let plain = Machine::new().project("environments: {a: {kube: {context: x}}}");
    assert!(check(&plain.inputs()).expect("it parses").expect("a file").found.is_empty());
}
