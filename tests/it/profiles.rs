//! One seeded request in the real production on the real cluster, in each of the four log profiles: obsctl's answer against an independent
//! reading of the kubelet's files.

use crate::support::obsctl;
use lab::sandbox::{PodSandbox, Profile};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    sync::{Mutex, PoisonError},
};

/// A line as the container wrote it, with the runtime's time.
struct Written {
    at: String,
    text: String,
}

/// Every line of every pod, read from the kubelet's files: CRI lines, parts joined.
fn written(sandbox: &PodSandbox) -> Vec<Written> {
    let pods = sandbox.namespace.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"]).expect("the pods");
    let mut lines = Vec::new();
    // The crash-looping and the rotating pod never serve a request.
    for pod in pods.split_whitespace().filter(|p| p.starts_with("backend") || p.starts_with("celery")) {
        for log in sandbox.namespace.node_log_files(pod) {
            let text = String::from_utf8_lossy(&fs::read(&log.path).expect("a log of the kubelet")).into_owned();
            let mut part = String::new();
            for line in text.lines() {
                let mut words = line.splitn(4, ' ');
                let (at, _stream, tag) = (words.next().unwrap_or_default(), words.next(), words.next().unwrap_or_default());
                part.push_str(words.next().unwrap_or_default());
                if tag == "F" {
                    lines.push(Written { at: at.to_owned(), text: std::mem::take(&mut part) });
                }
            }
        }
    }
    lines.sort_by(|a, b| a.at.cmp(&b.at));
    lines
}

fn field<'a>(json: &'a Value, name: &str) -> Option<&'a str> {
    json.get(name).and_then(Value::as_str)
}

/// The lines of a request and of its tasks: from the request's own lines to the tasks that they name, until nothing is new.
fn belonging(lines: &[Written], request: &str) -> Vec<String> {
    let mut tasks: BTreeSet<String> = BTreeSet::new();
    loop {
        let mut known = tasks.clone();
        let mut found = Vec::new();
        for line in lines {
            let json: Value = serde_json::from_str(&line.text).unwrap_or(Value::Null);
            let named: Vec<&str> = ["task_id", "child_task_id"].iter().filter_map(|n| field(&json, n)).collect();
            let own = field(&json, "request_id") == Some(request);
            let of_task = named.iter().any(|id| tasks.contains(*id)) || tasks.iter().any(|id| line.text.contains(&format!("[{id}]")));
            if own {
                known.extend(named.iter().map(|id| (*id).to_owned()));
            }
            if own || of_task {
                found.push(line.text.clone());
            }
        }
        if known == tasks {
            return found;
        }
        tasks = known;
    }
}

/// One production at a time: two that start on two cores take longer than one after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn seeded(profile: Profile) -> (PodSandbox, String) {
    let sandbox = PodSandbox::start(&lab::get().cluster(), profile).expect("the production");
    let planted = sandbox.traffic().fault("failing-task").expect("the fault");
    let id = planted.last().and_then(|p| p.request_id.clone()).expect("a request ID");
    (sandbox, id)
}

fn ask(sandbox: &PodSandbox, id: &str) -> (i32, Value) {
    let kubeconfig = sandbox.namespace.cluster().kubeconfig().to_owned();
    let config = sandbox.config.display().to_string();
    let ran = obsctl(&kubeconfig, &format!("logs --config {config} -r {id} -o json --show-sensitive")).run();
    (ran.status, serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:#?}")))
}

fn whole(profile: Profile) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (sandbox, id) = seeded(profile);
    let (status, answer) = ask(&sandbox, &id);
    let expected = belonging(&written(&sandbox), &id);
    let shown: Vec<String> = answer["facts"]["attempts"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|a| a["events"].as_array().into_iter().flatten())
        .filter_map(|e| e["line"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(status, 0);
    assert!(expected.len() > 10, "{expected:#?}");
    assert_eq!(shown, expected, "profile {profile}");
    assert_eq!(answer["facts"]["attempts"][0]["outcome"], "failed");
}

fn without_ids(profile: Profile) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (sandbox, id) = seeded(profile);
    let (status, answer) = ask(&sandbox, &id);
    assert_eq!(status, 3, "{answer:#}");
    assert_eq!(answer["findings"][0]["code"], "no-request-id", "{answer:#}");
}

#[test]
fn profile_a_every_line_in_order() {
    whole(Profile::A);
}

#[test]
fn profile_b_every_line_in_order() {
    whole(Profile::B);
}

#[test]
fn profile_c_logs_no_request_id() {
    without_ids(Profile::C);
}

#[test]
fn profile_d_logs_no_request_id() {
    without_ids(Profile::D);
}
