//! `--around 5s`: what every container wrote near the records that match. Time is all that joins them, and that is said.

use super::Resolved;
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    logs::{
        mark::StreamMark,
        model::Record,
        query::{Query, Spans},
        read::{self, Sink},
    },
    report::{Line, Out, Style},
    safe,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// Around so many matching records at most, the newest.
const MOST: usize = 100;

/// When the matching records were written.
struct Moments<'a> {
    at: Vec<Timestamp>,
    out: &'a mut Out,
}

impl Sink for Moments<'_> {
    fn record(&mut self, record: Record) -> Result<()> {
        self.at.extend(record.at);
        // Order of time: what is drained is the oldest.
        if self.at.len() >= 2 * MOST.pow(2) {
            self.at.drain(..MOST.pow(2));
        }
        Ok(())
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

/// The question for the neighbourhood of what the filters admit.
pub(super) async fn of(resolved: &Resolved<'_>, query: Query, length: SignedDuration, out: &mut Out) -> Result<Query> {
    let wrong = |what: &'static str| Err(Error::new(Kind::Usage, "reading --around").what(what));
    if resolved.args.follow {
        return wrong("what is near in time is known when that time is over: not with -f");
    }
    if !query.filters() {
        return Err(Error::new(Kind::Usage, "reading --around")
            .what("no filter says around which records")
            .hint(Hint::Try("-i TEXT, --field KEY=VALUE, --level error".into())));
    }
    let mut moments = Moments { at: Vec::new(), out };
    // Found in the containers that were named, shown of all that were named.
    read::read(&resolved.sources, &resolved.reading(Query { tail: None, ..query.clone() }), &mut moments).await?;
    let Moments { mut at, out } = moments;
    let over = at.len().saturating_sub(MOST);
    at.drain(..over);
    if at.is_empty() {
        // The question as it is: it says in its own words that nothing matches.
        return Ok(query);
    }
    let count = at.len();
    let spans = Spans::around(at, length);
    let mut says = safe!(
        "by time only: what was written {} before and after {}, marked ~; nothing says that it belongs together",
        units::duration(length),
        units::plural(count, "matching record", "matching records")
    );
    if over > 0 {
        says = safe!("{} (the newest; {} older ones match too)", says, over);
    }
    out.note(&Line::new().with(Style::Dim, safe!("── {}", says)));
    let since = spans.ends().map(|(from, _)| from);
    Ok(Query { since, until: None, spans: Some(Arc::new(spans)), newest: false, ..query })
}
