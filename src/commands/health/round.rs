//! One look after the other, for a watch: what to ask is found out anew each time, since pods come and go. Judges nothing.

use super::{Args, Plan, judge, manner::Manners, plan, plan::Planner};
use crate::{
    config::RouteName,
    error::{Error, Kind, Result},
    health::{
        analyze::{SubjectSeen, subjects},
        collect::{self, HealthTarget},
        model::{Asked, HealthFacts, TargetHealth},
    },
    session::Session,
    text::Safe,
};
use jiff::Timestamp;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// What is looked at again and again.
pub(in crate::commands) struct Rounds {
    args: Args,
    manners: Manners,
    /// Whether everything that was named has been there: what is missing later has gone.
    complete: bool,
    /// Whether a cluster is needed at all.
    in_cluster: bool,
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
        Ok(Self { args, manners: Manners::new(), complete: false, in_cluster: false, urls: Vec::new() })
    }

    pub async fn look(&mut self, session: &Session) -> Round {
        let now = session.now().timestamp();
        let planner = Planner { args: &self.args, manners: self.manners.clone(), proxies: session.proxies.clone(), now };
        let begun = Instant::now();
        let mut planned = plan(&planner, session).await;
        if planned.as_ref().is_err_and(|error| error.kind() == Kind::Auth) {
            // A token that has run out: whoever gave it gives another.
            session.forget_cluster().await;
            planned = plan(&planner, session).await;
        }
        if self.complete && planned.as_ref().is_err_and(|error| error.kind() == Kind::NotFound) {
            planned = self.those_left(&planner, session).await;
        }
        let took = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        let (mut plan, blind) = match planned {
            Ok(mut plan) if plan.blind.is_some() => {
                self.in_cluster = true;
                // Those of Ingresses are known from an earlier look only.
                if !self.urls.is_empty() {
                    plan.targets = self.urls.clone();
                }
                let blind = plan.blind.take();
                (plan, blind)
            }
            Ok(plan) => {
                self.complete = true;
                self.in_cluster |= plan.cluster.is_some();
                self.urls = plan.targets.iter().filter(|t| t.asked == Asked::Url).cloned().collect();
                (plan, None)
            }
            Err(error) => (Plan { targets: self.urls.clone(), ..Plan::default() }, Some(error)),
        };
        let cluster_ms = (self.in_cluster || blind.is_some()).then_some(took);
        let asked = std::mem::take(&mut plan.targets);
        let known: BTreeSet<Safe> = asked.iter().filter(|t| sends_secret(t)).map(|t| t.name.clone()).collect();
        let mut targets = collect::ask(asked, &session.redact, &session.stop.token()).await;
        let refused = |t: &&TargetHealth| known.contains(&t.name) && matches!(status(t), Some(401 | 403));
        let refused: BTreeSet<Safe> = targets.iter().filter(refused).map(|t| t.name.clone()).collect();
        if !refused.is_empty() && session.refresh().await {
            self.ask_again(&mut targets, &refused, &planner, session).await;
        }
        Round { facts: HealthFacts { observed_at: Some(now), targets, ..HealthFacts::default() }, blind, cluster_ms, plan, given: None }
    }
}

fn sends_secret(target: &HealthTarget) -> bool {
    target.question.as_ref().is_ok_and(|question| question.headers.iter().any(|(_, value)| value.is_sensitive()))
}

fn status(target: &TargetHealth) -> Option<u16> {
    target.exchange.as_ref()?.status
}

impl Rounds {
    /// Asks those that refused a secret once more, with what its reference gives now: it may have been rotated.
    async fn ask_again(&self, targets: &mut [TargetHealth], refused: &BTreeSet<Safe>, planner: &Planner<'_>, session: &Session) {
        self.manners.forget().await;
        let Ok(anew) = plan(planner, session).await else { return };
        let anew = anew.targets.into_iter().filter(|t| refused.contains(&t.name)).collect();
        for answer in collect::ask(anew, &session.redact, &session.stop.token()).await {
            if let Some(place) = targets.iter_mut().find(|t| t.name == answer.name) {
                *place = answer;
            }
        }
    }

    /// A plan of what is still there of the targets: one that has gone says nothing of the others.
    async fn those_left(&self, planner: &Planner<'_>, session: &Session) -> Result<Plan> {
        let alone = |targets, selector| Args { targets, selector, ..self.args.clone() };
        let each = self.args.targets.iter().map(|target| alone(vec![target.clone()], None));
        let all: Vec<Args> = each.chain(self.args.selector.clone().map(|labels| alone(Vec::new(), Some(labels)))).collect();
        let mut left = Plan::default();
        for args in &all {
            match plan(&Planner { args, manners: self.manners.clone(), proxies: planner.proxies.clone(), now: planner.now }, session).await
            {
                Ok(plan) => {
                    left.targets.extend(plan.targets);
                    left.pods.extend(plan.pods);
                    left.empty_services.extend(plan.empty_services);
                    left.cluster = plan.cluster.or(left.cluster);
                }
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(left)
    }
}

impl Round {
    /// A look that somebody else has taken.
    pub fn given(subjects: Vec<Given>, changes: Vec<Safe>, now: Timestamp) -> Self {
        let facts = HealthFacts { observed_at: Some(now), ..HealthFacts::default() };
        Self { facts, blind: None, cluster_ms: None, plan: Plan::default(), given: Some((subjects, changes)) }
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
