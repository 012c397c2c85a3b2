//! `--request-id`: reads, asks for the tasks that were found, reads again, until the story is whole.

use super::Args;
use crate::{
    answer::{Answer, Coverage, Finding, Hint, Step, Verdict},
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    kubernetes::collect::{self, Scope},
    logs::{
        decode,
        flow::keep::Seen,
        model::Record,
        query::Query,
        read::{self, Reading, Sink},
        request::{self, RequestFacts, Trace},
        source::LogSource,
        view,
    },
    report::{Line, Out, Style, Where},
    safe,
    session::Session,
    text::{Redactor, Safe},
};
use jiff::tz::TimeZone;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How many lines of the preview are shown.
const PREVIEW: usize = 20;
/// How many records of one request are kept.
const MOST: usize = 50_000;

/// Collects what belongs to the request; shows the first lines at once where somebody watches.
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
    fn note(&mut self, text: Safe) {
        self.out.note(&Line::new().with(Style::Dim, safe!("── {}", text)));
    }
    fn idle(&mut self) -> Result<()> {
        Ok(())
    }
}

#[expect(clippy::too_many_arguments, reason = "the one place where all that was resolved comes together")]
pub(super) async fn run(
    asked: &str,
    args: &Args,
    query: Query,
    fields: Arc<[String]>,
    sources: Vec<Arc<dyn LogSource>>,
    place: Where,
    session: &Session,
    out: &mut Out,
) -> Result<ExitStatus> {
    let redact = session.redact.clone().keeping(asked.as_bytes());
    let zone = session.env.timezone.clone().unwrap_or(TimeZone::UTC);
    let mut trace = Trace::default();
    let mut coverage = Coverage::default();
    let mut seen = Seen::default();
    let mut question = query.clone();
    let mut dropped = 0;
    let mut round = 0;
    loop {
        let cancel = session.stop.token().child_token();
        let first = (args.first && round == 0).then(|| cancel.clone());
        let reading = Reading { query: Arc::new(question), id_fields: fields.clone(), max_bytes: args.max_bytes, cancel };
        let mut gather =
            Gather { records: Vec::new(), out, redact: &redact, shown: if round == 0 { 0 } else { PREVIEW }, first, dropped: 0 };
        let outcome = read::read(&sources, &reading, &mut gather).await?;
        dropped += gather.dropped;
        let records = std::mem::take(&mut gather.records);
        coverage.join(outcome.coverage);
        if round == 0 {
            seen = outcome.seen;
        }
        trace.add(records, &zone);
        round += 1;
        if session.stop.reason().is_some() || args.first {
            break;
        }
        match request::next(&mut trace, &query, &fields, asked) {
            Step::Ask(next) => question = next,
            Step::Done(()) => break,
        }
    }
    gone(&mut coverage, &trace, session, args).await;
    let ids = trace.ids(&fields, asked);
    if ids.len() > 1 {
        let names: Vec<Safe> = ids.iter().take(10).map(Safe::name).collect();
        return Err(Error::new(Kind::Usage, safe!("looking for request {}", Safe::name(asked)))
            .what(safe!("{} request IDs begin so", ids.len()))
            .hint(Hint::Try(safe!("give more of it: {}", Safe::join(&names, ", ")))));
    }
    let facts = request::analyze(&trace, &fields, asked, &ids, &redact);
    let findings = request::findings(&facts, &coverage, &seen, &fields, dropped, &trace);
    let status = status(&facts, &findings, &coverage, args.strict, session);
    let sources = match session.env.kube.is_some() && place.files.is_none() {
        true => vec![session.cluster().await?.provenance()],
        false => Vec::new(),
    };
    let answer = Answer { facts, findings, coverage, sources };
    out.answer(&answer, &place, status, |look| view::request(&answer, &place, look, args.tracebacks))?;
    Ok(status)
}

/// Pods that existed when the request ran and whose logs are lost: from the events.
async fn gone(coverage: &mut Coverage, trace: &Trace, session: &Session, args: &Args) {
    if coverage.searched.iter().all(|p| p.system != "kubernetes") {
        return;
    }
    let Ok(cluster) = session.cluster().await else { return };
    let scope = if args.all_namespaces { Scope::All } else { Scope::Namespace(cluster.namespace.clone()) };
    let Ok(pods) = collect::pods(&cluster, &scope, None).await else { return };
    // Without the right to list events nothing is claimed about pods that are gone.
    let Ok(gone) = collect::gone(&cluster, &scope, &pods).await else { return };
    let apps: Vec<String> = pods.iter().filter_map(|p| Some(p.name.rsplitn(3, '-').nth(2)?.to_owned())).collect();
    let began = trace.began();
    for pod in gone {
        let of_app = apps.iter().any(|a| pod.name.starts_with(&format!("{a}-")));
        if of_app && began.is_none_or(|b| pod.last_heard.is_none_or(|l| l >= b)) {
            coverage.miss(crate::answer::Missing {
                part: crate::answer::Part { system: "kubernetes", name: Safe::name(&pod.name) },
                why: crate::answer::Why::Gone,
                hint: None,
            });
        }
    }
}

fn status(facts: &RequestFacts, findings: &[Finding], coverage: &Coverage, strict: bool, session: &Session) -> ExitStatus {
    if let Some(reason) = session.stop.reason() {
        return ExitStatus::of(&Ok(reason), false);
    }
    let verdict = if !facts.attempts.is_empty() {
        if coverage.capped() || (strict && !coverage.complete()) { Verdict::Unknown } else { Verdict::Ok }
    } else if findings.iter().any(|f| f.code == "absent") {
        Verdict::Failed
    } else {
        Verdict::Unknown
    };
    ExitStatus::of(&Ok(Outcome::Answered(verdict)), false)
}
