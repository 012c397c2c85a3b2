//! Listens to what workers say by themselves, on a connection of its own, while the samples are taken.

use crate::{
    celery::{
        decode::heartbeat::heartbeat,
        keys::Keys,
        model::{Heartbeat, Sign, WorkerHeard},
    },
    connect::redis::Redis,
    error::Result,
    text::Safe,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// Workers that are told apart at most.
const WORKERS: usize = 5000;
/// What was said longer ago is of another time: three heartbeats.
const FRESH: Duration = Duration::from_millis(6500);
/// Heartbeats of one worker that are kept.
const BEATS: usize = 8;

/// An open ear; it closes when it is dropped.
pub struct Ears {
    heard: Arc<Mutex<Heard>>,
    since: Instant,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Heard {
    /// What each worker said lately, the newest last.
    voices: BTreeMap<Safe, VecDeque<(Instant, Heartbeat)>>,
    undecodable: u64,
    /// The connection has ended.
    closed: bool,
}

impl Ears {
    /// Begins to listen.
    ///
    /// # Errors
    /// As `Redis::listen`.
    pub async fn open(redis: &Redis, keys: &Keys) -> Result<Self> {
        let mut subscription = redis.listen(&keys.event_channels(redis.db())).await?;
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let mut task = JoinSet::new();
        let into = heard.clone();
        task.spawn(async move {
            while let Some((_, raw)) = subscription.next().await {
                lock(&into).take(&raw);
            }
            lock(&into).closed = true;
        });
        Ok(Self { heard, since: Instant::now(), _task: task })
    }

    /// For how long it has listened, as far back as it remembers.
    pub fn listened(&self) -> Duration {
        self.since.elapsed().min(FRESH)
    }

    /// Whether the connection has ended, so that nothing is heard any more.
    pub fn closed(&self) -> bool {
        lock(&self.heard).closed
    }

    /// Whether every one of these was heard.
    pub fn heard_all(&self, names: &[Safe]) -> bool {
        let heard = lock(&self.heard);
        names.iter().all(|name| heard.voices.contains_key(name))
    }

    /// Who was heard lately, and how many messages could not be read.
    pub fn heard(&self) -> (Vec<WorkerHeard>, u64) {
        let heard = lock(&self.heard);
        (heard.voices.values().filter_map(worker).collect(), heard.undecodable)
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    fn take(&mut self, raw: &[u8]) {
        let beat = match heartbeat(raw) {
            Ok(Some(beat)) => beat,
            Ok(None) => return,
            Err(_) => {
                self.undecodable += 1;
                return;
            }
        };
        let known = self.voices.contains_key(&beat.worker);
        if known || self.voices.len() < WORKERS {
            let beats = self.voices.entry(beat.worker.clone()).or_default();
            if beats.len() == BEATS {
                beats.pop_front();
            }
            beats.push_back((Instant::now(), beat));
        }
    }
}

/// A worker by its latest heartbeats. None: it is silent by now, or has said goodbye.
fn worker(beats: &VecDeque<(Instant, Heartbeat)>) -> Option<WorkerHeard> {
    let fresh: Vec<&Heartbeat> = beats.iter().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, beat)| beat).collect();
    let (first, last) = (fresh.first()?, fresh.last().filter(|last| last.sign != Sign::Offline)?);
    let apart = first.at.zip(last.at).map(|(a, b)| b.duration_since(a).as_secs_f64()).filter(|s| *s >= 1.0);
    let more = first.processed.zip(last.processed).and_then(|(a, b)| b.checked_sub(a));
    Some(WorkerHeard {
        name: last.worker.clone(),
        // One idle moment is not idleness.
        active: fresh.iter().filter_map(|beat| beat.active).max(),
        processed: last.processed,
        per_s: apart.zip(more).map(|(s, n)| n as f64 / s),
        load: last.load,
        version: last.version.clone(),
    })
}
