//! `obsctl check init`: a first file, from one run of the built-in runbook.

use super::{looks::Rig, plan};
use crate::{
    answer::{Hint, Verdict},
    checks::{
        evaluate::evaluate,
        history::CheckHistory,
        init::{FirstFile, first_file},
    },
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::{Line, Out},
    safe,
    session::Session,
    store,
    text::Safe,
};
use jiff::SignedDuration;
use std::path::PathBuf;

/// Write a first file of checks, from what there is, with the reason of every threshold.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct InitArgs {
    /// The file; without it, stdout
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// How long one look may take.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

pub(super) async fn run(args: &InitArgs, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let writing = |file: &PathBuf| Error::new(Kind::Usage, safe!("writing {}", Safe::name(file.as_os_str().as_encoded_bytes())));
    if let Some(file) = args.file.as_ref().filter(|file| !args.force && file.exists()) {
        return Err(writing(file).what("it is there already").hint(Hint::Set("--force, to write over it".into())));
    }
    let has = plan::inventory(session);
    let specs = plan::chosen(None, &super::Args::default(), session)?;
    // What the logs hold says nothing of which checks there should be.
    let specs: Vec<_> = specs.into_iter().filter(|s| s.kind.word() != "logs").collect();
    let rig = Rig::new(session, PATIENCE)?;
    let glances = rig.round(&specs).await;
    if let Some(reason) = session.stop.reason() {
        return Ok(ExitStatus::of(&Ok(reason), false));
    }
    let now = session.now().timestamp();
    let checks: Vec<_> = specs.into_iter().zip(glances.iter().map(|g| &**g)).collect();
    let facts = evaluate(&checks, &mut CheckHistory::default(), now);
    let apps: Vec<String> =
        session.env.apps.iter().filter(|(_, a)| !a.files.is_empty() || session.env.kube.is_some()).map(|(n, _)| n.clone()).collect();
    let urls: Vec<String> = session.env.apps.values().flat_map(|a| &a.urls).map(|one| one.url.clone()).collect();
    let thresholds = session.env.broker.as_ref().map(|b| b.thresholds).unwrap_or_default();
    let environment = session.env.name.as_ref();
    let text = first_file(&FirstFile { has: &has, environment, facts: &facts, thresholds: &thresholds, apps: &apps, urls: &urls });
    for check in facts.checks.iter().filter(|c| c.unanswered.is_some()) {
        out.note(&Line::plain(safe!("not seen: {}: {}", check.name, check.says)));
    }
    match &args.file {
        None => out.text(&text)?,
        Some(file) => {
            store::keep(file, text.as_bytes()).map_err(|e| writing(file).what(Safe::name(e.kind().to_string())))?;
            let shown = Safe::name(file.as_os_str().as_encoded_bytes());
            out.note(&Line::plain(safe!("written: {}. Run: obsctl check {}", shown, shown)));
        }
    }
    out.flush()?;
    Ok(ExitStatus::of(&Ok(Outcome::Answered(Verdict::Ok)), false))
}
