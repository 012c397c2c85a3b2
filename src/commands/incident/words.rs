//! The commands of an incident, in words.

use super::Args;
use crate::cli::Global;
use std::path::PathBuf;

/// What is run, the most telling first.
pub(super) fn commands(args: &Args) -> Vec<Vec<String>> {
    let since = format!("{}s", args.since.as_secs());
    let mut all: Vec<Vec<String>> = Vec::new();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    if let Some(id) = &args.request_id {
        all.push(vec!["logs".to_owned(), "--request-id".to_owned(), id.clone()]);
    }
    all.push(words("check"));
    all.push(words(&format!("changes --since {since}")));
    all.push(words(&format!("errors --since {since}")));
    all.extend(["queue depth", "queue workers", "db activity", "db locks", "db slow", "health"].map(words));
    all
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
