//! From what the user named to what will be asked: URLs, Services, apps and pods; and the pods around them.

use super::{Plan, manner::Arrives, plan::Planner, pods::PodAsk};
use crate::{
    answer::Hint,
    config::App,
    error::{Error, Kind, Result},
    health::collect::HealthTarget,
    kubernetes::{
        collect::{self, AppName, Scope},
        serving,
        target::{self, Target},
    },
    safe,
    session::Session,
    text::Safe,
};
use std::collections::BTreeMap;

/// Everything that will be asked.
///
/// # Errors
/// A target that means nothing, or a cluster that cannot be looked into where nothing else could be asked.
pub(super) async fn plan(planner: &Planner<'_>, session: &Session) -> Result<Plan> {
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
            wanted.push(target::parse(text).map_err(|error| scheme_hint(error, text))?);
        }
    }
    if let Some(selector) = &args.selector {
        named = true;
        wanted.push(Target::Selector(selector.clone()));
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
    let is_wanted: Vec<String> = wanted.iter().filter_map(|t| if let Target::Name(name) = t { Some(name.clone()) } else { None }).collect();
    match pods(planner, session, &mut plan, wanted, services, named).await {
        // The world may still reach what cannot be looked into from here: a VPN that is off, a right that is missing.
        Err(error) if matches!(error.kind(), Kind::Unreachable | Kind::Timeout | Kind::Tls | Kind::Auth | Kind::Denied) => {
            plan.targets.extend(public(planner, session, named.then_some(is_wanted.as_slice())).await?);
            if plan.targets.is_empty() {
                return Err(error);
            }
            plan.blind = Some(error);
        }
        other => other?,
    }
    Ok(plan)
}

/// `app.example.org/health` is a URL to whoever types it.
fn scheme_hint(error: Error, text: &str) -> Error {
    let host = text.split('/').next().unwrap_or_default();
    if host.contains(['.', ':']) { error.hint(Hint::Try(safe!("https://{}", Safe::name(text)))) } else { error }
}

/// The configured URLs of these apps, or of all.
async fn public(planner: &Planner<'_>, session: &Session, wanted: Option<&[String]>) -> Result<Vec<HealthTarget>> {
    let mut targets = Vec::new();
    for (name, app) in session.env.apps.iter().filter(|(name, app)| wanted.is_none_or(|w| w.contains(name)) && !outside(app)) {
        targets.extend(planner.configured(app, None, Some(&Safe::name(name)), session).await?);
    }
    Ok(targets)
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
            let ask = PodAsk { planner, session, pod, app, name: name.as_ref(), manner: &manner, around: &around, cluster: &cluster };
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
    if plan.targets.is_empty() && !named {
        plan.nothing = Some(match around.pods.len() {
            0 => safe!("namespace {} has no pod, or does not exist: -n names another", scope.shown()),
            n => safe!("no pod of namespace {} has an HTTP probe (there are {}), and no app names a path", scope.shown(), n),
        });
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
