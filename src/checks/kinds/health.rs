//! Health endpoints: what `obsctl health` found, as a sighting.

use super::Sighting;
use crate::{
    checks::model::{Figure, Unit},
    health::{
        analyze::{self, HealthSetup},
        model::{Condition, HealthFacts},
    },
    text::Safe,
};
use jiff::Timestamp;

/// Of the facts of a round.
pub fn sighting(facts: &HealthFacts, now: Timestamp) -> Sighting {
    let mut seen = Sighting::default();
    for target in &facts.targets {
        let of = || target.name.clone();
        let leaving = target.pod.as_ref().is_some_and(|p| p.leaving || p.starting);
        if leaving {
            continue;
        }
        seen.figures.push(Figure::text("condition", of(), word(target.condition).into()));
        if let Some(exchange) = &target.exchange {
            let ms = exchange.phases.total_ms();
            seen.figures.push(Figure::number("time", of(), Unit::Seconds, ms / 1000.0));
            seen.figures.extend(exchange.status.map(|s| Figure::count("status", of(), s.into())));
        }
        seen.figures.extend(target.version.clone().map(|v| Figure::text("version", of(), v)));
        let end = target.certificate().and_then(|c| c.not_after);
        seen.figures.extend(end.map(|end| Figure::time("certificate", of(), end.duration_since(now))));
    }
    for finding in analyze::findings(facts, &HealthSetup::default(), now) {
        seen.found(None, finding);
    }
    seen
}

fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Ok => "ok",
        Condition::Skipped => "skipped",
        Condition::Degraded => "degraded",
        Condition::Unknown => "unknown",
        Condition::Failed => "failed",
    }
}

/// The targets by name, for evidence.
pub fn names(facts: &HealthFacts) -> Vec<Safe> {
    facts.targets.iter().map(|t| t.name.clone()).collect()
}
