//! The screen of `obsctl db slow`.

use super::parts::{brief, ending, findings, first_line, headline};
use crate::{
    answer::Answer,
    postgres::{
        analyze::statements::{ms, percent, span},
        model::{RankedStatement, StatementFacts, StatementOrder},
        statement::shown::Asker,
    },
    report::{Cell, Doc, Line, Look, Style, Table, Where},
    safe,
    text::{Safe, units},
};

/// What one block holds, as nearly every server is built.
const BLOCK: u64 = 8192;

/// Draws an answer. `doubts`: what the figures do not say.
pub fn statements(answer: &Answer<StatementFacts>, place: &Where, look: &Look, doubts: &[Safe]) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    first_line(&mut doc, place, &facts.server);
    let over = span(facts.span, facts.server.observed_at);
    let calm = match facts.statements.first() {
        None => safe!("no statement was run {}.", over),
        Some(_) => "no statement is slow (PgHero: 20 ms a run, 100 runs), and none takes much of the time in few runs.".into(),
    };
    let told = headline(&mut doc, answer, calm);
    doc.gap();
    let by = match facts.by {
        StatementOrder::Total => "all their time",
        StatementOrder::Mean => "the time of a run",
        StatementOrder::Calls => "runs",
        StatementOrder::Rows => "rows",
        StatementOrder::Io => "blocks read from files and temporary files",
    };
    let all = safe!(
        "{} of {} {}: {} runs, {}; by {}",
        facts.statements.len(),
        units::plural(facts.known, "statement", "statements"),
        over,
        units::count(u64::try_from(facts.total.calls).unwrap_or(0)),
        ms(facts.total.ms),
        by
    );
    doc.wrapped(Line::new().with(Style::Dim, "figures   ").with(Style::Plain, all), 10);
    if !facts.statements.is_empty() {
        table(&mut doc, facts, look);
    }
    findings(&mut doc, &answer.findings, told, look);
    for doubt in doubts {
        doc.wrapped(Line::new().with(Style::Dim, "note  ").with(Style::Plain, doubt.clone()), 6);
    }
    ending(&mut doc, answer);
    doc
}

fn table(doc: &mut Doc, facts: &StatementFacts, look: &Look) {
    let compared = facts.statements.iter().any(|one| one.mean_before_ms.is_some());
    let mut head = vec!["TIME", "SHARE", "RUNS", "MEAN"];
    head.extend(compared.then_some("BEFORE"));
    head.extend(["ROWS/RUN", "READ"]);
    let mut head: Vec<Cell> = head.into_iter().map(|text| Cell::right(Style::Dim, text)).collect();
    head.push(Cell::left(Style::Dim, "STATEMENT"));
    let rows = facts.statements.iter().map(|one| row(one, compared, look)).collect();
    doc.table(Table { head, rows });
}

fn row(one: &RankedStatement, compared: bool, look: &Look) -> Vec<Cell> {
    let stats = &one.stats;
    let count = |n: i64| units::count(u64::try_from(n).unwrap_or(0));
    let mut cells = vec![
        Cell::right(Style::Plain, ms(stats.total_ms)),
        Cell::right(Style::Plain, percent(one.share)),
        Cell::right(Style::Plain, count(stats.calls)),
        Cell::right(Style::Plain, ms(one.mean_ms)),
    ];
    if compared {
        let slower = one.mean_before_ms.is_some_and(|before| one.mean_ms > 2.0 * before);
        cells.push(Cell::right(if slower { Style::Warn } else { Style::Dim }, one.mean_before_ms.map_or_else(|| "new".into(), ms)));
    }
    cells.push(Cell::right(Style::Plain, safe!("{:.1}", one.rows_per_call)));
    let blocks = u64::try_from(stats.read.saturating_add(stats.temp)).unwrap_or(0);
    cells.push(Cell::right(Style::Plain, if blocks == 0 { "–".into() } else { units::bytes(blocks.saturating_mul(BLOCK)) }));
    let clip = if look.verbose { usize::MAX } else { 120 };
    let query = stats.query.clone().unwrap_or_else(|| "not shown to us".into());
    let query = brief(&query, clip);
    let whose: Vec<Safe> = one.askers.iter().map(Asker::says).collect();
    let whose = if whose.is_empty() { Safe::EMPTY } else { safe!("  ← {}", Safe::join(&whose, ", ")) };
    let nested = if stats.key.toplevel { "" } else { "  (inside a function)" };
    let suspect = if one.n_plus_one { "  N+1?" } else { "" };
    cells.push(Cell::left(Style::Plain, safe!("{}{}{}{}  id {}", query, whose, suspect, nested, stats.key.queryid)));
    cells
}
