//! The screen of `obsctl db activity`.

use super::parts::{brief, ending, findings, first_line, headline};
use crate::{
    answer::Answer,
    postgres::{
        analyze::activity::{Saturation, age},
        model::{ActivityFacts, Backend, BackendState},
    },
    report::{Cell, Doc, Line, Look, Style, Table, Where},
    safe,
    text::{Safe, units},
};
use std::collections::BTreeMap;

/// Sessions in the table, without `-v`.
const SHOWN: usize = 20;

/// Draws an answer.
pub fn activity(answer: &Answer<ActivityFacts>, place: &Where, look: &Look) -> Doc {
    let mut doc = Doc::default();
    let facts = &answer.facts;
    first_line(&mut doc, place, &facts.server);
    let saturation = Saturation::of(facts);
    let told = headline(&mut doc, answer, safe!("no session runs long, none idles in a transaction; {}.", saturation.says()));
    doc.gap();
    states(&mut doc, facts, saturation);
    let busy = |b: &&Backend| {
        look.verbose || (b.is_client() && b.leader.is_none() && !matches!(b.state, BackendState::Idle | BackendState::Hidden))
    };
    let busy: Vec<&Backend> = facts.backends.iter().filter(busy).collect();
    if !busy.is_empty() {
        table(&mut doc, facts, &busy, look);
    }
    findings(&mut doc, &answer.findings, told, look);
    ending(&mut doc, answer);
    doc
}

/// `sessions  57 of 97 connections   3 active   40 idle`.
fn states(doc: &mut Doc, facts: &ActivityFacts, saturation: Saturation) {
    let mut counts: BTreeMap<BackendState, usize> = BTreeMap::new();
    for backend in facts.backends.iter().filter(|b| b.is_client()) {
        *counts.entry(backend.state).or_default() += 1;
    }
    let each: Vec<Safe> = counts.iter().map(|(state, n)| safe!("{} {}", *n, state.says())).collect();
    let ours = safe!("{} of {} connections, ours among them", saturation.used, saturation.of);
    let all: Vec<Safe> = [ours].into_iter().chain(each).collect();
    let all = Safe::join(&all, "   ");
    doc.wrapped(Line::new().with(Style::Dim, "sessions  ").with(Style::Plain, all), 10);
}

fn table(doc: &mut Doc, facts: &ActivityFacts, busy: &[&Backend], look: &Look) {
    let now = facts.server.observed_at;
    let head = [("PID", true), ("FOR", true), ("IN TX", true), ("STATE, WAITS FOR", false), ("WHO: STATEMENT", false)];
    let head = head.map(|(text, right)| if right { Cell::right(Style::Dim, text) } else { Cell::left(Style::Dim, text) });
    let mut table = Table { head: head.into(), rows: Vec::new() };
    let most = if look.verbose { usize::MAX } else { SHOWN };
    for backend in busy.iter().take(most) {
        let span = |age: Option<jiff::SignedDuration>| age.map_or_else(|| "–".into(), units::duration);
        let transaction = backend.transaction_at.map(|at| now.duration_since(at).max(jiff::SignedDuration::ZERO));
        // Between its statements a session always waits for its client: that says nothing.
        let wait = backend.wait.as_ref().filter(|wait| wait.class.as_str() != "Client");
        let state =
            wait.map_or_else(|| backend.state.says().into(), |wait| safe!("{}, {} {}", backend.state.says(), wait.class, wait.event));
        let style = if backend.state.idles_in_transaction() { Style::Warn } else { Style::Plain };
        let clip = if look.verbose { usize::MAX } else { 110 };
        let query = backend.query.as_ref().map_or_else(|| "not shown to us".into(), |query| brief(query, clip));
        table.rows.push(vec![
            Cell::right(Style::Plain, Safe::name(backend.pid.to_string())),
            Cell::right(style, span(age(backend, now))),
            Cell::right(Style::Plain, span(transaction)),
            Cell::left(style, state),
            Cell::left(Style::Plain, safe!("{}: {}", who(backend), query)),
        ]);
    }
    doc.table(table);
    if busy.len() > most {
        doc.line(Line::new().with(Style::Dim, safe!("and {} more (-v)", busy.len() - most)));
    }
}

/// The task or view if it says so, else the application, and the role.
fn who(backend: &Backend) -> Safe {
    let first = backend.asker.as_ref().map(crate::postgres::statement::shown::Asker::says).or_else(|| backend.application.clone());
    let names: Vec<Safe> = first.into_iter().chain(backend.role.clone()).collect();
    if names.is_empty() { backend.kind.clone() } else { Safe::join(&names, ", ") }
}
