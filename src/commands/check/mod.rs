//! `obsctl check`: the runbook as something that CI and cron run.

mod args;
mod init;
mod looks;
mod plan;
mod reports;
mod rounds;
mod run;

pub use args::Args;
pub(super) use rounds::CheckRounds;

use crate::{
    answer::Verdict,
    checks::{file, report::nagios_unknown},
    cli::Global,
    commands::setup,
    config::Vars,
    error::{Kind, Result},
    exit::{ExitStatus, Outcome},
    report::Out,
    session::Stop,
};
use args::CheckVerb;
use reports::Reports;

/// Runs the command. Files are read, whole, before anything is asked or any connection opened.
///
/// # Errors
/// A file that is wrong, nothing to check, or an output that cannot be written; what a check could not find out is in the answer.
pub async fn run(args: Args, global: &Global, vars: Vars, stop: Stop, out: &mut Out) -> Result<ExitStatus> {
    match &args.verb {
        Some(CheckVerb::Schema) => {
            out.object_pretty(&file::schema())?;
            out.flush()?;
            return Ok(ExitStatus::of(&Ok(Outcome::Answered(Verdict::Ok)), false));
        }
        Some(CheckVerb::Init(args)) => return init::run(args, &setup::session(global, vars, stop)?, out).await,
        None => {}
    }
    let nagios = args.nagios;
    match checked(args, global, vars, stop, out).await {
        // Whoever listens is a monitor: it hears of it in its own words.
        Err(error) if nagios && error.kind() != Kind::Closed => {
            out.text(&nagios_unknown(&error.says()))?;
            out.flush()?;
            Ok(ExitStatus::nagios(Verdict::Unknown))
        }
        other => other,
    }
}

async fn checked(args: Args, global: &Global, vars: Vars, stop: Stop, out: &mut Out) -> Result<ExitStatus> {
    let reports = Reports::of(&args, &vars)?;
    let specs = plan::from_files(&args, &vars)?;
    let session = setup::session(global, vars, stop)?;
    let specs = plan::chosen(specs, &args, &session)?;
    if args.dry_run {
        return plan::show(&specs, &args, &session, out);
    }
    run::run(specs, &args, &reports, &session, out).await
}
