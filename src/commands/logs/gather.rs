//! From IDs to their stories: reads, asks for the tasks that were found, reads again, until every story is whole. One reading serves all.

use super::Resolved;
use crate::{
    answer::{Coverage, Finding, Hint},
    error::{Error, Kind, Result},
    logs::{
        decode,
        flow::keep::Seen,
        mark::StreamMark,
        model::Record,
        query::{Predicate, Query},
        read::{self, Sink},
        request::{self, RequestFacts, Story},
        view,
    },
    report::{Line, Out, Style},
    safe,
    text::{Redactor, Safe},
};
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

/// How many lines of the preview are shown.
const PREVIEW: usize = 20;
/// How many records of all requests are kept.
const MOST: usize = 50_000;

/// Collects what belongs to the requests; shows the first lines at once where somebody watches.
struct Gather<'a> {
    records: Vec<Record>,
    out: &'a mut Out,
    redact: &'a Redactor,
    shown: usize,
    first: Option<CancellationToken>,
    dropped: u64,
}

impl Sink for Gather<'_> {
    fn record(&mut self, record: Record) -> Result<()> {
        if self.records.len() < MOST {
            self.records.push(record);
        } else {
            self.dropped += 1;
        }
        Ok(())
    }
    fn early(&mut self, record: &Record) {
        if self.out.previews() && self.shown < PREVIEW {
            self.shown += 1;
            let entry = decode::entry(&record.head, &TimeZone::UTC);
            for line in view::record_lines(record, &entry, self.redact, &self.out.look, view::RecordStyle::default()).iter().take(1) {
                self.out.note(line);
            }
        }
        if let Some(enough) = &self.first {
            enough.cancel();
        }
    }
    fn mark(&mut self, _mark: StreamMark) -> Result<()> {
        Ok(())
    }
    fn note(&mut self, text: Safe) {
        self.out.note(&Line::new().with(Style::Dim, safe!("── {}", text)));
    }
    fn idle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The stories and what they rest on.
#[derive(Default)]
pub(super) struct Told {
    pub stories: Vec<Story>,
    pub coverage: Coverage,
    pub seen: Seen,
    dropped: u64,
    rounds: usize,
}

impl Told {
    /// These stories, of which nothing was read yet.
    pub(super) fn of(stories: Vec<Story>) -> Self {
        Self { stories, ..Self::default() }
    }

    /// Reads until no story asks for more. `shown` gets each reading's records, before the next begins.
    pub(super) async fn read(&mut self, resolved: &Resolved<'_>, out: &mut Out, redact: &Redactor) -> Result<()> {
        let (zone, session) = (resolved.zone(), resolved.session);
        while let Some(question) = self.question(&resolved.query) {
            let begun = self.rounds == 0;
            let mut reading = resolved.reading(question);
            reading.cancel = reading.cancel.child_token();
            let first = (resolved.args.first && begun).then(|| reading.cancel.clone());
            let shown = if begun && !resolved.args.follow { 0 } else { PREVIEW };
            let mut gather = Gather { records: Vec::new(), out, redact, shown, first, dropped: 0 };
            let outcome = read::read(&resolved.sources, &reading, &mut gather).await?;
            self.dropped += gather.dropped;
            let records = std::mem::take(&mut gather.records);
            self.coverage.join(outcome.coverage);
            if begun {
                self.seen = outcome.seen;
            }
            self.rounds += 1;
            for story in &mut self.stories {
                story.take(&records, &zone);
                story.advance(&resolved.query, &resolved.fields);
            }
            if session.stop.reason().is_some() || (resolved.args.first && begun) {
                break;
            }
        }
        Ok(())
    }

    /// One question for what all of them want to know.
    fn question(&self, base: &Query) -> Option<Query> {
        let asked: Vec<&Query> = self.stories.iter().filter_map(Story::question).collect();
        if let [one] = asked.as_slice() {
            return Some((*one).clone());
        }
        asked.first()?;
        let all = |q: &&Query| match q.want.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        let since = if asked.iter().any(|q| q.since.is_none()) { base.since } else { asked.iter().filter_map(|q| q.since).min() };
        // Where a question has further conditions, each story looks at them itself.
        let want = asked.iter().map(all).collect::<Option<Vec<_>>>().map(Predicate::Any);
        let want = want.or_else(|| asked.iter().map(|q| q.want.last().cloned()).collect::<Option<Vec<_>>>().map(Predicate::Any));
        Some(Query { want: want.into_iter().collect(), not: Vec::new(), since, follow: false, ..base.clone() })
    }

    /// Each story with what it means.
    ///
    /// # Errors
    /// `Usage` where several IDs begin as one was asked: they are listed.
    pub(super) fn facts(&self, resolved: &Resolved<'_>, redact: &Redactor) -> Result<Vec<(RequestFacts, Vec<Finding>)>> {
        let mut told = Vec::new();
        for story in &self.stories {
            let ids = story.candidates(&resolved.fields);
            if ids.len() > 1 {
                let names: Vec<Safe> = ids.iter().take(10).map(Safe::name).collect();
                return Err(Error::new(Kind::Usage, safe!("looking for request {}", Safe::name(&story.asked)))
                    .what(safe!("{} request IDs begin so", ids.len()))
                    .hint(Hint::Try(safe!("give more of it: {}", Safe::join(&names, ", ")))));
            }
            let ids = if story.task().is_some() && story.subject() == story.asked { Vec::new() } else { ids };
            let mut facts = request::analyze(&story.trace, &resolved.fields, story.subject(), &ids, redact);
            facts.asked = Safe::name(&story.asked);
            facts.task = story.task().map(Safe::name);
            let rotated = resolved.query.rotated;
            let findings = request::findings(&facts, &self.coverage, &self.seen, &resolved.fields, self.dropped, &story.trace, rotated);
            told.push((facts, findings));
        }
        Ok(told)
    }

    /// When the first of their lines was written.
    pub(super) fn began(&self) -> Option<jiff::Timestamp> {
        self.stories.iter().filter_map(|s| s.trace.began()).min()
    }
}
