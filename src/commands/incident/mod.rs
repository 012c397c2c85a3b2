//! `obsctl incident`: what a first responder would run, at once, under one deadline, in one file to attach to the ticket. Runs obsctl itself
//! for each part, so that one part that fails takes no other with it; secrets are hidden as everywhere, whatever flags say.

mod words;
mod write;

use crate::{
    answer::{Answer, Coverage, Finding, Hint, Severity},
    cli::Global,
    connect::process::{self, CommandEnd},
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    report::{Cell, Doc, Line, Look, Out, Report, Style, Table, Where},
    safe,
    session::Session,
    text::{Safe, units},
};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// Run what a first responder would run, and write it to one file, secrets removed, with the commands that made it.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "The parts: check, changes, errors, queue depth, queue workers, db activity, db locks, db slow, health; with -r also the request.\nEach has until the deadline (60 s, or --deadline). The file is readable by you alone, and is never overwritten.\n\nExamples:\n  obsctl incident                        incident-2026-11-22T024410Z.md in this folder\n  obsctl incident -r abc123 checkout.md\n\nExit status: 0 all is well, 1 a part has bad news, 3 a part could not find out; the file is written in each case."
)]
pub struct Args {
    /// The file; without it, a name with the time in this folder
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// How far to look back
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub since: SignedDuration,
    /// A request that somebody complains about
    #[arg(short = 'r', long, value_name = "ID")]
    pub request_id: Option<String>,
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    units::parse_duration(text).filter(SignedDuration::is_positive).ok_or_else(|| "a duration, as in 30m or 2h".into())
}

/// Where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(60);
/// Parts that run at once: each has few connections of its own.
const AT_ONCE: usize = 3;

/// What was written.
#[derive(Debug, Serialize)]
pub struct IncidentFacts {
    /// When.
    observed_at: Timestamp,
    /// The file.
    file: Safe,
    /// What is in it.
    parts: Vec<IncidentPart>,
    /// What was not run, since there is nothing of it in this environment.
    left_out: Vec<Safe>,
}

/// One command and how it ended.
#[derive(Debug, Serialize)]
pub struct IncidentPart {
    /// As it can be typed again.
    command: Safe,
    /// Its exit status; none where it could not be run, or did not end.
    status: Option<u64>,
    /// The line with its verdict.
    says: Safe,
    /// What it printed, safe already: obsctl printed it.
    #[serde(skip)]
    printed: SecretString,
}

impl Report for IncidentFacts {
    const KIND: &'static str = "incident";
    const VERSION: u32 = 1;
}

/// Runs the command.
///
/// # Errors
/// `Usage` for a file that exists; `Output` where it cannot be written.
pub async fn run(args: &Args, global: &Global, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let now = session.now().timestamp();
    let name = || PathBuf::from(format!("incident-{}.md", now.strftime("%Y-%m-%dT%H%M%SZ")));
    let file = write::create(args.file.clone().unwrap_or_else(name))?;
    let program =
        std::env::current_exe().map_err(|e| Error::new(Kind::Bug, "looking for obsctl itself").what(Safe::name(e.to_string())))?;
    let patience = global.deadline.and_then(|d| Duration::try_from(d).ok()).unwrap_or(PATIENCE);
    let (commands, left_out) = words::commands(args, &session.env);
    let total = commands.len();
    let same = words::global(global);
    let stop = session.stop.token();
    let mut done = 0;
    let mut parts = Vec::new();
    let mut running = stream::iter(commands.into_iter().map(|words| {
        let mut whole = vec![program.to_string_lossy().into_owned()];
        whole.extend(words.iter().cloned());
        whole.extend(words::warning(&words).map(str::to_owned));
        whole.extend(same.iter().cloned());
        whole.extend(["--color", "never", "--quiet", "--deadline"].map(str::to_owned));
        whole.push(format!("{}s", patience.as_secs().max(1)));
        async move { part(words, process::end_of(&whole, patience + Duration::from_secs(3), &session.redact).await) }
    }))
    .buffered(AT_ONCE);
    loop {
        tokio::select! {
            part = running.next() => match part {
                Some(part) => {
                    done += 1;
                    out.note(&Line::new().with(Style::Dim, safe!("── {} of {}: {}", done, total, part.command)));
                    parts.push(part);
                }
                None => break,
            },
            () = stop.cancelled() => break,
        }
    }
    drop(running);
    let place = Where { environment: session.env.name.clone(), ..Where::default() };
    let findings = findings(&parts, total);
    let facts = IncidentFacts { observed_at: now, file: Safe::name(file.path.as_os_str().as_encoded_bytes()), parts, left_out };
    write::write(&file, &place, &facts, total)?;
    let answer = Answer { facts, findings, coverage: Coverage::default(), sources: Vec::new() };
    let outcome = session.stop.reason().unwrap_or(Outcome::Answered(answer.verdict()));
    let status = ExitStatus::of(&Ok(outcome), false);
    out.answer(&answer, &place, status, |look| screen(&answer, &place, look))?;
    Ok(status)
}

fn part(words: Vec<String>, ended: Result<CommandEnd>) -> IncidentPart {
    let command = Safe::name(format!("{} {}", env!("CARGO_PKG_NAME"), words.join(" ")));
    match ended {
        Ok(CommandEnd { status, printed, complaint }) => {
            // The first line says where, the second what.
            let text = printed.expose_secret();
            let line = text.lines().nth(1).or_else(|| text.lines().next()).map(|line| Safe::name(line.trim()));
            let says = line.filter(|line| !line.is_empty()).unwrap_or(complaint);
            IncidentPart { command, status: Some(status), says, printed }
        }
        Err(error) => IncidentPart { command, status: None, says: error.says(), printed: SecretString::from("") },
    }
}

fn findings(parts: &[IncidentPart], total: usize) -> Vec<Finding> {
    let mut all = Vec::new();
    let of = |status: fn(Option<u64>) -> bool| parts.iter().filter(move |part| status(part.status));
    for part in of(|status| status == Some(1)) {
        all.push(
            Finding::new("bad-news", Severity::Failed, safe!("{}: {}", part.command, part.says)).next(Hint::Run(part.command.clone())),
        );
    }
    for part in of(|status| status == Some(4)) {
        let says = safe!("{}: {}", part.command, part.says);
        all.push(Finding::new("warning", Severity::Warning, says).next(Hint::Run(part.command.clone())));
    }
    for part in of(|status| !matches!(status, Some(0 | 1 | 4))) {
        all.push(Finding::new("not-found-out", Severity::Unknown, safe!("{}: {}", part.command, part.says)));
    }
    if parts.len() < total {
        all.push(Finding::new("interrupted", Severity::Unknown, safe!("{} of {} parts were not run", total - parts.len(), total)));
    }
    all
}

fn screen(answer: &Answer<IncidentFacts>, place: &Where, look: &Look) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    let at = facts.observed_at.to_zoned(look.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  {}", Safe::name(at))));
    doc.line(
        Line::new()
            .with(Style::Strong, safe!("written to {}", facts.file))
            .with(Style::Dim, "  secrets are hidden in it; read it before you send it"),
    );
    doc.gap();
    let row = |part: &IncidentPart| {
        let (style, word) = write::verdict(part.status);
        vec![Cell::left(style, word), Cell::left(Style::Plain, part.command.clone()), Cell::left(Style::Dim, part.says.clipped(100))]
    };
    doc.table(Table { head: Vec::new(), rows: facts.parts.iter().map(row).collect() });
    if !facts.left_out.is_empty() {
        doc.line(Line::new().with(Style::Dim, safe!("left out: {}", Safe::join(&facts.left_out, "; "))));
    }
    doc
}
