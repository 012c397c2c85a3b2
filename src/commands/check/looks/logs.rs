//! Log lines, read as `obsctl logs` reads them, and tallied as they pass.

use super::Rig;
use crate::{
    checks::{
        kind::LogsAsk,
        kinds::{
            BlindSpot, Glance, Sighting,
            tally::{LineTally, LogTally},
        },
        model::Unanswered,
    },
    commands::logs::{self, Args},
    error::Result,
    logs::{
        decode,
        model::{Level, Record},
        query::{Predicate, Query, Test},
        read::{self, Reading, Sink},
    },
    text::{Redactor, Safe},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use regex::bytes::Regex;
use std::sync::Arc;

/// The most that is read of a cluster's logs for one check.
const MOST: u64 = 512 << 20;
/// The time before the window against which errors are compared.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

struct Tallying<'a> {
    tally: LineTally,
    compared: Option<LogTally>,
    from: Timestamp,
    ask: &'a LogsAsk,
    zone: TimeZone,
    redact: &'a Redactor,
}

impl Sink for Tallying<'_> {
    fn record(&mut self, record: Record) -> Result<()> {
        let entry = decode::entry(&record.head, &self.zone);
        let text = || self.redact.safe(&record.head).clipped(300);
        if let Some(compared) = &mut self.compared {
            let last = record.tail.iter().rev().find(|l| !l.trim_ascii().is_empty());
            let traceback = last.map(|l| self.redact.safe(l.trim_ascii()).clipped(160));
            let recent = record.at.is_none_or(|at| at >= self.from);
            compared.error(recent, traceback, text);
            if !recent {
                return Ok(());
            }
        }
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
        let now = self.session.now();
        let from = now.timestamp().checked_sub(ask.since).unwrap_or(now.timestamp());
        let since = if ask.compared { from.checked_sub(BEFORE).unwrap_or(from) } else { from };
        let mut query = Query { since: Some(since), ..Query::default() };
        query.want.extend(ask.level.as_deref().and_then(Level::parse).map(Predicate::Level));
        // What is no regular expression was refused when the file was read.
        query.want.extend(ask.matches.as_deref().and_then(|m| Regex::new(m).ok()).map(|r| Predicate::Line(Test::Matches(Arc::new(r)))));
        for (name, value) in &ask.fields {
            query.want.push(Predicate::Field { names: Arc::from(vec![name.clone()]), is: Test::Equals(value.clone()) });
        }
        let args = Args { targets: ask.targets.clone(), ..Args::default() };
        let (sources, _) = logs::sources(&args, self.session).await?;
        let zone = self.session.env.timezone.clone().unwrap_or(TimeZone::UTC);
        let mut sink = Tallying {
            tally: LineTally::default(),
            compared: ask.compared.then(LogTally::default),
            from,
            ask,
            zone,
            redact: &self.session.redact,
        };
        let fields = logs::id_fields(self.session);
        let reading = Reading { query: Arc::new(query), id_fields: fields, max_bytes: MOST, cancel: self.session.stop.token() };
        let outcome = read::read(&sources, &reading, &mut sink).await?;
        let coverage = &outcome.coverage;
        if coverage.nothing_read() {
            let missing = coverage.missing.first();
            let refused = coverage.missing.iter().any(|m| matches!(m.why, crate::answer::Why::Refused(_)));
            let says = missing.map(|m| crate::safe!("{}: {}", m.part.name, m.why.says())).unwrap_or_default();
            let why = if refused { Unanswered::NoPermission } else { Unanswered::Unreachable };
            let next = missing.and_then(|m| m.hint.clone()).into_iter().collect();
            return Ok(Err(BlindSpot { why, says, next, status: crate::checks::model::CheckStatus::Unknown, took_ms: 0 }));
        }
        if coverage.searched.is_empty() {
            let says = "there is nothing to read: no pod, no file".into();
            return Ok(Err(BlindSpot {
                why: Unanswered::NoData,
                says,
                next: Vec::new(),
                status: crate::checks::model::CheckStatus::Unknown,
                took_ms: 0,
            }));
        }
        let mut seen: Sighting = sink.tally.sighting(ask.since, ask.unit.unit);
        if let Some(compared) = sink.compared {
            compared.judge(ask.since, BEFORE, &mut seen);
        }
        seen.evidence.extend(coverage.missing.iter().take(3).map(|m| crate::safe!("not read: {}: {}", m.part.name, m.why.says())));
        Ok(Ok(seen))
    }
}
