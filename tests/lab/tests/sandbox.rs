//! The sandbox does what its faults promise, as local processes and as pods.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use lab::sandbox::{LocalSandbox, Planted, PodSandbox, Profile};
use lab::{eventually, get};

/// What all processes of the sandbox have written.
fn lines(sandbox: &LocalSandbox) -> Vec<String> {
    let text = |(_, path): &(String, std::path::PathBuf)| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    sandbox.logs.iter().map(text).collect::<String>().lines().map(str::to_owned).collect()
}

fn count(lines: &[String], words: &[&str]) -> usize {
    lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

fn last(planted: &[Planted]) -> (&str, &str) {
    let planted = planted.last().unwrap();
    (planted.request_id.as_deref().unwrap(), &planted.tasks.last().unwrap().id)
}

#[test]
fn a_request_id_goes_on_into_its_tasks_in_profile_a() {
    let sandbox = get().sandbox_local(Profile::A);
    let planted = sandbox.traffic().fault("failing-task").unwrap();
    let (request, task) = last(&planted);
    let lines = lines(&sandbox);
    assert_eq!(count(&lines, &[request, task, r#""task": "mail.send_receipt""#, "task_started"]), 4, "four tries");
    assert_eq!(count(&lines, &[request, task, "task_failed", "SMTPServerDisconnected"]), 1);
    assert_eq!(count(&lines, &[request, "parent_task_id", "orders.price_order", "task_started"]), 1, "a child task");

    let planted = sandbox.traffic().fault("slow-queue").unwrap();
    let (request, task) = last(&planted);
    assert_eq!(count(&self::lines(&sandbox), &[request, task, "receipt_sent"]), 1);

    let planted = sandbox.traffic().fault("server-error").unwrap();
    let request = planted[0].request_id.as_deref().unwrap();
    assert_eq!(count(&self::lines(&sandbox), &[request, "request_failed", "DivisionByZero"]), 1);

    let ids: Vec<_> = sandbox.traffic().ordinary(10).unwrap().into_iter().map(|planted| planted.request_id.unwrap()).collect();
    let lines = self::lines(&sandbox);
    assert!(ids.iter().all(|id| count(&lines, &[id, "request_finished"]) == 1));
}

#[test]
fn the_other_profiles_link_less() {
    for (profile, both, request_ids) in [(Profile::B, 1, true), (Profile::C, 0, false), (Profile::D, 0, false)] {
        let sandbox = get().sandbox_local(profile);
        let planted = sandbox.traffic().fault("failing-task").unwrap();
        let (request, task) = last(&planted);
        let reserved = &planted[0].tasks[0].id;
        let lines = lines(&sandbox);
        assert_eq!(count(&lines, &[request, task]), both, "{profile}: lines that name both");
        assert_eq!(count(&lines, &[request, reserved]), 0, "{profile}: nothing names the other task's request");
        assert_eq!(count(&lines, &[request]) > 0, request_ids, "{profile}");
        assert!(count(&lines, &[task]) > 4, "{profile}");
    }
}

#[test]
fn leaks_are_in_the_log_and_figures_beside_them() {
    let sandbox = get().sandbox_local(Profile::A);
    sandbox.traffic().fault("leaky-log").unwrap();
    let faults: serde_json::Value = serde_json::from_slice(&fs::read(lab::sandbox::sources().join("faults.json")).unwrap()).unwrap();
    let lines = lines(&sandbox);
    for word in ["secrets", "not_secrets"].iter().flat_map(|list| faults[list].as_array().unwrap()) {
        assert!(count(&lines, &[word.as_str().unwrap()]) > 0, "{word}");
    }
    assert!(count(&lines, &["\u{1b}[31;1mCRM WARNING"]) > 0);
}

#[test]
fn the_application_may_not_touch_its_audit_log() {
    let sandbox = get().sandbox_local(Profile::A);
    let url = fs::read_to_string(sandbox.secret("backend-env", "DATABASE_URL")).unwrap();
    for change in ["DELETE FROM shop_auditentry", "UPDATE shop_auditentry SET who = ''", "TRUNCATE shop_auditentry"] {
        let output = Command::new("psql").args([&url, "-c", change]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("permission denied"), "{change}");
    }
}

#[test]
fn pods_have_the_faults_that_only_pods_can_have() {
    let cluster = get().cluster();
    let begun = Instant::now();
    let sandbox = PodSandbox::start(&cluster, Profile::A).unwrap();
    eprintln!("pods are up after {:?}", begun.elapsed());
    let kubectl = |words: &[&str]| sandbox.namespace.kubectl(words).unwrap_or_else(|failure| failure.to_string());

    let planted = sandbox.traffic().fault("failing-task").unwrap();
    let (request, task) = last(&planted);
    let mail: Vec<String> = kubectl(&["logs", "-l", "app=celery-mail", "--tail=-1"]).lines().map(str::to_owned).collect();
    assert_eq!(count(&mail, &[request, task, "task_started"]), 4);

    sandbox.traffic().fault("oom").unwrap();
    let state = "-ojsonpath={.items[0].status.containerStatuses[0].lastState.terminated}";
    eventually(Duration::from_secs(60), || {
        let state = kubectl(&["get", "pods", "-l", "app=celery-export", state]);
        if state.contains("OOMKilled") { Ok(()) } else { Err(format!("celery-export: {state}")) }
    });
    eventually(Duration::from_secs(60), || {
        let state = kubectl(&["get", "pods", "-l", "app=importer", state]);
        if state.contains(r#""exitCode":1"#) { Ok(()) } else { Err(format!("importer: {state}")) }
    });
    let importer = kubectl(&["get", "pods", "-l", "app=importer", "-ojsonpath={.items[0].metadata.name}"]);
    // Between two tries the kubelet may have deleted the log that it is asked for.
    eventually(Duration::from_secs(60), || {
        let log = kubectl(&["logs", "--previous", &importer]);
        if log.contains("decimal.InvalidOperation") { Ok(()) } else { Err(format!("importer said: {log}")) }
    });

    let pod = kubectl(&["get", "pods", "-l", "app=chatty", "-ojsonpath={.items[0].metadata.name}"]);
    let rotated = "0ddba11c-0000-4000-8000-000000000001";
    eventually(Duration::from_secs(90), || {
        let log = kubectl(&["logs", &pod]);
        if log.contains(rotated) { Err("the log has not rotated".to_owned()) } else { Ok(()) }
    });
    assert!(sandbox.namespace.node_log_files(&pod).len() > 1);
}
