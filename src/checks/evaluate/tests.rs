//! Judging: thresholds, no data, faults, needs, and what must last.

use super::*;
use crate::{
    answer::{Finding, Hint},
    checks::{
        kind::{CheckKind, HttpAsk},
        kinds::MissingFigure,
        model::Unit,
        threshold::Threshold,
    },
};
use jiff::SignedDuration;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn queue(name: &str, queues: &[&str]) -> CheckSpec {
    CheckSpec::new(name, CheckKind::Queue(queues.iter().map(|q| (*q).to_owned()).collect()))
}

fn with(mut spec: CheckSpec, warn: &str, fail: &str) -> CheckSpec {
    let read = |text: &str| if text.is_empty() { Vec::new() } else { vec![Threshold::parse(text, &spec.kind).expect("good")] };
    let (warn, fail) = (read(warn), read(fail));
    (spec.warn, spec.fail) = (warn, fail);
    spec
}

fn waits(all: &[(&'static str, f64)]) -> Glance {
    let figures = all.iter().map(|(of, s)| Figure::number("oldest", *of, Unit::Seconds, *s)).collect();
    Ok(Sighting { figures, evidence: vec!["9 of 10 are mail.send_receipt".into()], ..Sighting::default() })
}

fn spot(why: Unanswered, status: CheckStatus) -> Glance {
    Err(BlindSpot { why, says: "connection refused".into(), next: vec![Hint::Try("x".into())], status, cluster_away: false, took_ms: 3 })
}

fn judged(spec: &CheckSpec, glance: &Glance) -> CheckResult {
    judge(spec, glance, &mut CheckHistory::default(), NOW)
}

#[test]
fn the_worst_subject_speaks() {
    let spec = with(queue("q", &[]), "oldest > 2m", "oldest > 10m");
    let result = judged(&spec, &waits(&[("celery", 130.0), ("mail", 700.0), ("slow", 900.0)]));
    assert_eq!(
        (result.status, result.says.as_str(), result.want.as_str()),
        (CheckStatus::Failed, "slow oldest 15m and 1 more", "oldest ≤ 10m")
    );
    assert_eq!((result.figures[0].of.as_str(), result.evidence.len()), ("slow", 1));
    let result = judged(&spec, &waits(&[("celery", 130.0)]));
    assert_eq!((result.status, result.says.as_str()), (CheckStatus::Warning, "celery oldest 2m 10s"));
    let result = judged(&spec, &waits(&[("celery", 1.0)]));
    assert_eq!((result.status, result.says.as_str(), result.evidence.len()), (CheckStatus::Ok, "celery oldest 1.0 s", 0));
    // Only the queue that was named.
    let spec = with(queue("q", &["celery"]), "", "oldest > 10m");
    assert_eq!(judged(&spec, &waits(&[("celery", 1.0), ("mail", 900.0)])).status, CheckStatus::Ok);
    assert_eq!(judged(&spec, &waits(&[("mail", 1.0)])).unanswered, Some(Unanswered::NoData));
}

#[test]
fn what_is_wanted_holds_on_every_subject() {
    let kind =
        CheckKind::Kubernetes(crate::checks::kind::ClusterAsk { targets: Vec::new(), since: SignedDuration::from_mins(30), reason: None });
    let mut spec = CheckSpec::new("release", kind);
    spec.want = vec![Threshold::parse("version == 0.57.0", &spec.kind).expect("good")];
    let pods = |versions: &[&'static str]| -> Glance {
        let figures = versions.iter().map(|v| Figure::text("version", "pod", (*v).into())).collect();
        Ok(Sighting { figures, ..Sighting::default() })
    };
    assert_eq!(judged(&spec, &pods(&["0.57.0", "0.57.0"])).status, CheckStatus::Ok);
    let result = judged(&spec, &pods(&["0.57.0", "0.56.2"]));
    assert_eq!(
        (result.status, result.says.as_str(), result.want.as_str()),
        (CheckStatus::Failed, "pod version 0.56.2", "version == 0.57.0")
    );
}

#[test]
fn no_data_is_what_the_check_says_and_faults_are_told_apart() {
    let spec = with(queue("q", &[]), "", "oldest > 10m");
    for (on, status) in [
        (OnNoData::Unknown, CheckStatus::Unknown),
        (OnNoData::Fail, CheckStatus::Failed),
        (OnNoData::Warn, CheckStatus::Warning),
        (OnNoData::Ok, CheckStatus::Ok),
    ] {
        let spec = CheckSpec { on_no_data: on, ..spec.clone() };
        let result = judged(&spec, &waits(&[]));
        assert_eq!((result.status, result.unanswered), (status, Some(Unanswered::NoData)));
    }
    for why in [Unanswered::Unreachable, Unanswered::NoPermission, Unanswered::Timeout, Unanswered::Error, Unanswered::Stopped] {
        // Not reached is not "no data", whatever the check says of that.
        let spec = CheckSpec { on_no_data: OnNoData::Ok, ..spec.clone() };
        let result = judged(&spec, &spot(why, CheckStatus::Failed));
        assert_eq!((result.status, result.unanswered), (CheckStatus::Unknown, Some(why)));
    }
    let redis = CheckSpec::new("redis", CheckKind::Redis);
    assert_eq!(judged(&redis, &spot(Unanswered::Unreachable, CheckStatus::Failed)).status, CheckStatus::Failed);
    assert_eq!(judged(&redis, &spot(Unanswered::NoPermission, CheckStatus::Unknown)).status, CheckStatus::Unknown);
    // That an address answers is asserted.
    let kind = CheckKind::Http(HttpAsk {
        url: "http://x".into(),
        headers: Default::default(),
        reachable: true,
        timeout: SignedDuration::from_secs(1),
    });
    let mut http = CheckSpec::new("http", kind);
    http.want = vec![Threshold::parse("status == 200", &http.kind).expect("good")];
    let missing = |why| Sighting {
        missing: vec![MissingFigure { figure: "status", why, says: "refused".into(), hint: None, partly: false }],
        ..Sighting::default()
    };
    let result = judged(&http, &Ok(missing(Unanswered::Timeout)));
    assert_eq!((result.status, result.unanswered), (CheckStatus::Failed, Some(Unanswered::Timeout)));
}

#[test]
fn without_thresholds_the_analysis_judges() {
    let mut seen = Sighting { figures: vec![Figure::count("waiting", "mail", 3)], ..Sighting::default() };
    seen.found(Some("mail".into()), Finding::new("queue-old", Severity::Failed, "mail: its oldest task waits 11m".into()));
    seen.found(None, Finding::new("redis-memory", Severity::Warning, "Redis is full".into()));
    let glance: Glance = Ok(seen);
    let of = |judged_by| CheckSpec { judged_by, ..queue("q", &["mail"]) };
    assert_eq!(judged(&of(JudgedBy::All), &glance).says.as_str(), "mail: its oldest task waits 11m (and 1 more)");
    assert_eq!(judged(&of(JudgedBy::Codes(&["redis-memory"])), &glance).status, CheckStatus::Warning);
    assert_eq!(judged(&of(JudgedBy::Answering), &glance).status, CheckStatus::Ok);
    // A finding of the whole is everybody's.
    assert_eq!(judged(&CheckSpec { judged_by: JudgedBy::All, ..queue("q", &["celery"]) }, &glance).says.as_str(), "Redis is full");
}

#[test]
fn what_needs_something_ill_is_skipped_and_names_the_root() {
    let needs = |spec: CheckSpec, need: &str| CheckSpec { needs: vec![need.to_owned()], ..spec };
    let lost = spot(Unanswered::Unreachable, CheckStatus::Failed);
    let (well, old) = (waits(&[("mail", 1.0)]), waits(&[("mail", 900.0)]));
    let q = |name| with(queue(name, &[]), "", "oldest > 10m");
    let checks = [
        (needs(q("rate"), "queues"), &old),
        (needs(q("queues"), "redis"), &lost),
        (CheckSpec::new("redis", CheckKind::Redis), &lost),
        (needs(q("fine"), "redis"), &well),
        (needs(q("circle"), "circle2"), &old),
        (needs(q("circle2"), "circle"), &well),
    ];
    let facts = evaluate(&checks, &mut CheckHistory::default(), NOW);
    let of = |name: &str| facts.checks.iter().find(|c| c.name.as_str() == name).expect("it is there");
    assert_eq!(of("rate").status, CheckStatus::Skipped);
    assert_eq!((of("queues").status, of("queues").says.as_str()), (CheckStatus::Skipped, "needs redis"));
    assert_eq!((of("redis").status, of("fine").status, of("circle").status), (CheckStatus::Failed, CheckStatus::Ok, CheckStatus::Failed));
    assert_eq!(facts.causes.len(), 1);
    assert_eq!((facts.causes[0].check.as_str(), facts.causes[0].skipped.len()), ("redis", 2));
    assert_eq!(facts.counts.failed, 2);
}

#[test]
fn a_breach_has_to_last() {
    let at = |m: i64| NOW.checked_add(SignedDuration::from_mins(m)).expect("in time");
    let spec = CheckSpec { lasts: Some(SignedDuration::from_mins(5)), ..with(queue("q", &[]), "", "oldest > 10m") };
    let mut history = CheckHistory::default();
    let mut run = |s: f64, m| judge(&spec, &waits(&[("mail", s)]), &mut history, at(m));
    assert_eq!(run(1.0, 0).status, CheckStatus::Ok);
    let first = run(900.0, 1);
    assert_eq!((first.status, first.note.is_some(), first.since), (CheckStatus::Ok, true, Some(at(1))));
    assert_eq!(run(900.0, 5).status, CheckStatus::Ok);
    assert_eq!((run(900.0, 6).status, run(1.0, 7).status), (CheckStatus::Failed, CheckStatus::Ok));
    // Nobody looked before: it counts, and that is said.
    let alone = judge(&spec, &waits(&[("mail", 900.0)]), &mut CheckHistory::default(), at(0));
    assert_eq!((alone.status, alone.note.is_some()), (CheckStatus::Failed, true));
}
