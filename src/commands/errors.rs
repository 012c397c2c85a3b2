//! `obsctl errors`: which errors there are, how often, where, since when, and whether a rollout brought them.

use super::logs;
use crate::{
    answer::{Answer, Coverage, Finding, Severity},
    error::Result,
    exit::{ExitStatus, Outcome},
    kubernetes::{collect::Scope, history, rollout::RolloutState},
    logs::{
        analyze::errors::{ErrorFacts, ErrorTally, wanted},
        read::Reading,
        survey::survey,
        view,
    },
    report::{Line, Out, Style},
    safe,
    session::Session,
    text::units,
};
use jiff::{SignedDuration, tz::TimeZone};
use std::sync::Arc;

/// Pods without `--since`: the last hour.
const DEFAULT_SINCE: SignedDuration = SignedDuration::from_hours(1);

/// Tracebacks and error records by cause: how often, on which pods and releases, since when; new since which rollout.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(
    after_help = "Two tracebacks are of one kind when the exception that they began with and the application's innermost call are the same;\nwithout a traceback the message counts, without its numbers and IDs.\n\nExamples:\n  obsctl errors                            the last hour of every app\n  obsctl errors backend --since 02:00      one app, since two o'clock\n  obsctl errors 'logs/*.log'               the same without a cluster\n\nExit status: 0 shown, errors or none; 2 usage, 3 nothing could be read, 130 interrupted."
)]
pub struct Args {
    /// As for logs: an app, KIND/NAME, a bare name, a file, a glob, or - for stdin
    #[arg(value_name = "TARGET", add = clap_complete::ArgValueCandidates::new(crate::commands::complete::targets))]
    pub targets: Vec<String>,
    /// Pods with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// Only this container
    #[arg(short = 'c', long, value_name = "NAME")]
    pub container: Option<String>,
    /// Not older: a duration (10m, 2h), a time (RFC 3339) or a clock time (02:44); of pods 1h when it is not said, of files everything
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Not newer: as --since
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// The containers that ran before these
    #[arg(short = 'p', long)]
    pub previous: bool,
    /// Only errors whose lines match this regular expression (repeat: any of them)
    #[arg(short = 'i', long, value_name = "REGEX")]
    pub include: Vec<String>,
    /// No errors whose lines match this regular expression
    #[arg(short = 'x', long, value_name = "REGEX")]
    pub exclude: Vec<String>,
    /// Only records whose field has this value (repeat: all of them)
    #[arg(long, value_name = "KEY=VALUE")]
    pub field: Vec<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// So many kinds are shown (0: all); -o json has all of them
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
    /// One traceback of each kind in full
    #[arg(long)]
    pub tracebacks: bool,
    /// Exit 3 when not everything could be read
    #[arg(long)]
    pub strict: bool,
    /// The most to read from a cluster (files are read whole)
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = logs::bytes)]
    pub max_bytes: u64,
}

/// Runs the command.
///
/// # Errors
/// A target, flag or connection that makes the whole question unanswerable; what only part of it could not see is coverage.
pub async fn run(args: Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let now = session.now();
    let asked = as_logs(&args);
    let (sources, place) = logs::sources(&asked, session).await?;
    let fields = logs::id_fields(session);
    let mut query = logs::query(&asked, &now, &fields, place.files.is_some())?;
    if place.files.is_none() && query.since.is_none() && query.until.is_none() && !args.previous {
        query.since = now.timestamp().checked_sub(DEFAULT_SINCE).ok();
    }
    query.want.insert(0, wanted());
    for warning in &session.env.warnings {
        out.note(&Line::plain(safe!("warning: {}", warning)));
    }
    let since = query.since;
    let zone = session.env.timezone.clone().unwrap_or(TimeZone::UTC);
    let cancel = session.stop.token();
    let reading = Reading { query: Arc::new(query), id_fields: fields.clone(), max_bytes: args.max_bytes, cancel };
    let mut tally = ErrorTally::new(session.redact.clone(), fields, now.timestamp()).of_files(&args.targets);
    let outcome = survey(&sources, &reading, zone, &mut tally).await?;
    outcome.notes.iter().for_each(|note| out.note(&Line::new().with(Style::Dim, safe!("── {}", note))));
    let rollouts = if place.files.is_none() { rollouts(session, &args, out).await? } else { Vec::new() };
    let facts = tally.finish(since, &outcome.read.seen, &rollouts);
    let coverage = outcome.read.coverage;
    let sources = if place.files.is_none() { vec![session.cluster().await?.provenance()] } else { Vec::new() };
    let answer = Answer { findings: findings(&facts, &coverage, args.strict), facts, coverage, sources };
    let outcome = session.stop.reason().unwrap_or(Outcome::Answered(answer.verdict()));
    let status = ExitStatus::of(&Ok(outcome), false);
    let style = view::ErrorStyle { limit: (args.limit > 0).then_some(args.limit), tracebacks: args.tracebacks };
    out.answer(&answer, &place, status, |look| view::errors(&answer, &place, look, style))?;
    Ok(status)
}

fn as_logs(args: &Args) -> logs::Args {
    let args = args.clone();
    logs::Args {
        targets: args.targets,
        selector: args.selector,
        container: args.container,
        since: args.since,
        until: args.until,
        previous: args.previous,
        include: args.include,
        exclude: args.exclude,
        field: args.field,
        all_namespaces: args.all_namespaces,
        // Every record counts, not the newest of each container.
        tail: Some(-1),
        ..logs::Args::default()
    }
}

/// What was rolled out; where that may not be seen, nothing is said about it.
async fn rollouts(session: &Session, args: &Args, out: &mut Out) -> Result<Vec<RolloutState>> {
    let cluster = session.cluster().await?;
    let scope = if args.all_namespaces { Scope::All } else { Scope::Namespace(cluster.namespace.clone()) };
    let stop = session.stop.token();
    let found = tokio::select! {
        found = history::rollouts(&cluster, &scope, session.now().timestamp(), &session.redact) => found,
        () = stop.cancelled() => return Ok(Vec::new()),
    };
    match found {
        Ok((rollouts, coverage)) => {
            if !coverage.complete() {
                out.note(&Line::new().with(Style::Dim, "── the rollouts may not be listed: what is new since one cannot be told"));
            }
            Ok(rollouts)
        }
        // The logs were read: that the rollouts could not be is no reason to throw the answer away.
        Err(error) => {
            out.note(&Line::new().with(Style::Dim, safe!("── what is new since a rollout cannot be told: {}", error.says())));
            Ok(Vec::new())
        }
    }
}

fn findings(facts: &ErrorFacts, coverage: &Coverage, strict: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if coverage.nothing_read() || coverage.capped() || (strict && !coverage.complete()) {
        let says = if coverage.nothing_read() { "no log could be read" } else { "not everything could be read: there may be more errors" };
        findings.push(Finding::new("not-all-read", Severity::Unknown, says.into()));
    }
    findings.extend(facts.brought_findings());
    if facts.ahead > 0 {
        let says = safe!("{} errors carry a time that is yet to come: a clock is wrong", units::count(facts.ahead));
        findings.push(Finding::new("clock-ahead", Severity::Info, says));
    }
    findings
}
