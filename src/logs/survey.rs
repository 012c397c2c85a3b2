//! Sources → a tally: every record as it comes, in no order, kept nowhere. What many records say together needs no order, so that memory
//! stays bounded whatever there is to read.

use super::{
    analyze::{
        Census,
        errors::{self, ErrorFacts, ErrorTally},
    },
    decode,
    model::Record,
    query::Query,
    read::{self, ReadOutcome, Reading, Sink},
    source::LogSource,
};
use crate::{
    answer::Coverage,
    error::Result,
    kubernetes::rollout::RolloutState,
    text::{Redactor, Safe},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// So many remarks of the sources are kept.
const MOST_NOTES: usize = 50;

/// What came of it.
#[derive(Debug, Default)]
pub struct SurveyOutcome {
    /// What was read, and what not.
    pub read: ReadOutcome,
    /// What the sources had to say: cut lines, ends.
    pub notes: Vec<Safe>,
}

struct Taker<'a, T> {
    tally: &'a mut T,
    zone: TimeZone,
    notes: Vec<Safe>,
}

impl<T: Census> Sink for Taker<'_, T> {
    fn record(&mut self, record: Record) -> Result<()> {
        self.tally.take(&record, &decode::record(&record, &self.zone));
        Ok(())
    }
    fn note(&mut self, text: Safe) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text);
        }
    }
    fn idle(&mut self) -> Result<()> {
        Ok(())
    }
    fn unordered(&self) -> bool {
        true
    }
}

/// Reads what is asked for and hands every record that the question admits to the tally. `zone` is that of times without one.
///
/// # Errors
/// A source that cannot say what there is to read.
pub async fn survey<T: Census>(sources: &[Arc<dyn LogSource>], reading: &Reading, zone: TimeZone, tally: &mut T) -> Result<SurveyOutcome> {
    let mut taker = Taker { tally, zone, notes: Vec::new() };
    let read = read::read(sources, reading, &mut taker).await?;
    Ok(SurveyOutcome { read, notes: taker.notes })
}

/// Which errors to look for, for those that judge them: a check of the error rate, of what the last rollout brought.
#[derive(Clone, Debug)]
pub struct ErrorAsk {
    /// Now, as whoever asks has it.
    pub now: Timestamp,
    /// The last of this length is compared
    pub span: SignedDuration,
    /// with the time of this length before it: both are read.
    pub before: SignedDuration,
    /// The fields that carry request IDs.
    pub id_fields: Arc<[String]>,
    /// The zone of times that are written without one.
    pub zone: TimeZone,
    /// The most bytes to read from a cluster.
    pub max_bytes: u64,
    /// What ends the reading.
    pub cancel: CancellationToken,
}

/// The errors of both times: `rate` compares them, `brought` names those that a rollout of that time brought. The coverage says how
/// far both can be believed.
///
/// # Errors
/// As `survey`.
pub async fn error_rate(
    sources: &[Arc<dyn LogSource>],
    ask: &ErrorAsk,
    rollouts: &[RolloutState],
    redact: &Redactor,
) -> Result<(ErrorFacts, Coverage)> {
    let since = ask.now.checked_sub(ask.span + ask.before).ok();
    let query = Query { since, want: vec![errors::wanted()], ..Query::default() };
    let (id_fields, cancel) = (ask.id_fields.clone(), ask.cancel.clone());
    let reading = Reading { query: Arc::new(query), id_fields: id_fields.clone(), max_bytes: ask.max_bytes, cancel };
    let mut tally = ErrorTally::new(redact.clone(), id_fields, ask.now).comparing(ask.span, ask.before);
    let outcome = survey(sources, &reading, ask.zone.clone(), &mut tally).await?;
    Ok((tally.finish(since, &outcome.read.seen, rollouts), outcome.read.coverage))
}
