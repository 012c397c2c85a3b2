//! What a broker knows of its workers: the inventory, the heartbeats of a few seconds, the queues; and with a leave, what the workers
//! themselves answer.

use super::{clock, unacked};
use crate::{
    celery::{
        control::{ControlQuestion, Talk, TalkEnd, talk},
        decode::{binding, envelope, heartbeat},
        keys::{KeyKind, Keys, PIDBOX, REPLY_PIDBOX},
        model::{ControlMethod, Heartbeat},
    },
    connect::redis::{Raw, Read, Redis, Reply, WriteLeave},
    error::{Error, Result},
    text::Safe,
};
use jiff::Timestamp;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Pages of keys that are looked through for bindings.
const PAGES: usize = 20;
/// So many delivered messages are compared with what workers hold.
const MOST_UNACKED: u64 = 20_000;
/// So many workers are listed.
const MOST_WORKERS: usize = 5_000;

/// How workers are looked at.
#[derive(Clone, Debug)]
pub struct WorkersQuestion {
    /// How long heartbeats are listened to.
    pub listen: Duration,
    /// The control bus: the leave to write, the patience, and whether held tasks are asked for.
    pub bus: Option<(WriteLeave, Duration, bool)>,
    /// Queues that are known beforehand.
    pub queues: Vec<String>,
}

/// What was seen.
#[derive(Debug)]
pub struct WorkersSeen {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// The names in the inventory.
    pub inventory: Vec<Safe>,
    /// Entries of the inventory that could not be read.
    pub unread: Vec<Safe>,
    /// What was heard.
    pub beats: Vec<Heartbeat>,
    /// For how long was listened.
    pub listened: Option<Duration>,
    /// Why it was not, where it should have been.
    pub deaf: Option<Error>,
    /// The conversation, where one was wanted.
    pub talk: Option<Result<Talk>>,
    /// The queues and how many tasks wait in each; none where the key is of another type.
    pub queues: Vec<(String, Option<u64>)>,
    /// How many messages are delivered and not acknowledged.
    pub unacked_count: Option<u64>,
    /// Those of them that were there before and after the conversation. None: not all were read.
    pub unacked: Option<Vec<StillDelivered>>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// A message that was delivered and not acknowledged before and after the workers were asked.
#[derive(Clone, Debug)]
pub struct StillDelivered {
    /// The task's ID.
    pub id: Safe,
    /// Its name.
    pub task: Safe,
    /// Its routing key.
    pub routing_key: Safe,
    /// When it was delivered.
    pub at: Timestamp,
    tag: Raw,
}

/// Looks.
///
/// # Errors
/// As `Redis::ask`, where nothing at all could be read.
pub async fn workers(redis: &Redis, keys: &Keys, question: &WorkersQuestion, stop: &CancellationToken) -> Result<WorkersSeen> {
    let first = redis.ask(&[Read::Time, Read::Hlen(keys.unacked())]).await?;
    let at = first.first().and_then(clock).unwrap_or_default();
    let mut seen = WorkersSeen {
        at,
        inventory: Vec::new(),
        unread: Vec::new(),
        beats: Vec::new(),
        listened: None,
        deaf: None,
        talk: None,
        queues: Vec::new(),
        unacked_count: first.get(1).and_then(Reply::count),
        unacked: None,
        stopped: false,
    };
    inventory(redis, keys, &mut seen).await?;
    match question.bus {
        None => listen(redis, keys, question.listen, stop, &mut seen).await,
        Some((leave, patience, tasks)) => {
            let before = if tasks { delivered(redis, keys).await? } else { None };
            let mut methods = vec![ControlMethod::Stats, ControlMethod::ActiveQueues, ControlMethod::Active];
            if tasks {
                methods.extend([ControlMethod::Reserved, ControlMethod::Scheduled]);
            }
            let said = talk(redis, keys, leave, &ControlQuestion { methods, patience }, stop).await;
            if let Some(before) = before {
                seen.unacked = Some(still(redis, keys, before).await?);
            }
            // Heartbeats tell which of the workers that did not answer are connected; without the bus they are all there is.
            if said.as_ref().map_or(true, |talk| unclear(talk, &seen.inventory)) {
                listen(redis, keys, question.listen, stop, &mut seen).await;
            }
            seen.talk = Some(said);
        }
    }
    seen.stopped = stop.is_cancelled();
    if !seen.stopped {
        let names = names(redis, keys, question, &seen).await?;
        seen.queues = waiting(redis, keys, names).await?;
    }
    Ok(seen)
}

async fn inventory(redis: &Redis, keys: &Keys, seen: &mut WorkersSeen) -> Result<()> {
    let mut names = BTreeSet::new();
    let mut cursor = 0;
    loop {
        let replies = redis.ask(&[Read::Sscan(keys.inventory(), cursor, 1000)]).await?;
        let Some((next, members)) = replies.first().and_then(Reply::scan) else { break };
        for member in members.iter().filter_map(Reply::bytes) {
            match binding::worker(member, &keys.sep) {
                Ok(name) => _ = names.insert(name),
                Err(unread) => seen.unread.push(unread.0),
            }
        }
        cursor = next;
        if cursor == 0 || names.len() >= MOST_WORKERS {
            break;
        }
    }
    seen.inventory = names.into_iter().collect();
    Ok(())
}

async fn listen(redis: &Redis, keys: &Keys, patience: Duration, stop: &CancellationToken, seen: &mut WorkersSeen) {
    let begun = Instant::now();
    let until = begun + patience;
    let mut heard = match redis.listen(&keys.event_channels(redis.db())).await {
        Ok(heard) => heard,
        Err(error) => {
            seen.deaf = Some(error);
            return;
        }
    };
    loop {
        let next = tokio::select! {
            next = timeout_at(until, heard.next()) => next,
            () = stop.cancelled() => break,
        };
        // The end of the time, or of the connection.
        let Ok(Some((_, event))) = next else { break };
        if let Ok(Some(beat)) = heartbeat::heartbeat(&event) {
            seen.beats.push(beat);
        }
    }
    seen.listened = Some(begun.elapsed());
}

/// Whether it cannot be said which of the workers that did not answer are connected.
fn unclear(talk: &Talk, inventory: &[Safe]) -> bool {
    let answered: BTreeSet<&str> = talk.replies.iter().map(|reply| &*reply.worker).collect();
    let silent = talk.subscribers.saturating_sub(answered.len() as u64);
    let absent = inventory.iter().filter(|name| !answered.contains(name.as_str())).count() as u64;
    talk.ended != TalkEnd::Stopped && silent > 0 && absent > silent
}

/// The queues: those that were named, those that are bound, those that workers consume.
async fn names(redis: &Redis, keys: &Keys, question: &WorkersQuestion, seen: &WorkersSeen) -> Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = question.queues.iter().cloned().collect();
    if let Some(Ok(talk)) = &seen.talk {
        for reply in &talk.replies {
            if let crate::celery::model::WorkerSays::Queues(queues) = &reply.says {
                names.extend(queues.iter().cloned());
            }
        }
    }
    names.extend(bound_queues(redis, keys).await?);
    Ok(names)
}

/// The queues that are bound to an exchange: they are known also while they are empty.
///
/// # Errors
/// As `Redis::ask`.
pub async fn bound_queues(redis: &Redis, keys: &Keys) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut exchanges: BTreeSet<Raw> = BTreeSet::new();
    let pattern = [keys.binding("").as_slice(), b"*"].concat();
    let mut cursor = 0;
    for _ in 0..PAGES {
        let scan = Read::Scan { cursor, pattern: pattern.clone(), count: 1000, of_type: Some("set") };
        let replies = redis.ask(&[scan]).await?;
        let Some((next, found)) = replies.first().and_then(Reply::scan) else { break };
        let queues = |key: &[u8]| matches!(keys.kind(key), KeyKind::Binding { exchange } if !matches!(&*exchange, PIDBOX | REPLY_PIDBOX | "celeryev"));
        exchanges.extend(found.iter().filter_map(Reply::bytes).filter(|key| queues(key)).map(<[u8]>::to_vec));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let reads: Vec<_> = exchanges.into_iter().take(1000).map(|key| Read::Sscan(key, 0, 1000)).collect();
    for reply in redis.ask(&reads).await? {
        let members = reply.scan().map_or(&[][..], |(_, members)| members);
        names.extend(members.iter().filter_map(Reply::bytes).filter_map(|m| binding::binding(m, &keys.sep).ok()).map(|b| b.queue));
    }
    names.retain(|name| !name.ends_with(".celery.pidbox"));
    Ok(names)
}

async fn waiting(redis: &Redis, keys: &Keys, names: BTreeSet<String>) -> Result<Vec<(String, Option<u64>)>> {
    let names: Vec<String> = names.into_iter().collect();
    let reads: Vec<Read> = names.iter().flat_map(|name| keys.buckets(name)).map(|(_, key)| Read::Llen(key)).collect();
    let lengths = redis.ask(&reads).await?;
    let sums = lengths.chunks(keys.steps.len().max(1)).map(|of| of.iter().map(Reply::count).sum());
    Ok(names.into_iter().zip(sums).collect())
}

/// What is delivered and not acknowledged. None: too many, or some could not be read.
async fn delivered(redis: &Redis, keys: &Keys) -> Result<Option<Vec<StillDelivered>>> {
    let mut all = Vec::new();
    let mut unread = false;
    let read = unacked::walk(redis, keys, MOST_UNACKED, |one| {
        let task = one.raw.as_deref().and_then(|raw| envelope::unacked(raw, redis.redactor()).ok());
        match (task, crate::celery::decode::epoch(one.score)) {
            (Some(task), Some(at)) => {
                all.push(StillDelivered { id: task.id, task: task.task, routing_key: task.routing_key, at, tag: one.tag });
            }
            // What went meanwhile was acknowledged.
            _ => unread |= one.raw.is_some(),
        }
        true
    })
    .await?;
    Ok((!read.capped && read.too_large == 0 && !unread).then_some(all))
}

/// Those that are still there.
async fn still(redis: &Redis, keys: &Keys, before: Vec<StillDelivered>) -> Result<Vec<StillDelivered>> {
    let reads: Vec<_> = before.iter().map(|one| Read::Zscore(keys.unacked_index(), one.tag.clone())).collect();
    let scores = redis.ask(&reads).await?;
    Ok(before.into_iter().zip(scores).filter(|(_, score)| score.float().is_some()).map(|(one, _)| one).collect())
}
