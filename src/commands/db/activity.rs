//! `obsctl db activity`: one look at the sessions.

use super::{Opened, shown};
use crate::{
    answer::Answer,
    error::Result,
    exit::ExitStatus,
    postgres::{analyze, collect, view},
    report::Out,
    session::Session,
};

/// Show what sessions do, for how long, and what they wait for; say which idle in a transaction and whether connections run out. The
/// literals of statements are hidden.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  obsctl db activity        sessions that do something\n  obsctl db activity -v     all of them, with their whole statements\n\nExit status: 0 shown, 2 usage, 3 nothing could be read."
)]
pub struct Args {}

pub(super) async fn run(_args: Args, opened: &Opened, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let (facts, coverage) = collect::activity::activity(&opened.db, &session.redact).await?;
    let mut findings = analyze::activity::findings(&facts);
    super::of_database(&mut findings, &opened.name);
    let answer = Answer { facts, findings, coverage, sources: vec![opened.db.provenance()] };
    let status = shown();
    out.answer(&answer, &opened.place, status, |look| view::activity(&answer, &opened.place, look))?;
    Ok(status)
}
