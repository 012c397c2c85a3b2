//! Queues, workers, beat and their Redis: what `obsctl queue depth` found, as a sighting.

use super::{MissingFigure, Sighting};
use crate::{
    answer::Finding,
    celery::model::DepthFacts,
    checks::{
        builtin::{BEAT, REDIS},
        model::{Figure, Unanswered, Unit},
    },
    text::Safe,
};

/// Of the facts and findings of `queue depth`.
pub fn sighting(facts: &DepthFacts, findings: &[Finding]) -> Sighting {
    let mut seen = Sighting::default();
    for queue in &facts.queues {
        let of = || queue.name.clone();
        let number = |name: &'static str, unit, value: f64| Figure::number(name, of(), unit, value);
        seen.figures.extend(queue.waiting.map(|n| Figure::count("waiting", of(), n)));
        // An empty queue has no oldest task: nobody waits.
        let none_waits = (queue.waiting == Some(0)).then_some(0.0);
        seen.figures.extend(queue.oldest.as_ref().map(|age| age.s).or(none_waits).map(|s| number("oldest", Unit::Seconds, s)));
        seen.figures.extend(queue.net_per_s.map(|net| number("growth", Unit::PerSecond, net)));
        seen.figures.extend(queue.empty_in_s.or(none_waits).map(|s| number("empty_in", Unit::Seconds, s)));
    }
    seen.figures.extend(facts.delivered.count.map(|n| Figure::count("delivered", Safe::EMPTY, n)));
    let workers = &facts.workers;
    if workers.listened_s.is_some() {
        seen.figures.push(Figure::count("heard", Safe::EMPTY, workers.heard.len() as u64));
        seen.figures.push(Figure::count("silent", Safe::EMPTY, workers.silent.len() as u64));
        seen.figures.push(Figure::count("running", Safe::EMPTY, facts.running.unwrap_or(0)));
    } else {
        let says = workers.deaf.clone().unwrap_or_else(|| "the workers were not listened to".into());
        for figure in ["heard", "silent", "running"] {
            seen.missing.push(MissingFigure { figure, why: Unanswered::NoPermission, says: says.clone(), hint: None, partly: false });
        }
    }
    match &facts.beat {
        Some(beat) => {
            seen.figures.push(Figure::flag("late", Safe::EMPTY, beat.late));
            seen.figures.push(Figure::text("said", Safe::EMPTY, beat.says.clone()));
        }
        None => seen.missing.push(MissingFigure {
            figure: "late",
            why: Unanswered::NoData,
            says: "no schedule is stored in a database (django_celery_beat)".into(),
            hint: None,
            partly: false,
        }),
    }
    let server = &facts.server;
    seen.figures.push(Figure::flag("reachable", Safe::EMPTY, true));
    // Without a limit it is never full.
    seen.figures.push(Figure::number("memory", Safe::EMPTY, Unit::Share, server.full().unwrap_or(0.0)));
    seen.figures.extend(server.memory.map(|n| Figure::number("used", Safe::EMPTY, Unit::Bytes, n as f64)));
    seen.figures.extend(server.evicted.map(|n| Figure::count("evicted", Safe::EMPTY, n)));
    for finding in findings {
        // What is said of one queue begins with its name.
        let says = finding.says.as_str();
        let named = |name: &str| says.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', ' ']));
        let of = facts.queues.iter().map(|q| &q.name).filter(|name| named(name)).max_by_key(|name| name.len());
        let whole = REDIS.contains(&finding.code) || BEAT.contains(&finding.code);
        seen.found(of.filter(|_| !whole).cloned(), finding.clone());
    }
    seen
}
