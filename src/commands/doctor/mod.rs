//! `obsctl doctor`: whether everything that obsctl wants to see can be seen from here, and the smallest rights for it.

mod cluster;
mod print;
mod systems;

use crate::{
    answer::{Answer, Coverage, Verdict},
    cli::FailOn,
    doctor::{
        analyze,
        model::{Checkup, DoctorFacts, Fit},
        view,
    },
    error::Result,
    exit::{ExitStatus, Outcome},
    report::{Line, Out, Where},
    safe,
    session::Session,
    text::Safe,
};

/// Whether obsctl sees what it needs to see, from here, as you; and the smallest rights for it.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Tries the configuration, the cluster, the broker, the databases and the public URLs, one after the other; asks the cluster which\nrights you have, and compares the clocks. It reads; it changes nothing.\n\nExamples:\n  obsctl doctor                      what can be seen, and what is missing\n  obsctl doctor --print role | kubectl apply -f -\n\nExit status: 0 all is there or warnings, 1 something cannot be seen, 4 warnings with --fail-on warn."
)]
pub struct Args {
    /// Print the smallest rights instead, ready for whoever may grant them: a Kubernetes Role, a Redis user, a PostgreSQL role
    #[arg(long, value_name = "WHAT", value_enum)]
    pub print: Option<Rights>,
    /// Exit 4 for warnings
    #[arg(long, value_name = "WHAT", value_enum)]
    pub fail_on: Option<FailOn>,
}

/// What can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rights {
    /// YAML for kubectl apply
    Role,
    /// Two commands for redis-cli
    RedisAcl,
    /// SQL for psql
    Grants,
}

/// Runs the command.
///
/// # Errors
/// `Output` only: what cannot be reached is the answer. With `--print`, as the configuration's.
pub async fn run(args: &Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    if let Some(what) = args.print {
        for line in print::rights(what, session).await? {
            out.line(&Line::plain(line))?;
        }
        return Ok(ExitStatus::of(&Ok(Outcome::Answered(Verdict::Ok)), false));
    }
    let mut facts = DoctorFacts { observed_at: session.now().timestamp(), checkups: vec![configuration(session)], rights: Vec::new() };
    let mut sources = Vec::new();
    let mut place = Where { environment: session.env.name.clone(), ..Where::default() };
    let stop = session.stop.token();
    let look = async {
        if let Some(cluster) = cluster::look(session, &mut facts).await {
            place = session.at_cluster(&cluster, Safe::name(&cluster.namespace));
            sources.push(cluster.provenance());
        }
        systems::broker(session, &mut facts, &mut sources).await;
        systems::databases(session, &mut facts, &mut sources).await;
        systems::urls(session, &mut facts).await;
    };
    tokio::select! {
        () = look => {}
        () = stop.cancelled() => {}
    }
    let findings = analyze::doctor(&facts);
    let answer = Answer { facts, findings, coverage: Coverage::default(), sources };
    let outcome = session.stop.reason().unwrap_or(Outcome::Answered(answer.verdict()));
    let status = ExitStatus::of(&Ok(outcome), args.fail_on.is_some());
    out.answer(&answer, &place, status, |look| view::screen(&answer, &place, look))?;
    Ok(status)
}

/// What the configuration is.
fn configuration(session: &Session) -> Checkup {
    let env = &session.env;
    let name: Safe = "configuration".into();
    let says = match (&env.file, &env.name) {
        (Some(file), Some(environment)) => safe!("environment {} of {}", *environment, Safe::name(file.as_os_str().as_encoded_bytes())),
        (Some(file), None) => safe!("{}", Safe::name(file.as_os_str().as_encoded_bytes())),
        (None, _) => "no file: the kubeconfig and this shell's variables".into(),
    };
    let mut checkup = Checkup::good("configuration", name, says);
    if !env.trusted {
        let hint = crate::answer::Hint::Run("obsctl config trust".into());
        checkup = checkup.lacking("the file is not trusted: it may run no command, read no file, notify nobody".into(), Some(hint));
    }
    env.warnings.iter().fold(checkup, |checkup, warning| checkup.lacking(warning.clone(), None))
}

/// A thing that could not be seen, with the error's own words and hints.
fn failed(system: &'static str, name: Safe, error: &crate::error::Error) -> Checkup {
    Checkup { system, name, fit: Fit::Failed, says: error.says(), lacks: Vec::new(), hints: error.hints().to_vec() }
}
