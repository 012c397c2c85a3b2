//! The gate of a deploy: kept before, compared after; and the built-in runbook's first file.

use super::of;
use crate::support::{Obsctl, obsctl};
use lab::web::{Act, Scripted, answer};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

#[test]
fn only_new_failures_stop_a_deploy() {
    let deployed = Arc::new(AtomicBool::new(false));
    let after = Arc::clone(&deployed);
    let server = Scripted::start(move |path| {
        let after = after.load(Ordering::Relaxed);
        let well = || Act::Say(answer("200 OK", "text/plain", "well"));
        let ill = || Act::Say(answer("500 Internal Server Error", "text/plain", "ill"));
        match path {
            "/always-ill" => ill(),
            "/breaks" if after => ill(),
            "/mends" if !after => ill(),
            _ => well(),
        }
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let names = ["always-ill", "breaks", "mends", "well"];
    let checks: String = names.iter().map(|name| format!("  - {{name: {name}, http: '{}'}}\n", server.url(&format!("/{name}")))).collect();
    std::fs::write(folder.path().join("checks.yaml"), format!("checks:\n{checks}")).unwrap();
    std::fs::write(folder.path().join("obsctl.yaml"), "environments: {lab: {apps: {x: {url: 'http://127.0.0.1:1/'}}}}").unwrap();
    let at = |file: &str| folder.path().join(file).to_str().unwrap().to_owned();
    let run = |words: &str| -> Obsctl {
        obsctl(Path::new("/nowhere"), "check").arg(&at("checks.yaml")).arg("--config").arg(&at("obsctl.yaml")).arg_all(words)
    };

    run("--save").arg(&at("before.json")).run().ends(1);
    run("--diff").arg(&at("before.json")).run().ends(0).shows(&["against ", "nothing is worse", "still"]);
    deployed.store(true, Ordering::Relaxed);
    let ran = run("--diff").arg(&at("before.json")).run().ends(1);
    ran.shows(&["NEW   breaks", "fixed mends", "still always-ill"]);
    let answer = run("-o json --diff").arg(&at("before.json")).run().ends(1).json();
    assert_eq!(answer["facts"]["compared"]["new"], serde_json::json!(["breaks"]));
    assert_eq!(of(&answer, "always-ill")["status"], "failed");
    let xml = run("--report junit --diff").arg(&at("before.json")).run().ends(1);
    xml.shows(&["failures=\"1\" errors=\"0\" skipped=\"1\"", "not new: "]);
    run("--diff").arg(&at("checks.yaml")).run().ends(2).warns(&["nothing that obsctl check --save has written"]);
}
