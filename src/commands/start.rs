//! `obsctl` alone: what to type first in this environment. And `obsctl version`. Reads the configuration and the kubeconfig; connects to
//! nothing.

use super::setup;
use crate::{
    answer::Hint,
    cli::Global,
    config::{self, Environment, Vars},
    connect::kube::Contexts,
    error::Result,
    exit::ExitStatus,
    report::{Cell, Doc, Line, Out, Style, Table, Where, out::hint_line},
    safe,
    text::Safe,
};
use serde::Serialize;

/// The version, of this build.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  obsctl version -o json")]
pub struct VersionArgs {}

/// What this build is.
#[derive(Clone, Debug, Serialize)]
pub struct Build {
    kind: &'static str,
    version: &'static str,
    /// The commit, where it was built from one that was named: OBSCTL_COMMIT.
    commit: Option<&'static str>,
    os: &'static str,
    arch: &'static str,
}

const BUILD: Build = Build {
    kind: "version",
    version: env!("CARGO_PKG_VERSION"),
    commit: option_env!("OBSCTL_COMMIT"),
    os: std::env::consts::OS,
    arch: std::env::consts::ARCH,
};

/// Prints the version.
///
/// # Errors
/// stdout cannot be written.
pub fn version(_: &VersionArgs, global: &Global, out: &mut Out) -> Result<ExitStatus> {
    if global.output == crate::cli::Output::Human {
        let commit = BUILD.commit.map(|commit| safe!(" ({})", Safe::from(commit))).unwrap_or_default();
        out.line(&Line::plain(safe!("{} {}{}", Safe::from("obsctl"), Safe::from(BUILD.version), commit)))?;
    } else {
        out.object(&BUILD)?;
    }
    out.flush().map(|()| ExitStatus::Good)
}

/// Says where this is, and what may be asked here.
///
/// # Errors
/// stdout cannot be written.
pub fn run(global: &Global, vars: Vars, out: &mut Out) -> Result<ExitStatus> {
    let mut doc = Doc::default();
    doc.line(
        Line::new()
            .with(Style::Strong, safe!("{} {}", Safe::from("obsctl"), Safe::from(BUILD.version)))
            .with(Style::Dim, "  from a request ID to the cause; it reads, it changes nothing"),
    );
    match setup::inputs(global, vars.clone()).and_then(|inputs| config::load(&inputs)) {
        Ok(env) => known(&mut doc, &env, global, &vars),
        Err(error) => {
            doc.wrapped(Line::new().with(Style::Warn, error.says()), 2);
            for hint in error.hints() {
                doc.wrapped(Line::new().with(Style::Plain, safe!("  {}", hint_line(hint))), 9);
            }
            doc.gap();
            doc.line(Line::plain("Every command: obsctl --help"));
        }
    }
    out.doc(&doc)?;
    out.flush().map(|()| ExitStatus::Good)
}

fn known(doc: &mut Doc, env: &Environment, global: &Global, vars: &Vars) {
    let ask = env.kube.as_ref().map(|target| setup::kube_ask(global, Some(target), vars));
    let contexts = ask.as_ref().map(Contexts::read).unwrap_or_default();
    let context = ask.as_ref().and_then(|ask| ask.context.clone()).or(contexts.current);
    let namespace = ask.as_ref().and_then(|ask| ask.namespace.clone());
    let files = env.apps.values().any(|app| !app.files.is_empty());
    let place = Where {
        environment: env.name.clone(),
        context: context.as_ref().map(Safe::name),
        namespace: namespace.map(Safe::name),
        ..Where::default()
    };
    if place.environment.is_some() || place.context.is_some() {
        doc.line(Line::plain(place.line()));
    }
    let cluster = context.is_some();
    doc.gap();
    if !cluster && !files && env.broker.is_none() && env.postgres.is_empty() {
        doc.line(Line::plain("No cluster is configured here, and no file names an environment. What works at once:"));
        table(
            doc,
            &[
                ("logs in files and pipes", "obsctl logs FILE"),
                ("a plan that was saved", "obsctl explain --plan plan.json"),
                ("one URL", "obsctl health https://shop.example/api/health/"),
            ],
        );
        doc.line(Line::plain(hint_line(&Hint::Set("KUBECONFIG, or write an obsctl.yaml: obsctl config schema".into()))));
        return;
    }
    let mut rows: Vec<(&'static str, &'static str)> = Vec::new();
    if cluster || files {
        rows.extend([("one request, by its ID", "obsctl logs --request-id REQUEST-ID"), ("the latest lines", "obsctl logs")]);
    }
    if cluster || env.broker.is_some() {
        rows.extend([("queues: is work stuck", "obsctl queue depth"), ("where is a task", "obsctl queue find TASK-ID")]);
    }
    if cluster || !env.postgres.is_empty() {
        rows.extend([("a slow database", "obsctl explain --slowest"), ("who blocks whom", "obsctl db locks")]);
    }
    if cluster || env.apps.values().any(|app| !app.urls.is_empty()) {
        rows.push(("is it up, on every pod", "obsctl health"));
    }
    if cluster {
        rows.push(("what was changed", "obsctl changes"));
    }
    rows.push(("can obsctl see it all", "obsctl doctor"));
    table(doc, &rows);
    doc.line(Line::new().with(Style::Dim, "Every command: obsctl --help; one of them: obsctl logs --help"));
}

fn table(doc: &mut Doc, rows: &[(&'static str, &'static str)]) {
    let row = |(what, command): &(&'static str, &'static str)| vec![Cell::left(Style::Dim, *what), Cell::left(Style::Plain, *command)];
    doc.table(Table { head: Vec::new(), rows: rows.iter().map(row).collect() });
}
