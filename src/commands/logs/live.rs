//! `-f --request-id`: what was written so far, then what comes, until the requests and all their tasks have ended.
#![expect(clippy::disallowed_methods, reason = "waits a moment for late lines before a request is called ended")]

use super::{Resolved, gather::Told, request};
use crate::{
    error::{Error, Kind, Result},
    exit::ExitStatus,
    logs::{
        decode,
        model::Record,
        query::{KnownTasks, Predicate, Query},
        read::{self, ReadOutcome, Sink},
        request::Story,
        view::{self, RecordView},
    },
    report::{Format, Line, Out, Style},
    safe,
    text::{Redactor, Safe},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// The streams begin so many lines back: what was written while the past was read is in them.
const BACK: u64 = 2_000;
/// How long nothing may come after the end before it is believed.
const QUIET: Duration = Duration::from_millis(1_500);

enum Heard {
    Record(Record),
    Note(Safe),
}

/// Hands what is followed to the one who tells the stories.
struct Ear(mpsc::Sender<Heard>, Vec<Heard>);

impl Ear {
    /// Whoever reads is behind: kept until there is room.
    fn pass(&mut self) -> Result<()> {
        while !self.1.is_empty() {
            let one = self.1.remove(0);
            match self.0.try_send(one) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(one)) => {
                    self.1.insert(0, one);
                    return Ok(());
                }
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    return Err(Error::new(Kind::Cancelled, "following").what("the requests have ended"));
                }
            }
        }
        Ok(())
    }
}

impl Sink for Ear {
    fn record(&mut self, record: Record) -> Result<()> {
        self.1.push(Heard::Record(record));
        self.pass()
    }
    fn note(&mut self, text: Safe) {
        self.1.push(Heard::Note(text));
        let _ = self.pass();
    }
    fn idle(&mut self) -> Result<()> {
        self.pass()
    }
}

pub(super) async fn run(resolved: &Resolved<'_>, stories: Vec<Story>, redact: &Redactor, out: &mut Out) -> Result<ExitStatus> {
    out.note(&Line::new().with(Style::Dim, resolved.place.line()));
    let tasks = Arc::new(KnownTasks::default());
    let mut wanted: Vec<Predicate> = stories.iter().map(|s| Predicate::subject(&resolved.fields, &s.asked)).collect();
    wanted.push(Predicate::Tasks(tasks.clone()));
    let query = Query { want: vec![Predicate::Any(wanted)], follow: true, newest: false, back: Some(BACK), ..resolved.query.clone() };
    let mut reading = resolved.reading(query);
    reading.cancel = reading.cancel.child_token();
    let (send, heard) = mpsc::channel(4_096);
    let mut ear = Ear(send, Vec::new());
    let enough = reading.cancel.clone();
    // A source tells its lanes apart by the reading that asked for them: two readings at once need two.
    let (follows, _) = super::sources(resolved.args, resolved.session).await?;
    // Both at once: what is written while the past is read must not fall between the two.
    let follows = read::read(&follows, &reading, &mut ear);
    let tells = async {
        let told = tell(resolved, stories, redact, &tasks, heard, out).await;
        enough.cancel();
        told
    };
    let (followed, told) = futures_util::future::join(follows, tells).await;
    let told = told?;
    let followed: Result<ReadOutcome> = followed;
    match followed {
        Err(e) if e.kind() != Kind::Cancelled => return Err(e),
        _ => {}
    }
    request::answer(resolved, told, redact, Vec::new(), out).await
}

async fn tell(
    resolved: &Resolved<'_>,
    stories: Vec<Story>,
    redact: &Redactor,
    tasks: &KnownTasks,
    mut heard: mpsc::Receiver<Heard>,
    out: &mut Out,
) -> Result<Told> {
    let past = Resolved { query: Query { follow: false, ..resolved.query.clone() }, ..resolved.clone() };
    let mut told = Told::of(stories);
    let mut shown = vec![0; told.stories.len()];
    let stop = resolved.session.stop.token();
    loop {
        told.read(&past, out, redact).await?;
        tasks.learn(told.stories.iter().flat_map(Story::known_tasks).collect::<Vec<_>>());
        for (story, shown) in told.stories.iter().zip(&mut shown) {
            for record in story.trace.records().skip(*shown) {
                show(record, resolved, redact, out)?;
                *shown += 1;
            }
        }
        out.flush()?;
        let over = told.facts(resolved, redact)?.iter().all(|(facts, _)| facts.over());
        let one = tokio::select! {
            () = stop.cancelled() => return Ok(told),
            one = heard.recv() => one,
            () = tokio::time::sleep(QUIET), if over => return Ok(told),
        };
        let mut records = Vec::new();
        let mut take = |one: Heard, out: &mut Out| match one {
            Heard::Record(record) => records.push(record),
            Heard::Note(text) => out.note(&Line::new().with(Style::Dim, safe!("── {}", text))),
        };
        match one {
            Some(one) => take(one, out),
            None => return Ok(told),
        }
        while let Ok(one) = heard.try_recv() {
            take(one, out);
        }
        for story in &mut told.stories {
            story.hear(&records, &past.query, &past.fields, &past.zone());
        }
    }
}

/// A line as it comes.
fn show(record: &Record, resolved: &Resolved<'_>, redact: &Redactor, out: &mut Out) -> Result<()> {
    let entry = decode::record(record, &resolved.zone());
    match out.format {
        Format::Human => {
            let style = view::RecordStyle { namespaces: resolved.args.all_namespaces, ..view::RecordStyle::default() };
            view::record_lines(record, &entry, redact, &out.look.clone(), style).iter().try_for_each(|line| out.line(line))
        }
        Format::Ndjson => out.object(&RecordView::of(record, &entry, redact)),
        // One object has an end: it comes when the requests have ended.
        Format::Json => Ok(()),
    }
}
