//! `obsctl queue workers`: the workers of the broker, joined with their pods.

use super::broker::Opened;
use crate::{
    answer::{Answer, Coverage, Part},
    celery::{
        analyze::workers::{WorkersAround, workers},
        collect::workers::{WorkersQuestion, workers as look},
        view,
    },
    connect::redis::WriteLeave,
    error::Result,
    exit::{ExitStatus, Outcome},
    report::Out,
    session::Session,
    text::units,
};
use jiff::SignedDuration;
use std::time::Duration;

/// Show the workers: what they do, and whether one is dead, silent, saturated or hoarding.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Without --ask nothing is written: obsctl listens to heartbeats, and can only say who was heard.\n\nExamples:\n  obsctl queue workers                  who is heard within 3 s\n  obsctl queue workers --ask            who answers: certain, in milliseconds\n  obsctl queue workers --ask --tasks    and which tasks a dead worker holds\n\nExit status: 0 shown, 1 a worker is dead or nobody consumes a queue, 2 usage, 3 could not tell, 130 interrupted."
)]
pub struct Args {
    /// Ask the workers themselves, over Celery's control bus
    ///
    /// Writes two short-lived keys into the broker, as `celery inspect` does: a member of _kombu.binding.reply.celery.pidbox and a list
    /// obsctl-….reply.celery.pidbox, both taken away again.
    #[arg(long)]
    pub ask: bool,
    /// Also ask for the tasks that they hold and have not begun
    #[arg(long, requires = "ask")]
    pub tasks: bool,
    /// A worker that has not answered within this is called silent
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = patience)]
    pub timeout: SignedDuration,
    /// How long heartbeats are listened to; workers beat every 2 s
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = patience)]
    pub wait: SignedDuration,
}

pub(super) fn patience(text: &str) -> Result<SignedDuration, String> {
    let most = SignedDuration::from_mins(10);
    units::parse_duration(text).filter(|d| d.is_positive() && *d <= most).ok_or_else(|| "a duration up to 10m, as in 3s".into())
}

/// Runs the command.
///
/// # Errors
/// The broker cannot be read.
pub(super) async fn run(args: &Args, broker: &Opened, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let long = |d: SignedDuration| Duration::try_from(d).unwrap_or_default();
    let question = WorkersQuestion {
        listen: long(args.wait),
        bus: args.ask.then(|| (WriteLeave::given_by("--ask"), long(args.timeout), args.tasks)),
        queues: broker.transport.queues.clone(),
    };
    let stop = session.stop.token();
    let mut coverage = Coverage::default();
    // Only where slots are counted does the room of the database matter.
    let room = async { if args.ask { super::database::room(session).await } else { None } };
    let (seen, pods, database) = tokio::join!(look(&broker.redis, &broker.keys, &question, &stop), super::pods::of(session), room);
    let seen = seen?;
    let mut sources = vec![broker.redis.provenance().await];
    coverage.searched.push(Part { system: "redis", name: sources[0].at.clone() });
    coverage.bytes = broker.redis.traffic().received();
    let pods = match pods {
        Some(Ok((pods, source))) => {
            coverage.searched.push(Part { system: "kubernetes", name: source.at.clone() });
            sources.push(source);
            Some(pods)
        }
        Some(Err(missing)) => {
            coverage.miss(missing);
            None
        }
        None => None,
    };
    let (facts, findings) = workers(&seen, &broker.keys, WorkersAround { pods, database });
    let answer = Answer { facts, findings, coverage, sources };
    let outcome = session.stop.reason().unwrap_or_else(|| Outcome::Answered(answer.verdict()));
    let status = ExitStatus::of(&Ok(outcome), false);
    out.answer(&answer, &broker.place, status, |look| view::workers::workers(&answer, &broker.place, look))?;
    Ok(status)
}
