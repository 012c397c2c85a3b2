//! What changes while pods are followed: new containers, restarts, the end of a job. The server's watch is only a bell; what it rings for is
//! looked up, so that a watch that breaks, or that may not be had, loses nothing.
#![expect(clippy::disallowed_methods, reason = "a list of pods is asked again after a pause")]

use super::Pods;
use crate::{
    answer::Why,
    connect::kube::Ask,
    kubernetes::{standing, target::Target},
    logs::{query::Query, source::Joining},
    safe,
};
use futures_util::stream::{self, BoxStream, StreamExt};
use http_body_util::BodyExt;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often new pods are looked for where nothing rings.
const LOOK: Duration = Duration::from_secs(2);
/// The same where the server's watch rings.
const SELDOM: Duration = Duration::from_secs(30);
/// Changes come in crowds: so long after the first one it is looked up what they are.
const CROWD: Duration = Duration::from_millis(200);
/// A watch that ends sooner than this is none.
const SHORT: Duration = Duration::from_secs(5);

impl Pods {
    /// Waits until something has changed, at most so long.
    pub(super) async fn changed(&self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.bell.notified()).await;
    }

    /// The containers of new pods, as they come; looks as long as somebody asks for the next one, and ends when nothing more can come.
    pub(super) fn later(self: Arc<Self>, query: Arc<Query>) -> BoxStream<'static, Joining> {
        let watch = Watch { body: None, since: Instant::now(), refused: false };
        let looks = stream::unfold((self, query, watch, false), |(pods, query, mut watch, over)| async move {
            if over {
                return None;
            }
            loop {
                watch.next(&pods).await;
                // Whether the jobs are over is asked first: pods that they made until then are in the list.
                let over = pods.jobs_are_over().await;
                // A list that fails now may work next time; the streams themselves say what they lose.
                if let Ok(chosen) = pods.choose().await {
                    let (lanes, coverage) = pods.admit(chosen, &query);
                    pods.bell.notify_waiters();
                    let mut joining: Vec<Joining> = pods.waiting(&coverage.missing).into_iter().map(Joining::Note).collect();
                    joining.extend(lanes.into_iter().map(Joining::Lane));
                    return Some((stream::iter(joining), (pods, query, watch, over)));
                }
            }
        });
        looks.flatten().boxed()
    }

    /// What waits to be started, said once.
    pub(super) fn waiting(&self, missing: &[crate::answer::Missing]) -> Vec<crate::text::Safe> {
        let mut said = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let waits = missing.iter().filter_map(|m| match &m.why {
            Why::NotStarted(reason) => Some(safe!("{}: waits to start: {}", m.part.name, reason)),
            _ => None,
        });
        // A pod that is being created is no news.
        waits.filter(|text| !text.contains("ContainerCreating") && !text.contains("PodInitializing") && said.insert(text.clone())).collect()
    }

    /// Whether all that was asked for are jobs, and all of these have ended: then nothing more can come.
    async fn jobs_are_over(&self) -> bool {
        if self.targets.is_empty() {
            return false;
        }
        for target in &self.targets {
            let Target::Workload(kind, name) = target else { return false };
            match standing::is_over(&self.cluster, &self.scope, *kind, name).await {
                Ok(true) => {}
                _ => return false,
            }
        }
        true
    }
}

/// The server's own word that something changed.
struct Watch {
    body: Option<kube::client::Body>,
    since: Instant,
    refused: bool,
}

impl Watch {
    /// Waits for a reason to look.
    async fn next(&mut self, pods: &Pods) {
        if self.body.is_none() && !self.refused {
            let mut path = pods.scope.path("api/v1", "pods");
            path.push_str("?watch=1&timeoutSeconds=3000");
            let ask = Ask::new("watching pods".into(), path, "watch", "pods", pods.scope.namespace()).changes_only();
            self.since = Instant::now();
            match pods.cluster.open(&ask).await {
                // It begins with all that is there: whatever came meanwhile is in it.
                Ok(body) => self.body = Some(body),
                Err(e) => self.refused = e.kind() == crate::error::Kind::Denied,
            }
        }
        let Some(body) = &mut self.body else {
            return tokio::time::sleep(LOOK).await;
        };
        match tokio::time::timeout(SELDOM, body.frame()).await {
            // A watch that is silent for so long may be dead: a new one tells.
            Err(_) => self.body = None,
            Ok(Some(Ok(_))) => {
                let crowd = tokio::time::sleep(CROWD);
                tokio::pin!(crowd);
                loop {
                    tokio::select! {
                        () = &mut crowd => return,
                        more = body.frame() => if !matches!(more, Some(Ok(_))) {
                            self.body = None;
                            return;
                        },
                    }
                }
            }
            Ok(_) => {
                self.body = None;
                if self.since.elapsed() < SHORT {
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }
}
