//! `obsctl check`: the runbook as something that CI and cron run.

mod args;
mod init;
mod looks;
mod plan;
mod run;

pub use args::Args;

use crate::{
    checks::file,
    cli::Global,
    commands::setup,
    config::Vars,
    error::Result,
    exit::{ExitStatus, Outcome},
    report::Out,
    session::Stop,
};
use args::CheckVerb;

/// Runs the command. Files are read, whole, before anything is asked or any connection opened.
///
/// # Errors
/// A file that is wrong, nothing to check, or an output that cannot be written; what a check could not find out is in the answer.
pub async fn run(args: Args, global: &Global, vars: Vars, stop: Stop, out: &mut Out) -> Result<ExitStatus> {
    match &args.verb {
        Some(CheckVerb::Schema) => {
            out.object_pretty(&file::schema())?;
            out.flush()?;
            return Ok(ExitStatus::of(&Ok(Outcome::Answered(crate::answer::Verdict::Ok)), false));
        }
        Some(CheckVerb::Init(args)) => return init::run(args, &setup::session(global, vars, stop)?, out).await,
        None => {}
    }
    let specs = plan::from_files(&args, &vars)?;
    let session = setup::session(global, vars, stop)?;
    let specs = plan::chosen(specs, &args, &session)?;
    if args.dry_run {
        return plan::show(&specs, &args, &session, out);
    }
    run::run(specs, &args, &session, out).await
}
