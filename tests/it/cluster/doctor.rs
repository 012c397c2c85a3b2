//! `obsctl doctor`: what it prints is applied to a real cluster, Redis and PostgreSQL, and suffices for everything; what is missing is named.

use crate::support::{Obsctl, SOON, obsctl};
use lab::{
    Namespace, eventually, get, rule,
    sandbox::{PodSandbox, Profile, traffic::Target},
};
use std::{fs, path::Path};

/// Runs a script where the application runs, with its own libraries.
fn inside(sandbox: &PodSandbox, script: &str) -> String {
    let Target::Pods { python, .. } = sandbox.traffic().target() else { panic!("it runs in pods") };
    sandbox.namespace.kubectl(&["exec", "deploy/backend", "--", python.to_str().unwrap(), "-c", script]).unwrap()
}

fn secret(ns: &Namespace, name: &str, key: &str) -> String {
    let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
    ns.kubectl(&["get", "secret", name, "-o", &template]).unwrap()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn the_rights_that_it_prints_suffice_for_everything() {
    let cluster = get().cluster();
    let sandbox = PodSandbox::start(&cluster, Profile::A).unwrap();
    let ns = &sandbox.namespace;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("obsctl.yaml");
    // The operator's own Secret: a user of their own in both systems.
    let at = |kubeconfig: &Path, words: &str| -> Obsctl { obsctl(kubeconfig, words).arg("--config").arg(config.to_str().unwrap()) };
    let admin = |words: &str| obsctl(cluster.kubeconfig(), words).arg("--config").arg(sandbox.config.to_str().unwrap()).run();
    let main = secret(ns, "oncall-env", "DATABASE_URL");
    let broker = secret(ns, "backend-env", "CELERY_BROKER_URL");
    let (_, database) = main.rsplit_once('@').unwrap();
    let (_, redis) = broker.rsplit_once('@').unwrap();
    ns.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: operator-env}}\nstringData:\n  DATABASE_URL: 'postgres://obsctl:0perator@{database}'\n  \
         CELERY_BROKER_URL: 'redis://obsctl:0perator@{redis}'\n"
    ));
    let text = fs::read_to_string(&sandbox.config).unwrap();
    let text = text.replace("secret: oncall-env", "secret: operator-env").replace("secret: backend-env", "secret: operator-env");
    let text: Vec<&str> = text.lines().filter(|line| !line.contains("ADMIN_") && !line.contains("REPLICA_")).collect();
    fs::write(&config, text.join("\n")).unwrap();

    let grants = admin("doctor --print grants").ends(0).out.replace("CHANGE-ME", "0perator");
    let owner = secret(ns, "oncall-env", "ADMIN_DATABASE_URL");
    inside(&sandbox, &format!("import psycopg; psycopg.connect({}, autocommit=True).execute({})", quoted(&owner), quoted(&grants)));
    let acl = admin("doctor --print redis-acl").ends(0).out.replace("CHANGE-ME", "0perator");
    for command in acl.lines() {
        // A selector in parentheses is one word.
        let (words, selector) = command.split_once(" (").map_or((command, None), |(words, rest)| (words, Some(format!("({rest}"))));
        let words: Vec<String> = words.split(' ').map(quoted).chain(selector.as_deref().map(quoted)).collect();
        inside(&sandbox, &format!("import redis; redis.from_url({}).execute_command({})", quoted(&broker), words.join(", ")));
    }
    let role = at(cluster.kubeconfig(), "doctor --print role").run().ends(0).out;
    assert!(!role.contains("nodes/proxy") && role.contains("resourceNames: [operator-env]"), "{role}");
    ns.apply(&role);
    let user = format!("operator-{}", ns.name());
    ns.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: operator}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: obsctl-read}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {user}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: obsctl-read-nodes}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]\n"
    ));
    let kubeconfig = ns.kubeconfig_for(&user, &[]);

    // The authorizer learns of a role some milliseconds later.
    let seen = eventually(SOON, || {
        let ran = at(&kubeconfig, "doctor").run();
        if ran.status == 0 && !ran.out.contains("not allowed") { Ok(ran) } else { Err(format!("{ran:?}")) }
    });
    seen.shows(&["OK ", "nothing is missing", "broker", "postgres main", "as obsctl", &user]).never_says(&["0perator"]);
    let planted = sandbox.traffic().fault("failing-task").unwrap();
    let request = planted.iter().find_map(|planted| planted.request_id.clone()).unwrap();
    let task = planted.iter().flat_map(|planted| &planted.tasks).next().unwrap().id.clone();
    for words in [
        "logs --tail 5".to_owned(),
        format!("logs -r {request}"),
        "queue depth".to_owned(),
        "queue workers --ask --tasks".to_owned(),
        "queue peek celery".to_owned(),
        format!("queue find {task} --ask"),
        "explain".to_owned(),
        "db slow".to_owned(),
        "db activity".to_owned(),
        "db locks".to_owned(),
        "health".to_owned(),
    ] {
        let ran = at(&kubeconfig, &words);
        let ran = if words == "explain" { ran.arg("SELECT count(*) FROM django_migrations") } else { ran }.run();
        assert!(ran.status == 0 || ran.status == 1, "{words}: {ran:?}");
        ran.never_says(&["refused: needs", "NOPERM", "permission denied", "0perator"]);
    }
    // The right to list Secrets and ConfigMaps exposes their values: it is in no Role that obsctl prints.
    let ran = at(&kubeconfig, "changes").run().ends(0);
    for (n, _) in ran.out.match_indices("refused: needs") {
        let needed = ran.out.get(n..).unwrap();
        assert!(["secrets", "configmaps"].iter().any(|kind| needed.starts_with(&format!("refused: needs list on {kind}"))), "{}", ran.out);
    }
}

#[test]
fn what_is_missing_is_named_with_what_it_is_for() {
    let ns = get().cluster().namespace("ward");
    let kubeconfig = ns.kubeconfig_for("intern", &[rule("get,list", "pods"), rule("get", "pods/log")]);
    let ran = eventually(SOON, || {
        let ran = obsctl(&kubeconfig, "doctor").run();
        if ran.out.contains("list pods,") { Err(format!("{ran:?}")) } else { Ok(ran) }
    });
    ran.ends(0).shows(&["WARNING", "list events", "list events is for changes, health, pods that are gone", "obsctl doctor --print role"]);
    obsctl(&kubeconfig, "doctor --fail-on warn").run().ends(4);
    let blind = ns.kubeconfig_for("stranger", &[]);
    obsctl(&blind, "doctor").run().ends(1).shows(&["FAILED", "not allowed in namespace", "list pods"]);
    // A cluster that does not answer is bad news, and said as such.
    obsctl(Path::new("/nowhere"), "doctor").run().ends(1).shows(&["FAILED", "there is none at /nowhere"]);
}
