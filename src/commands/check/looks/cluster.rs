//! The cluster: its objects are listed once for all checks of a round.

use super::{Rig, lock};
use crate::{
    answer::{Coverage, Provenance},
    checks::{
        kind::{CheckKind, ClusterAsk},
        kinds::{
            Glance,
            cluster::{ClusterLook, PodSelection, sighting},
        },
        spec::CheckSpec,
    },
    error::Result,
    kubernetes::{
        changes::{self, ClusterObjects},
        collect::Scope,
        history,
        rollout::{self, RolloutState},
    },
    safe,
    session::Session,
    text::Safe,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How far back changes are shown, and how many.
const LATELY: SignedDuration = SignedDuration::from_hours(1);
const MOST: usize = 8;

/// What a cluster showed.
pub(super) struct ClusterSeen {
    objects: ClusterObjects,
    coverage: Coverage,
    source: Provenance,
}

impl ClusterSeen {
    /// What changed lately, as lines.
    pub fn changes(&self, now: Timestamp, session: &Session) -> Vec<Safe> {
        let clock = |at: Timestamp| Safe::name(at.to_zoned(session.zone.clone()).strftime("%H:%M").to_string());
        let all = changes::changes(&self.objects, now.checked_sub(LATELY).unwrap_or(now), now, &session.redact);
        all.iter().rev().take(MOST).rev().map(|c| safe!("{}  {}  {}", clock(c.at), c.of, c.says)).collect()
    }
}

impl Rig<'_> {
    async fn objects(&self) -> Result<Arc<ClusterSeen>> {
        let cell = lock(&self.cluster).clone();
        let looked = cell.get_or_try_init(|| async {
            let cluster = self.session.cluster().await?;
            let scope = Scope::Namespace(cluster.namespace.clone());
            lock(&self.told).place = Some(self.session.at_cluster(&cluster, scope.shown()));
            let (objects, coverage) = history::objects(&cluster, &scope).await?;
            Ok(Arc::new(ClusterSeen { objects, coverage, source: cluster.provenance() }))
        });
        looked.await.cloned()
    }

    /// What was rolled out, as the objects tell it.
    pub(super) async fn rollouts(&self, now: Timestamp) -> Result<Vec<RolloutState>> {
        let seen = self.objects().await?;
        Ok(rollout::rollouts(&seen.objects.deployments, &seen.objects.replica_sets, now, &self.session.redact))
    }

    pub(super) async fn pods(&self, ours: &[(usize, &CheckSpec)]) -> Vec<(usize, Glance)> {
        let seen = match self.objects().await {
            Ok(seen) => seen,
            Err(error) => return super::same(ours, Err(self.blind(&error))),
        };
        self.source(seen.source.clone());
        let now = self.session.now().timestamp();
        let of = |spec: &CheckSpec| match &spec.kind {
            CheckKind::Kubernetes(ask) => Ok(self.of_ask(ask, &seen, now)),
            _ => Ok(Default::default()),
        };
        ours.iter().map(|(i, spec)| (*i, of(spec))).collect()
    }

    fn of_ask(&self, ask: &ClusterAsk, seen: &ClusterSeen, now: Timestamp) -> crate::checks::kinds::Sighting {
        let selection = |name: &String| match self.session.env.apps.get(name) {
            Some(app) => PodSelection {
                name: name.clone(),
                selector: app.selector.as_ref().map(|s| s.value.clone()),
                workload: app.workload.clone(),
            },
            None => PodSelection { name: name.rsplit('/').next().unwrap_or(name).to_owned(), selector: None, workload: None },
        };
        let only: Vec<PodSelection> = ask.targets.iter().map(selection).collect();
        let look = ClusterLook {
            objects: &seen.objects,
            coverage: &seen.coverage,
            only: &only,
            since: ask.since,
            reason: ask.reason.as_deref(),
            now,
        };
        sighting(&look, &self.session.redact)
    }
}
