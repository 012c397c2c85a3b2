//! `obsctl queue peek`: what runs next in a queue, and what it is made of.

use super::broker::Opened;
use crate::{
    answer::{Answer, Coverage, Hint, Part},
    celery::{
        analyze::peek::peek as judge,
        collect::peek::{Peeked, peek},
        view,
    },
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::Out,
    safe,
    session::Session,
    text::Safe,
};

/// Show what runs next in a queue, and what it is made of.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Reads a few hundred kilobytes, whatever the messages weigh; arguments are Celery's own short representations, redacted.\nPickle is never decoded.\n\nExamples:\n  obsctl queue peek mail\n  obsctl queue peek celery --limit 100 -v      whole IDs and arguments\n\nExit status: 0 shown, 2 no such queue, 3 could not be read, 130 interrupted."
)]
pub struct Args {
    /// The queue
    #[arg(value_name = "QUEUE")]
    pub queue: String,
    /// So many tasks
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub limit: u64,
}

/// Runs the command.
///
/// # Errors
/// The broker cannot be read, or has no queue of that name.
pub(super) async fn run(args: &Args, broker: &Opened, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let declared = broker.transport.queues.contains(&args.queue);
    let looking = peek(&broker.redis, &broker.keys, &args.queue, args.limit, declared, &session.redact);
    let stop = session.stop.token();
    let peeked = tokio::select! {
        peeked = looking => peeked?,
        () = stop.cancelled() => return Err(Error::new(Kind::Cancelled, "looking at a queue").what("stopped")),
    };
    let facts = match peeked {
        Peeked::Queue(facts) => *facts,
        Peeked::Unknown { there_are } => return Err(unknown(args, broker, &there_are).await),
    };
    let findings = judge(&facts);
    let source = broker.redis.provenance().await;
    let searched = vec![Part { system: "redis", name: source.at.clone() }];
    let coverage = Coverage { searched, missing: Vec::new(), bytes: broker.redis.traffic().received() };
    let answer = Answer { facts, findings, coverage, sources: vec![source] };
    let status = ExitStatus::of(&Ok(Outcome::Answered(answer.verdict())), false);
    out.answer(&answer, &broker.place, status, |look| view::peek::peek(&answer, &broker.place, look))?;
    Ok(status)
}

/// Nothing of that name is known: what there is instead.
async fn unknown(args: &Args, broker: &Opened, there_are: &[Safe]) -> Error {
    let error = Error::new(Kind::NotFound, safe!("looking at queue {}", Safe::name(&args.queue)))
        .to(broker.redis.provenance().await)
        .what("nothing of that name waits, and no worker or publisher ever declared it");
    if there_are.is_empty() {
        error.hint(Hint::Try("no queue is declared in this database: compare broker.url and broker.key_prefix with the workers'".into()))
    } else {
        error.hint(Hint::Try(safe!("there are: {}", Safe::join(there_are, ", "))))
    }
}
