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
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// Workers that are told apart at most.
const WORKERS: usize = 5000;

/// An open ear; it closes when it is dropped.
pub struct Ears {
    heard: Arc<Mutex<Heard>>,
    since: Instant,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Heard {
    voices: BTreeMap<Safe, Voice>,
    undecodable: u64,
}

struct Voice {
    first: Heartbeat,
    last: Heartbeat,
    /// The most that it ran: one idle moment is not idleness.
    most: Option<u64>,
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
                into.lock().unwrap_or_else(PoisonError::into_inner).take(&raw);
            }
        });
        Ok(Self { heard, since: Instant::now(), _task: task })
    }

    /// For how long it has listened.
    pub fn listened(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether every one of these was heard.
    pub fn heard_all(&self, names: &[Safe]) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().all(|name| heard.voices.contains_key(name))
    }

    /// Who was heard so far, and how many messages could not be read.
    pub fn heard(&self) -> (Vec<WorkerHeard>, u64) {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // One that said goodbye is none any more.
        let living = heard.voices.values().filter(|voice| voice.last.sign != Sign::Offline);
        (living.map(Voice::worker).collect(), heard.undecodable)
    }
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
        if let Some(voice) = self.voices.get_mut(&beat.worker) {
            voice.most = voice.most.max(beat.active);
            voice.last = beat;
        } else if self.voices.len() < WORKERS {
            self.voices.insert(beat.worker.clone(), Voice { most: beat.active, first: beat.clone(), last: beat });
        }
    }
}

impl Voice {
    fn worker(&self) -> WorkerHeard {
        let Self { first, last, most } = self;
        let apart = first.at.zip(last.at).map(|(a, b)| b.duration_since(a).as_secs_f64()).filter(|s| *s >= 1.0);
        let more = first.processed.zip(last.processed).and_then(|(a, b)| b.checked_sub(a));
        WorkerHeard {
            name: last.worker.clone(),
            active: *most,
            processed: last.processed,
            per_s: apart.zip(more).map(|(s, n)| n as f64 / s),
            load: last.load,
            version: last.version.clone(),
        }
    }
}
