//! The screen of `queue workers`.

use super::{findings, headline};
use crate::{
    answer::Answer,
    celery::{
        analyze::workers::pod_says,
        model::{Hold, WorkerFacts, WorkerState, WorkersFacts},
    },
    report::{Cell, Doc, Line, Look, Report, Style, Table, Where},
    safe,
    text::{Safe, units},
};

impl Report for WorkersFacts {
    const KIND: &'static str = "queue.workers";
    const VERSION: u32 = 1;
}

/// Draws it.
pub fn workers(answer: &Answer<WorkersFacts>, place: &Where, look: &Look) -> Doc {
    let facts = &answer.facts;
    let mut doc = Doc::default();
    let how = match &facts.bus {
        Some(bus) => safe!("{} of {} connected workers answered in {} ms", bus.answered, bus.subscribers, bus.took_ms),
        None => safe!("heartbeats of {:.1} s, nothing written", facts.listened_s.unwrap_or_default()),
    };
    doc.line(Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  {}", how)));
    headline(&mut doc, answer, sentence(facts));
    doc.gap();
    if !facts.workers.is_empty() {
        doc.table(table(facts, look));
    }
    if !facts.queues.is_empty() {
        doc.gap();
        doc.table(queues(facts));
    }
    doc.gap();
    findings(&mut doc, answer, &[]);
    doc
}

/// What is known where nothing is wrong.
fn sentence(facts: &WorkersFacts) -> Safe {
    let workers = units::plural(facts.workers.len(), "worker", "workers");
    match (&facts.bus, slots(facts)) {
        (Some(_), Some((busy, slots))) => safe!("{} answered; {} of {} slots are busy", workers, busy, slots),
        _ => safe!("{} heard", workers),
    }
}

fn slots(facts: &WorkersFacts) -> Option<(u64, u64)> {
    let known = || facts.workers.iter().filter(|w| w.stats.is_some());
    let slots: u64 = known().filter_map(|w| w.stats.as_ref()?.slots).sum();
    (slots > 0).then(|| (known().filter_map(|w| w.running).sum(), slots))
}

fn table(facts: &WorkersFacts, look: &Look) -> Table {
    let asked = facts.bus.is_some();
    let tasks = facts.bus.as_ref().is_some_and(|bus| bus.tasks);
    let mut head = vec![Cell::left(Style::Dim, "WORKER"), Cell::left(Style::Dim, "STATE"), Cell::right(Style::Dim, "RUNNING")];
    if tasks {
        head.extend([Cell::right(Style::Dim, "RESERVED"), Cell::right(Style::Dim, "SCHEDULED")]);
    }
    head.push(if asked { Cell::left(Style::Dim, "POOL, QUEUES, POD") } else { Cell::left(Style::Dim, "RATE, POD") });
    let rows = facts.workers.iter().map(|worker| {
        let style = match worker.state {
            WorkerState::Dead | WorkerState::Down | WorkerState::DeadOrSilent => Style::Bad,
            WorkerState::Alive => Style::Good,
            WorkerState::Ghost => Style::Dim,
            _ => Style::Warn,
        };
        let says = match worker.state {
            WorkerState::Alive if !asked => "heard",
            state => state.says(),
        };
        let slots = worker.stats.as_ref().and_then(|s| s.slots);
        let running = match (worker.running, slots) {
            (Some(n), Some(slots)) => safe!("{} of {}", n, slots),
            (Some(n), None) => safe!("{}", n),
            (None, _) => "?".into(),
        };
        let mut row = vec![Cell::left(Style::Plain, worker.name.clone()), Cell::left(style, says), Cell::right(Style::Plain, running)];
        if tasks {
            let of = |hold| {
                if worker.stats.is_none() { "?".into() } else { safe!("{}", worker.tasks.iter().filter(|t| t.state == hold).count()) }
            };
            row.extend([Cell::right(Style::Plain, of(Hold::Reserved)), Cell::right(Style::Plain, of(Hold::Scheduled))]);
        }
        row.push(Cell::left(Style::Dim, more(worker, facts, look)));
        row
    });
    Table { rows: rows.collect(), head }
}

fn more(worker: &WorkerFacts, facts: &WorkersFacts, look: &Look) -> Safe {
    let mut parts = Vec::new();
    if let Some(stats) = &worker.stats {
        let pool = stats.pool.clone().unwrap_or_else(|| "?".into());
        parts.push(match stats.prefetch {
            Some(n) if look.verbose => safe!("{}, may fetch {}", pool, n),
            _ => pool,
        });
    }
    if let Some(queues) = &worker.queues {
        parts.push(Safe::join(queues, ", "));
    }
    if let Some(rate) = worker.per_second {
        parts.push(safe!("{:.1} tasks/s", rate));
    }
    if let Some(pod) = &worker.pod {
        parts.push(pod_says(pod, facts.observed_at));
    }
    Safe::join(&parts, "  ")
}

fn queues(facts: &WorkersFacts) -> Table {
    let head = vec![Cell::left(Style::Dim, "QUEUE"), Cell::right(Style::Dim, "WAITING"), Cell::right(Style::Dim, "CONSUMED BY")];
    let rows = facts.queues.iter().map(|queue| {
        let consumers = match queue.consumers {
            Some(0) => Cell::right(if queue.waiting > Some(0) { Style::Bad } else { Style::Warn }, "nobody"),
            Some(n) => Cell::right(Style::Plain, safe!("{}", n)),
            None => Cell::right(Style::Dim, "?"),
        };
        let waiting = queue.waiting.map_or_else(|| "?".into(), units::count);
        vec![Cell::left(Style::Plain, queue.name.clone()), Cell::right(Style::Plain, waiting), consumers]
    });
    Table { rows: rows.collect(), head }
}
