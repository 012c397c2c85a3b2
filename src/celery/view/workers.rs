//! The screen of `queue workers`.

use super::{findings, headline};
use crate::{
    answer::Answer,
    celery::{
        analyze::workers::state_of_pod,
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
    doc.wrapped(Line::new().with(Style::Strong, place.line()).with(Style::Dim, safe!("  {}", how)), 2);
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
        // Its name is that of the worker's host; that it runs as it always did is no news.
        if look.verbose || !pod.is_quiet() {
            parts.push(state_of_pod(pod, facts.observed_at));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::{Coverage, Finding},
        celery::model::{BusFacts, PodEnd, PodSeen, QueueUse},
        report::human,
    };
    use jiff::Timestamp;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-21T{time}Z").parse().expect("a time")
    }

    fn worker(pod: &str, state: WorkerState, restarts: u32) -> WorkerFacts {
        let end = PodEnd { reason: "OOMKilled".into(), at: Some(at("02:54:00")) };
        WorkerFacts {
            name: safe!("celery-export@{}", Safe::name(pod)),
            state,
            in_inventory: true,
            heard: false,
            running: Some(1),
            per_second: None,
            stats: None,
            queues: Some(vec!["export".into(), "reports".into()]),
            tasks: Vec::new(),
            errors: Vec::new(),
            pod: Some(PodSeen {
                name: Safe::name(pod),
                namespace: "shop".into(),
                running: true,
                ready: true,
                reason: None,
                restarts,
                last_end: (restarts > 0).then_some(end),
                deleting: false,
                memory_limit: Some("512Mi".into()),
            }),
        }
    }

    fn screen(workers: Vec<WorkerFacts>, width: usize, verbose: bool) -> String {
        let count = workers.len() as u64;
        let facts = WorkersFacts {
            observed_at: at("03:00:00"),
            listened_s: None,
            bus: Some(BusFacts { subscribers: count, answered: count, took_ms: 12, complete: true, tasks: true }),
            workers,
            queues: vec![QueueUse { name: "export".into(), waiting: Some(3), consumers: Some(2) }],
            unacked: Some(0),
            orphans: Some(Vec::new()),
            database: None,
        };
        let answer = Answer { facts, findings: Vec::<Finding>::new(), coverage: Coverage::default(), sources: Vec::new() };
        let place = Where {
            environment: Some("production".into()),
            context: Some("prod-eu".into()),
            system: Some("redis:6379 db 0 (tunnel to pod redis-5864f78cb-8kgf4)".into()),
            ..Where::default()
        };
        let look = Look { width, verbose, ..Look::default() };
        human::text(&super::workers(&answer, &place, &look), &look)
    }

    fn two() -> Vec<WorkerFacts> {
        vec![worker("celery-export-66f7448c6-zf6ct", WorkerState::Alive, 0), worker("celery-export-66f7448c6-x9wdq", WorkerState::Dead, 3)]
    }

    #[test]
    fn long_names_leave_the_words_whole() {
        snapbox::assert_data_eq!(
            screen(two(), 80, false),
            snapbox::str![[r#"
production  ctx prod-eu  redis:6379 db 0 (tunnel to pod redis-5864f78cb-8kgf4)
  2 of 2 connected workers answered in 12 ms
OK       2 workers heard

WORKER                                       STATE  RUNNING  RESERVED  SCHEDULED
celery-export@celery-export-66f7448c6-zf6ct  ok           1         ?          ?
    export, reports
celery-export@celery-export-66f7448c6-x9wdq  DEAD         1         ?          ?
    export, reports  OOMKilled 6m ago, 3 restarts (memory limit 512Mi)

QUEUE   WAITING  CONSUMED BY
export        3            2


"#]]
        );
        snapbox::assert_data_eq!(
            screen(two(), 130, true),
            snapbox::str![[r#"
production  ctx prod-eu  redis:6379 db 0 (tunnel to pod redis-5864f78cb-8kgf4)  2 of 2 connected workers answered in 12 ms
OK       2 workers heard

WORKER                                       STATE  RUNNING  RESERVED  SCHEDULED  POOL, QUEUES, POD
celery-export@celery-export-66f7448c6-zf6ct  ok           1         ?          ?  export, reports  runs, no restart
celery-export@celery-export-66f7448c6-x9wdq  DEAD         1         ?          ?  export, reports  OOMKilled 6m ago, 3 restarts
                                                                                  (memory limit 512Mi)

QUEUE   WAITING  CONSUMED BY
export        3            2


"#]]
        );
    }

    #[test]
    fn forty_workers_are_forty_rows_no_wider_than_their_names_need() {
        let workers = (0..40).map(|i| worker(&format!("celery-export-66f7448c6-zf{i:03}"), WorkerState::Alive, i % 3)).collect();
        let screen = screen(workers, 80, false);
        let rows = screen.lines().filter(|line| line.starts_with("celery-export@")).count();
        assert_eq!((rows, screen.lines().filter(|line| line.contains("OOMKilled")).count()), (40, 26), "{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= 88), "{screen}");
    }
}
