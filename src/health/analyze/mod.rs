//! What the answers of many endpoints mean together. Pure: the clock and what the cluster says are handed in.

mod containers;
pub mod cross;
mod setup;
mod subjects;

pub use setup::{HealthSetup, LivenessUse, StuckRollout};
pub use subjects::{PASSING, SubjectSeen, subjects};

use super::model::{Asked, BodyRead, Component, Condition, HealthFacts, NotHealth, TargetHealth};
use crate::{
    answer::{Certificate, Finding, Hint, HttpStep, Permission, Severity},
    safe,
    text::{Safe, units},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A certificate that ends this soon is bad news; this soon, something to look at.
const CERTIFICATE_FAILED: i64 = 3;
const CERTIFICATE_WARNING: i64 = 14;

/// What it all means, worst first.
pub fn findings(facts: &HealthFacts, setup: &HealthSetup, now: Timestamp) -> Vec<Finding> {
    let mut all = Vec::new();
    if facts.targets.is_empty() && setup.empty_services.is_empty() {
        let says =
            setup.nothing.clone().map_or_else(|| "there is nothing to ask: no pod, no URL".into(), |why| safe!("nothing to ask: {}", why));
        all.push(Finding::new("no-targets", Severity::Unknown, says).next(Hint::Try("a URL, deploy/NAME, svc/NAME or pod/NAME".into())));
    }
    components(facts, &mut all);
    for target in &facts.targets {
        match target.asked {
            Asked::Container => all.extend(containers::of(target)),
            Asked::Url | Asked::Pod => all.extend(of_target(target, facts, now)),
        }
    }
    all.extend(containers::ended(&facts.targets));
    all.extend(refused(facts));
    all.extend(versions(facts));
    all.extend(certificates(facts, now));
    all.extend(setup.findings());
    all.extend(cross::compare(facts, &facts.from_here));
    all.sort_by_key(|f| std::cmp::Reverse(f.severity));
    all
}

/// Whether a pod is excused: it is on its way in, or out.
fn excused(target: &TargetHealth) -> bool {
    target.pod.as_ref().is_some_and(|pod| pod.leaving) || starting(target)
}

/// Whether a pod need not be ready yet. One that is merely new, without a startupProbe that asks for patience, is believed when it says that it
/// has failed.
pub(super) fn starting(target: &TargetHealth) -> bool {
    let speaks = || target.health().is_some_and(|body| body.components.iter().any(|c| c.condition == Condition::Failed));
    target.pod.as_ref().is_some_and(|pod| pod.starting || (pod.new && !speaks()))
}

/// Components that failed, grouped: one Redis that is gone is one finding, however many pods say so.
fn components(facts: &HealthFacts, all: &mut Vec<Finding>) {
    let mut bad: BTreeMap<(Safe, Condition), Vec<(&TargetHealth, &Component)>> = BTreeMap::new();
    let spoke = facts.targets.iter().filter(|t| t.health().is_some() && !excused(t)).count();
    for target in facts.targets.iter().filter(|t| !excused(t)) {
        for component in target.health().iter().flat_map(|b| &b.components).filter(|c| c.condition > Condition::Ok) {
            bad.entry((component.name.clone(), component.condition)).or_default().push((target, component));
        }
    }
    for ((name, condition), of) in bad {
        let (severity, code, word) = match condition {
            Condition::Failed => (Severity::Failed, "component-failed", "failed"),
            Condition::Degraded => (Severity::Warning, "component-degraded", "is degraded"),
            _ => (Severity::Unknown, "component-unknown", "says what is not understood"),
        };
        let names: Vec<&Safe> = of.iter().map(|(t, _)| &t.name).take(3).collect();
        let more = if of.len() > 3 { safe!(" and {} more", of.len() - 3) } else { Safe::EMPTY };
        let says = if of.len() == spoke && spoke > 1 {
            safe!("{} {} on all {} targets", name, word, spoke)
        } else {
            safe!("{} {} on {}{}", name, word, Safe::join(names, ", "), more)
        };
        let mut finding = Finding::new(code, severity, says);
        let mut texts: Vec<Safe> = of.iter().filter_map(|(_, c)| c.says.as_ref().map(|s| safe!("{}: {}", c.name, s))).collect();
        texts.dedup();
        finding.evidence.extend(texts.into_iter().take(3));
        if severity == Severity::Failed
            && let Some((pod, _)) = of.iter().find(|(t, _)| t.asked == Asked::Pod)
        {
            finding = finding.next(Hint::Run(safe!("obsctl logs pod/{} --since 10m --level error", pod.name)));
        }
        all.push(finding);
    }
}

/// What is wrong with one target, apart from its components.
fn of_target(target: &TargetHealth, facts: &HealthFacts, now: Timestamp) -> Vec<Finding> {
    let name = &target.name;
    let mut all = Vec::new();
    let pod = target.pod.as_ref();
    if pod.is_some_and(|p| p.leaving) {
        return all;
    }
    let late = |f: Finding| if starting(target) { Finding { severity: Severity::Info, ..f } } else { f };
    if let Some(why) = &target.unasked {
        // A pod that is not ready has its own line below.
        if pod.is_none_or(|p| p.ready) {
            all.push(Finding::new("not-asked", Severity::Unknown, safe!("{} could not be asked: {}", name, why)));
        }
    }
    // Rights that are missing are told once for all targets.
    if let Some(fault) = target.exchange.as_ref().and_then(|e| e.fault.as_ref()).filter(|f| f.needs.is_none()) {
        let step = match fault.step {
            HttpStep::Dns => "its name was looked up",
            HttpStep::Connect if target.asked == Asked::Pod => "the tunnel was opened",
            HttpStep::Connect => "connecting",
            HttpStep::Proxy => "going through the proxy",
            HttpStep::Tls => "greeting it with TLS",
            HttpStep::Head => "waiting for its answer",
            HttpStep::Body => "reading its answer",
        };
        let says = safe!("{} gave no whole answer, while {}: {}", name, step, fault.what);
        let mut finding = Finding::new("no-answer", Severity::Failed, says);
        if target.certificate().is_some_and(|c| c.refused.is_some() && c.signer_unknown) {
            let what = "SSL_CERT_FILE, or apps.NAME.health.ca in the configuration: the certificate of the authority that signed it";
            finding = finding.next(Hint::Set(what.into()));
        }
        all.push(late(finding));
    }
    let status = target.exchange.as_ref().and_then(|e| e.status).unwrap_or_default();
    match &target.body {
        Some(BodyRead::NotHealth(no)) if target.exchange.as_ref().is_some_and(|e| e.fault.is_none()) => {
            all.extend(spokesman(target, facts).map(|name| late(not_health(target, &name, status, no))));
        }
        Some(BodyRead::Health(body)) => {
            for contradiction in &body.contradictions {
                all.push(Finding::new("contradiction", Severity::Warning, safe!("{}: {}", name, contradiction)));
            }
            let quiet = body.components.iter().all(|c| c.condition <= Condition::Ok);
            if quiet && target.condition == Condition::Failed {
                let word = body.status.clone().map(|s| safe!(", it says “{}”", s)).unwrap_or_default();
                all.push(late(Finding::new("failed", Severity::Failed, safe!("{} answered {}{}", name, status, word))));
            } else if quiet && target.condition == Condition::Unknown {
                let word = body.status.clone().unwrap_or_default();
                all.push(Finding::new(
                    "not-understood",
                    Severity::Unknown,
                    safe!("{} answered {} and says “{}”, which is no known word", name, status, word),
                ));
            } else if quiet && target.condition == Condition::Degraded {
                let word = body.status.clone().unwrap_or_default();
                all.push(Finding::new("degraded", Severity::Warning, safe!("{} works and calls itself “{}”", name, word)));
            }
        }
        _ => {}
    }
    if let Some(pod) = pod.filter(|p| !p.ready) {
        let since = pod.since.map(|t| safe!(" for {}", units::duration(now.duration_since(t)))).unwrap_or_default();
        let (severity, code, says) = if starting(target) {
            (Severity::Info, "pod-starting", safe!("{} is starting, within the time that its probes give it", name))
        } else {
            (Severity::Failed, "pod-not-ready", safe!("{} has not been ready{}", name, since))
        };
        let mut finding = Finding::new(code, severity, says);
        finding.evidence.extend(pod.why.iter().take(4).cloned());
        // Where the answer names the part that failed, its finding names the next step as well.
        if severity == Severity::Failed && target.health().is_none() {
            finding = finding.next(Hint::Run(match (pod.restarts, &target.unasked) {
                (0, Some(_)) => safe!("kubectl describe pod {}", name),
                (0, None) => safe!("obsctl logs pod/{} --since 10m", name),
                _ => safe!("obsctl logs pod/{} --previous", name),
            }));
        }
        all.push(finding);
    }
    all
}

/// Targets that this user may not ask: one finding for each right that is missing.
fn refused(facts: &HealthFacts) -> Vec<Finding> {
    let mut rights: Vec<(&Permission, Vec<&Safe>)> = Vec::new();
    for target in &facts.targets {
        let Some(right) = target.exchange.as_ref().and_then(|e| e.fault.as_ref()?.needs.as_ref()) else { continue };
        match rights.iter_mut().find(|(known, _)| *known == right) {
            Some((_, names)) => names.push(&target.name),
            None => rights.push((right, vec![&target.name])),
        }
    }
    let finding = |(right, names): (&Permission, Vec<&Safe>)| {
        let who = if let [one] = names.as_slice() { (*one).clone() } else { units::plural(names.len(), "pod", "pods") };
        let says = safe!("{} could not be asked: you may not {} {} in {}", who, right.verb, right.resource, right.scope);
        Finding::new("not-allowed", Severity::Unknown, says).next(Hint::Grant(right.clone()))
    };
    rights.into_iter().map(finding).collect()
}

/// Who is named for an answer that says nothing about health: pods of an app that all give the same one are one finding, at the first of them.
fn spokesman(target: &TargetHealth, facts: &HealthFacts) -> Option<Safe> {
    let no = |t: &TargetHealth| match &t.body {
        Some(BodyRead::NotHealth(no)) => Some((t.exchange.as_ref()?.status, no.clone(), starting(t))),
        _ => None,
    };
    let alike = |t: &&TargetHealth| {
        let pods = t.asked == Asked::Pod && target.asked == Asked::Pod && !t.pod.as_ref().is_some_and(|pod| pod.leaving);
        t.name == target.name || (pods && t.app == target.app && no(t) == no(target))
    };
    let all: Vec<&TargetHealth> = facts.targets.iter().filter(alike).collect();
    all.first().filter(|first| first.name == target.name)?;
    let more = if all.len() > 3 { safe!(" and {} more", all.len() - 3) } else { Safe::EMPTY };
    Some(safe!("{}{}", Safe::join(all.iter().map(|t| &t.name).take(3), ", "), more))
}

/// An answer that says nothing about health, explained.
fn not_health(target: &TargetHealth, name: &Safe, status: u16, no: &NotHealth) -> Finding {
    let direct = target.asked == Asked::Pod;
    let unknown = |code, says| Finding::new(code, Severity::Unknown, says);
    match no {
        NotHealth::ProxyPage(title) => Finding::new(
            "proxy-answered",
            Severity::Failed,
            safe!("{}: a proxy answered {} in its place ({}): nothing behind the proxy did", name, status, title),
        ),
        NotHealth::HostRefused => {
            unknown("host-refused", safe!("{}: Django refuses this Host (400): it is not in its ALLOWED_HOSTS", name))
                .next(Hint::Set("apps.NAME.url in the configuration, whose host is sent to the pods too".into()))
        }
        NotHealth::SecureRedirect => unknown(
            "https-only",
            safe!("{}: Django sends everything to https (SECURE_SSL_REDIRECT), though X-Forwarded-Proto said https", name),
        )
        .next(Hint::Set(
            "SECURE_PROXY_SSL_HEADER = (\"HTTP_X_FORWARDED_PROTO\", \"https\"), or SECURE_REDIRECT_EXEMPT for this path".into(),
        ))
        .evidence(if direct {
            "the kubelet's own probe is redirected as well, and takes any 3xx for well".into()
        } else {
            "the redirect was not followed".into()
        }),
        NotHealth::Login => unknown("login", safe!("{} wants a login: a health endpoint behind one says nothing to a probe", name)),
        NotHealth::Unauthorized => unknown("unauthorized", safe!("{} answered {}: it wants to know who asks", name, status)),
        NotHealth::NoSuchPath => {
            unknown("no-such-path", safe!("{} answered {}: there is no such path", name, status)).next(where_it_is(target))
        }
        NotHealth::NoGet => unknown("no-get", safe!("{} answered {}: it takes no GET there", name, status)),
        NotHealth::Redirect(to) => unknown("redirect", safe!("{} answered {} and points to {}, which was not followed", name, status, to)),
        NotHealth::Page(title) if status >= 500 => {
            Finding::new("error-page", Severity::Failed, safe!("{} answered {} with a page, not a health body: “{}”", name, status, title))
        }
        NotHealth::Page(title) => {
            unknown("page", safe!("{} answered {} with a page, not a health body: “{}”", name, status, title)).next(where_it_is(target))
        }
        NotHealth::Compressed => unknown("compressed", safe!("{} answered compressed, though it was asked not to", name)),
        NotHealth::TooLong => unknown("too-long", safe!("{} answered more than 1 MiB: not a health body", name)),
        NotHealth::Gibberish => {
            let severity = if status >= 500 { Severity::Failed } else { Severity::Unknown };
            Finding::new("not-a-health-body", severity, safe!("{} answered {} with nothing that says how it is", name, status))
        }
    }
}

/// How to say where the health endpoint is: what was typed is typed again, what the configuration says is mended there.
fn where_it_is(target: &TargetHealth) -> Hint {
    match (target.asked, &target.app) {
        (Asked::Url, None) => Hint::Try("the URL of the health endpoint itself, as in https://app.example.org/api/health/".into()),
        (_, Some(app)) => Hint::Set(safe!("apps.{}.health in the configuration, or --path: the path of the health endpoint", app)),
        (_, None) => Hint::Try("--path: the path of the health endpoint".into()),
    }
}

/// `3 run 0.57.0, 1 runs 0.56.2`, per app; not of URLs, which answer from one of them.
fn versions(facts: &HealthFacts) -> Vec<Finding> {
    let mut apps: BTreeMap<Option<Safe>, BTreeMap<Safe, usize>> = BTreeMap::new();
    for target in facts.targets.iter().filter(|t| t.asked != Asked::Url && !t.pod.as_ref().is_some_and(|p| p.leaving)) {
        if let Some(version) = &target.version {
            *apps.entry(target.app.clone()).or_default().entry(version.clone()).or_default() += 1;
        }
    }
    let differ = apps.into_iter().filter(|(_, versions)| versions.len() > 1).map(|(app, versions)| {
        let mut counted: Vec<(Safe, usize)> = versions.into_iter().collect();
        counted.sort_by_key(|(version, count)| (std::cmp::Reverse(*count), version.clone()));
        let parts: Vec<Safe> = counted.iter().map(|(v, n)| safe!("{} {} {}", *n, if *n == 1 { "runs" } else { "run" }, v)).collect();
        let app = app.map(|a| safe!("{}: ", a)).unwrap_or_default();
        Finding::new("versions-differ", Severity::Warning, safe!("{}{}", app, Safe::join(&parts, ", ")))
    });
    differ.collect()
}

fn certificates(facts: &HealthFacts, now: Timestamp) -> Vec<Finding> {
    let urls = facts.targets.iter().filter(|t| t.asked == Asked::Url).filter_map(|t| certificate(&t.name, t.certificate()?, now));
    // A pod shows its certificate to whoever asks it, and the kubelet believes any: only that its time is over is wrong everywhere.
    let pods = facts.targets.iter().filter(|t| t.asked == Asked::Pod).filter_map(|t| {
        let (days, end) = (t.certificate()?.days_left(now)?, t.certificate()?.not_after?);
        let says = if days < 0 {
            safe!("{}: its certificate expired on {:.10}: the kubelet does not look, others will", t.name, Safe::name(end.to_string()))
        } else {
            safe!("{}: {}", t.name, ends(days, end))
        };
        (days <= CERTIFICATE_FAILED).then(|| Finding::new("certificate-ends", Severity::Warning, says))
    });
    urls.chain(pods).collect()
}

/// Whether a certificate is good for long enough; none: it is, or the exchange has said that it is refused.
pub fn certificate(name: &Safe, certificate: &Certificate, now: Timestamp) -> Option<Finding> {
    if certificate.refused.is_some() {
        // The exchange has failed for it, and says so.
        return None;
    }
    if !certificate.verified {
        return Some(Finding::new(
            "certificate-unverified",
            Severity::Warning,
            safe!("{}: its certificate was not verified, as asked", name),
        ));
    }
    let (days, end) = (certificate.days_left(now)?, certificate.not_after?);
    let severity = match days {
        days if days <= CERTIFICATE_FAILED => Severity::Failed,
        days if days <= CERTIFICATE_WARNING => Severity::Warning,
        _ => return None,
    };
    Some(Finding::new("certificate-ends", severity, safe!("{}: {}", name, ends(days, end))))
}

fn ends(days: i64, end: Timestamp) -> Safe {
    let left = units::plural(usize::try_from(days).unwrap_or(0), "day", "days");
    safe!("its certificate ends in {}, on {:.10}", left, Safe::name(end.to_string()))
}

/// Says that the certificate of a URL is about to end, where that is bad news already.
pub(super) fn certificate_ends(target: &TargetHealth, now: Timestamp) -> Option<Safe> {
    let certificate = target.certificate().filter(|c| target.asked == Asked::Url && c.verified)?;
    let (days, end) = (certificate.days_left(now)?, certificate.not_after?);
    (days <= CERTIFICATE_FAILED).then(|| ends(days, end))
}

/// The whole in a sentence.
pub fn headline(facts: &HealthFacts, findings: &[Finding]) -> Safe {
    let of = |asked: Asked| facts.targets.iter().filter(move |t| t.asked == asked);
    // Who is on its way out is neither well nor ill, and what ended as it should is neither, too.
    let leaving = of(Asked::Pod).filter(|t| t.pod.as_ref().is_some_and(|p| p.leaving)).count();
    let ended = of(Asked::Container).filter(|t| t.condition == Condition::Skipped).count();
    let (urls, pods, containers) = (of(Asked::Url).count(), of(Asked::Pod).count() - leaving, of(Asked::Container).count() - ended);
    let Some(worst) = findings.iter().find(|f| f.severity > Severity::Info) else {
        let kinds = [(urls, "URL", "URLs"), (pods, "pod", "pods"), (containers, "container", "containers")];
        let counted = kinds.into_iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| units::plural(n, one, many));
        let counted = Safe::join(&counted.collect::<Vec<_>>(), " and ");
        let say = if urls + pods + containers <= 1 { "is well" } else { "are well" };
        let beginning = facts.targets.iter().filter(|t| starting(t)).count();
        let more = |n: usize, word: &'static str| if n > 0 { safe!(", {}{}", n, word) } else { Safe::EMPTY };
        let counted = if counted.is_empty() { "nothing".into() } else { counted };
        return safe!(
            "{} {}{}{}{}",
            counted,
            say,
            more(beginning, " of them still starting"),
            more(leaving, " leaving"),
            more(ended, " ended")
        );
    };
    // What the world sees beside what is wrong inside.
    let ill = |app: &Option<Safe>| {
        of(Asked::Pod).any(|t| t.app == *app && (t.condition > Condition::Ok || t.pod.as_ref().is_some_and(|p| !p.ready)))
    };
    let outside = of(Asked::Url)
        .filter(|t| t.condition == Condition::Ok && (t.app.is_none() || ill(&t.app)))
        .find_map(|t| t.exchange.as_ref()?.status);
    let inside = worst.severity == Severity::Failed && pods > 0;
    let outside = outside.filter(|_| inside).map(|status| safe!(". The public URL says {}", status)).unwrap_or_default();
    safe!("{}{}", worst.says, outside)
}

#[cfg(test)]
mod silent;
#[cfg(test)]
pub(super) mod tests;
