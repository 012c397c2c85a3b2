//! One look after the other, for a watch: what to ask is found out anew each time, since pods come and go. Judges nothing.

use super::{Args, Plan, judge, manner::Manners, plan, plan::Planner};
use crate::{
    error::{Error, Result},
    health::{
        collect::{self, HealthTarget},
        model::{Asked, HealthFacts},
    },
    session::Session,
    text::Safe,
};
use jiff::Timestamp;

/// What is looked at again and again.
pub(in crate::commands) struct Rounds {
    args: Args,
    manners: Manners,
    /// The URLs of the last plan: they are asked also when the cluster cannot be.
    urls: Vec<HealthTarget>,
}

/// What one look saw.
pub(in crate::commands) struct Round {
    pub facts: HealthFacts,
    /// Why the cluster could not be asked what there is.
    pub blind: Option<Error>,
    plan: Plan,
}

impl Rounds {
    pub fn new(args: Args) -> Result<Self> {
        Ok(Self { args, manners: Manners::new(), urls: Vec::new() })
    }

    pub async fn look(&mut self, session: &Session) -> Round {
        let now = session.now().timestamp();
        let planner = Planner { args: &self.args, manners: self.manners.clone(), proxies: session.proxies.clone(), now };
        let (mut plan, blind) = match plan(&planner, session).await {
            Ok(mut plan) if plan.blind.is_some() => {
                // Those of Ingresses are known from an earlier look only.
                if !self.urls.is_empty() {
                    plan.targets = self.urls.clone();
                }
                let blind = plan.blind.take();
                (plan, blind)
            }
            Ok(plan) => {
                self.urls = plan.targets.iter().filter(|t| t.asked == Asked::Url).cloned().collect();
                (plan, None)
            }
            Err(error) => (Plan { targets: self.urls.clone(), ..Plan::default() }, Some(error)),
        };
        let targets = collect::ask(std::mem::take(&mut plan.targets), &session.redact, &session.stop.token()).await;
        Round { facts: HealthFacts { observed_at: Some(now), targets, ..HealthFacts::default() }, blind, plan }
    }
}

impl Round {
    /// What changed in the last hour.
    pub async fn changes(&self, now: Timestamp, session: &Session) -> Vec<Safe> {
        judge::changes_of(&self.plan, now, session).await
    }
}
