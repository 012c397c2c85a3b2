//! `obsctl db`: the noun. Connects once, for whichever verb.

mod activity;
mod locks;
mod slow;

use crate::{
    answer::{Finding, Hint},
    connect::postgres::Postgres,
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::{Line, Out, Where},
    safe,
    session::Session,
    text::Safe,
};
use clap::Subcommand;

/// What a database is busy with: statements, sessions, locks.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which of the environment's databases
    #[arg(short = 'd', long, global = true, value_name = "NAME", default_value = "main")]
    pub database: String,
    /// What is asked of it.
    #[command(subcommand)]
    pub verb: DbVerb,
}

/// The verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum DbVerb {
    /// The statements that take the time: in all, or just now
    Slow(slow::Args),
    /// Sessions: what they do, for how long, what they wait for
    Activity(activity::Args),
    /// Who waits for whom: who holds what since when
    Locks(locks::Args),
}

/// A database that answers.
struct Opened {
    name: String,
    db: Postgres,
    place: Where,
}

/// Runs the command.
///
/// # Errors
/// The configuration names no database, or it cannot be reached or read.
pub async fn run(args: Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let stop = session.stop.token();
    let whole = async {
        let opened = open(&args.database, session, out).await?;
        match args.verb {
            DbVerb::Slow(args) => slow::run(args, &opened, session, out).await,
            DbVerb::Activity(args) => activity::run(args, &opened, session, out).await,
            DbVerb::Locks(args) => locks::run(args, &opened, session, out).await,
        }
    };
    // Dropping the connection ends what it asked: each question has a short timeout of its own on the server.
    tokio::select! {
        status = whole => status,
        () = stop.cancelled() => match session.stop.reason() {
            Some(reason) => Ok(ExitStatus::of(&Ok(reason), false)),
            None => Err(Error::new(Kind::Cancelled, "asking the database").what("stopped")),
        },
    }
}

async fn open(name: &str, session: &Session, out: &mut Out) -> Result<Opened> {
    let link = session.postgres(name).await?;
    for warning in session.env.warnings.iter().chain(&link.warnings) {
        out.note(&Line::plain(safe!("warning: {}", warning)));
    }
    let db = link.open().await?;
    let place = match link.cluster() {
        Some(cluster) => session.at_cluster(cluster, Safe::name(&cluster.namespace)),
        None => Where { environment: session.env.name.clone(), ..Where::default() },
    };
    let place = Where { system: Some(safe!("{} ({})", link.at(), db.route())), ..place };
    Ok(Opened { name: name.to_owned(), db, place })
}

/// The next commands ask the database that this one asked.
pub(super) fn of_database(findings: &mut [Finding], database: &str) {
    for hint in findings.iter_mut().flat_map(|finding| &mut finding.next) {
        if let Hint::Run(command) = hint
            && database != "main"
        {
            *command = safe!("{} -d {}", *command, Safe::name(database));
        }
    }
}

/// What was found is shown, good or bad: a database's state is no verdict on a command.
fn shown() -> ExitStatus {
    ExitStatus::of(&Ok(Outcome::Answered(crate::answer::Verdict::Ok)), false)
}
