//! Log lines, read as `obsctl logs` reads them, and tallied as they pass.

use super::Rig;
use crate::{
    answer::{Coverage, Why},
    checks::{
        kind::LogsAsk,
        kinds::{
            BlindSpot, Glance, Sighting,
            tally::{self, LineTally},
        },
        model::{CheckStatus, Unanswered},
    },
    commands::logs::{self, Args},
    error::Result,
    logs::{
        decode,
        model::{Level, Record},
        query::{Predicate, Query, Test},
        read::{self, Reading, Sink},
        source::LogSource,
        survey::{self, ErrorAsk},
    },
    safe,
    text::{Redactor, Safe},
};
use jiff::{SignedDuration, tz::TimeZone};
use regex::bytes::Regex;
use std::sync::Arc;

/// The most that is read of a cluster's logs for one check.
const MOST: u64 = 512 << 20;
/// The time before the window against which errors are compared.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

struct Tallying<'a> {
    tally: LineTally,
    ask: &'a LogsAsk,
    zone: TimeZone,
    redact: &'a Redactor,
}

impl Sink for Tallying<'_> {
    fn record(&mut self, record: Record) -> Result<()> {
        let entry = decode::entry(&record.head, &self.zone);
        let text = || self.redact.safe(&record.head).clipped(300);
        let number =
            self.ask.value.as_ref().map(|name| entry.field(name).and_then(|v| v.parse::<f64>().ok()).map(|n| n * self.ask.unit.scale));
        let by = self.ask.by.as_ref().and_then(|name| entry.field(name));
        self.tally.line(text, number, by);
        Ok(())
    }
    fn note(&mut self, _: Safe) {}
    fn idle(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Rig<'_> {
    pub(super) async fn logs(&self, ask: &LogsAsk) -> Glance {
        let _turn = self.logs.acquire().await;
        self.read(ask).await.unwrap_or_else(|error| Err(BlindSpot::of(&error)))
    }

    async fn read(&self, ask: &LogsAsk) -> Result<Glance> {
        let args = Args { targets: ask.targets.clone(), ..Args::default() };
        let (sources, place) = logs::sources(&args, self.session).await?;
        let zone = self.session.env.timezone.clone().unwrap_or(TimeZone::UTC);
        if ask.compared {
            return self.errors(ask.since, &sources, zone, place.files.is_some()).await;
        }
        let since = self.session.now().timestamp().checked_sub(ask.since).ok();
        let mut query = Query { since, ..Query::default() };
        query.want.extend(ask.level.as_deref().and_then(Level::parse).map(Predicate::Level));
        // What is no regular expression was refused when the file was read.
        query.want.extend(ask.matches.as_deref().and_then(|m| Regex::new(m).ok()).map(|r| Predicate::Line(Test::Matches(Arc::new(r)))));
        for (name, value) in &ask.fields {
            query.want.push(Predicate::Field { names: Arc::from(vec![name.clone()]), is: Test::Equals(value.clone()) });
        }
        let mut sink = Tallying { tally: LineTally::default(), ask, zone, redact: &self.session.redact };
        let fields = logs::id_fields(self.session);
        let reading = Reading { query: Arc::new(query), id_fields: fields, max_bytes: MOST, cancel: self.session.stop.token() };
        let outcome = read::read(&sources, &reading, &mut sink).await?;
        Ok(seen(sink.tally.sighting(ask.since, ask.unit.unit), &outcome.coverage))
    }

    /// The errors against the hour before, and those that a rollout brought.
    async fn errors(&self, span: SignedDuration, sources: &[Arc<dyn LogSource>], zone: TimeZone, files: bool) -> Result<Glance> {
        let now = self.session.now().timestamp();
        let ask = ErrorAsk {
            now,
            span,
            before: BEFORE,
            id_fields: logs::id_fields(self.session),
            zone,
            max_bytes: MOST,
            cancel: self.session.stop.token(),
        };
        // Where the rollouts may not be seen nothing is called new since one.
        let rollouts = match files {
            true => Vec::new(),
            false => self.rollouts(now).await.unwrap_or_default(),
        };
        let (facts, coverage) = survey::error_rate(sources, &ask, &rollouts, &self.session.redact).await?;
        Ok(seen(tally::errors(&facts), &coverage))
    }
}

/// What was tallied, where anything was read.
fn seen(mut seen: Sighting, coverage: &Coverage) -> Glance {
    let blind = |why, says, next| Err(BlindSpot { why, says, next, status: CheckStatus::Unknown, cluster_away: false, took_ms: 0 });
    if coverage.nothing_read() {
        let missing = coverage.missing.first();
        let refused = coverage.missing.iter().any(|m| matches!(m.why, Why::Refused(_)));
        let says = missing.map(|m| safe!("{}: {}", m.part.name, m.why.says())).unwrap_or_default();
        let why = if refused { Unanswered::NoPermission } else { Unanswered::Unreachable };
        return blind(why, says, missing.and_then(|m| m.hint.clone()).into_iter().collect());
    }
    if coverage.searched.is_empty() {
        return blind(Unanswered::NoData, "there is nothing to read: no pod, no file".into(), Vec::new());
    }
    seen.evidence.extend(coverage.missing.iter().take(3).map(|m| safe!("not read: {}: {}", m.part.name, m.why.says())));
    Ok(seen)
}
