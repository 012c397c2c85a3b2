//! How the health of an environment is set up, as far as that is itself something to look at: probes that restart what is well, metrics open
//! to the world, Services that lead nowhere, rollouts that go on no more.

use super::cross;
use crate::{
    answer::{Finding, Hint, Severity},
    health::model::{Component, PartKind},
    safe,
    text::Safe,
};

/// A livenessProbe and what its endpoint looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivenessUse {
    /// The app or workload.
    pub app: Safe,
    /// The path.
    pub path: Safe,
    /// The parts that it named when it was asked.
    pub components: Vec<Component>,
}

/// A rollout that goes on no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckRollout {
    /// The Deployment.
    pub deployment: Safe,
    /// When it began, as a clock time.
    pub begun: Safe,
    /// What it changed.
    pub says: Safe,
    /// How many of how many are updated, and how many of them are ready.
    pub updated: i32,
    /// How many there should be.
    pub wanted: i32,
    /// How many of the updated ones are ready.
    pub ready: i32,
}

/// What is known of the set-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthSetup {
    /// The livenessProbes.
    pub liveness: Vec<LivenessUse>,
    /// Metrics that answered from outside.
    pub metrics: Vec<Safe>,
    /// Services that were asked for and have no pods.
    pub empty_services: Vec<Safe>,
    /// Rollouts that go on no more.
    pub stuck: Vec<StuckRollout>,
    /// Why the cluster could not be looked into, and what would help.
    pub blind: Option<(Safe, Vec<Hint>)>,
    /// Why there is nothing to ask.
    pub nothing: Option<Safe>,
}

impl HealthSetup {
    /// What of it is something to look at.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut all = Vec::new();
        if let Some((why, hints)) = &self.blind {
            let says = safe!("the pods could not be looked at: {}", *why);
            all.push(hints.iter().cloned().fold(Finding::new("cluster-unseen", Severity::Unknown, says), Finding::next));
        }
        for service in &self.empty_services {
            let says = safe!("Service {} leads to no pod", service);
            all.push(
                Finding::new("service-without-pods", Severity::Failed, says).next(Hint::Run(safe!("kubectl get endpoints {}", service))),
            );
        }
        for stuck in &self.stuck {
            let says = safe!(
                "rollout of deploy/{} of {} ({}) stuck: {} of {} updated, {} of them ready",
                stuck.deployment,
                stuck.begun,
                stuck.says,
                stuck.updated,
                stuck.wanted,
                stuck.ready
            );
            let undo = Hint::Try(safe!("the release before is one step away: kubectl rollout undo deploy/{}", stuck.deployment));
            all.push(Finding::new("rollout-stuck", Severity::Warning, says).next(undo));
        }
        for used in &self.liveness {
            let asked: Vec<&Safe> = used
                .components
                .iter()
                .filter(|c| matches!(cross::kind_of(&c.name), Some(PartKind::Database | PartKind::Redis)))
                .map(|c| &c.name)
                .collect();
            if let Some(first) = asked.first() {
                let says = safe!(
                    "livenessProbe of {} is {}, which looks at {}: an outage of {} makes Kubernetes restart every pod",
                    used.app,
                    used.path,
                    Safe::join(asked.iter().copied(), ", "),
                    *first
                );
                all.push(Finding::new("liveness-checks-dependencies", Severity::Warning, says));
            }
        }
        for url in &self.metrics {
            all.push(Finding::new(
                "metrics-open",
                Severity::Warning,
                safe!("{} gives its metrics to whoever asks: it did so from here, without a login", url),
            ));
        }
        all
    }
}
