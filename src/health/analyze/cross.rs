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

/// Whether a component's name means the thing that was seen. Of several of a kind, the one that it names; `main` is what nobody names.
fn means(component: &Safe, here: &SeenHere, seen: &[SeenHere]) -> bool {
    if kind_of(component) != Some(here.kind) {
        return false;
    }
    let name = component.to_ascii_lowercase();
    let named = |one: &SeenHere| name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == one.name.to_ascii_lowercase());
    let mut others = seen.iter().filter(|one| one.kind == here.kind && one.name != here.name).peekable();
    others.peek().is_none() || named(here) || (here.name.as_str() == "main" && !others.any(named))
}

/// A cache is often a Redis, and often another one than the broker.
fn may_be_another(component: &Safe) -> bool {
    component.to_ascii_lowercase().contains("cache")
}

/// What endpoints say of one thing that was seen.
struct Said<'a> {
    /// What they call it.
    part: Safe,
    failed: Vec<&'a Safe>,
    well: Vec<&'a Safe>,
    /// Whether it may be another thing than the one that was seen.
    unsure: bool,
}

impl<'a> Said<'a> {
    fn of(here: &SeenHere, facts: &'a HealthFacts, seen: &[SeenHere]) -> Self {
        let mut said: Vec<(&TargetHealth, Condition, &Safe)> = facts
            .targets
            .iter()
            .filter_map(|t| Some((t, t.health()?)))
            .flat_map(|(t, body)| body.components.iter().map(move |c| (t, c.condition, &c.name)))
            .filter(|(_, _, name)| means(name, here, seen))
            .collect();
        let unsure = !said.is_empty() && said.iter().all(|(_, _, name)| may_be_another(name));
        if !unsure {
            said.retain(|(_, _, name)| !may_be_another(name));
        }
        let of = |wanted: Condition| said.iter().filter(|(_, c, _)| *c == wanted).map(|(t, _, _)| &t.name).collect();
        let part = said.first().map_or_else(|| here.name.clone(), |(_, _, name)| (*name).clone());
        Self { part, failed: of(Condition::Failed), well: of(Condition::Ok), unsure }
    }
}

/// Where what endpoints say and what was seen disagree, and where both see the fault.
pub fn compare(facts: &HealthFacts, seen: &[SeenHere]) -> Vec<Finding> {
    seen.iter().filter_map(|here| one(here, &Said::of(here, facts, seen))).collect()
}

fn one(here: &SeenHere, said: &Said<'_>) -> Option<Finding> {
    let Said { part, failed, well, unsure } = said;
    let from_here = safe!("from here: {}", here.says);
    let (code, severity, says) = match (here.condition, failed.is_empty(), well.is_empty()) {
        (Condition::Ok | Condition::Skipped, true, _) | (Condition::Unknown, ..) => return None,
        (Condition::Ok | Condition::Skipped, false, _) if *unsure => {
            let says =
                safe!("{} failed on {}, and the {} works from here: another Redis, or another way to it", part, names(failed), here.name);
            ("cross-check-disagrees", Severity::Warning, says)
        }
        (Condition::Ok | Condition::Skipped, false, true) => {
            let says = safe!("{} works from here, though every target says it failed: compare its address and the network policies", part);
            ("cross-check-disagrees", Severity::Warning, says)
        }
        (Condition::Ok | Condition::Skipped, false, false) => {
            let others = units::plural(well.len(), "other", "others");
            let says = safe!("{} works from here and for {}: compare the address and the node of {}", part, others, names(failed));
            ("cross-check-disagrees", Severity::Warning, says)
        }
        (Condition::Failed, _, false) if !*unsure => {
            let who = if well.len() == 1 { safe!("{} says", names(well)) } else { safe!("{} targets say", well.len()) };
            ("cross-check-optimistic", Severity::Warning, safe!("{} that {} is well, and it does not work from here", who, part))
        }
        (Condition::Failed, false, _) if *unsure => (
            "cross-check-agrees",
            Severity::Failed,
            safe!("the {} does not work from here: {} may fail for the same reason", here.name, part),
        ),
        (Condition::Failed, false, _) => {
            ("cross-check-agrees", Severity::Failed, safe!("{} does not work from here either: the fault is its own", part))
        }
        (Condition::Failed, true, _) => {
            ("cross-check-unspoken", Severity::Warning, safe!("{} does not work from here, and no endpoint speaks of it", here.name))
        }
        (Condition::Degraded, ..) => {
            return Some(Finding::new("cross-check-degraded", Severity::Warning, safe!("{}: {}", here.name, here.says)));
        }
    };
    let finding = Finding::new(code, severity, says).evidence(from_here);
    Some(if code == "cross-check-disagrees" { finding.next(Hint::Try(compare_what(here.kind).into())) } else { finding })
}

fn compare_what(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Redis => "compare REDIS_URL or CELERY_BROKER_URL of these pods with those of a pod that is well",
        PartKind::Database => "compare DATABASE_URL of these pods with that of a pod that is well",
        PartKind::Workers => "compare the broker's URL of these pods with that of the workers",
    }
}

/// A few names.
fn names(all: &[&Safe]) -> Safe {
    let more = if all.len() > 3 { safe!(" and {} more", all.len() - 3) } else { Safe::EMPTY };
    safe!("{}{}", Safe::join(all.iter().take(3).copied(), ", "), more)
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
    fn of_several_databases_the_one_that_is_named_is_meant() {
        let database =
            |name: &'static str, condition| SeenHere { kind: PartKind::Database, name: name.into(), condition, says: "x".into() };
        let parts = [("Database default", Condition::Ok), ("Database replica", Condition::Failed)];
        let facts = HealthFacts { targets: vec![pod("web-1", 503, &parts)], ..HealthFacts::default() };
        let codes = |main, replica| -> Vec<&str> {
            compare(&facts, &[database("main", main), database("replica", replica)]).iter().map(|f| f.code).collect()
        };
        assert_eq!(codes(Condition::Ok, Condition::Ok), ["cross-check-disagrees"]);
        assert_eq!(codes(Condition::Ok, Condition::Failed), ["cross-check-agrees"]);
        assert_eq!(codes(Condition::Failed, Condition::Failed), ["cross-check-optimistic", "cross-check-agrees"]);
    }

    #[test]
    fn a_cache_may_be_another_redis_than_the_broker() {
        let with = |condition| HealthFacts {
            targets: vec![pod("web-1", 503, &[("Cache backend: default", condition)])],
            ..HealthFacts::default()
        };
        let found = compare(&with(Condition::Failed), &[redis(Condition::Ok, "PONG in 3 ms")]);
        let says = "Cache backend: default failed on web-1, and the broker works from here: another Redis, or another way to it";
        assert_eq!(found[0].says.as_str(), says);
        let code = |said, seen| compare(&with(said), &[redis(seen, "x")])[0].code;
        // That the cache is well says nothing of a broker that is not.
        assert_eq!(code(Condition::Ok, Condition::Failed), "cross-check-unspoken");
        assert_eq!(code(Condition::Failed, Condition::Failed), "cross-check-agrees");
        assert!(compare(&with(Condition::Ok), &[redis(Condition::Ok, "x")]).is_empty());
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
