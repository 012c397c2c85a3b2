//! The first file of somebody's own: what a run of the built-in runbook saw, written as checks, with the reason of every threshold. Pure.

use super::{
    builtin::Estate,
    model::{CheckFacts, CheckStatus},
};
use crate::{
    config::QueueThresholds,
    safe,
    text::{Safe, SafeBuf, units},
};
use std::collections::BTreeSet;

/// So many queues, workloads and URLs are written.
const LISTED: usize = 30;

/// What there is to write of.
pub struct FirstFile<'a> {
    /// What the environment has.
    pub has: &'a Estate,
    /// Its name.
    pub environment: Option<&'a Safe>,
    /// What the built-in runbook saw.
    pub facts: &'a CheckFacts,
    /// When a queue is called bad here.
    pub thresholds: &'a QueueThresholds,
    /// The apps that have logs.
    pub apps: &'a [String],
    /// The apps that have a public URL, with it.
    pub urls: &'a [String],
}

struct Page(SafeBuf);

impl Page {
    fn line(&mut self, text: impl Into<Safe>) {
        self.0.push(&text.into());
        self.0.end_line();
    }
    fn lines(&mut self, all: &[&'static str]) {
        all.iter().for_each(|line| self.line(*line));
    }
}

/// The file.
pub fn first_file(of: &FirstFile<'_>) -> Safe {
    let mut page = Page(SafeBuf::new());
    let name = of.environment.map(|name| safe!(" of {}", *name)).unwrap_or_default();
    page.line(safe!("# Checks{}, as obsctl check init found it. The form: obsctl check schema. Run: obsctl check checks.yaml", name));
    page.lines(&[
        "# A check without warn, fail or want has the verdict of obsctl's own command for it, with its thresholds.",
        "# `needs` names checks without which one says nothing: what fails with them is one line, not ten.",
        "checks:",
    ]);
    cluster(of, &mut page);
    broker(of, &mut page);
    databases(of, &mut page);
    endpoints(of, &mut page);
    logs(of, &mut page);
    page.0.into_safe()
}

/// Different subjects of a figure of a check of the runbook, in order.
fn subjects(of: &FirstFile<'_>, check: &str, figure: &str) -> Vec<Safe> {
    let found = of.facts.checks.iter().filter(|c| c.name.as_str() == check).flat_map(|c| &c.figures);
    let names: BTreeSet<&Safe> = found.filter(|f| f.name.as_str() == figure && !f.of.is_empty()).map(|f| &f.of).collect();
    names.into_iter().take(LISTED).cloned().collect()
}

/// Text as YAML takes it whatever it holds.
fn quoted(text: &str) -> Safe {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && text.starts_with(|c: char| c.is_ascii_alphabetic());
    // A `${` would be a variable.
    let inner = Safe::name(text.replace('\'', "''").replace("${", "$${"));
    if plain { Safe::name(text) } else { safe!("'{}'", inner) }
}

fn cluster(of: &FirstFile<'_>, page: &mut Page) {
    if !of.has.cluster {
        return;
    }
    page.lines(&["", "  # Pods. A rollout under way is no news; one that is stuck is."]);
    for workload in subjects(of, "pods", "ready") {
        let name = quoted(&workload);
        page.line(safe!("  - {{name: {}, kubernetes: {}, route: page, tags: [pods]}}", quoted(&format!("pods {workload}")), name));
    }
    page.lines(&[
        "  # Three restarts of one pod in half an hour are no accident; one kill at the memory limit is one too many.",
        "  - {name: restarts, kubernetes: all, since: 30m, fail: [restarts >= 3, oom > 0], route: page, tags: [pods]}",
        "  # For a deploy: every pod runs what was meant to be deployed. Take the # away, and run with TAG=… in the environment.",
        "  # - {name: release, kubernetes: backend, want: 'version == ${TAG}', tags: [deploy]}",
    ]);
}

fn broker(of: &FirstFile<'_>, page: &mut Page) {
    if !of.has.broker || of.facts.checks.iter().any(|c| c.name.as_str() == "redis" && c.status == CheckStatus::Unknown) {
        return;
    }
    let t = of.thresholds;
    page.lines(&[
        "",
        "  # Celery. Redis first: whatever else is wrong with queues, it comes from there.",
        "  - {name: redis, redis: true, route: page, tags: [celery]}",
    ]);
    page.lines(&[
        "  - {name: workers, workers: true, needs: redis, route: page, tags: [celery]}",
        "  # When beat is dead every queue is empty, and looks well.",
        "  - {name: beat, beat: true, needs: redis, on_no_data: ok, route: page, tags: [celery]}",
    ]);
    page.line(safe!(
        "  # A task may wait {} before somebody looks, and {} before somebody is called: those of obsctl queue depth.",
        units::duration(t.oldest_warning),
        units::duration(t.oldest_failed)
    ));
    for queue in subjects(of, "queues", "waiting") {
        let (warn, fail) = (short(t.oldest_warning), short(t.oldest_failed));
        let named = quoted(&format!("queue {queue}"));
        page.line(safe!(
            "  - {{name: {}, queue: {}, warn: oldest > {}, fail: oldest > {}, needs: [redis, workers], on_no_data: ok, tags: [celery]}}",
            named,
            quoted(&queue),
            warn,
            fail
        ));
    }
}

/// A duration as a file reads it.
fn short(d: jiff::SignedDuration) -> Safe {
    let s = d.as_secs();
    if s > 0 && s % 60 == 0 { safe!("{}m", s / 60) } else { safe!("{}s", s) }
}

fn databases(of: &FirstFile<'_>, page: &mut Page) {
    if of.has.databases.is_empty() {
        return;
    }
    page.lines(&["", "  # PostgreSQL. Of its connections 90 % may be in use, as check_postgres has it; a transaction of five minutes keeps its locks for as long."]);
    for database in &of.has.databases {
        let name = |what: &str| quoted(&if database == "main" { what.to_owned() } else { format!("{database} {what}") });
        let asked = quoted(database);
        page.line(safe!("  - {{name: {}, postgres: {}, want: reachable == yes, route: page, tags: [database]}}", name("postgres"), asked));
        let sessions = if database == "main" { "sessions".to_owned() } else { format!("{database} sessions") };
        let unseen = of.facts.checks.iter().find(|c| c.name.as_str() == sessions).and_then(|c| c.note.clone());
        let transaction = |length: &'static str| if unseen.is_some() { Safe::EMPTY } else { safe!(", longest_transaction > {}", length) };
        if let Some(why) = &unseen {
            page.line(safe!(
                "  # Of its transactions not all can be seen: {}. GRANT pg_monitor to that role, and add longest_transaction > 5m.",
                *why
            ));
        }
        page.line(safe!(
            "  - {{name: {}, postgres: {}, warn: [connections > 90%{}], fail: [connections > 95%{}], needs: {}, tags: [database]}}",
            name("sessions"),
            asked,
            transaction("1m"),
            transaction("5m"),
            name("postgres")
        ));
        page.line(safe!("  # Nobody waits for a lock for long where nothing is wrong; a moment is ordinary, so it has to last."));
        page.line(safe!(
            "  - {{name: {}, postgres: {}, fail: blocked > 0, for: 1m, needs: {}, tags: [database]}}",
            name("blocked"),
            asked,
            name("postgres")
        ));
    }
}

fn endpoints(of: &FirstFile<'_>, page: &mut Page) {
    if !of.has.endpoints {
        return;
    }
    page.lines(&[
        "",
        "  # What the application says of itself, on every pod and through the balancer.",
        "  - {name: health, health: all, route: page, tags: [web]}",
    ]);
    for url in of.urls.iter().take(LISTED) {
        let named = quoted(&format!("url {url}"));
        page.line(safe!("  - {{name: {}, http: {}, want: status < 500, fail: time > 5s, tags: [web]}}", named, quoted(url)));
        if let Some(host) = url.strip_prefix("https://").map(|rest| rest.split('/').next().unwrap_or(rest)) {
            let address = if host.contains(':') { host.to_owned() } else { format!("{host}:443") };
            page.line(safe!("  # Time enough to renew it in working hours."));
            page.line(safe!(
                "  - {{name: {}, tls: {}, warn: certificate < 14d, fail: certificate < 3d, tags: [web]}}",
                quoted(&format!("certificate {host}")),
                quoted(&address)
            ));
        }
    }
}

fn logs(of: &FirstFile<'_>, page: &mut Page) {
    if !of.has.logs {
        return;
    }
    page.lines(&[
        "",
        "  # Errors: one in ten seconds is more than anybody would call ordinary. Look at `rate` with --explain, and lower it.",
    ]);
    if of.apps.is_empty() {
        page.line("  - {name: errors, logs: all, level: error, since: 10m, fail: rate > 6/m, tags: [logs]}");
    }
    for app in of.apps.iter().take(LISTED) {
        page.line(safe!(
            "  - {{name: {}, logs: {}, level: error, since: 10m, fail: rate > 6/m, on_no_data: ok, tags: [logs]}}",
            quoted(&format!("errors {app}")),
            quoted(app)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::{
            builtin::runbook,
            evaluate::evaluate,
            file,
            history::CheckHistory,
            kinds::{Glance, Sighting},
            model::Figure,
        },
        config::Vars,
    };
    use std::path::{Path, PathBuf};

    #[test]
    fn what_is_written_is_read_again() {
        let has = Estate { cluster: true, broker: true, databases: vec!["main".into(), "replica".into()], endpoints: true, logs: true };
        let mut seen = Sighting::default();
        for queue in ["mail", "it's: odd, ${X}"] {
            seen.figures.push(Figure::count("waiting", Safe::name(queue), 0));
        }
        seen.figures.push(Figure::number("ready", "backend", crate::checks::model::Unit::Share, 1.0));
        let glance: Glance = Ok(seen);
        let specs = runbook(&has);
        let checks: Vec<_> = specs.into_iter().map(|s| (s, &glance)).collect();
        let facts = evaluate(&checks, &mut CheckHistory::default(), jiff::Timestamp::UNIX_EPOCH);
        let of = FirstFile {
            has: &has,
            environment: None,
            facts: &facts,
            thresholds: &QueueThresholds::default(),
            apps: &["backend".into()],
            urls: &["https://app.example.org/api/".into()],
        };
        let text = first_file(&of);
        let read = |_: &Path| Ok(text.as_bytes().to_vec());
        let read_again = file::load(&[PathBuf::from("checks.yaml")], &Vars::of([("X", "x")]), &read);
        let specs = read_again.unwrap_or_else(|e| panic!("{e} {:?}\n{text}", e.hints()));
        let names: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
        for name in
            ["pods backend", "queue mail", "queue it's: odd, ${X}", "replica blocked", "certificate app.example.org", "errors backend"]
        {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
    }
}
