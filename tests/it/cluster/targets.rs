//! Which pods and containers a name means.

use super::standard::standard;

#[test]
fn every_kind_and_its_short_names() {
    let shared = standard();
    for (targets, text, other) in [
        ("deployment/backend deploy/backend", "backend is quiet", "store is quiet"),
        ("statefulset/store sts/store", "store is quiet", "backend is quiet"),
        ("daemonset/agent ds/agent", "agent is quiet", "backend is quiet"),
        ("job/import jobs/import", "import is quiet", "nightly is quiet"),
        ("cronjob/nightly cj/nightly", "nightly is quiet", "import is quiet"),
        ("pod/api po/api", "api is quiet", "worker is quiet"),
    ] {
        for target in targets.split(' ') {
            shared.obsctl("logs --tail -1").arg(target).run().ends(0).shows(&[text]).never_says(&[other]);
        }
    }
}

#[test]
fn a_bare_name_is_looked_up() {
    let shared = standard();
    for name in ["backend", "store", "agent", "import", "nightly", "api"] {
        let ran = shared.obsctl("logs --tail -1").arg(name).run().ends(0).shows(&[&format!("{name} is quiet")]);
        assert_eq!(ran.count("is quiet"), if name == "backend" { 2 } else { 1 }, "{}", ran.out);
    }
    shared.obsctl("logs api worker --tail -1").run().ends(0).shows(&["api is quiet", "worker is quiet"]);
}

#[test]
fn a_selector_and_all_namespaces() {
    let shared = standard();
    let ran = shared.obsctl("logs -l app=backend --tail -1").run().ends(0);
    assert_eq!(ran.count("backend is quiet"), 2, "{}", ran.out);
    shared.obsctl("logs --tail -1 -l").arg("app in (api, worker)").run().ends(0).shows(&["api is quiet", "worker is quiet"]);
    let ran = shared.obsctl("logs -A --tail -1 -l app=api").run().ends(0).shows(&[&format!("{}/api", shared.ns.name())]);
    assert!(ran.err.contains("ns *"), "{}", ran.err);
    shared.obsctl("logs -l app=nobody").run().ends(0).warns(&["no pod"]);
}

#[test]
fn a_mistyped_target_names_what_is_near() {
    let shared = standard();
    shared.obsctl("logs bakend").run().ends(2).warns(&["looking up bakend", "backend"]);
    shared.obsctl("logs deploy/bakend").run().ends(2).warns(&["backend"]);
    shared.obsctl("logs po/apj").run().ends(2).warns(&["api"]);
    shared.obsctl("logs service/backend").run().ends(2).warns(&["service", "deployment"]);
    shared.obsctl("logs bakend -r found-1111").run().ends(2).warns(&["backend"]);
}

#[test]
fn all_containers_are_read_and_named() {
    let shared = standard();
    let ran = shared.obsctl("logs po/many --tail -1").run().ends(0);
    for (container, text) in
        [("many/setup (init)", "from the setup"), ("many/proxy", "from the proxy"), ("many/one", "from one"), ("many/two", "from two")]
    {
        let line = ran.out.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {}", ran.out));
        assert!(line.contains(container), "{line}");
    }
    let ran = shared.obsctl("logs po/many -c two --tail -1").run().ends(0).shows(&["from two"]);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    shared.obsctl("logs po/many -c tow").run().ends(2).warns(&["container tow", "one", "proxy", "setup", "two"]);
}

#[test]
fn a_pod_that_waits_is_a_gap_with_its_reason() {
    let shared = standard();
    let ran = shared.obsctl("logs po/waiting").run().ends(3);
    ran.warns(&["waiting", "not started", "ErrImageNeverPull", "kubectl describe pod waiting"]);
    let ran = shared.obsctl("logs po/waiting api --tail -1").run().ends(0).shows(&["api is quiet"]);
    ran.warns(&["not started: ErrImageNeverPull"]);
}
