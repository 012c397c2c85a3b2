//! `obsctl db locks`: one look at who waits for whom.

use super::{Opened, shown};
use crate::{
    answer::Answer,
    error::Result,
    exit::ExitStatus,
    postgres::{analyze, collect, view},
    report::Out,
    session::Session,
};

/// Show who holds others up: what it holds, since when, its application and its last statement; and below it those who wait. Prepared
/// transactions count; workers of a parallel query are their leader.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  obsctl db locks           the tree of those who wait\n\nExit status: 0 shown, 2 usage, 3 nothing could be read."
)]
pub struct Args {}

pub(super) async fn run(_args: Args, opened: &Opened, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let (facts, coverage) = collect::locks::locks(&opened.db, &session.redact).await?;
    let mut findings = analyze::locks::findings(&facts);
    super::of_database(&mut findings, &opened.name);
    let answer = Answer { facts, findings, coverage, sources: vec![opened.db.provenance()] };
    let status = shown();
    out.answer(&answer, &opened.place, status, |look| view::locks(&answer, &opened.place, look))?;
    Ok(status)
}
