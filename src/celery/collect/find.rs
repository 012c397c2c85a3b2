//! One ID, looked for in the order of a task's life: waiting, delivered, held by a worker, ended. A task moves that way while it is looked
//! for, so that none slips through between two places. What it ended with is `results`' to find.

use super::{
    Collector, clock,
    lists::{Element, LARGEST, Walker},
    unacked,
};
use crate::{
    celery::{
        control::{ControlQuestion, TalkEnd, talk},
        decode::{envelope, epoch},
        keys::Keys,
        model::{
            ControlMethod, FindFacts, FindFrom, HeldTask, Hold, Kinship, KnownBy, MOST_FOUND, Relative, Searched, TaskMessage, TaskPlace,
            WorkerSays,
        },
    },
    connect::redis::{Read, Redis, WriteLeave},
    error::Result,
    safe,
    text::{Redactor, Safe},
};
use jiff::Timestamp;
use memchr::memmem;
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;

/// About so many bytes are read in one round trip.
const BYTES: u64 = 4 << 20;
/// The length of a whole task ID.
pub(super) const WHOLE: usize = 36;

/// What is looked for, and how far.
#[derive(Clone, Debug)]
pub struct FindQuestion {
    /// The ID, or its beginning.
    pub id: String,
    /// So many waiting messages are looked at.
    pub most: u64,
    /// Where an earlier search ended.
    pub from: Option<FindFrom>,
    /// The control bus: the leave to write, and the patience.
    pub bus: Option<(WriteLeave, Duration)>,
    /// Queues that the configuration names.
    pub queues: Vec<String>,
}

/// Looks everywhere but at results. `progress` hears how many messages of how many were looked at.
///
/// # Errors
/// As `Redis::ask`.
pub async fn find(
    redis: &Redis,
    keys: &Keys,
    question: &FindQuestion,
    redact: &Redactor,
    stop: &CancellationToken,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<FindFacts> {
    let now = redis.ask(&[Read::Time]).await?.first().and_then(clock).unwrap_or_default();
    let mut search = Search {
        redis,
        keys,
        question,
        redact,
        needles: vec![question.id.clone().into_bytes()],
        facts: FindFacts {
            asked: Safe::name(&question.id),
            observed_at: now,
            tasks: Vec::new(),
            relatives: Vec::new(),
            searched: Searched::default(),
        },
    };
    search.waiting(stop, progress).await?;
    if !stop.is_cancelled() {
        search.delivered().await?;
    }
    if let (Some((leave, patience)), false) = (question.bus, stop.is_cancelled()) {
        search.workers(leave, patience, stop).await;
    }
    Ok(search.facts)
}

struct Search<'a> {
    redis: &'a Redis,
    keys: &'a Keys,
    question: &'a FindQuestion,
    redact: &'a Redactor,
    /// What a message that matters holds somewhere: what was asked for, and the roots of what was found.
    needles: Vec<Vec<u8>>,
    facts: FindFacts,
}

impl Search<'_> {
    async fn waiting(&mut self, stop: &CancellationToken, progress: &mut (dyn FnMut(u64, u64) + Send)) -> Result<()> {
        let named: BTreeMap<String, KnownBy> = BTreeMap::new();
        let mut collector = Collector::new(self.redis, self.keys.clone(), named, self.question.queues.clone());
        let sample = collector.sample().await?;
        let all: u64 = sample.queues.values().filter_map(|queue| queue.waiting()).sum();
        let mut skip = self.question.from.clone();
        for (queue, looked) in &sample.queues {
            for (step, bucket) in looked.filled() {
                let from = match &skip {
                    Some(at) if at.queue == *queue && at.step == step => skip.take().map_or(0, |at| at.place),
                    Some(_) => continue,
                    None => 0,
                };
                let waiting = bucket.waiting.unwrap_or_default();
                if bucket.bytes_each.is_some_and(|each| each > LARGEST) {
                    self.facts.searched.too_large += waiting;
                    continue;
                }
                let mut walker = Walker::new(self.redis, self.keys.bucket(queue, step), from, bucket.bytes_each.unwrap_or(1024), BYTES);
                loop {
                    let left = self.question.most.saturating_sub(self.facts.searched.waiting);
                    if left == 0 || stop.is_cancelled() {
                        self.facts.searched.stopped = Some(FindFrom { queue: queue.clone(), step, place: walker.done() });
                        return Ok(());
                    }
                    let Some(piece) = walker.next().await? else { break };
                    for (place, element) in piece {
                        self.facts.searched.waiting += 1;
                        match element {
                            Element::TooLarge => self.facts.searched.too_large += 1,
                            Element::Read(raw) => {
                                let place = TaskPlace::Waiting { queue: Safe::name(queue), step, before: place };
                                self.weigh(&raw, place, envelope::envelope);
                            }
                        }
                    }
                    progress(self.facts.searched.waiting, all);
                    if self.has_it() {
                        self.facts.searched.enough = true;
                        return Ok(());
                    }
                }
                if let Some(refusal) = &walker.refused {
                    self.facts.searched.trouble.push(safe!("queue {}: {} {}", Safe::name(queue), refusal.code, refusal.says));
                }
            }
        }
        if let Some(from) = skip {
            self.facts.searched.trouble.push(safe!("there is no list {} any more", from.says()));
        }
        Ok(())
    }

    /// Whether the one task of a whole ID was found.
    fn has_it(&self) -> bool {
        self.question.id.len() == WHOLE && self.facts.tasks.iter().any(|task| !task.by_request)
    }

    async fn delivered(&mut self) -> Result<()> {
        let (redis, keys, most) = (self.redis, self.keys, self.question.most);
        let (timeout, _) = keys.visibility_timeout();
        let read = unacked::walk(redis, keys, most, |one| {
            if let (Some(raw), Some(since)) = (&one.raw, epoch(one.score)) {
                let returns = since.checked_add(timeout).unwrap_or(Timestamp::MAX);
                self.weigh(raw, TaskPlace::Delivered { since, returns }, envelope::unacked);
            }
            true
        })
        .await?;
        self.facts.searched.delivered = read.seen;
        self.facts.searched.too_large += read.too_large;
        if read.capped {
            self.facts.searched.trouble.push(safe!("only {} delivered messages were looked at", most));
        }
        Ok(())
    }

    /// Looks at one message. Decoding is what costs: only those that hold what is looked for, or hide it, are decoded.
    fn weigh(
        &mut self,
        raw: &[u8],
        place: TaskPlace,
        decode: impl Fn(&[u8], &Redactor) -> Result<TaskMessage, crate::celery::decode::Undecodable>,
    ) {
        let holds = self.needles.iter().any(|needle| memmem::find(raw, needle).is_some());
        // Celery's first protocol keeps everything in the encoded body.
        let hides = memmem::find(raw, b"\"root_id\"").is_none();
        if !holds && !hides {
            return;
        }
        let Ok(message) = decode(raw, self.redact) else {
            // What is no message of kombu's at all cannot be the one.
            self.facts.searched.undecodable += u64::from(memmem::find(raw, b"\"body\"").is_some());
            return;
        };
        let asked = self.question.id.as_str();
        let begins = |id: &Option<Safe>| id.as_ref().is_some_and(|id| id.starts_with(asked));
        let by_request = message.request.as_ref().is_some_and(|request| request.id.starts_with(asked));
        if message.id.starts_with(asked) || by_request {
            if let Some(root) = message.root.as_ref().filter(|root| **root != message.id && self.needles.len() < 50) {
                self.needles.push(root.as_bytes().to_vec());
            }
            let by_request = !message.id.starts_with(asked);
            if let Some(task) = self.facts.task(&message.id.clone(), by_request) {
                task.places.push(place);
                task.task = Some(message.task.clone());
                task.message.get_or_insert(message);
            }
            return;
        }
        let sibling = || self.facts.tasks.iter().any(|t| t.message.as_ref().is_some_and(|m| m.root.is_some() && m.root == message.root));
        let kinship = match &message {
            m if begins(&m.parent) => Kinship::Child,
            m if begins(&m.root) => Kinship::Descendant,
            m if begins(&m.group) => Kinship::Group,
            _ if sibling() => Kinship::Sibling,
            _ => return,
        };
        if self.facts.relatives.len() < MOST_FOUND {
            self.facts.relatives.push(Relative { id: message.id, task: message.task, kinship, place });
        }
    }

    async fn workers(&mut self, leave: WriteLeave, patience: Duration, stop: &CancellationToken) {
        // A whole ID is asked for by name; scheduled tasks are not known under it. A prefix needs the lists.
        let methods = match self.question.id.len() {
            WHOLE => vec![ControlMethod::QueryTask(vec![self.question.id.clone()]), ControlMethod::Scheduled],
            _ => vec![ControlMethod::Active, ControlMethod::Reserved, ControlMethod::Scheduled],
        };
        let said = talk(self.redis, self.keys, leave, &ControlQuestion { methods, patience }, stop).await;
        let said = match said {
            Ok(said) => said,
            Err(error) => return self.facts.searched.trouble.push(error.says()),
        };
        let mut answered: Vec<&str> = said.replies.iter().map(|reply| &*reply.worker).collect();
        answered.sort_unstable();
        answered.dedup();
        self.facts.searched.workers = Some(answered.len() as u64);
        self.facts.searched.all_workers = said.ended == TalkEnd::Answered && said.unread.is_empty();
        if let Some(left) = &said.left {
            self.facts.searched.trouble.push(safe!("left behind: {}; take it away with {}", Safe::join(&left.keys, ", "), left.command));
        }
        for reply in &said.replies {
            match &reply.says {
                WorkerSays::Tasks(tasks) => {
                    for task in tasks {
                        self.held(&Safe::name(&reply.worker), task);
                    }
                }
                WorkerSays::Error(error) => self.facts.searched.trouble.push(safe!("{}: {}", Safe::name(&reply.worker), *error)),
                _ => {}
            }
        }
        self.revoked(leave, patience, stop).await;
    }

    /// What a worker was told never to run is not waiting for its turn. Asked only where it matters: the list may be long.
    async fn revoked(&mut self, leave: WriteLeave, patience: Duration, stop: &CancellationToken) {
        let waits = |place: &TaskPlace| matches!(place, TaskPlace::Held { hold: Hold::Reserved | Hold::Scheduled, .. });
        if !self.facts.tasks.iter().any(|task| task.places.iter().any(waits)) {
            return;
        }
        let question = ControlQuestion { methods: vec![ControlMethod::Revoked], patience };
        let said = match talk(self.redis, self.keys, leave, &question, stop).await {
            Ok(said) => said,
            Err(error) => return self.facts.searched.trouble.push(safe!("whether it was revoked: {}", error.says())),
        };
        for reply in &said.replies {
            let WorkerSays::Revoked(ids) = &reply.says else { continue };
            let worker = Safe::name(&reply.worker);
            for task in self.facts.tasks.iter_mut().filter(|task| ids.iter().any(|id| task.id.as_str() == id)) {
                for place in &mut task.places {
                    if let TaskPlace::Held { worker: by, hold, .. } = place
                        && *by == worker
                        && *hold != Hold::Running
                    {
                        *hold = Hold::Revoked;
                    }
                }
            }
        }
    }

    fn held(&mut self, worker: &Safe, held: &HeldTask) {
        let known = self.facts.tasks.iter().any(|task| task.id == held.id);
        if !known && !held.id.starts_with(&self.question.id) {
            return;
        }
        if let Some(task) = self.facts.task(&held.id, false) {
            if !held.task.is_empty() {
                task.task = Some(held.task.clone());
            }
            let place = TaskPlace::Held { worker: worker.clone(), hold: held.state, since: held.since, eta: held.eta };
            if !task.places.contains(&place) {
                task.places.push(place);
            }
        }
    }
}
