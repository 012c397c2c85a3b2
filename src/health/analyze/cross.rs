//! What endpoints say of their parts beside what was seen from here. Pure: whoever asked the parts themselves hands in what they saw.

use crate::{
    answer::{Finding, Hint, Severity},
    health::model::{Condition, HealthFacts, PartKind, SeenHere, TargetHealth},
    safe,
    text::{Safe, units},
};

/// Which kind of thing a component's name means. None: it means nothing that could be asked.
pub fn kind_of(component: &str) -> Option<PartKind> {
    let name = component.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part.starts_with(word)));
    if has(&["celery", "worker", "queue", "task"]) {
        return Some(PartKind::Workers);
    }
    if has(&["redis", "broker", "cache", "valkey"]) {
        return Some(PartKind::Redis);
    }
    (has(&["db", "database", "postgres", "pg", "psql", "sql", "migration"])).then_some(PartKind::Database)
}

/// Where what endpoints say and what was seen disagree, and where both see the fault.
pub fn compare(facts: &HealthFacts, seen: &[SeenHere]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for here in seen {
        let said: Vec<(&TargetHealth, Condition, &Safe)> = facts
            .targets
            .iter()
            .filter_map(|t| Some((t, t.health()?)))
            .flat_map(|(t, body)| body.components.iter().map(move |c| (t, c.condition, &c.name)))
            .filter(|(_, _, name)| kind_of(name) == Some(here.kind))
            .collect();
        let failed: Vec<&Safe> = said.iter().filter(|(_, c, _)| *c == Condition::Failed).map(|(t, _, _)| &t.name).collect();
        let well: Vec<&Safe> = said.iter().filter(|(_, c, _)| *c == Condition::Ok).map(|(t, _, _)| &t.name).collect();
        let part = said.first().map_or_else(|| here.name.clone(), |(_, _, name)| (*name).clone());
        let from_here = safe!("from here: {}", here.says);
        if here.condition <= Condition::Ok && !failed.is_empty() {
            let what = if well.is_empty() {
                safe!("{} works from here, though every target says it failed: compare its address and the network policies", part)
            } else {
                safe!(
                    "{} works from here and for {}: compare the address and the node of {}",
                    part,
                    units::plural(well.len(), "other", "others"),
                    Safe::join(failed.iter().copied(), ", ")
                )
            };
            let hint = match here.kind {
                PartKind::Redis => "compare REDIS_URL or CELERY_BROKER_URL of these pods with those of a pod that is well",
                PartKind::Database => "compare DATABASE_URL of these pods with that of a pod that is well",
                PartKind::Workers => "compare the broker's URL of these pods with that of the workers",
            };
            findings.push(Finding::new("cross-check-disagrees", Severity::Warning, what).evidence(from_here).next(Hint::Try(hint.into())));
        } else if here.condition == Condition::Failed && !well.is_empty() {
            let what = safe!("{} of the targets say {} is well, and it does not work from here", well.len(), part);
            findings.push(Finding::new("cross-check-optimistic", Severity::Warning, what).evidence(from_here));
        } else if here.condition == Condition::Failed && !failed.is_empty() {
            let what = safe!("{} does not work from here either: the fault is its own", part);
            findings.push(Finding::new("cross-check-agrees", Severity::Failed, what).evidence(from_here));
        } else if here.condition == Condition::Failed {
            let what = safe!("{} does not work from here, and no endpoint speaks of it", here.name);
            findings.push(Finding::new("cross-check-unspoken", Severity::Warning, what).evidence(from_here));
        } else if here.condition == Condition::Degraded {
            findings.push(Finding::new("cross-check-degraded", Severity::Warning, safe!("{}: {}", here.name, here.says)));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::analyze::tests::{pod, url};

    fn redis(condition: Condition, says: &'static str) -> SeenHere {
        SeenHere { kind: PartKind::Redis, name: "broker".into(), condition, says: says.into() }
    }

    #[test]
    fn a_pod_that_cannot_reach_a_redis_that_works() {
        let facts = HealthFacts {
            targets: vec![url(200, &[("redis", Condition::Ok)]), pod("web-1", 503, &[("redis", Condition::Failed)])],
            ..HealthFacts::default()
        };
        let found = compare(&facts, &[redis(Condition::Ok, "PONG in 3 ms")]);
        assert_eq!(found[0].says.as_str(), "redis works from here and for 1 other: compare the address and the node of web-1");
        assert_eq!(found[0].evidence[0].as_str(), "from here: PONG in 3 ms");
        let found = compare(&facts, &[redis(Condition::Failed, "connection refused")]);
        assert_eq!((found[0].code, found.len()), ("cross-check-optimistic", 1));
    }

    #[test]
    fn names_mean_kinds() {
        for (name, kind) in [
            ("db", Some(PartKind::Database)),
            ("Database default", Some(PartKind::Database)),
            ("Cache backend: sessions", Some(PartKind::Redis)),
            ("celery_ping", Some(PartKind::Workers)),
            ("disk", None),
            ("feedback", None),
        ] {
            assert_eq!(kind_of(name), kind, "{name}");
        }
    }
}
