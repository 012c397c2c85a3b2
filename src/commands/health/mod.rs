//! `obsctl health`: is it up, on every pod, for real.

mod args;
mod deep;
mod judge;
mod manner;
mod plan;
mod pods;
mod round;

pub use args::Args;
pub(super) use round::{Round, Rounds};

use crate::{
    config::App,
    connect::kube::Cluster,
    error::{Error, Kind, Result},
    exit::ExitStatus,
    health::collect::HealthTarget,
    kubernetes::{
        collect::{self, AppName, Scope},
        serving::{self, Neighbourhood, Serving},
        target::{self, Target},
    },
    report::Out,
    safe,
    session::Session,
    text::Safe,
};
use manner::{Arrives, Manners};
use plan::Planner;
use pods::PodAsk;
use std::{collections::BTreeMap, sync::Arc};

/// Everything that will be asked.
#[derive(Default)]
pub(super) struct Plan {
    targets: Vec<HealthTarget>,
    /// The pods among them, for what is looked up afterwards.
    pods: Vec<(Serving, Option<Safe>)>,
    /// What the livenessProbes ask: whose, which path, and the question.
    liveness: Vec<(Safe, Safe, HealthTarget)>,
    empty_services: Vec<Safe>,
    around: Neighbourhood,
    cluster: Option<(Arc<Cluster>, Scope)>,
}

/// Runs the command.
///
/// # Errors
/// A target or a connection that makes the whole question unanswerable; what single targets could not say is in the answer.
pub async fn run(args: Args, session: &Session, out: &mut Out) -> Result<ExitStatus> {
    if args.targets.iter().any(|t| t == "-") {
        return judge::compose(&args, session, out);
    }
    if args.watch {
        return super::watch::run(super::watch::Args::of(args), session, out).await;
    }
    let planner = Planner {
        args: &args,
        manners: Manners::new(),
        proxies: session.proxies.clone(),
        now: session.now().timestamp(),
    };
    let plan = plan(&planner, session).await?;
    judge::answer(plan, &planner, session, out).await
}

async fn plan(planner: &Planner<'_>, session: &Session) -> Result<Plan> {
    let args = planner.args;
    let apps = &session.env.apps;
    let mut plan = Plan::default();
    let (mut wanted, mut services, mut named) = (Vec::new(), Vec::new(), !args.targets.is_empty());
    for text in &args.targets {
        if text.contains("://") {
            plan.targets.push(planner.typed(text, session).await?);
        } else if let Some(name) = text.strip_prefix("svc/").or_else(|| text.strip_prefix("service/")) {
            services.push(name.to_owned());
        } else if let Some((name, app)) = apps.get_key_value(text).filter(|(_, a)| outside(a)) {
            plan.targets.extend(planner.configured(app, None, Some(&Safe::name(name)), session).await?);
        } else {
            wanted.push(target::parse(text)?);
        }
    }
    if let Some(selector) = &args.selector {
        (named, _) = (true, wanted.push(Target::Selector(selector.clone())));
    }
    if !named {
        for (name, app) in apps.iter().filter(|(_, a)| outside(a)) {
            plan.targets.extend(planner.configured(app, None, Some(&Safe::name(name)), session).await?);
        }
    }
    let only_outside = if named { wanted.is_empty() && services.is_empty() } else { session.env.kube.is_none() };
    if only_outside {
        return Ok(plan);
    }
    pods(planner, session, &mut plan, wanted, services, named).await?;
    Ok(plan)
}

/// An app that is a URL and nothing in a cluster.
fn outside(app: &App) -> bool {
    !app.urls.is_empty() && app.selector.is_none() && app.workload.is_none() && app.container.is_none()
}

/// Adds the pods, and the public URLs before them.
async fn pods(
    planner: &Planner<'_>,
    session: &Session,
    plan: &mut Plan,
    mut wanted: Vec<Target>,
    services: Vec<String>,
    named: bool,
) -> Result<()> {
    let cluster = session.cluster().await?;
    let scope = Scope::Namespace(cluster.namespace.clone());
    let around = serving::look(&cluster, &scope).await?;
    for name in &services {
        let service = around.services.iter().find(|s| s.name == *name).ok_or_else(|| {
            Error::new(Kind::NotFound, safe!("looking up Service {}", Safe::name(name)))
                .what(safe!("there is none of that name in {}", scope.shown()))
        })?;
        let selector: Vec<String> = service.selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if service.selector.is_empty() || !around.pods.iter().any(|p| around.services_of(p).any(|s| s.name == *name)) {
            plan.empty_services.push(Safe::name(name));
        } else {
            wanted.push(Target::Selector(selector.join(",")));
        }
    }
    let only_pods = named && wanted.iter().all(|t| matches!(t, Target::Pod(_)));
    if !(named && wanted.is_empty()) {
        let chosen = collect::choose(&cluster, &scope, &wanted, &app_names(session)).await?;
        let mut urls: BTreeMap<String, HealthTarget> = BTreeMap::new();
        let mut asked = Vec::new();
        for one in chosen {
            let Some(pod) = around.pods.iter().find(|p| p.uid == one.pod.uid) else { continue };
            let app = one.app.as_ref().and_then(|name| session.env.apps.get(name));
            let name = one.app.as_ref().map(Safe::name).or_else(|| pod.labels.get("app").map(Safe::name));
            let manner = match app {
                Some(app) => planner.manners.of(&app.health, Arrives::InPods, session).await,
                None => planner.manners.in_pods(),
            };
            let ask =
                PodAsk { planner, session, pod, app, name: name.as_ref(), manner: &manner, around: &around, cluster: &cluster };
            let finished = matches!(pod.phase.as_str(), "Succeeded" | "Failed");
            // Workers and jobs have nothing to ask; only who names one is told so.
            let path = ask.path();
            if finished || (path.is_none() && !named) {
                continue;
            }
            if let Some(path) = path.filter(|_| !only_pods) {
                let public = match app.filter(|app| !app.urls.is_empty()) {
                    Some(app) => planner.configured(app, Some(&path), name.as_ref(), session).await?,
                    None => planner.of_ingresses(pod, &path, &manner, name.as_ref(), &around),
                };
                for target in public {
                    urls.entry(target.name.to_string()).or_insert(target);
                }
            }
            if let Some(liveness) = ask.liveness()
                && !plan.liveness.iter().any(|(app, path, _)| (app, path) == (&liveness.0, &liveness.1))
            {
                plan.liveness.push(liveness);
            }
            asked.push(ask.target());
            plan.pods.push((pod.clone(), name));
        }
        plan.targets.extend(urls.into_values());
        plan.targets.extend(asked);
    }
    plan.around = around;
    plan.cluster = Some((cluster, scope));
    Ok(())
}

fn app_names(session: &Session) -> Vec<AppName> {
    let apps = session.env.apps.iter().filter(|(_, app)| !outside(app));
    apps.map(|(name, app)| AppName {
        name: name.clone(),
        selector: app.selector.as_ref().map(|s| s.value.clone()),
        workload: app.workload.clone(),
        container: app.container.clone(),
    })
    .collect()
}
