//! Containers of pods, through the pod log API. A stream that ends is not believed: the container's state is asked before a follow gives up.

use super::{Budget, Lane, Lanes, LogLine, LogSource, Piece};
use crate::{
    answer::{Coverage, Hint, Missing, Part, Why},
    connect::kube::{Ask, Cluster, encode},
    error::{Error, Kind, Result},
    kubernetes::{
        collect::{self, AppName, Chosen, Scope},
        model::{Container, Role, State},
        target::Target,
    },
    logs::{decode::time::in_front, flow::split::Splitter, model::Origin, query::Query},
    safe,
    text::Safe,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::mpsc;

/// A backfill that sends nothing for so long has stalled.
const STALLED: Duration = Duration::from_secs(30);
/// How often new pods are looked for while following.
const LOOK: Duration = Duration::from_secs(2);
/// So many lines one record may have where only the newest records are asked for.
const LONGEST_RECORD: u64 = 200;
/// How often a read that broke off before its first line is repeated.
const AGAIN: u32 = 3;
/// A first line so long after the container's start means that earlier ones may have been rotated away.
const EARLY: SignedDuration = SignedDuration::from_secs(60);
/// The same for one whose readable log is large.
const CHATTY: SignedDuration = SignedDuration::from_secs(5);

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
        Self { cluster, scope, targets, apps, container, zones, known: Mutex::new(Vec::new()) }
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

    /// Looks for new pods until nobody listens.
    async fn watch(self: Arc<Self>, query: Arc<Query>, out: mpsc::Sender<Lane>) {
        loop {
            tokio::time::sleep(LOOK).await;
            // A list that fails now may work next time; the streams themselves say what they lose.
            if let Ok(chosen) = self.choose().await {
                for lane in self.admit(chosen, &query).0 {
                    if out.send(lane).await.is_err() {
                        return;
                    }
                }
            }
            if out.is_closed() {
                return;
            }
        }
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

fn origin(chosen: &Chosen, container: &Container, alone: bool) -> Origin {
    Origin {
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

fn part(origin: &Origin) -> Part {
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
            let later = query.follow.then(|| {
                let (send, later) = mpsc::channel(64);
                // Ends with its receiver.
                drop(tokio::task::spawn(self.clone().watch(query.clone(), send)));
                later
            });
            Ok(Lanes { open, later, coverage })
        }
        .boxed()
    }

    fn read(self: Arc<Self>, lane: Lane, query: Arc<Query>, budget: Arc<Budget>, out: mpsc::Sender<Piece>) -> BoxFuture<'static, Coverage> {
        async move {
            let Some(known) = self.known(lane.key) else { return Coverage::default() };
            let mut reader = Reader {
                pods: &self,
                known: &known,
                lane: &lane,
                query: &query,
                budget: &budget,
                out: &out,
                coverage: Coverage::default(),
                last: Last::default(),
                oldest: None,
            };
            reader.run().await;
            reader.coverage
        }
        .boxed()
    }
}

/// The newest line that was handed on, and what else was written in that very second: what a resumed stream must not repeat.
#[derive(Default)]
struct Last {
    at: Option<Timestamp>,
    seen: HashSet<(Timestamp, u64)>,
}

impl Last {
    /// Whether the line is new; remembers it.
    fn admit(&mut self, at: Option<Timestamp>, text: &[u8], resumed: bool) -> bool {
        let Some(at) = at else { return true };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let key = (at, hasher.finish());
        if resumed && (self.at.is_some_and(|last| at < last && at.as_second() < last.as_second()) || self.seen.contains(&key)) {
            return false;
        }
        if self.at.is_none_or(|last| at.as_second() > last.as_second()) {
            self.seen.clear();
        }
        self.at = self.at.max(Some(at));
        self.seen.insert(key);
        true
    }
}

struct Reader<'a> {
    pods: &'a Pods,
    known: &'a Known,
    lane: &'a Lane,
    query: &'a Query,
    budget: &'a Budget,
    out: &'a mpsc::Sender<Piece>,
    coverage: Coverage,
    last: Last,
    oldest: Option<Timestamp>,
}

/// How a stream ended.
enum Ended {
    /// At its end.
    Whole,
    /// The limit of bytes.
    Capped,
    /// Nobody listens any more.
    Unheard,
    /// Broken off, and how.
    Broken(Safe),
}

impl Reader<'_> {
    async fn run(&mut self) {
        let part = part(&self.lane.origin);
        // The server counts lines, and before any other condition; we count records that are wanted.
        let tail = self.query.tail.filter(|_| !self.query.filters() && self.query.until.is_none());
        let tail = tail.map(|n| if n == 0 || self.query.follow { n } else { n.saturating_add(LONGEST_RECORD) });
        let first = Request { previous: self.query.previous, follow: self.query.follow, since: self.query.since, tail };
        // With a filter everything readable counts, so the container that ran before is read as well. While it waits to be started again
        // the plain request gives that very one.
        let stitch = self.query.filters()
            && !self.query.previous
            && self.known.container.before.is_some()
            && self.known.container.waits_for().is_none();
        if stitch && !self.one(Request { previous: true, follow: false, tail: None, ..first }, &part, false).await {
            return;
        }
        if self.query.follow {
            if !self.follow(first, &part).await {
                return;
            }
        } else if !self.one(first, &part, false).await {
            return;
        }
        self.rotated(&part).await;
        self.coverage.searched.push(part);
    }

    /// One request to its end; false when the rest makes no sense.
    async fn one(&mut self, request: Request, part: &Part, resumed: bool) -> bool {
        let turn = if request.follow { None } else { self.pods.cluster.turn().await };
        let mut tries = 0;
        let opened = loop {
            let opened = self.pods.cluster.open(&self.pods.ask(self.known, &request)).await;
            let Ok(body) = opened else { break opened.map(|_| Ended::Whole) };
            let ended = self.stream(body, request.follow, resumed).await;
            // A container that is restarted at this moment has no log for a moment.
            if !matches!(ended, Ended::Broken(_)) || self.oldest.is_some() || tries == AGAIN {
                break Ok(ended);
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        let ended = match opened {
            Ok(ended) => ended,
            // There was no container before after all: nothing is missing.
            Err(e) if request.previous && matches!(e.kind(), Kind::Usage | Kind::NotFound) && !self.query.previous => return true,
            Err(e) => {
                self.refused(&e, part);
                return false;
            }
        };
        drop(turn);
        match ended {
            Ended::Whole => true,
            Ended::Unheard => false,
            Ended::Capped => {
                let hint = Hint::Set("--max-bytes higher, or --since to ask for less".into());
                self.coverage.miss(Missing { part: part.clone(), why: Why::Capped { at: self.budget.limit }, hint: Some(hint) });
                false
            }
            Ended::Broken(how) => {
                self.coverage.miss(Missing { part: part.clone(), why: Why::Unreachable(how), hint: None });
                false
            }
        }
    }

    /// Follows until nobody listens or the container is gone for good; false when it was refused.
    async fn follow(&mut self, first: Request, part: &Part) -> bool {
        let mut request = first;
        let mut pause = Duration::from_millis(250);
        loop {
            let before = self.last.at;
            let opened = self.pods.cluster.open(&self.pods.ask(self.known, &request)).await;
            let ended = match opened {
                Ok(body) => self.stream(body, true, request.since.is_some() && before.is_some()).await,
                Err(e) if matches!(e.kind(), Kind::Denied | Kind::Auth) => {
                    self.note(safe!("{}: {}", part.name, e.what_happened())).await;
                    self.refused(&e, part);
                    return false;
                }
                Err(e) => Ended::Broken(e.what_happened().clone()),
            };
            if matches!(ended, Ended::Unheard) || self.out.is_closed() {
                return true;
            }
            if let Ended::Broken(how) = &ended {
                self.note(safe!("{}: {}; connecting again", part.name, how)).await;
            }
            match self.state().await {
                Some(true) => {}
                Some(false) => {
                    self.note(safe!("{}: ended", part.name)).await;
                    return true;
                }
                // Could not be asked: the next try will tell.
                None => {}
            }
            pause = if self.last.at > before { Duration::from_millis(250) } else { (pause * 2).min(Duration::from_secs(5)) };
            tokio::time::sleep(pause).await;
            request =
                Request { since: self.last.at.or(first.since), tail: if self.last.at.is_some() { None } else { first.tail }, ..first };
        }
    }

    /// Whether the container will write more: none when that could not be found out.
    async fn state(&self) -> Option<bool> {
        let pod = &self.known.chosen.pod;
        let path = format!("/api/v1/namespaces/{}/pods/{}", encode(&pod.namespace), encode(&pod.name));
        let ask = Ask::new(safe!("looking at {}", pod.path()), path, "get", "pods", Some(&pod.namespace));
        match self.pods.cluster.get::<k8s_openapi::api::core::v1::Pod>(&ask).await {
            Ok(raw) => {
                let now = collect::pod(raw, &self.pods.cluster);
                if now.uid != pod.uid || matches!(now.phase.as_str(), "Succeeded" | "Failed") {
                    return Some(false);
                }
                let container = now.containers.iter().find(|c| c.name == self.known.container.name)?;
                let over = matches!(&container.state, State::Terminated(_)) && (container.role == Role::Init || now.deleting);
                Some(!over)
            }
            Err(e) if e.kind() == Kind::NotFound => Some(false),
            Err(_) => None,
        }
    }

    async fn stream(&mut self, mut body: kube::client::Body, follow: bool, resumed: bool) -> Ended {
        let mut splitter = Splitter::default();
        let mut suspect: Option<Bytes> = None;
        loop {
            let frame = if follow {
                tokio::select! {
                    frame = body.frame() => frame,
                    () = self.out.closed() => return Ended::Unheard,
                }
            } else {
                match tokio::time::timeout(STALLED, body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => return Ended::Broken(safe!("the stream stalled for {} s", STALLED.as_secs())),
                }
            };
            let data = match frame {
                None => break,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
                Some(Err(e)) => {
                    let how = self.pods.cluster.redactor().safe(e.to_string().as_bytes()).clipped(120);
                    return Ended::Broken(safe!("the stream broke off: {}", how));
                }
            };
            self.coverage.bytes += data.len() as u64;
            if !follow && !self.budget.spend(data.len()) {
                return Ended::Capped;
            }
            let mut raw = Vec::new();
            splitter.push(&data, |line| raw.push(line));
            if !self.hand_on(raw, resumed, &mut suspect).await {
                return Ended::Unheard;
            }
        }
        let rest: Vec<Bytes> = splitter.finish().into_iter().collect();
        if !self.hand_on(rest, resumed, &mut suspect).await {
            return Ended::Unheard;
        }
        match suspect {
            // Under HTTP 200 an error arrives as a last line without a time stamp.
            Some(text) => Ended::Broken(safe!("the node said: {}", self.pods.cluster.redactor().safe(&text).clipped(160))),
            None => Ended::Whole,
        }
    }

    async fn hand_on(&mut self, raw: Vec<Bytes>, resumed: bool, suspect: &mut Option<Bytes>) -> bool {
        let mut lines = Vec::with_capacity(raw.len());
        for line in raw {
            match in_front(&line) {
                Some((at, rest)) => {
                    *suspect = None;
                    let from = line.len() - rest.len();
                    let text = line.slice(from..);
                    if self.oldest.is_none() {
                        self.oldest = Some(at);
                    }
                    if self.last.admit(Some(at), &text, resumed) {
                        lines.push(LogLine { at: Some(at), text });
                    }
                }
                None => *suspect = Some(line),
            }
        }
        lines.is_empty() || self.out.send(Piece::Lines(lines)).await.is_ok()
    }

    async fn note(&self, text: Safe) {
        let _ = self.out.send(Piece::Note(text)).await;
    }

    fn refused(&mut self, error: &Error, part: &Part) {
        let why = match error.kind() {
            Kind::Denied => {
                let pod = &self.known.chosen.pod;
                Why::Refused(crate::answer::Permission {
                    verb: "get".into(),
                    resource: "pods/log".into(),
                    scope: safe!("namespace {}", Safe::name(&pod.namespace)),
                })
            }
            Kind::NotFound => Why::Gone,
            Kind::Usage if error.what_happened().contains("waiting to start") => Why::NotStarted(error.what_happened().clone()),
            _ => Why::Unreachable(error.what_happened().clone()),
        };
        self.coverage.miss(Missing { part: part.clone(), why, hint: error.hints().first().cloned() });
    }

    /// Says so when lines older than the oldest readable one may have been rotated away: the first readable line comes long after the
    /// container's start. Only where the question reaches back that far.
    async fn rotated(&mut self, part: &Part) {
        let State::Running(Some(started)) = &self.known.container.state else { return };
        if !self.query.filters() && self.query.tail.is_some() {
            return;
        }
        let stitched = self.known.container.before.is_some();
        let began = if stitched { self.known.chosen.pod.created.unwrap_or(*started) } else { *started };
        let first = match self.query.since {
            None => self.oldest,
            // Everything since then was asked for, and the container is younger.
            Some(since) if since <= began => self.oldest,
            // The server left out what is older: the first line of the file has to be asked for.
            Some(_) => self.first_readable().await,
        };
        let Some(oldest) = first else { return };
        let reaches = self.query.since.is_none_or(|since| since < oldest);
        let late = oldest.duration_since(began);
        // A chatty container fills its file within the first minute.
        let rotated = late > EARLY || (late > CHATTY && self.coverage.bytes > 256 << 10);
        if reaches && (rotated || self.known.container.restarts > 1) {
            self.coverage.miss(Missing { part: part.clone(), why: Why::Rotated { oldest }, hint: None });
        }
    }

    /// The time of the first line that the API can still give.
    async fn first_readable(&self) -> Option<Timestamp> {
        let mut ask = self.pods.ask(self.known, &Request::default());
        ask.path.push_str("&limitBytes=64");
        let body = self.pods.cluster.open(&ask).await.ok()?;
        let bytes = tokio::time::timeout(STALLED, http_body_util::Limited::new(body, 4096).collect()).await.ok()?.ok()?.to_bytes();
        in_front(&bytes).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Option<Timestamp> {
        Timestamp::from_millisecond(ms).ok()
    }

    #[test]
    fn a_resumed_stream_repeats_nothing_and_loses_nothing() {
        let mut last = Last::default();
        for (ms, text) in [(900, "a"), (1_200, "b"), (1_200, "c"), (1_700, "d")] {
            assert!(last.admit(at(ms), text.as_bytes(), false));
        }
        // The server gives the whole second again.
        let again: Vec<bool> = [(1_200, "b"), (1_200, "c"), (1_200, "b2"), (1_700, "d"), (1_900, "e")]
            .iter()
            .map(|(ms, t)| last.admit(at(*ms), t.as_bytes(), true))
            .collect();
        assert_eq!(again, [false, false, true, false, true]);
    }
}
