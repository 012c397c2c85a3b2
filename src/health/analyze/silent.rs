//! Every finding: nothing is said while all is well, and one thing that goes wrong says that one thing.

use super::{
    tests::{now, pod, url},
    *,
};
use crate::{
    answer::{Exchange, HttpFault},
    health::model::{PartKind, PodStanding, SeenHere},
};

/// A whole production that is well: every fact that a finding could be made of is there.
fn well() -> (HealthFacts, HealthSetup) {
    let parts = [("db", Condition::Ok), ("redis", Condition::Ok), ("celery", Condition::Ok), ("search", Condition::Skipped)];
    let mut public = url(200, &parts);
    let certificate = Certificate {
        subject: "CN=app.example.org".into(),
        names: vec!["app.example.org".into()],
        issuer: "CN=x".into(),
        self_signed: false,
        not_before: None,
        not_after: "2027-01-21T03:00:00Z".parse().ok(),
        refused: None,
        signer_unknown: false,
        verified: true,
    };
    if let Some(exchange) = &mut public.exchange {
        exchange.certificate = Some(certificate);
    }
    let versioned = |name| TargetHealth { version: Some("0.57.0".into()), ..pod(name, 200, &parts) };
    let seen =
        |kind, name: &'static str, says: &'static str| SeenHere { kind, name: name.into(), condition: Condition::Ok, says: says.into() };
    let from_here = vec![
        seen(PartKind::Database, "main", "answers in 1 ms, primary"),
        seen(PartKind::Redis, "broker", "PONG in 1 ms, primary"),
        seen(PartKind::Workers, "workers", "2 workers heard"),
    ];
    let facts = HealthFacts { targets: vec![public, versioned("web-1"), versioned("web-2")], from_here, ..HealthFacts::default() };
    let component = Component { name: "disk".into(), condition: Condition::Ok, says: None };
    let liveness = vec![LivenessUse { app: "backend".into(), path: "/healthz".into(), components: vec![component] }];
    (facts, HealthSetup { liveness, ..HealthSetup::default() })
}

/// The first target is the URL, the second and third are pods.
fn body(target: &mut TargetHealth) -> &mut super::super::model::HealthBody {
    match &mut target.body {
        Some(BodyRead::Health(body)) => body,
        other => panic!("no body: {other:?}"),
    }
}

fn part(target: &mut TargetHealth, at: usize, condition: Condition) {
    body(target).components[at].condition = condition;
    target.condition = condition;
}

fn standing(target: &mut TargetHealth) -> &mut PodStanding {
    target.pod.as_mut().expect("a pod")
}

fn no(target: &mut TargetHealth, status: u16, why: NotHealth) {
    target.exchange = Some(Exchange { status: Some(status), ..Exchange::default() });
    target.body = Some(BodyRead::NotHealth(why));
    target.condition = Condition::Unknown;
}

fn fault(target: &mut TargetHealth, fault: HttpFault) {
    target.condition = if fault.needs.is_some() { Condition::Unknown } else { Condition::Failed };
    target.exchange = Some(Exchange { fault: Some(fault), ..Exchange::default() });
    target.body = None;
}

type Harm = fn(&mut HealthFacts, &mut HealthSetup);

/// What goes wrong, and the code that says so.
const HARMS: &[(&str, Harm)] = &[
    ("no-targets", |f, _| {
        f.targets.clear();
        f.from_here.clear();
    }),
    ("component-degraded", |f, _| part(&mut f.targets[1], 3, Condition::Degraded)),
    ("component-unknown", |f, _| part(&mut f.targets[1], 3, Condition::Unknown)),
    ("component-failed", |f, _| part(&mut f.targets[1], 3, Condition::Failed)),
    ("not-asked", |f, _| f.targets[1].unasked = Some("it names no port".into())),
    ("no-answer", |f, _| fault(&mut f.targets[0], HttpFault::at(HttpStep::Dns, "the host name does not resolve"))),
    ("not-allowed", |f, _| {
        let needs = Permission { verb: "get".into(), resource: "pods/portforward".into(), scope: "namespace shop".into() };
        fault(&mut f.targets[1], HttpFault { needs: Some(needs), ..HttpFault::at(HttpStep::Connect, "refused") });
    }),
    ("contradiction", |f, _| body(&mut f.targets[0]).contradictions.push("HTTP 200 says well, redis failed".into())),
    ("failed", |f, _| f.targets[1].condition = Condition::Failed),
    ("not-understood", |f, _| f.targets[1].condition = Condition::Unknown),
    ("degraded", |f, _| f.targets[1].condition = Condition::Degraded),
    ("pod-not-ready", |f, _| standing(&mut f.targets[1]).ready = false),
    ("pod-starting", |f, _| {
        standing(&mut f.targets[1]).ready = false;
        standing(&mut f.targets[1]).starting = true;
    }),
    ("proxy-answered", |f, _| no(&mut f.targets[0], 502, NotHealth::ProxyPage("502 Bad Gateway".into()))),
    ("host-refused", |f, _| no(&mut f.targets[1], 400, NotHealth::HostRefused)),
    ("https-only", |f, _| no(&mut f.targets[1], 301, NotHealth::SecureRedirect)),
    ("login", |f, _| no(&mut f.targets[0], 302, NotHealth::Login)),
    ("unauthorized", |f, _| no(&mut f.targets[0], 401, NotHealth::Unauthorized)),
    ("no-such-path", |f, _| no(&mut f.targets[0], 404, NotHealth::NoSuchPath)),
    ("no-get", |f, _| no(&mut f.targets[0], 405, NotHealth::NoGet)),
    ("redirect", |f, _| no(&mut f.targets[0], 302, NotHealth::Redirect("https://elsewhere.example".into()))),
    ("error-page", |f, _| no(&mut f.targets[0], 500, NotHealth::Page("Server Error (500)".into()))),
    ("page", |f, _| no(&mut f.targets[0], 200, NotHealth::Page("Welcome".into()))),
    ("compressed", |f, _| no(&mut f.targets[0], 200, NotHealth::Compressed)),
    ("too-long", |f, _| no(&mut f.targets[0], 200, NotHealth::TooLong)),
    ("not-a-health-body", |f, _| no(&mut f.targets[0], 200, NotHealth::Gibberish)),
    ("versions-differ", |f, _| f.targets[2].version = Some("0.56.2".into())),
    ("certificate-unverified", |f, _| certificate_of(f).verified = false),
    ("certificate-ends", |f, _| certificate_of(f).not_after = "2026-11-29T03:00:00Z".parse().ok()),
    ("service-without-pods", |_, s| s.empty_services.push("api".into())),
    ("rollout-stuck", |_, s| {
        let (updated, wanted, ready) = (1, 2, 0);
        s.stuck.push(StuckRollout { deployment: "web".into(), begun: "02:49".into(), says: "1 → 2".into(), updated, wanted, ready });
    }),
    ("liveness-checks-dependencies", |_, s| s.liveness[0].components[0].name = "redis".into()),
    ("metrics-open", |_, s| s.metrics.push("https://app.example.org/metrics".into())),
    ("cluster-unseen", |_, s| s.blind = Some(("no answer".into(), Vec::new()))),
    ("cross-check-degraded", |f, _| f.from_here[1].condition = Condition::Degraded),
    ("cross-check-optimistic", |f, _| f.from_here[1].condition = Condition::Failed),
    ("cross-check-unspoken", |f, _| {
        f.from_here[1].condition = Condition::Failed;
        f.targets.iter_mut().for_each(|t| body(t).components.retain(|c| c.name.as_str() != "redis"));
    }),
];

fn certificate_of(facts: &mut HealthFacts) -> &mut Certificate {
    facts.targets[0].exchange.as_mut().and_then(|e| e.certificate.as_mut()).expect("a certificate")
}

#[test]
fn what_goes_wrong_is_said_and_nothing_else_is() {
    let (facts, setup) = well();
    assert_eq!(findings(&facts, &setup, now()), Vec::new());
    for (code, harm) in HARMS {
        let (mut facts, mut setup) = well();
        harm(&mut facts, &mut setup);
        let codes: Vec<_> = findings(&facts, &setup, now()).iter().map(|f| f.code).collect();
        assert_eq!(codes, [*code]);
    }
}

#[test]
fn what_a_part_says_of_itself_beside_what_is_seen() {
    // A part that fails is named; with --deep it is said whether it fails for others as well.
    for (seen, code) in [(Condition::Ok, "cross-check-disagrees"), (Condition::Failed, "cross-check-agrees")] {
        let (mut facts, setup) = well();
        facts.targets.iter_mut().for_each(|t| part(t, 1, Condition::Failed));
        facts.from_here[1].condition = seen;
        let codes: Vec<_> = findings(&facts, &setup, now()).iter().map(|f| f.code).collect();
        assert!(codes.contains(&"component-failed") && codes.contains(&code), "{codes:?}");
    }
}

#[test]
fn no_finding_is_without_its_harm() {
    let sources = [include_str!("mod.rs"), include_str!("setup.rs"), include_str!("cross.rs")].concat();
    let mut known: Vec<&str> = HARMS.iter().map(|(code, _)| *code).collect();
    known.extend(["cross-check-disagrees", "cross-check-agrees"]);
    // Codes are the only strings of this form that stand before a comma.
    let is_code = |text: &&str| text.contains('-') && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let said: std::collections::BTreeSet<&str> = sources.split('"').skip(1).step_by(2).filter(is_code).collect();
    for code in said {
        assert!(known.contains(&code), "{code} has no harm here");
    }
}
