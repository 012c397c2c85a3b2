//! Sources → a tally: every record as it comes, in no order, kept nowhere. What many records say together needs no order, so that memory
//! stays bounded whatever there is to read.

use super::{
    analyze::Census,
    decode,
    model::Record,
    read::{self, ReadOutcome, Reading, Sink},
    source::LogSource,
};
use crate::{error::Result, text::Safe};
use jiff::tz::TimeZone;
use std::sync::Arc;

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
