//! `obsctl queue`: the noun. Opens the broker once, for whichever verb.

mod broker;
mod database;
mod depth;
mod find;
mod looks;
mod observe;
mod peek;
mod pods;
mod results;
mod workers;

pub(super) use observe::observe;

use crate::{error::Result, exit::ExitStatus, report::Out, session::Session};
use clap::Subcommand;

/// Where every Celery task is, and whether that is bad.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What is asked of the queues.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// How deep the queues are, how long their tasks wait, and whether that is bad
    Depth(depth::Args),
    /// Where a task is, or the tasks of a request: waiting, delivered, running, ended
    Find(find::Args),
    /// What runs next in a queue, and what it is made of
    Peek(peek::Args),
    /// Which workers there are, what they do, and whether one is dead, silent, saturated or hoarding
    Workers(workers::Args),
}

/// Runs the command.
///
/// # Errors
/// The configuration names no broker, or it cannot be reached.
pub async fn run(args: Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let broker = broker::Opened::open(session, out).await?;
    match args.verb {
        Verb::Depth(args) => depth::run(args, &broker, session, out).await,
        Verb::Find(args) => find::run(&args, &broker, session, out).await,
        Verb::Peek(args) => peek::run(&args, &broker, session, out).await,
        Verb::Workers(args) => workers::run(&args, &broker, session, out).await,
    }
}
