//! `obsctl changes`: what changed in the environment, newest last.

use crate::{
    answer::{Answer, Finding, Hint, Provenance, Severity},
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    kubernetes::{
        changes::{self, Change},
        collect::Scope,
        history,
    },
    report::{Cell, Doc, Line, Look, Out, Report, Style, Table, Where},
    safe,
    session::Session,
    text::{Safe, units},
};
use jiff::Timestamp;
use serde::Serialize;

/// What changed lately: rollouts, scaling, configuration, restarts, evictions, nodes, jobs.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Of ConfigMaps and Secrets the names and times are read, nothing else, and only where you may list them.\n\nExit status: 0 shown, 2 usage, 3 nothing could be read, 130 interrupted."
)]
pub struct Args {
    /// Not older: a duration (1h, 2d), a time (RFC 3339) or a clock time (02:44)
    #[arg(long, value_name = "WHEN", default_value = "1h")]
    pub since: String,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

/// The changes of a time.
#[derive(Debug, Serialize)]
pub struct ChangeList {
    /// Since when.
    since: Timestamp,
    /// When it was looked.
    observed_at: Timestamp,
    /// Oldest first.
    changes: Vec<Change>,
}

impl Report for ChangeList {
    const KIND: &'static str = "changes";
    const VERSION: u32 = 1;
}

/// Runs the command.
///
/// # Errors
/// `Usage` for a time that is none; as `Cluster::list`, but for refusals.
pub async fn run(args: &Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let now = session.now();
    let since = units::parse_moment(&args.since, &now).ok_or_else(|| {
        Error::new(Kind::Usage, "reading --since")
            .what(safe!("{} is no time", Safe::name(&args.since)))
            .hint(Hint::Try("10m, 2h30m, 1d, 02:44, 2026-11-21T02:44:10Z".into()))
    })?;
    let cluster = session.cluster().await?;
    let scope = if args.all_namespaces { Scope::All } else { Scope::Namespace(cluster.namespace.clone()) };
    let stop = session.stop.token();
    let (objects, coverage) = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(Error::new(Kind::Cancelled, "looking for changes").what("stopped")),
        found = history::objects(&cluster, &scope) => found?,
    };
    let at = now.timestamp();
    let changes = changes::changes(&objects, since, at, &session.redact);
    let mut findings = Vec::new();
    if coverage.nothing_read() {
        findings.push(Finding::new("nothing-read", Severity::Unknown, "none of it may be listed".into()));
    }
    let sources: Vec<Provenance> = vec![cluster.provenance()];
    let answer = Answer { facts: ChangeList { since, observed_at: at, changes }, findings, coverage, sources };
    let place = session.at_cluster(&cluster, scope.shown());
    let outcome = session.stop.reason().unwrap_or(Outcome::Answered(answer.verdict()));
    let status = ExitStatus::of(&Ok(outcome), false);
    out.answer(&answer, &place, status, |look| screen(&answer, &place, look))?;
    Ok(status)
}

fn screen(answer: &Answer<ChangeList>, place: &Where, look: &Look) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    let shown = |t: Timestamp, form: &str| Safe::name(t.to_zoned(look.zone.clone()).strftime(form).to_string());
    let since = shown(facts.since, "%Y-%m-%d %H:%M:%S %Z");
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  since {}", since)));
    if facts.changes.is_empty() {
        let says = if answer.coverage.complete() { "nothing changed" } else { "nothing changed in what could be read" };
        doc.line(Line::plain(says));
    }
    // Within a day the clock is enough.
    let form = if facts.observed_at.duration_since(facts.since).as_hours() < 24 { "%H:%M:%S" } else { "%m-%d %H:%M" };
    let rows = facts.changes.iter().map(|change| {
        let style = if change.bad { Style::Bad } else { Style::Plain };
        vec![
            Cell::left(Style::Dim, shown(change.at, form)),
            Cell::left(Style::Plain, change.of.clone()),
            Cell::left(style, change.says.clone()),
        ]
    });
    doc.table(Table { head: Vec::new(), rows: rows.collect() });
    for missing in &answer.coverage.missing {
        let says = missing.why.says();
        doc.wrapped(Line::new().with(Style::Warn, safe!("not seen  {}  ", missing.part.name)).with(Style::Dim, says), 10);
    }
    doc
}
