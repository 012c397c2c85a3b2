//! Health endpoints: what `obsctl health` found, as a sighting.

use super::{MissingFigure, Sighting};
use crate::{
    answer::{Finding, HttpStep},
    checks::model::{Figure, Unanswered, Unit},
    health::{
        analyze::{self, HealthSetup},
        model::{Condition, HealthFacts},
    },
    safe,
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
    let unheard = unheard(facts);
    for finding in analyze::findings(facts, &HealthSetup::default(), now) {
        // Where nobody answered at all, that is what it comes to: a report tells it from an answer that is bad.
        let code = unheard.as_ref().filter(|_| finding.code == "no-answer").map(|(code, ..)| *code);
        seen.found(None, Finding { code: code.unwrap_or(finding.code), ..finding });
    }
    if let Some((_, why, says)) = unheard {
        for figure in ["time", "status", "version"] {
            seen.figures.retain(|f| f.name.as_str() != figure);
            seen.missing.push(MissingFigure { figure, why, says: says.clone(), hint: None, partly: false });
        }
    }
    seen
}

/// Why none of them answered, where none did: as a code, as a word, and as the first of them says it.
fn unheard(facts: &HealthFacts) -> Option<(&'static str, Unanswered, Safe)> {
    let asked = || facts.targets.iter().filter(|t| t.pod.as_ref().is_none_or(|p| !p.leaving && !p.starting));
    let faults: Vec<_> = asked()
        .filter_map(|t| t.exchange.as_ref().filter(|e| e.status.is_none()).and_then(|e| Some((&t.name, e.fault.as_ref()?))))
        .collect();
    // Who shows a certificate that is refused was heard.
    let greeted = faults.iter().any(|(_, fault)| fault.step == HttpStep::Tls);
    let (name, first) = faults.first().filter(|_| !greeted && faults.len() == asked().count())?;
    let says = safe!("{}: no answer: {}", **name, first.what);
    Some(match faults.iter().all(|(_, fault)| fault.late) {
        true => ("timeout", Unanswered::Timeout, says),
        false => ("unreachable", Unanswered::Unreachable, says),
    })
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
