//! One look after the other, for a watch: what to ask is found out anew each time, since pods come and go. Judges nothing.

use super::{Args, Plan, judge, plan, plan::Planner};
use crate::{
    connect::http::HttpTrust,
    error::{Error, Kind, Result},
    health::{
        collect::{self, HealthTarget},
        model::{Asked, HealthFacts},
    },
    session::Session,
    text::Safe,
};
use jiff::Timestamp;
use tokio::time::Instant;

/// What is looked at again and again.
pub(in crate::commands) struct Rounds {
    args: Args,
    trust: HttpTrust,
    pods_trust: HttpTrust,
    /// The URLs of the last plan: they are asked also when the cluster cannot be.
    urls: Vec<HealthTarget>,
}

/// What one look saw.
pub(in crate::commands) struct Round {
    pub facts: HealthFacts,
    /// Why the cluster could not be asked what there is.
    pub blind: Option<Error>,
    /// How long it took to ask the cluster, in milliseconds; none where no cluster is needed.
    pub cluster_ms: Option<u32>,
    plan: Plan,
}

impl Rounds {
    pub fn new(args: Args) -> Result<Self> {
        Ok(Self { args, trust: HttpTrust::machine()?, pods_trust: HttpTrust::anybody()?, urls: Vec::new() })
    }

    pub async fn look(&mut self, session: &Session) -> Round {
        let now = session.now().timestamp();
        let (trust, pods_trust) = (self.trust.clone(), self.pods_trust.clone());
        let planner = Planner { args: &self.args, trust, pods_trust, proxies: session.proxies.clone(), now };
        let begun = Instant::now();
        let mut planned = plan(&planner, session).await;
        if planned.as_ref().is_err_and(|error| error.kind() == Kind::Auth) {
            // A token that has run out: whoever gave it gives another.
            session.forget_cluster().await;
            planned = plan(&planner, session).await;
        }
        let took = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        let (mut plan, blind) = match planned {
            Ok(plan) => {
                self.urls = plan.targets.iter().filter(|t| t.asked == Asked::Url).cloned().collect();
                (plan, None)
            }
            Err(error) => (Plan { targets: self.urls.clone(), ..Plan::default() }, Some(error)),
        };
        let cluster_ms = (plan.cluster.is_some() || blind.is_some()).then_some(took);
        let targets = collect::ask(std::mem::take(&mut plan.targets), &session.redact, &session.stop.token()).await;
        Round { facts: HealthFacts { observed_at: Some(now), targets, ..HealthFacts::default() }, blind, cluster_ms, plan }
    }
}

impl Round {
    /// What changed in the last hour.
    pub async fn changes(&self, now: Timestamp, session: &Session) -> Vec<Safe> {
        judge::changes_of(&self.plan, now, session).await
    }
}
