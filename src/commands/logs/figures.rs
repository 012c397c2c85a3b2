//! `--stats` and `--leaks`: what many records say together, instead of the records.

use super::{Args, Resolved};
use crate::{
    answer::{Answer, Coverage, Finding, Severity},
    error::Result,
    exit::{ExitStatus, Outcome},
    logs::{
        analyze::{
            leaks::LeakTally,
            stats::{StatsAsk, StatsTally},
        },
        survey::{SurveyOutcome, survey},
        view,
    },
    report::{Line, Out, Style},
    safe,
    session::Session,
};
use jiff::SignedDuration;

/// Pods without `--since`: the last hour.
const DEFAULT_SINCE: SignedDuration = SignedDuration::from_hours(1);

/// The flags of both.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Figures instead of records")]
pub struct Figures {
    /// Counts by level, event and pod; with --of the spread of a number
    #[arg(long, conflicts_with_all = ["follow", "request_id", "requests", "raw", "around"])]
    pub stats: bool,
    /// p50, p95 and max of this numeric field: --stats --of duration_ms --by path (repeat: each)
    #[arg(long, value_name = "FIELD", requires = "stats")]
    pub of: Vec<String>,
    /// By this field; level, event, pod, app, logger, node and image are always there (repeat: by all of them together)
    #[arg(long, value_name = "FIELD", requires = "stats")]
    pub by: Vec<String>,
    /// What had to be hidden, by kind, app and logger; never the values
    #[arg(long, conflicts_with_all = ["stats", "follow", "request_id", "requests", "raw", "around"])]
    pub leaks: bool,
    /// So many rows of each table (0: all); -o json has all of them
    #[arg(long, value_name = "N", default_value_t = 10, hide_default_value = true)]
    pub limit: usize,
}

impl Figures {
    /// Whether they were asked for.
    pub fn wanted(&self) -> bool {
        self.stats || self.leaks
    }
}

pub(super) async fn run(resolved: Resolved<'_>, out: &mut Out) -> Result<ExitStatus> {
    let Resolved { args, session, ref sources, ref place, .. } = resolved;
    let mut query = resolved.query.clone();
    let now = session.now().timestamp();
    // Figures of the newest 200 records of each container would mislead: without --tail every record counts.
    if args.tail.is_none() {
        query.tail = None;
    }
    if place.files.is_none() && args.since.is_none() && args.since_time.is_none() && query.until.is_none() && !args.previous {
        query.since = now.checked_sub(DEFAULT_SINCE).ok();
    }
    let since = query.since;
    let (reading, zone) = (resolved.reading(query), resolved.zone());
    let provenance = if place.files.is_none() { vec![session.cluster().await?.provenance()] } else { Vec::new() };
    let figures = &args.figures;
    let limit = (figures.limit > 0).then_some(figures.limit);
    if figures.leaks {
        let mut tally = LeakTally::new(session.redact.clone());
        let read = survey(sources, &reading, zone, &mut tally).await?;
        let facts = tally.finish(since, now, &read.read.seen);
        let (findings, coverage, status) = judged(read, args, session, out);
        let answer = Answer { facts, findings, coverage, sources: provenance };
        out.answer(&answer, place, status, |look| view::leaks(&answer, place, look, limit))?;
        return Ok(status);
    }
    let mut tally = StatsTally::new(session.redact.clone(), StatsAsk { of: figures.of.clone(), by: figures.by.clone() });
    let read = survey(sources, &reading, zone, &mut tally).await?;
    let facts = tally.finish(since, now, &read.read.seen);
    let (findings, coverage, status) = judged(read, args, session, out);
    let answer = Answer { facts, findings, coverage, sources: provenance };
    out.answer(&answer, place, status, |look| view::stats(&answer, place, look, limit))?;
    Ok(status)
}

/// What is said beside the figures, and the status: shown 0, nothing could be read 3.
fn judged(read: SurveyOutcome, args: &Args, session: &Session, out: &mut Out) -> (Vec<Finding>, Coverage, ExitStatus) {
    read.notes.iter().for_each(|note| out.note(&Line::new().with(Style::Dim, safe!("── {}", note))));
    let coverage = read.read.coverage;
    let mut findings = Vec::new();
    if coverage.nothing_read() || coverage.capped() || (args.strict && !coverage.complete()) {
        let says = if coverage.nothing_read() { "no log could be read" } else { "not everything could be read: the figures are of a part" };
        findings.push(Finding::new("not-all-read", Severity::Unknown, says.into()));
    }
    let verdict = findings.iter().map(|f| f.severity.verdict()).max().unwrap_or(crate::answer::Verdict::Ok);
    let outcome = session.stop.reason().unwrap_or(Outcome::Answered(verdict));
    (findings, coverage, ExitStatus::of(&Ok(outcome), false))
}
