//! The commands of an incident, in words.

use super::Args;
use crate::{
    cli::Global,
    config::{App, Environment},
    safe,
    text::Safe,
};
use std::path::PathBuf;

/// What is run, the most telling first; and what makes no sense in this environment, with the reason.
pub(super) fn commands(args: &Args, env: &Environment) -> (Vec<Vec<String>>, Vec<Safe>) {
    let since = format!("{}s", args.since.as_secs());
    let (mut run, mut left_out) = (Vec::new(), Vec::new());
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    // In a cluster everything may be discovered.
    let cluster = env.kube.is_some();
    let logs = cluster || env.apps.values().any(App::logs_here);
    let (no_logs, no_cluster) = ("no app has logs here", "no Kubernetes here");
    if let Some(id) = &args.request_id {
        match logs {
            true => run.push(vec!["logs".to_owned(), "--request-id".to_owned(), id.clone()]),
            false => left_out.push(safe!("logs --request-id: {}", no_logs)),
        }
    }
    let mut part = |has: bool, text: &str, missing: &'static str| match has {
        true => run.push(words(text)),
        false => left_out.push(safe!("{}: {}", Safe::name(text), missing)),
    };
    part(true, "check", "");
    part(cluster, &format!("changes --since {since}"), no_cluster);
    part(logs, &format!("errors --since {since}"), no_logs);
    for text in ["queue depth", "queue workers"] {
        part(cluster || env.broker.is_some(), text, "no broker here");
    }
    for text in ["db activity", "db locks", "db slow"] {
        part(cluster || !env.postgres.is_empty(), text, "no database here");
    }
    part(cluster || env.apps.values().any(|app| !app.urls.is_empty()), "health", "no app has a URL here");
    (run, left_out)
}

/// The flag by which a command that knows warnings says so with its status.
pub(super) fn warning(words: &[String]) -> Option<&'static str> {
    let is = |command: &str| words.iter().take(2).map(String::as_str).eq(command.split(' '));
    ["check", "queue depth", "health"].into_iter().any(is).then_some("--fail-on=warn")
}

/// The flags that say where. `--show-sensitive` is not among them: the file goes to others.
pub(super) fn global(global: &Global) -> Vec<String> {
    let mut words = Vec::new();
    let mut flag = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    flag("--env", global.env.clone());
    flag("--config", path(&global.config));
    flag("--context", global.context.clone());
    flag("--namespace", global.namespace.clone());
    flag("--kubeconfig", path(&global.kubeconfig));
    words.extend(global.local.then(|| "--local".to_owned()));
    words
}
