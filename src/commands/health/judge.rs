//! From the questions to the answer: all of them asked side by side, what the cluster knows besides, the findings, the screen.

use super::{
    Args, Plan,
    deep::{self, Deep},
    plan::Planner,
};
use crate::{
    answer::{Answer, Coverage, Finding, Part, Provenance, Severity},
    connect::http::{HttpQuestion, HttpUrl},
    error::{Error, Kind, Result},
    exit::{ExitStatus, Outcome},
    health::{
        analyze::{self, HealthSetup, LivenessUse, StuckRollout},
        collect::{self, HealthTarget},
        decode::compose,
        model::{Asked, HealthFacts, TargetHealth},
        view,
    },
    kubernetes::{changes, history, rollout, serving::Serving},
    report::{Line, Out, Where},
    safe,
    session::Session,
    text::Safe,
};
use jiff::{SignedDuration, Timestamp};
use std::io::Read;

/// How far back changes are shown under an answer that is bad news.
const LATELY: SignedDuration = SignedDuration::from_hours(1);
/// How many of them.
const MOST: usize = 8;
/// The largest output of docker compose that is read.
const COMPOSE: u64 = 4 << 20;

/// Asks, judges and shows.
///
/// # Errors
/// As the writer's.
pub(super) async fn answer(mut plan: Plan, planner: &Planner<'_>, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let targets = std::mem::take(&mut plan.targets);
    let stop = session.stop.token();
    let probes = std::mem::take(&mut plan.liveness);
    let metrics = metrics(&targets);
    let deep = async { if planner.args.deep { deep::look(session).await } else { Deep::default() } };
    let (asked, extra, metrics, deep) = tokio::join!(
        collect::ask(targets, &session.redact, &stop),
        collect::ask(probes.iter().map(|(_, _, t)| t.clone()).collect(), &session.redact, &stop),
        collect::metrics(metrics, &session.redact, &stop),
        deep,
    );
    let blind = plan.blind.as_ref().map(|error| (error.says(), error.hints().to_vec()));
    let empty_services = std::mem::take(&mut plan.empty_services);
    let mut setup = HealthSetup { metrics, empty_services, blind, nothing: plan.nothing.take(), ..HealthSetup::default() };
    for ((app, path, _), said) in probes.into_iter().zip(extra) {
        let components = said.health().map(|b| b.components.clone()).unwrap_or_default();
        setup.liveness.push(LivenessUse { app, path, components });
    }
    let mut facts = HealthFacts { observed_at: Some(planner.now), targets: asked, from_here: deep.seen, changes: Vec::new() };
    let mut findings = analyze::findings(&facts, &setup, planner.now);
    let mut coverage = coverage(&facts);
    coverage.join(std::mem::take(&mut plan.around.coverage));
    coverage.missing.extend(deep.missing);
    if findings.iter().any(|f| f.severity > Severity::Info) && !stop.is_cancelled() {
        look_back(&plan, planner.now, session, &mut facts, &mut setup, &mut coverage).await;
        findings = analyze::findings(&facts, &setup, planner.now);
    }
    let place = match &plan.cluster {
        Some((cluster, scope)) => session.at_cluster(cluster, scope.shown()),
        None => Where { environment: session.env.name.clone(), ..Where::default() },
    };
    let sources = plan.cluster.iter().map(|(cluster, _)| cluster.provenance()).chain(from_urls(&facts)).chain(deep.sources).collect();
    for warning in &session.env.warnings {
        out.note(&Line::plain(safe!("warning: {}", warning)));
    }
    show(Answer { facts, findings, coverage, sources }, &place, planner.args, session, out)
}

fn show(answer: Answer<HealthFacts>, place: &Where, args: &Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let outcome = session.stop.reason().unwrap_or(Outcome::Answered(answer.verdict()));
    let status = ExitStatus::of(&Ok(outcome), args.fail_on.is_some());
    out.answer(&answer, place, status, |look| view::health(&answer, place, look))?;
    Ok(status)
}

/// `/metrics` of each public host: those of the environment, not what was typed in. Without the headers of the app: whoever has those is
/// not the world.
fn metrics(targets: &[HealthTarget]) -> Vec<HealthTarget> {
    let mut found: Vec<HealthTarget> = Vec::new();
    for target in targets.iter().filter(|t| t.asked == Asked::Url && t.app.is_some()) {
        let Ok(question) = &target.question else { continue };
        let url = HttpUrl { path: "/metrics".into(), ..question.url.clone() };
        let name = url.shown();
        if !found.iter().any(|t| t.name == name) {
            let question = HttpQuestion { url, headers: Vec::new(), ..(**question).clone() };
            found.push(HealthTarget { name, question: Ok(Box::new(question)), ..target.clone() });
        }
    }
    found
}

/// What changed in the last hour, as lines. Nothing where that cannot be looked at.
pub(in crate::commands) async fn changes_of(plan: &Plan, now: Timestamp, session: &Session) -> Vec<Safe> {
    let mut facts = HealthFacts::default();
    look_back(plan, now, session, &mut facts, &mut HealthSetup::default(), &mut Coverage::default()).await;
    facts.changes
}

/// What changed lately, where something is wrong. What cannot be looked at does not make the answer worse.
async fn look_back(
    plan: &Plan,
    now: Timestamp,
    session: &Session,
    facts: &mut HealthFacts,
    setup: &mut HealthSetup,
    coverage: &mut Coverage,
) {
    let Some((cluster, scope)) = &plan.cluster else { return };
    let stop = session.stop.token();
    let looked = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        looked = history::objects(cluster, scope) => looked,
    };
    let (objects, missing) = match looked {
        Ok(looked) => looked,
        Err(error) => return tracing::debug!("changes are not shown: {error}"),
    };
    coverage.join(missing);
    let clock = |at: Timestamp| Safe::name(at.to_zoned(session.zone.clone()).strftime("%H:%M").to_string());
    let all = changes::changes(&objects, now.checked_sub(LATELY).unwrap_or(now), now, &session.redact);
    let pods: Vec<&str> = plan.pods.iter().map(|(pod, _)| pod.name.as_str()).collect();
    let shown = changes::nearest(&all, &pods, MOST);
    facts.changes = shown.iter().map(|c| safe!("{}  {}  {}", clock(c.at), c.of, c.says)).collect();
    let concerned = |set: &str| plan.pods.iter().any(|(pod, _): &(Serving, _)| pod.name.starts_with(&format!("{set}-")));
    for rollout in rollout::rollouts(&objects.deployments, &objects.replica_sets, now, &session.redact) {
        let Some(state) = rollout.now.filter(|n| n.stuck && concerned(&n.replica_set)) else { continue };
        let (begun, deployment) = (clock(rollout.begun), Safe::name(&rollout.deployment));
        let (updated, wanted, ready) = (state.updated, state.wanted, state.ready);
        setup.stuck.push(StuckRollout { deployment, begun, says: rollout.says, updated, wanted, ready });
    }
}

fn coverage(facts: &HealthFacts) -> Coverage {
    let system = |t: &TargetHealth| match t.asked {
        Asked::Pod => "pod",
        Asked::Url => "http",
        Asked::Container => "container",
    };
    let asked = facts.targets.iter().filter(|t| t.unasked.is_none());
    Coverage { searched: asked.map(|t| Part { system: system(t), name: t.name.clone() }).collect(), ..Coverage::default() }
}

fn from_urls(facts: &HealthFacts) -> impl Iterator<Item = Provenance> + '_ {
    let urls = facts.targets.iter().filter(|t| t.asked == Asked::Url);
    urls.map(|t| Provenance { system: "http", at: t.name.clone(), through: None })
}

/// The output of `docker compose ps --format json`, from stdin.
///
/// # Errors
/// `Usage`: it is none, or other targets stand beside it.
pub(super) fn compose(args: &Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    let reading = || Error::new(Kind::Usage, "reading docker compose ps from stdin");
    if args.targets.len() > 1 {
        return Err(reading().what("other targets stand beside -: ask twice"));
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(COMPOSE).read_to_end(&mut bytes).map_err(|e| reading().what(Safe::name(e.to_string())))?;
    let targets = compose::read(&bytes, &session.redact).ok_or_else(|| {
        reading()
            .what("it is not what docker compose ps --format json prints")
            .hint(crate::answer::Hint::Run("docker compose ps --all --format json".into()))
    })?;
    let facts = HealthFacts { observed_at: Some(session.now().timestamp()), targets, ..HealthFacts::default() };
    let findings: Vec<Finding> = analyze::findings(&facts, &HealthSetup::default(), session.now().timestamp());
    let place = Where { files: Some("stdin".into()), ..Where::default() };
    let coverage = coverage(&facts);
    show(Answer { facts, findings, coverage, sources: Vec::new() }, &place, args, session, out)
}
