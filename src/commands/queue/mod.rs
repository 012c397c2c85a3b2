//! `obsctl queue`: where every Celery task is, and whether that is bad.

mod open;
pub mod peek;
pub mod workers;

use crate::{
    error::Result,
    exit::ExitStatus,
    report::Out,
    session::Session,
};

/// Where every Celery task is, and whether that is bad.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    /// What is asked.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// What runs next in a queue, and what it is made of
    Peek(peek::Args),
    /// Which workers there are, what they do, and whether one is dead, silent, saturated or hoarding
    Workers(workers::Args),
}

/// Runs the command.
///
/// # Errors
/// A flag or connection that makes the whole question unanswerable.
pub async fn run(args: Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let broker = open::open(session).await?;
    match args.verb {
        Verb::Peek(args) => peek::run(&args, &broker, session, out).await,
        Verb::Workers(args) => workers::run(&args, &broker, session, out).await,
    }
}
