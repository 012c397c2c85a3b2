//! The cluster's part of `doctor`: whether it answers, as whom, its clock, and the rights that obsctl uses.

use super::failed;
use crate::{
    answer::{Hint, Permission},
    connect::kube::{AccessQuestion, Cluster},
    doctor::{
        analyze,
        model::{Checkup, DoctorFacts, Fit, Right},
        rights::{NEEDED, RightNeeded},
    },
    error::Kind,
    safe,
    session::Session,
    text::Safe,
};
use futures_util::{StreamExt, stream};
use std::sync::Arc;

const SYSTEM: &str = "kubernetes";

/// Looks at it. None: there is none, or it does not answer.
pub(super) async fn look(session: &Session, facts: &mut DoctorFacts) -> Option<Arc<Cluster>> {
    let cluster = match session.cluster().await {
        Ok(cluster) => cluster,
        Err(error) => {
            // An environment of files and URLs has no cluster, and a shell with its own URLs needs none.
            let needed = session.env.kube.is_some() && (error.kind() != Kind::Config || session.env.broker.is_none());
            let mut checkup = failed(SYSTEM, SYSTEM.into(), &error);
            if !needed {
                checkup.fit = Fit::Absent;
            }
            facts.checkups.push(checkup);
            return None;
        }
    };
    let about = match cluster.about().await {
        Ok(about) => about,
        Err(error) => {
            facts.checkups.push(failed(SYSTEM, SYSTEM.into(), &error));
            return None;
        }
    };
    let user = about.user.map(|user| safe!(", as {}", user)).unwrap_or_default();
    let mut checkup = Checkup::good(SYSTEM, SYSTEM.into(), safe!("{} at {}{}", about.version, cluster.server, user));
    // Its clock is told to the second, ours was read before the question.
    if let Some(says) = about.clock.and_then(|theirs| analyze::clock(session.now().timestamp(), theirs)) {
        checkup = checkup.lacking(says, Some(Hint::Try("set this machine's clock (timedatectl): --since and ages rest on it".into())));
    }
    facts.checkups.push(checkup);
    facts.rights = rights(&cluster).await;
    Some(cluster)
}

async fn rights(cluster: &Arc<Cluster>) -> Vec<Right> {
    let asked = NEEDED.iter().flat_map(|needed| needed.verbs.iter().map(move |verb| (needed, *verb)));
    stream::iter(asked.map(|(needed, verb)| right(cluster.clone(), needed, verb))).buffered(8).collect().await
}

async fn right(cluster: Arc<Cluster>, needed: &'static RightNeeded, verb: &'static str) -> Right {
    let (resource, subresource) = needed.resource.split_once('/').unwrap_or((needed.resource, ""));
    let namespace = if needed.namespaced { &*cluster.namespace } else { "" };
    let question = AccessQuestion { verb, group: needed.group, resource, subresource, namespace, name: "" };
    let scope = if needed.namespaced { safe!("namespace {}", Safe::name(&cluster.namespace)) } else { "the cluster".into() };
    Right {
        permission: Permission { verb: verb.into(), resource: needed.resource.into(), scope },
        used_for: needed.used_for.into(),
        allowed: cluster.allows(&question).await.ok(),
    }
}
