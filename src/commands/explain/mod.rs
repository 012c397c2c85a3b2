//! `obsctl explain`: why a statement takes what it takes.

mod args;
mod around;
mod link;
mod live;
mod saved;
mod source;

pub use args::Args;

use crate::{
    answer::{Answer, Verdict},
    cli::Global,
    commands::setup,
    config::Vars,
    error::Result,
    exit::{ExitStatus, Outcome},
    postgres::view::explain::{self, Explanation},
    report::{Out, Where},
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
        None => live::explain(&args, &setup::session(global, vars, stop.clone())?, out).await?,
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

/// Whether a name stands for stdin.
fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}
