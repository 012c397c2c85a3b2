//! `obsctl explain`: why a statement takes what it takes.

mod args;
mod saved;

pub use args::Args;

use crate::{
    answer::Answer,
    cli::Global,
    config::Vars,
    error::Result,
    exit::{ExitStatus, Outcome},
    postgres::view::explain::{self, Explanation},
    report::{Out, Where},
};

/// Runs the command. A saved plan needs no session: it is read where it lies, whatever the configuration says.
///
/// # Errors
/// There is no plan to read, or what was asked for cannot be written.
pub fn run(args: &Args, global: &Global, vars: &Vars, out: &mut Out) -> Result<ExitStatus> {
    let (answer, place) = saved::explain(args, global, vars)?;
    show(&answer, &place, args, out)
}

/// Shows an answer. Whatever it says, it is one: the status is good.
fn show(answer: &Answer<Explanation>, place: &Where, args: &Args, out: &mut Out) -> Result<ExitStatus> {
    let status = ExitStatus::of(&Ok(Outcome::Answered(crate::answer::Verdict::Ok)), false);
    out.answer(answer, place, status, |look| explain::explain(answer, place, look, args.full))?;
    Ok(status)
}
