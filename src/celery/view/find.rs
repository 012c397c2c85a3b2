//! The screen of `queue find`.

use super::findings;
use crate::{
    answer::{Answer, Finding, Severity},
    celery::{
        analyze::find::at,
        model::{FindFacts, FoundTask},
    },
    report::{Cell, Doc, Line, Look, Report, Style, Table, Where},
    safe,
    text::{Safe, units},
};

impl Report for FindFacts {
    const KIND: &'static str = "queue.find";
    const VERSION: u32 = 1;
}

/// So many lines of a traceback are shown without `-v`, from its end.
const LINES: usize = 6;

/// Draws it.
pub fn find(answer: &Answer<FindFacts>, place: &Where, look: &Look) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    let how = if facts.searched.workers.is_some() { "workers asked" } else { "read-only" };
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  {}", how)));
    // One finding stands for each task, in their order.
    let found = answer.findings.iter().filter(|finding| finding.code == "found");
    for (task, finding) in facts.tasks.iter().zip(found).take(20) {
        doc.wrapped(Line::new().with(Style::Good, "FOUND    ").with(Style::Strong, finding.says.clone()), 9);
        evidence(&mut doc, finding);
        details(&mut doc, task, look);
    }
    for finding in answer.findings.iter().filter(|finding| matches!(finding.code, "nowhere" | "not-found")) {
        let (style, word) = if finding.severity == Severity::Failed { (Style::Bad, "NOWHERE  ") } else { (Style::Warn, "UNKNOWN  ") };
        doc.wrapped(Line::new().with(style, word).with(Style::Strong, finding.says.clone()), 9);
        evidence(&mut doc, finding);
    }
    if !facts.relatives.is_empty() {
        doc.gap();
        let head = vec![
            Cell::left(Style::Dim, "BELONGS"),
            Cell::left(Style::Dim, "TASK"),
            Cell::left(Style::Dim, "ID"),
            Cell::left(Style::Dim, "WHERE"),
        ];
        let row = |relative: &crate::celery::model::Relative| {
            vec![
                Cell::left(Style::Plain, relative.kinship.says()),
                Cell::left(Style::Plain, relative.task.clone()),
                Cell::left(Style::Dim, relative.id.clone()),
                Cell::left(Style::Plain, at(&relative.place, facts.observed_at)),
            ]
        };
        doc.table(Table { head, rows: facts.relatives.iter().take(20).map(row).collect() });
    }
    doc.gap();
    doc.wrapped(Line::new().with(Style::Strong, "COVERAGE  ").with(Style::Plain, searched(facts)), 10);
    findings(&mut doc, answer, &["found", "nowhere", "not-found"]);
    doc
}

fn evidence(doc: &mut Doc, finding: &Finding) {
    for line in &finding.evidence {
        doc.wrapped(Line::new().with(Style::Plain, safe!("         {}", *line)), 9);
    }
}

fn details(doc: &mut Doc, task: &FoundTask, look: &Look) {
    let mut line = |label: &'static str, text: Safe| {
        doc.wrapped(Line::new().with(Style::Dim, safe!("  {:<11}", label)).with(Style::Plain, text), 13);
    };
    if let Some(message) = &task.message {
        let arguments: Vec<Safe> = [&message.args, &message.kwargs].into_iter().flatten().cloned().collect();
        if !arguments.is_empty() {
            let shown = Safe::join(&arguments, "  ");
            line("called", if look.verbose { shown } else { shown.clipped(300) });
        }
        if message.retries > 0 || message.redelivered {
            let before = if message.redelivered { ", delivered before" } else { "" };
            line("tries", safe!("{} before this one{}", message.retries, before));
        }
        if let Some(origin) = &message.origin {
            line("publisher", origin.clone());
        }
        if let Some(request) = &message.request {
            line("request", safe!("{} ({})", request.id, request.header));
        }
        let kin = [("parent", &message.parent), ("root", &message.root), ("group", &message.group)];
        for (label, id) in kin {
            if let Some(id) = id.as_ref().filter(|id| **id != task.id) {
                line(label, id.clone());
            }
        }
    }
    if let Some(outcome) = &task.outcome {
        if let Some(result) = &outcome.result {
            line("result", if look.verbose { result.clone() } else { result.clipped(300) });
        }
        if !outcome.children.is_empty() {
            line("children", Safe::join(&outcome.children, ", "));
        }
        let skip = if look.verbose { 0 } else { outcome.traceback.len().saturating_sub(LINES) };
        if skip > 0 {
            line("traceback", safe!("{} more lines (-v shows them)", skip));
        }
        for text in outcome.traceback.iter().skip(skip) {
            doc.line(Line::new().with(Style::Dim, safe!("  │ {}", *text)));
        }
    }
}

fn searched(facts: &FindFacts) -> Safe {
    let searched = &facts.searched;
    let mut parts = vec![
        safe!("{} waiting{}", units::count(searched.waiting), if searched.enough { " (then it was found)" } else { "" }),
        safe!("{} delivered", units::count(searched.delivered)),
    ];
    parts.push(match (searched.workers, searched.all_workers) {
        (Some(n), true) => safe!("all {} asked", units::plural(n as usize, "worker", "workers")),
        (Some(n), false) => safe!("{} answered, not all", units::plural(n as usize, "worker", "workers")),
        (None, _) => "no worker asked".into(),
    });
    parts.push(if searched.results { "results in this Redis".into() } else { "results not looked at".into() });
    if searched.too_large + searched.undecodable > 0 {
        parts.push(safe!("{} messages not read, {} not decoded", searched.too_large, searched.undecodable));
    }
    Safe::join(&parts, "; ")
}
