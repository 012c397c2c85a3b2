//! `obsctl queue`: the noun. Opens the broker once, for whichever verb.

mod broker;
mod depth;
mod looks;

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
}

/// Runs the command.
///
/// # Errors
/// The configuration names no broker, or it cannot be reached.
pub async fn run(args: Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let broker = broker::Opened::open(session, out).await?;
    match args.verb {
        Verb::Depth(args) => depth::run(args, &broker, session, out).await,
    }
}
