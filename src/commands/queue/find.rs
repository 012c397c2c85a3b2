//! `obsctl queue find`: where one task is, or the tasks of one request.

use super::broker::Opened;
use crate::{
    answer::{Answer, Coverage, Hint, Part, Verdict},
    celery::{
        analyze::find::find as judge,
        collect::find::{FindQuestion, find},
        model::{FindFacts, FindFrom},
        view,
    },
    config::Results,
    connect::redis::WriteLeave,
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::{Line, Out, Style},
    safe,
    session::Session,
    text::{Safe, units},
};
use std::time::Duration;

/// Find a task, or the tasks of a request: waiting, delivered, running, or its result.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Looks in the order of a task's life: the queues, what is delivered, with --ask the workers, then the stored results.\n\nExamples:\n  obsctl queue find 7c1e02                 a task, by the beginning of its ID\n  obsctl queue find req-abc123 --ask       the tasks of a request, and where they run\n\nExit status: 0 found, 1 nowhere though all was searched, 2 usage or several tasks begin so, 3 not all could be searched."
)]
pub struct Args {
    /// The ID of a task or of a request; 6 or more characters of it are enough
    #[arg(value_name = "ID", value_parser = id)]
    pub id: String,
    /// Ask the workers themselves too, over Celery's control bus
    ///
    /// Writes two short-lived keys into the broker, as `celery inspect` does: a member of _kombu.binding.reply.celery.pidbox and a list
    /// obsctl-….reply.celery.pidbox, both taken away again.
    #[arg(long)]
    pub ask: bool,
    /// A worker that has not answered within this is called silent
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = super::workers::patience)]
    pub timeout: jiff::SignedDuration,
    /// Look at so many messages at most
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub max: u64,
    /// Go on where a search ended, as its answer says: QUEUE:PRIORITY:PLACE
    #[arg(long, value_name = "WHERE", value_parser = from)]
    pub from: Option<FindFrom>,
}

fn id(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() < 6 { Err("six or more characters of the ID".into()) } else { Ok(text.to_owned()) }
}

fn from(text: &str) -> Result<FindFrom, String> {
    FindFrom::parse(text).ok_or_else(|| "QUEUE:PRIORITY:PLACE, as in mail:0:500000".into())
}

/// Runs the command.
///
/// # Errors
/// The broker cannot be read, or several tasks begin so.
pub(super) async fn run(args: &Args, broker: &Opened, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let redact = session.redact.clone().keeping(args.id.as_bytes());
    let patience = Duration::try_from(args.timeout).unwrap_or_default();
    let question = FindQuestion {
        id: args.id.clone(),
        most: args.max,
        from: args.from.clone(),
        bus: args.ask.then(|| (WriteLeave::given_by("--ask"), patience)),
        queues: broker.transport.queues.clone(),
        results_here: !matches!(session.env.results, Some(Results::DjangoDb(_) | Results::At(_))),
    };
    let previews = out.previews();
    let mut said = 0;
    let mut progress = |looked: u64, all: u64| {
        if previews && looked >= said + 50_000 {
            said = looked;
            out.note(&Line::new().with(Style::Dim, safe!("── {} of {} waiting messages", units::count(looked), units::count(all))));
        }
    };
    let stop = session.stop.token();
    let facts = find(&broker.redis, &broker.keys, &question, &redact, &stop, &mut progress).await?;
    several(args, &facts)?;
    let findings = judge(&facts);
    let source = broker.redis.provenance().await;
    let searched = vec![Part { system: "redis", name: source.at.clone() }];
    let coverage = Coverage { searched, missing: Vec::new(), bytes: broker.redis.traffic().received() };
    let answer = Answer { facts, findings, coverage, sources: vec![source] };
    let verdict = if answer.facts.tasks.is_empty() { answer.verdict() } else { Verdict::Ok };
    let outcome = session.stop.reason().unwrap_or(Outcome::Answered(verdict));
    let status = ExitStatus::of(&Ok(outcome), false);
    out.answer(&answer, &broker.place, status, |look| view::find::find(&answer, &broker.place, look))?;
    Ok(status)
}

/// The beginning of several task IDs is a mistyped one. One request may well have several tasks.
fn several(args: &Args, facts: &FindFacts) -> Result<()> {
    let own: Vec<Safe> = facts.tasks.iter().filter(|task| !task.by_request).map(|task| task.id.clone()).collect();
    if own.len() < 2 || own.iter().any(|id| id.as_str() == args.id) {
        return Ok(());
    }
    let more = own.len().saturating_sub(10);
    let rest = if more > 0 { safe!(" and {} more", more) } else { Safe::EMPTY };
    let names: Vec<Safe> = own.into_iter().take(10).collect();
    Err(Error::new(Kind::Usage, safe!("looking for task {}", Safe::name(&args.id)))
        .what(safe!("{} tasks begin so", facts.tasks.iter().filter(|task| !task.by_request).count()))
        .hint(Hint::Try(safe!("give more of it: {}{}", Safe::join(&names, ", "), rest))))
}
