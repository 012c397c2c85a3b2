//! Containers of pods, through the pod log API. A stream that ends is not believed: the container's state is asked before a follow gives up.

mod blocks;
mod follow;
mod kubelet;
mod newest;
mod node;
mod now;
mod reader;
mod say;
mod stream;
mod watch;

use super::{Budget, Lane, Lanes, LogSource, Piece};
use crate::{
    answer::{Coverage, Hint, Missing, Part, Why},
    connect::kube::{Ask, Cluster, encode},
    error::{Error, Kind, Result},
    kubernetes::{
        collect::{self, AppName, Chosen, Scope},
        model::{Container, Role},
        target::Target,
    },
    logs::{model::LogOrigin, query::Query},
    safe,
    text::Safe,
};
use follow::Follower;
use futures_util::future::{BoxFuture, FutureExt};
use jiff::{Timestamp, tz::TimeZone};
use reader::{Ended, Reader};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};
use tokio::sync::{Notify, OnceCell, mpsc};

/// So many lines one record may have where only the newest records are asked for.
const LONGEST_RECORD: u64 = 200;
/// So many of those are allowed to be that long: an error that repeats brings its traceback each time.
const LONG_RECORDS: u64 = 25;

/// How many lines hold the newest records.
fn lines_of(records: u64) -> u64 {
    records.saturating_add(LONGEST_RECORD.saturating_mul(records.clamp(1, LONG_RECORDS)))
}

/// The pods that were asked for.
pub struct Pods {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// Where.
    pub scope: Scope,
    /// Which.
    pub targets: Vec<Target>,
    /// What the configuration calls apps.
    pub apps: Vec<AppName>,
    /// `-c`.
    pub container: Option<String>,
    /// The zone of times without one, per app.
    pub zones: Vec<(String, TimeZone)>,
    known: Mutex<Vec<Known>>,
    /// Whether the user may read the files of every node, and of one.
    rights: OnceCell<Result<bool>>,
    named_rights: tokio::sync::Mutex<HashMap<String, bool>>,
    said: Mutex<Vec<Safe>>,
    /// Rings when something about the pods has changed.
    bell: Notify,
    /// What has been said to wait.
    waiting: Mutex<HashSet<Safe>>,
}

#[derive(Clone)]
struct Known {
    chosen: Chosen,
    container: Container,
}

impl Pods {
    /// Pods of a cluster by targets.
    pub fn new(
        cluster: Arc<Cluster>,
        scope: Scope,
        targets: Vec<Target>,
        apps: Vec<AppName>,
        container: Option<String>,
        zones: Vec<(String, TimeZone)>,
    ) -> Self {
        Self {
            cluster,
            scope,
            targets,
            apps,
            container,
            zones,
            known: Mutex::default(),
            rights: OnceCell::new(),
            named_rights: tokio::sync::Mutex::default(),
            said: Mutex::default(),
            bell: Notify::new(),
            waiting: Mutex::default(),
        }
    }

    /// Whether nobody has said this yet.
    fn first_to_say(&self, text: &Safe) -> bool {
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = !said.contains(text);
        if new {
            said.push(text.clone());
        }
        new
    }

    /// Adds the containers that are new; gives their lanes and what cannot be read.
    fn admit(&self, chosen: Vec<Chosen>, query: &Query) -> (Vec<Lane>, Coverage) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut lanes = Vec::new();
        let mut coverage = Coverage::default();
        let mut without = Vec::new();
        for one in chosen {
            let only = self.container.as_deref().or(one.container.as_deref());
            let wanted: Vec<&Container> = one.pod.containers.iter().filter(|c| only.is_none_or(|o| o == c.name)).collect();
            let alone = one.pod.containers.len() == 1;
            for container in wanted {
                if known.iter().any(|k| k.chosen.pod.uid == one.pod.uid && k.container.name == container.name) {
                    continue;
                }
                let origin = origin(&one, container, alone);
                let part = part(&origin);
                if !container.has_run() {
                    // An init container that a finished pod never needed is no gap; one that waits is.
                    let reason = container.waits_for().cloned().unwrap_or_default();
                    let reason = match &one.pod.reason {
                        Some(why) if *why != reason => safe!("{} ({})", reason, why),
                        _ => reason,
                    };
                    let hint = Hint::Run(safe!("kubectl describe pod {} -n {}", Safe::name(&one.pod.name), Safe::name(&one.pod.namespace)));
                    coverage.miss(Missing { part, why: Why::NotStarted(reason), hint: Some(hint) });
                    continue;
                }
                if query.previous && container.before.is_none() {
                    let none = Why::Unreachable("no container ran before this one".into());
                    without.push(Missing { part, why: none, hint: None });
                    continue;
                }
                let zone = one.app.as_ref().and_then(|a| self.zones.iter().find(|(n, _)| n == a)).map(|(_, z)| z.clone());
                lanes.push(Lane { key: known.len(), origin: Arc::new(origin), zone });
                known.push(Known { chosen: one.clone(), container: container.clone() });
            }
        }
        // Where some were restarted, those that were not are no gap.
        if lanes.is_empty() {
            without.into_iter().for_each(|m| coverage.miss(m));
        }
        (lanes, coverage)
    }

    fn known(&self, key: usize) -> Option<Known> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(key).cloned()
    }

    async fn choose(&self) -> Result<Vec<Chosen>> {
        collect::choose(&self.cluster, &self.scope, &self.targets, &self.apps).await
    }

    fn ask(&self, known: &Known, request: &Request) -> Ask {
        let pod = &known.chosen.pod;
        let mut path = format!(
            "/api/v1/namespaces/{}/pods/{}/log?container={}&timestamps=true",
            encode(&pod.namespace),
            encode(&pod.name),
            encode(&known.container.name)
        );
        if request.previous {
            path.push_str("&previous=true");
        }
        if request.follow {
            path.push_str("&follow=true");
        }
        if let Some(since) = request.since {
            // Whole seconds are all that reaches the kubelet; rounding up would lose lines.
            let floored = Timestamp::from_second(since.as_second()).unwrap_or(since);
            path.push_str(&format!("&sinceTime={}", encode(&floored.to_string())));
        }
        if let Some(tail) = request.tail {
            path.push_str(&format!("&tailLines={tail}"));
        }
        Ask::new(safe!("reading the log of {}", pod.path()), path, "get", "pods/log", Some(&pod.namespace))
    }
}

/// One request for a container's log.
#[derive(Clone, Copy, Default)]
struct Request {
    previous: bool,
    follow: bool,
    since: Option<Timestamp>,
    tail: Option<u64>,
}

fn origin(chosen: &Chosen, container: &Container, alone: bool) -> LogOrigin {
    LogOrigin {
        namespace: Some(Safe::name(&chosen.pod.namespace)),
        name: Safe::name(&chosen.pod.name),
        container: Some(match container.role {
            Role::Init => safe!("{} (init)", Safe::name(&container.name)),
            Role::Ephemeral => safe!("{} (ephemeral)", Safe::name(&container.name)),
            Role::Sidecar | Role::App => Safe::name(&container.name),
        }),
        alone,
        app: chosen.app.as_ref().map(Safe::name),
        node: chosen.pod.node.as_ref().map(Safe::name),
        image: Some(Safe::name(&container.image)),
    }
}

fn part(origin: &LogOrigin) -> Part {
    Part { system: "kubernetes", name: origin.tag() }
}

impl LogSource for Pods {
    fn lanes(self: Arc<Self>, query: Arc<Query>) -> BoxFuture<'static, Result<Lanes>> {
        async move {
            let chosen = self.choose().await?;
            if let Some(wanted) = &self.container
                && !chosen.is_empty()
                && !chosen.iter().any(|c| c.pod.containers.iter().any(|x| x.name == *wanted))
            {
                let mut names: Vec<&str> = chosen.iter().flat_map(|c| c.pod.containers.iter().map(|x| x.name.as_str())).collect();
                names.sort_unstable();
                names.dedup();
                let names: Vec<Safe> = names.into_iter().map(Safe::name).collect();
                return Err(Error::new(Kind::NotFound, safe!("looking for container {}", Safe::name(wanted)))
                    .what("no chosen pod has it")
                    .hint(Hint::Try(safe!("there are: {}", Safe::join(&names, ", ")))));
            }
            // Every question begins anew; only what is found later under one question is compared with what is known.
            self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
            let (open, coverage) = self.admit(chosen, &query);
            // The follow itself says what waits in the beginning.
            self.waiting(&coverage.missing);
            let later = query.follow.then(|| self.later(query));
            Ok(Lanes { open, later, coverage })
        }
        .boxed()
    }

    fn recalls(&self) -> bool {
        true
    }

    fn read(self: Arc<Self>, lane: Lane, query: Arc<Query>, budget: Arc<Budget>, out: mpsc::Sender<Piece>) -> BoxFuture<'static, Coverage> {
        async move {
            let Some(known) = self.known(lane.key) else { return Coverage::default() };
            if query.follow {
                return Follower::new(&self, &known, &lane, &query, &out).run().await;
            }
            Reader::new(&self, &known, &lane, &query, &budget, &out).read().await
        }
        .boxed()
    }
}
