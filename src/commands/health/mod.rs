//! `obsctl health`: is it up, on every pod, for real.

mod args;
mod deep;
mod judge;
mod manner;
mod plan;
mod pods;
mod round;
mod targets;

pub use args::Args;
pub(super) use round::{Given, Round, Rounds};

use crate::{
    connect::kube::Cluster,
    error::{Error, Result},
    exit::ExitStatus,
    health::collect::HealthTarget,
    kubernetes::{
        collect::Scope,
        serving::{Neighbourhood, Serving},
    },
    report::Out,
    session::Session,
    text::Safe,
};
use manner::Manners;
use plan::Planner;
use std::sync::Arc;
use targets::plan;

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
    /// Why the cluster could not be asked; its apps' URLs are, all the same.
    blind: Option<Error>,
    /// Why there is nothing to ask.
    nothing: Option<Safe>,
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
    let planner = Planner { args: &args, manners: Manners::new(), proxies: session.proxies.clone(), now: session.now().timestamp() };
    let plan = session.unless_stopped("finding out what to ask".into(), plan(&planner, session)).await?;
    judge::answer(plan, &planner, session, out).await
}
