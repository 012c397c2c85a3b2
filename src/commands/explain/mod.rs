//! `obsctl explain`: why a statement takes what it takes.

mod args;
mod around;
mod link;
mod live;
mod planned;
mod saved;
mod source;

pub use args::Args;

use crate::{
    answer::{Answer, Hint, Verdict},
    cli::Global,
    commands::setup,
    config::Vars,
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    postgres::view::explain::{self, Explanation},
    report::{Out, Where},
    safe,
    session::Stop,
};
use std::path::Path;

/// Runs the command. A saved plan needs no session: it is read where it lies, whatever the configuration says.
///
/// # Errors
/// There is no plan: it cannot be read, the statement may not run, the server cannot be asked.
pub async fn run(args: Args, global: &Global, vars: Vars, stop: Stop, out: &mut Out) -> Result<ExitStatus> {
    let (answer, place) = match &args.plan {
        Some(plan) => saved::explain(plan, &args, &setup::redactor(global, &vars))?,
        None => {
            let session = setup::session(global, vars, stop.clone())?;
            live::explain(&args, &session, out).await.map_err(|error| too_late(error, &stop))?
        }
    };
    show(&answer, &place, &args, &stop, out)
}

/// Shows an answer. Whatever it says, it is one: the status is good, unless it was cut short.
fn show(answer: &Answer<Explanation>, place: &Where, args: &Args, stop: &Stop, out: &mut Out) -> Result<ExitStatus> {
    let status = ExitStatus::of(&Ok(stop.reason().unwrap_or(Outcome::Answered(Verdict::Ok))), false);
    let shown = explain::Shown { full: args.full, commands: args.show_commands };
    out.answer(answer, place, status, |look| explain::explain(answer, place, look, shown))?;
    Ok(status)
}

/// An error that the deadline made says so, and what gives more time.
fn too_late(error: Error, stop: &Stop) -> Error {
    if error.kind() != Kind::Cancelled || stop.reason() != Some(Outcome::Deadline) {
        return error;
    }
    let what = safe!("{}, before there was a plan", stop.says());
    let more = Hint::Try("a longer one: --deadline 2m".into());
    error.what(what).hint(more).hint(Hint::Run("obsctl db activity".into()))
}

/// Whether a name stands for stdin.
fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}
