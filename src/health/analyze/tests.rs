//! What answers mean together.

use super::*;
use crate::{
    answer::{Answer, Coverage, Exchange, HttpFault, Verdict},
    health::model::{Dialect, HealthBody, PodStanding},
};

pub fn now() -> Timestamp {
    "2026-11-21T03:00:00Z".parse().expect("a time")
}

fn target(name: &'static str, asked: Asked, status: u16, parts: &[(&'static str, Condition)]) -> TargetHealth {
    let components: Vec<Component> = parts
        .iter()
        .map(|(name, condition)| Component {
            name: (*name).into(),
            condition: *condition,
            says: (*condition > Condition::Ok).then(|| "Error 111".into()),
        })
        .collect();
    let worst = components.iter().map(|c| c.condition).fold(if status >= 500 { Condition::Failed } else { Condition::Ok }, Condition::max);
    let body = HealthBody { dialect: Dialect::Flat, status: None, condition: None, components, version: None, contradictions: Vec::new() };
    TargetHealth {
        name: name.into(),
        asked,
        app: Some("backend".into()),
        question: None,
        exchange: Some(Exchange { status: Some(status), ..Exchange::default() }),
        body: Some(BodyRead::Health(body)),
        condition: worst,
        version: None,
        pod: (asked == Asked::Pod).then(|| standing(status == 200)),
        unasked: None,
    }
}

fn standing(ready: bool) -> PodStanding {
    let since = "2026-11-21T02:51:00Z".parse().ok();
    PodStanding { ready, since, starting: false, new: false, leaving: false, restarts: 4, why: vec!["Unhealthy: 503".into()], image: None }
}

pub fn url(status: u16, parts: &[(&'static str, Condition)]) -> TargetHealth {
    target("https://app.example.org", Asked::Url, status, parts)
}

pub fn pod(name: &'static str, status: u16, parts: &[(&'static str, Condition)]) -> TargetHealth {
    target(name, Asked::Pod, status, parts)
}

fn judged(targets: Vec<TargetHealth>) -> (Verdict, String, Vec<Finding>) {
    let facts = HealthFacts { targets, ..HealthFacts::default() };
    let findings = findings(&facts, &HealthSetup::default(), now());
    let line = headline(&facts, &findings).to_string();
    let answer = Answer { facts: (), findings: findings.clone(), coverage: Coverage::default(), sources: Vec::new() };
    (answer.verdict(), line, findings)
}

const OK: (&str, Condition) = ("redis", Condition::Ok);

#[test]
fn one_degraded_pod_behind_a_url_that_is_well() {
    let (verdict, line, findings) =
        judged(vec![url(200, &[OK]), pod("web-1", 200, &[OK]), pod("web-2", 503, &[("redis", Condition::Failed)])]);
    assert_eq!((verdict, line.as_str()), (Verdict::Failed, "redis failed on web-2. The public URL says 200"));
    let codes: Vec<_> = findings.iter().map(|f| f.code).collect();
    assert_eq!(codes, ["component-failed", "pod-not-ready"]);
    assert!(matches!(&findings[0].next[0], Hint::Run(c) if c.as_str() == "obsctl logs pod/web-2 --since 10m --level error"));
    assert_eq!(findings[1].says.as_str(), "web-2 has not been ready for 9m");
}

#[test]
fn all_is_well() {
    let (verdict, line, _) = judged(vec![url(200, &[OK]), pod("web-1", 200, &[OK])]);
    assert_eq!((verdict, line.as_str()), (Verdict::Ok, "1 URL and 1 pod are well"));
}

#[test]
fn what_is_down_everywhere_is_one_finding() {
    let bad = [("redis", Condition::Failed)];
    let (_, line, _) = judged(vec![pod("web-1", 503, &bad), pod("web-2", 503, &bad)]);
    assert_eq!(line, "redis failed on all 2 targets");
}

#[test]
fn a_pod_that_starts_is_not_failed() {
    let mut starting = pod("web-3", 503, &[("redis", Condition::Failed)]);
    starting.pod = Some(PodStanding { starting: true, ..standing(false) });
    let (verdict, line, _) = judged(vec![pod("web-1", 200, &[OK]), starting]);
    assert_eq!((verdict, line.as_str()), (Verdict::Ok, "2 pods are well, 1 of them still starting"));
}

#[test]
fn a_pod_on_its_way_out_is_neither_well_nor_ill() {
    let mut leaving = pod("web-3", 503, &[("redis", Condition::Failed)]);
    leaving.pod = Some(PodStanding { leaving: true, ..standing(false) });
    let (verdict, line, _) = judged(vec![pod("web-1", 200, &[OK]), leaving]);
    assert_eq!((verdict, line.as_str()), (Verdict::Ok, "1 pod is well, 1 leaving"));
}

#[test]
fn versions_are_counted() {
    let of = |name, version: &'static str| TargetHealth { version: Some(version.into()), ..pod(name, 200, &[OK]) };
    let (verdict, line, _) = judged(vec![of("a", "0.57.0"), of("b", "0.57.0"), of("c", "0.56.2"), of("d", "0.57.0")]);
    assert_eq!((verdict, line.as_str()), (Verdict::Warning, "backend: 3 run 0.57.0, 1 runs 0.56.2"));
}

#[test]
fn certificates_end() {
    let with = |end: &str| {
        let mut target = url(200, &[OK]);
        let certificate = Certificate {
            subject: "CN=app.example.org".into(),
            names: vec![],
            issuer: "CN=x".into(),
            self_signed: false,
            not_before: None,
            not_after: end.parse().ok(),
            refused: None,
            signer_unknown: false,
            verified: true,
        };
        target.exchange = Some(Exchange { status: Some(200), certificate: Some(certificate), ..Exchange::default() });
        let (verdict, line, _) = judged(vec![target]);
        (verdict, line)
    };
    assert_eq!(with("2027-01-21T03:00:00Z").0, Verdict::Ok);
    let (verdict, line) = with("2026-12-01T03:00:00Z");
    assert_eq!((verdict, line.as_str()), (Verdict::Warning, "https://app.example.org: its certificate ends in 10 days, on 2026-12-01"));
    assert_eq!(with("2026-11-22T03:00:00Z").0, Verdict::Failed);
}

#[test]
fn what_is_no_health_body_is_not_failed_by_itself() {
    let with = |status, no| {
        let mut target = url(status, &[]);
        target.body = Some(BodyRead::NotHealth(no));
        target.condition = Condition::Unknown;
        let (verdict, line, _) = judged(vec![target]);
        (verdict, line)
    };
    assert_eq!(with(200, NotHealth::Login).0, Verdict::Unknown);
    assert!(with(400, NotHealth::HostRefused).1.contains("ALLOWED_HOSTS"));
    assert!(with(301, NotHealth::SecureRedirect).1.contains("SECURE_SSL_REDIRECT"));
    let (verdict, line) = with(502, NotHealth::ProxyPage("502 Bad Gateway".into()));
    assert_eq!(verdict, Verdict::Failed);
    assert!(line.contains("a proxy answered 502 in its place"), "{line}");
}

#[test]
fn no_answer_says_at_which_step() {
    let mut target = url(200, &[]);
    target.body = None;
    let fault = HttpFault::at(HttpStep::Tls, "its certificate is refused: it expired 3d 2h ago");
    target.exchange = Some(Exchange { fault: Some(fault), ..Exchange::default() });
    target.condition = Condition::Failed;
    let (_, line, _) = judged(vec![target]);
    assert_eq!(
        line,
        "https://app.example.org gave no whole answer, while greeting it with TLS: its certificate is refused: it expired 3d 2h ago"
    );
}

#[test]
fn a_liveness_probe_that_looks_at_redis_is_named() {
    let liveness = LivenessUse {
        app: "backend".into(),
        path: "/api/health/".into(),
        components: vec![Component { name: "redis".into(), condition: Condition::Ok, says: None }],
    };
    let setup = HealthSetup { liveness: vec![liveness], empty_services: vec!["api".into()], ..HealthSetup::default() };
    let facts = HealthFacts { targets: vec![pod("web-1", 200, &[OK])], ..HealthFacts::default() };
    let codes: Vec<_> = findings(&facts, &setup, now()).iter().map(|f| f.code).collect();
    assert_eq!(codes, ["service-without-pods", "liveness-checks-dependencies"]);
}

#[test]
fn pods_that_all_refuse_the_host_are_one_finding() {
    let refusing = |name: &'static str| {
        let mut target = pod(name, 400, &[]);
        target.body = Some(BodyRead::NotHealth(NotHealth::HostRefused));
        target.condition = Condition::Unknown;
        target
    };
    let mut targets: Vec<TargetHealth> = ["web-1", "web-2", "web-3", "web-4", "web-5"].map(refusing).into();
    targets.push(pod("web-6", 200, &[OK]));
    let (_, _, findings) = judged(targets);
    let refused: Vec<&Finding> = findings.iter().filter(|f| f.code == "host-refused").collect();
    assert_eq!(refused.len(), 1, "{findings:#?}");
    assert!(refused[0].says.starts_with("web-1, web-2, web-3 and 2 more: Django refuses this Host"), "{}", refused[0].says);
}
