//! Records as they are: everything that the flags admit, in order of time.

use super::{Resolved, args::Around, ask, neighbourhood};
use crate::{
    answer::{Answer, Coverage, Finding, Verdict},
    error::Result,
    exit::{ExitStatus, Outcome},
    logs::{
        decode,
        mark::StreamMark,
        model::Record,
        read::{self, Sink},
        request,
        view::{self, RecordView},
    },
    report::{Doc, Format, Line, Out, Style, Where},
    safe,
    session::Session,
    text::{Redactor, Safe},
};
use jiff::tz::TimeZone;

struct Printer<'a> {
    out: &'a mut Out,
    redact: Redactor,
    style: view::RecordStyle,
    zone: TimeZone,
    first: bool,
}

impl Printer<'_> {
    fn show(&mut self, record: &Record, late: bool) -> Result<()> {
        let entry = decode::record(record, &self.zone);
        if self.out.format == Format::Human {
            let style = view::RecordStyle { late, ..self.style };
            for line in view::record_lines(record, &entry, &self.redact, &self.out.look, style) {
                self.out.line(&line)?;
            }
            return Ok(());
        }
        let view = RecordView { late, ..RecordView::of(record, &entry, &self.redact) };
        self.object(&view)
    }

    fn object(&mut self, object: &impl serde::Serialize) -> Result<()> {
        if self.out.format == Format::Json {
            // One object, written as it grows: memory stays bounded.
            self.out.text(&if std::mem::take(&mut self.first) { Safe::EMPTY } else { ",".into() })?;
        }
        self.out.object(object)
    }
}

impl Sink for Printer<'_> {
    fn record(&mut self, record: Record) -> Result<()> {
        self.show(&record, false)
    }
    fn late(&mut self, record: Record) -> Result<()> {
        self.show(&record, true)
    }
    fn mark(&mut self, mark: StreamMark) -> Result<()> {
        match self.out.format {
            // The lines as they were written, and nothing else, is what was asked for.
            Format::Human if self.style.raw => {
                self.out.flush()?;
                self.note(safe!("{}: {}", mark.origin.tag(), mark.what.says()));
                Ok(())
            }
            Format::Human => self.out.line(&view::mark_line(&mark, &self.out.look, self.style)),
            Format::Json | Format::Ndjson => self.object(&view::MarkView::of(&mark)),
        }
    }
    fn note(&mut self, text: Safe) {
        self.out.note(&Line::new().with(Style::Dim, safe!("── {}", text)));
    }
    fn idle(&mut self) -> Result<()> {
        self.out.flush()
    }
}

pub(super) async fn run(resolved: Resolved<'_>, out: &mut Out) -> Result<ExitStatus> {
    let Resolved { args, ref query, session, .. } = resolved;
    if out.format == Format::Json && args.follow {
        return Err(crate::error::Error::new(crate::error::Kind::Usage, "following with -o json")
            .what("an object has an end, following has none")
            .hint(crate::answer::Hint::Set("-o ndjson".into())));
    }
    let filters = query.filters();
    out.note(&Line::new().with(Style::Dim, resolved.place.line()));
    if ask::is_default(args, query, resolved.place.files.is_some()) {
        out.note(
            &Line::new().with(
                Style::Dim,
                safe!("the last 10m, at most {} records of each container (--since, --tail -1: more)", ask::DEFAULT_TAIL),
            ),
        );
    }
    let mut query = query.clone();
    if let Some(Around::Time(length)) = args.around {
        query = neighbourhood::of(&resolved, query, length, out).await?;
    }
    if out.format == Format::Json {
        out.text(&"{\"kind\":\"logs.records\",\"version\":1,\"records\":[".into())?;
    }
    let redact = args.request_id.iter().fold(session.redact.clone(), |r, id| r.keeping(id.as_bytes()));
    let style = view::RecordStyle { raw: args.raw, timestamps: args.timestamps, namespaces: args.all_namespaces, late: false };
    let mut printer = Printer { out, redact, style, zone: resolved.zone(), first: true };
    let result = read::read(&resolved.sources, &resolved.reading(query), &mut printer).await?;
    let status = status(filters, result.records, &result.coverage, args.strict, session);
    let findings = request::clocks(&result.seen);
    let answer = Answer { facts: (), findings, coverage: result.coverage, sources: Vec::new() };
    finish(out, &answer, status, result.records, filters, &resolved)?;
    Ok(status)
}

/// design.md section 5: with a filter, found 0, absent 1, absent but not all read 3; without one, shown 0, nothing readable 3.
fn status(filters: bool, records: u64, coverage: &Coverage, strict: bool, session: &Session) -> ExitStatus {
    if let Some(reason) = session.stop.reason() {
        return ExitStatus::of(&Ok(reason), false);
    }
    let verdict = match (filters, records, coverage.complete()) {
        (_, _, false) if coverage.nothing_read() || coverage.capped() => Verdict::Unknown,
        (true, 0, true) => Verdict::Failed,
        (true, 0, false) => Verdict::Unknown,
        (_, _, false) if strict => Verdict::Unknown,
        _ => Verdict::Ok,
    };
    ExitStatus::of(&Ok(Outcome::Answered(verdict)), false)
}

fn finish(out: &mut Out, answer: &Answer<()>, status: ExitStatus, records: u64, filters: bool, resolved: &Resolved<'_>) -> Result<()> {
    let (coverage, place) = (&answer.coverage, &resolved.place);
    match out.format {
        Format::Json => {
            out.text(&"],\"end\":".into())?;
            out.object(&end(answer, status, records, place))?;
            out.text(&"}\n".into())?;
        }
        Format::Ndjson => out.object(&end(answer, status, records, place))?,
        Format::Human => {}
    }
    let nothing = coverage.searched.is_empty() && coverage.missing.is_empty();
    if !coverage.complete() || (filters && records == 0) || nothing || !answer.findings.is_empty() {
        let mut doc = Doc::default();
        if nothing {
            doc.line(Line::new().with(Style::Warn, "there is nothing to read: no pod is there"));
        } else if records == 0 && filters {
            let how = if coverage.complete() { "nothing matches" } else { "nothing matches in what could be read" };
            doc.line(Line::new().with(Style::Warn, how));
        }
        view::coverage(coverage, &mut doc);
        view::unsteady(&answer.findings, &mut doc);
        out.aside(&doc);
    }
    out.flush()
}

/// The last object of a stream: without it the stream was cut.
#[derive(serde::Serialize)]
struct End<'a> {
    kind: &'static str,
    version: u32,
    r#where: &'a Where,
    records: u64,
    coverage: &'a Coverage,
    #[serde(skip_serializing_if = "<[Finding]>::is_empty")]
    findings: &'a [Finding],
    complete: bool,
    exit_status: u8,
}

fn end<'a>(answer: &'a Answer<()>, status: ExitStatus, records: u64, place: &'a Where) -> End<'a> {
    let (coverage, findings) = (&answer.coverage, answer.findings.as_slice());
    End { kind: "end", version: 1, r#where: place, records, coverage, findings, complete: coverage.complete(), exit_status: status.code() }
}
