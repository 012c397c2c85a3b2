//! From targets to what stands watch over: each public URL, and each app with all of its pods, whose names change with every rollout.

use crate::{
    answer::HttpStep,
    health::model::{BodyRead, Condition, HealthFacts, TargetHealth},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How the name of a subject begins that is one pod alone: when it is gone, nothing is missing.
pub const PASSING: &str = "pod/";

/// How one subject is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectSeen {
    /// Its stable name: an app, or a URL.
    pub name: Safe,
    /// The worst of its targets.
    pub condition: Condition,
    /// How long the slowest of them took.
    pub ms: u32,
    /// Whether any of it was reached.
    pub reached: bool,
    /// What is wrong, in one sentence; empty where nothing is.
    pub says: Safe,
    /// What that rests on.
    pub evidence: Vec<Safe>,
}

/// The subjects, in the order of the targets.
pub fn subjects(facts: &HealthFacts) -> Vec<SubjectSeen> {
    let mut order: Vec<Safe> = Vec::new();
    let mut of: BTreeMap<Safe, Vec<&TargetHealth>> = BTreeMap::new();
    for target in &facts.targets {
        let name = match (&target.app, &target.pod) {
            (Some(app), Some(_)) => app.clone(),
            // A pod of nobody's goes and does not come again.
            (None, Some(_)) => safe!("{}{}", PASSING, target.name),
            (_, None) => target.name.clone(),
        };
        if !of.contains_key(&name) {
            order.push(name.clone());
        }
        of.entry(name).or_default().push(target);
    }
    let now = facts.observed_at.unwrap_or_default();
    order.iter().filter_map(|name| Some(subject(name, of.get(name)?, now))).collect()
}

fn subject(name: &Safe, targets: &[&TargetHealth], now: Timestamp) -> SubjectSeen {
    // Who is on the way in or out is neither well nor ill.
    let counted: Vec<&&TargetHealth> = targets.iter().filter(|t| !super::excused(t)).collect();
    let conditions = counted.iter().map(|t| condition(t, now));
    let worst = conditions.max().unwrap_or(Condition::Unknown);
    let ill: Vec<&&TargetHealth> =
        counted.iter().copied().filter(|t| condition(t, now) > Condition::Ok && condition(t, now) == worst).collect();
    let mut said: Vec<Safe> = ill.iter().map(|t| trouble(t, now)).collect();
    let names: Vec<&Safe> = ill.iter().map(|t| &t.name).take(3).collect();
    let says = match said.first() {
        None => Safe::EMPTY,
        Some(first) if targets.iter().all(|t| t.pod.is_none()) => first.clone(),
        Some(first) => safe!("{}, on {} of {}: {}", first, ill.len(), units::plural(counted.len(), "pod", "pods"), Safe::join(names, ", ")),
    };
    said.dedup();
    let mut evidence: Vec<Safe> = said.into_iter().skip(1).take(3).collect();
    for target in ill.iter().take(3) {
        let parts = target.health().into_iter().flat_map(|b| &b.components).filter(|c| c.condition > Condition::Ok);
        evidence.extend(parts.filter_map(|c| c.says.as_ref().map(|s| safe!("{}: {} {}", target.name, c.name, s))).take(3));
        evidence.extend(target.pod.iter().flat_map(|p| &p.why).take(2).map(|why| safe!("{}: {}", target.name, why)));
    }
    let ms = targets.iter().filter_map(|t| t.exchange.as_ref()).map(|e| e.phases.total_ms()).fold(0.0, f64::max);
    let reached = targets.iter().any(|t| reached(t));
    SubjectSeen { name: name.clone(), condition: worst, ms: ms.round() as u32, reached, says, evidence }
}

/// A pod that takes no requests is ill, whatever it says of itself; a URL whose certificate is about to end soon will be.
fn condition(target: &TargetHealth, now: Timestamp) -> Condition {
    let ill = target.pod.as_ref().is_some_and(|p| !p.ready) || super::certificate_ends(target, now).is_some();
    if ill { Condition::Failed } else { target.condition }
}

/// A refusal and a 503 were reached, a timeout and an unknown host were not. A pod was: the cluster spoke of it.
fn reached(target: &TargetHealth) -> bool {
    let Some(exchange) = &target.exchange else { return target.pod.is_some() };
    target.pod.is_some()
        || exchange.status.is_some()
        || exchange.fault.as_ref().is_some_and(|fault| match fault.step {
            HttpStep::Dns | HttpStep::Proxy => false,
            HttpStep::Connect => !fault.late && fault.what.contains("refuse"),
            HttpStep::Tls | HttpStep::Head | HttpStep::Body => true,
        })
}

fn trouble(target: &TargetHealth, now: Timestamp) -> Safe {
    let failed: Vec<&Safe> =
        target.health().into_iter().flat_map(|b| &b.components).filter(|c| c.condition == Condition::Failed).map(|c| &c.name).collect();
    let status = target.exchange.as_ref().and_then(|e| e.status);
    if let Some(fault) = target.exchange.as_ref().and_then(|e| e.fault.as_ref()) {
        return safe!("no whole answer: {}", fault.what);
    }
    if let Some(ends) = super::certificate_ends(target, now).filter(|_| target.condition != Condition::Failed) {
        return ends;
    }
    match (&target.body, &target.unasked, status) {
        _ if !failed.is_empty() => safe!("{} failed", Safe::join(failed, ", ")),
        (_, Some(why), _) => safe!("not asked: {}", why),
        (Some(BodyRead::NotHealth(_)), _, Some(status)) => safe!("answered {}, which says nothing of health", status),
        _ if target.pod.as_ref().is_some_and(|p| !p.ready) => "not ready".into(),
        (_, _, Some(status)) => safe!("answered {}", status),
        _ => "gave no answer".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::{Certificate, Exchange, HttpFault},
        health::analyze::tests::{pod, url},
    };

    #[test]
    fn pods_are_one_subject_and_the_url_is_another() {
        let redis = |condition| [("redis", condition)];
        let mut leaving = pod("web-3", 503, &redis(Condition::Failed));
        leaving.pod.as_mut().expect("a pod").leaving = true;
        let targets = vec![
            url(200, &redis(Condition::Ok)),
            pod("web-1", 503, &redis(Condition::Failed)),
            pod("web-2", 200, &redis(Condition::Ok)),
            leaving,
        ];
        let seen = subjects(&HealthFacts { targets, ..HealthFacts::default() });
        let short: Vec<(&str, Condition)> = seen.iter().map(|s| (s.name.as_str(), s.condition)).collect();
        assert_eq!(short, [("https://app.example.org", Condition::Ok), ("backend", Condition::Failed)]);
        assert_eq!(seen[1].says.as_str(), "redis failed, on 1 of 2 pods: web-1");
        assert!(seen[1].evidence[0].contains("Error 111") && seen[0].says.is_empty());
    }

    #[test]
    fn a_certificate_that_is_about_to_end_is_told_while_it_still_holds() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().expect("a time");
        for (hours, says) in [(30, "its certificate ends in 1 day, on 2026-11-22"), (24 * 5, "")] {
            let mut target = url(200, &[("redis", Condition::Ok)]);
            let certificate = Certificate {
                subject: "app".into(),
                names: Vec::new(),
                issuer: "lab".into(),
                self_signed: false,
                signer_unknown: false,
                not_before: None,
                not_after: now.checked_add(jiff::SignedDuration::from_hours(hours)).ok(),
                refused: None,
                verified: true,
            };
            target.exchange.as_mut().expect("it was asked").certificate = Some(certificate);
            let seen = subjects(&HealthFacts { observed_at: Some(now), targets: vec![target], ..HealthFacts::default() });
            let condition = if says.is_empty() { Condition::Ok } else { Condition::Failed };
            assert_eq!((seen[0].says.as_str(), seen[0].condition), (says, condition));
        }
    }

    #[test]
    fn what_was_reached_and_what_was_not() {
        for (step, late, what, is) in [
            (HttpStep::Dns, false, "the host name does not resolve", false),
            (HttpStep::Connect, true, "nothing came within 10 s", false),
            (HttpStep::Connect, false, "it refuses connections: nothing listens there", true),
            (HttpStep::Connect, false, "there is no way to it from here", false),
            (HttpStep::Head, true, "nothing came within 10 s", true),
        ] {
            let mut target = url(200, &[]);
            target.exchange = Some(Exchange { fault: Some(HttpFault { late, ..HttpFault::at(step, what) }), ..Exchange::default() });
            assert_eq!(reached(&target), is, "{what}");
        }
    }
}
