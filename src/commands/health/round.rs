//! One look after the other, for a watch: what to ask is found out anew each time, since pods come and go. Judges nothing.

use super::{Args, Plan, judge, plan, plan::Planner};
use crate::{
    config::RouteName,
    connect::http::HttpTrust,
    error::{Error, Result},
    health::{
        analyze::{SubjectSeen, subjects},
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
    plan: Plan,
    given: Option<(Vec<Given>, Vec<Safe>)>,
}

/// A subject that somebody else has judged already, and where its alerts go.
pub(in crate::commands) struct Given {
    pub seen: SubjectSeen,
    pub route: RouteName,
    pub runbook: Option<Safe>,
}

impl Rounds {
    pub fn new(args: Args) -> Result<Self> {
        Ok(Self { args, trust: HttpTrust::machine()?, pods_trust: HttpTrust::anybody()?, urls: Vec::new() })
    }

    pub async fn look(&mut self, session: &Session) -> Round {
        let now = session.now().timestamp();
        let (trust, pods_trust) = (self.trust.clone(), self.pods_trust.clone());
        let planner = Planner { args: &self.args, trust, pods_trust, proxies: session.proxies.clone(), now };
        let (mut plan, blind) = match plan(&planner, session).await {
            Ok(plan) => {
                self.urls = plan.targets.iter().filter(|t| t.asked == Asked::Url).cloned().collect();
                (plan, None)
            }
            Err(error) => (Plan { targets: self.urls.clone(), ..Plan::default() }, Some(error)),
        };
        let targets = collect::ask(std::mem::take(&mut plan.targets), &session.redact, &session.stop.token()).await;
        Round { facts: HealthFacts { observed_at: Some(now), targets, ..HealthFacts::default() }, blind, plan, given: None }
    }
}

impl Round {
    /// A look that somebody else has taken.
    pub fn given(subjects: Vec<Given>, changes: Vec<Safe>, now: Timestamp) -> Self {
        let facts = HealthFacts { observed_at: Some(now), ..HealthFacts::default() };
        Self { facts, blind: None, plan: Plan::default(), given: Some((subjects, changes)) }
    }

    /// What there is to watch, and how it is.
    pub fn subjects(&self) -> Vec<SubjectSeen> {
        match &self.given {
            Some((given, _)) => given.iter().map(|g| g.seen.clone()).collect(),
            None => subjects(&self.facts),
        }
    }

    /// Where the alerts of a subject go, and its runbook, where it has its own.
    pub fn way_of(&self, subject: &str) -> Option<(RouteName, Option<Safe>)> {
        let (given, _) = self.given.as_ref()?;
        given.iter().find(|g| g.seen.name.as_str() == subject).map(|g| (g.route, g.runbook.clone()))
    }

    /// What changed in the last hour.
    pub async fn changes(&self, now: Timestamp, session: &Session) -> Vec<Safe> {
        if let Some((_, changes)) = &self.given {
            return changes.clone();
        }
        judge::changes_of(&self.plan, now, session).await
    }
}
