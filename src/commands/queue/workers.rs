//! `obsctl queue workers`: the workers of the broker, joined with their pods.

use super::broker::Opened;
use crate::{
    answer::{Answer, Coverage, Missing, Part, Provenance, Why},
    celery::{
        analyze::workers::{WorkersAround, workers},
        collect::workers::{WorkersQuestion, workers as look},
        model::{PodEnd, PodSeen},
        view,
    },
    connect::redis::WriteLeave,
    error::Result,
    exit::{ExitStatus, Outcome},
    kubernetes::{
        collect::{Scope, pods},
        model::{Container, Pod, Role, State},
    },
    report::Out,
    session::Session,
    text::{Safe, units},
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
    let (seen, pods, database) = tokio::join!(look(&broker.redis, &broker.keys, &question, &stop), pods_of(session), room);
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

/// The pods of the namespace; none where the environment has no cluster, or nobody said that this broker belongs to it.
async fn pods_of(session: &Session) -> Option<Result<(Vec<PodSeen>, Provenance), Missing>> {
    session.env.name.as_ref()?;
    session.env.kube.as_ref()?;
    let found = async {
        let cluster = session.cluster().await?;
        let found = pods(&cluster, &Scope::Namespace(cluster.namespace.clone()), None).await?;
        Ok::<_, crate::error::Error>((found.iter().map(observed).collect(), cluster.provenance()))
    };
    Some(found.await.map_err(|error| Missing {
        part: Part { system: "kubernetes", name: "the pods of the workers".into() },
        why: Why::Unreachable(error.says()),
        hint: error.hints().first().cloned(),
    }))
}

/// What matters of a pod to its worker.
fn observed(pod: &Pod) -> PodSeen {
    let apps = || pod.containers.iter().filter(|c| c.role == Role::App);
    let end = |container: &Container| {
        let end = match &container.state {
            State::Terminated(end) => Some(end),
            _ => container.before.as_ref(),
        }?;
        Some(PodEnd { reason: end.reason.clone().unwrap_or_else(|| "ended".into()), at: end.at })
    };
    PodSeen {
        name: Safe::name(&pod.name),
        namespace: Safe::name(&pod.namespace),
        running: apps().all(|c| matches!(c.state, State::Running(_))),
        reason: pod.reason.clone().or_else(|| apps().find_map(|c| c.waits_for().cloned())),
        restarts: apps().map(|c| c.restarts).max().unwrap_or_default(),
        last_end: apps().filter_map(end).max_by_key(|end| end.at),
        deleting: pod.deleting,
    }
}
