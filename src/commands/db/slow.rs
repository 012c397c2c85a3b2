//! `obsctl db slow`: one reading of pg_stat_statements, or what happens between two.
#![expect(clippy::disallowed_methods, reason = "the time between two readings is the measurement itself")]

use super::{Opened, shown};
use crate::{
    answer::Answer,
    error::{Error, Kind, Result},
    exit::ExitStatus,
    postgres::{
        analyze::statements::{self, Readings},
        collect,
        decode::rows,
        model::{StatementOrder, StatementReading},
        view,
    },
    report::{Line, Out, Style},
    safe,
    session::Session,
    text::{Safe, units},
};
use clap::ValueEnum;
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Show the statements that take the most of a database's time, from pg_stat_statements: since its reset, during the next seconds, or since
/// a reading that was saved. Names those that look like one statement for each row of another (N+1), and who asks where comments of
/// sqlcommenter or application_name say so.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  obsctl db slow                        since the statistics were reset\n  obsctl db slow --during 15s           what is slow now\n  obsctl db slow --by calls             also mean, rows, io\n  obsctl db slow --save before.json     and after the release: --diff before.json\n\nExit status: 0 shown, 2 usage, 3 nothing could be read."
)]
pub struct Args {
    /// By what to rank
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Order::Total)]
    pub by: Order,
    /// How many statements
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Two readings, so far apart: what is slow now
    #[arg(long, value_name = "DURATION", value_parser = during, conflicts_with = "diff")]
    pub during: Option<jiff::SignedDuration>,
    /// Save this reading
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub save: Option<PathBuf>,
    /// What happened since a reading that was saved, and what a run took then
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub diff: Option<PathBuf>,
    /// Of all databases of the server
    #[arg(long)]
    pub all_databases: bool,
}

/// The orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// All their time
    Total,
    /// The time of a run
    Mean,
    /// Runs
    Calls,
    /// Rows
    Rows,
    /// Blocks read from files, and temporary files
    Io,
}

impl From<Order> for StatementOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Total => Self::Total,
            Order::Mean => Self::Mean,
            Order::Calls => Self::Calls,
            Order::Rows => Self::Rows,
            Order::Io => Self::Io,
        }
    }
}

fn during(text: &str) -> std::result::Result<jiff::SignedDuration, String> {
    let fits = |d: &jiff::SignedDuration| (100..=3_600_000).contains(&d.as_millis());
    units::parse_duration(text).filter(fits).ok_or_else(|| "a duration from 100ms to 1h, as in 15s".into())
}

pub(super) async fn run(args: Args, opened: &Opened, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let saved = args.diff.as_deref().map(read).transpose()?;
    let (db, redact) = (&opened.db, &session.redact);
    let server = collect::database_seen(db).await?;
    let mut from = None;
    if let Some(apart) = args.during {
        let (first, _) = collect::statements::reading(db, &server, args.all_databases, redact).await?;
        if out.previews() {
            out.note(&Line::new().with(Style::Dim, safe!("reading again in {}", units::duration(apart))));
        }
        tokio::time::sleep(Duration::try_from(apart).unwrap_or_default()).await;
        from = Some(first);
    }
    let (now, coverage) = collect::statements::reading(db, &server, args.all_databases, redact).await?;
    let running = collect::statements::running(db, &server, redact).await.unwrap_or_default();
    if let Some(file) = &args.save {
        write(file, &now)?;
        out.note(&Line::plain(safe!("saved in {}", Safe::name(file.to_string_lossy().as_bytes()))));
    }
    let readings = Readings { server, now: &now, from: from.as_ref().or(saved.as_ref()), before: saved.as_ref(), running: &running };
    let facts = statements::rank(&readings, args.by.into(), usize::from(args.limit));
    let mut findings = statements::findings(&facts);
    super::of_database(&mut findings, &opened.name);
    let answer = Answer { facts, findings, coverage, sources: vec![db.provenance()] };
    let doubts = statements::doubts(&readings);
    let status = shown();
    out.answer(&answer, &opened.place, status, |look| view::statements(&answer, &opened.place, look, &doubts))?;
    Ok(status)
}

#[derive(Serialize)]
struct Saved<'r> {
    obsctl_statements: u32,
    reading: &'r StatementReading,
}

fn write(file: &Path, reading: &StatementReading) -> Result<()> {
    let doing = safe!("saving the reading in {}", Safe::name(file.to_string_lossy().as_bytes()));
    let text = serde_json::to_vec(&Saved { obsctl_statements: rows::READING_VERSION, reading });
    let text = text.map_err(|_| Error::new(Kind::Bug, doing.clone()).what("it cannot be written as JSON"))?;
    fs::write(file, text).map_err(|e| Error::new(Kind::Usage, doing).what(Safe::name(e.kind().to_string())))
}

fn read(file: &Path) -> Result<StatementReading> {
    let doing = || safe!("reading {}", Safe::name(file.to_string_lossy().as_bytes()));
    let bytes = fs::read(file).map_err(|e| Error::new(Kind::Usage, doing()).what(Safe::name(e.kind().to_string())))?;
    rows::saved_reading(&bytes).map_err(|what| Error::new(Kind::Usage, doing()).what(what))
}
