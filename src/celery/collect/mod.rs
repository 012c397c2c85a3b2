//! A broker → samples of it. At most three round trips each: names, lengths, ends; sizes are asked before content, and no answer is read
//! beyond its budget. Judges nothing.

mod ends;
mod lengths;
mod listen;
mod names;

pub mod find;
pub mod lists;
pub mod peek;
pub mod unacked;
pub mod workers;

pub use listen::Ears;

use super::{
    keys::Keys,
    model::{KnownBy, Sample, ServerFacts},
};
use crate::{
    answer::{Coverage, Hint, Missing, Part, Why},
    connect::redis::{Read, Redis, Refusal, Reply},
    error::Result,
    safe,
    text::Safe,
};
use jiff::{SignedDuration, Timestamp};
use names::Names;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// After so many samples the names are looked for again.
const NAMES_LAST: u32 = 10;
/// Other databases that are looked into when this one is empty.
const OTHER_DATABASES: usize = 4;
/// Commands that `--show-commands` keeps.
const SHOWN: usize = 10_000;

/// Takes samples of one broker, and knows from one to the next what lies in it.
pub struct Collector<'r> {
    redis: &'r Redis,
    keys: Keys,
    /// Queues that somebody named: then no others are looked for.
    named: BTreeMap<String, KnownBy>,
    /// Queues of earlier runs.
    remembered: Vec<String>,
    names: Names,
    samples: u32,
    /// The server's clock, and when it said so.
    clock: Option<(Timestamp, Instant)>,
    coverage: Coverage,
    sent: Option<Vec<Vec<Safe>>>,
}

impl<'r> Collector<'r> {
    /// For these queues; none: for all that there are, also those that an earlier run saw.
    pub fn new(redis: &'r Redis, keys: Keys, named: BTreeMap<String, KnownBy>, remembered: Vec<String>) -> Self {
        Self { redis, keys, named, remembered, names: Names::default(), samples: 0, clock: None, coverage: Coverage::default(), sent: None }
    }

    /// Keeps what is sent, for `sent`.
    pub fn keeping_commands(mut self) -> Self {
        self.sent = Some(Vec::new());
        self
    }

    /// One look.
    ///
    /// # Errors
    /// As `Redis::ask`. What the server refuses is coverage.
    pub async fn sample(&mut self) -> Result<Sample> {
        if self.samples.is_multiple_of(NAMES_LAST) {
            self.find_names().await?;
        }
        let mut lengths = self.ask_lengths().await?;
        self.ask_ends(&mut lengths).await?;
        self.samples += 1;
        let at = lengths.at;
        let queues = self.settle(lengths.queues);
        let (inventory, beside) = (self.names.inventory.clone(), self.names.beside.clone());
        Ok(Sample { at, queues, delivered: lengths.delivered, server: self.names.server.clone(), inventory, beside })
    }

    /// Where else tasks wait: the same queues in other databases of the server, and how many there.
    ///
    /// # Errors
    /// Never: a database that cannot be looked into is not named.
    pub async fn elsewhere(&mut self, server: &ServerFacts) -> Vec<(u64, u64)> {
        let mut queues: Vec<String> = self.names.queues.keys().chain(self.named.keys()).cloned().collect();
        if queues.is_empty() {
            queues.push("celery".to_owned());
        }
        let reads: Vec<Read> = queues.iter().flat_map(|queue| self.keys.buckets(queue)).map(|(_, key)| Read::Llen(key)).collect();
        let mut found = Vec::new();
        for db in server.databases.keys().copied().filter(|db| *db != self.redis.db()).take(OTHER_DATABASES) {
            self.keep(&reads);
            let Ok(replies) = self.redis.in_db(db).ask(&reads).await else { continue };
            let waiting: u64 = replies.iter().filter_map(Reply::count).sum();
            if waiting > 0 {
                found.push((db, waiting));
            }
        }
        found
    }

    /// What was read, and what was refused.
    pub async fn coverage(&self) -> Coverage {
        let mut coverage = self.coverage.clone();
        let at = self.redis.provenance().await.at;
        coverage.searched.push(Part { system: "redis", name: at });
        coverage.bytes = self.redis.traffic().received();
        coverage
    }

    /// The commands that were sent since the last call, one list per round trip.
    pub fn sent(&mut self) -> Vec<Vec<Safe>> {
        self.sent.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// One round trip. None: the answer is larger than it may be.
    async fn ask(&mut self, reads: &[Read], most: u64) -> Result<Option<Vec<Reply>>> {
        self.keep(reads);
        self.redis.ask_at_most(reads, most).await
    }

    fn keep(&mut self, reads: &[Read]) {
        if let Some(sent) = &mut self.sent
            && sent.len() < SHOWN
            && !reads.is_empty()
        {
            sent.push(reads.iter().map(Read::shown).collect());
        }
    }

    /// Something that could not be read.
    fn miss(&mut self, what: Safe, why: Why, hint: Option<Hint>) {
        self.coverage.miss(Missing { part: Part { system: "redis", name: what }, why, hint });
    }

    /// A command that was refused.
    fn refused(&mut self, what: &'static str, command: &'static str, refusal: &Refusal) {
        let hint = (refusal.code.as_str() == "NOPERM").then(|| {
            let right = command.to_ascii_lowercase().replace(' ', "|");
            Hint::Try(safe!("ACL SETUSER … +{}, and ~ patterns that admit its keys", Safe::name(right)))
        });
        let why = Why::Unreachable(safe!("{} {} ({})", refusal.code, refusal.says, command));
        self.miss(what.into(), why, hint);
    }

    /// The server's clock, as far as it can be known without asking.
    fn now(&self) -> Option<Timestamp> {
        let (at, heard) = self.clock?;
        at.checked_add(SignedDuration::try_from(heard.elapsed()).ok()?).ok()
    }

    /// Reads the answer to `TIME`.
    fn set_clock(&mut self, reply: Option<&Reply>) -> Option<Timestamp> {
        let at = clock(reply?)?;
        self.clock = Some((at, Instant::now()));
        Some(at)
    }
}

/// The answer to `TIME`.
fn clock(time: &Reply) -> Option<Timestamp> {
    let [seconds, micros] = time.list() else { return None };
    Timestamp::from_microsecond(seconds.int()?.checked_mul(1_000_000)?.checked_add(micros.int()?)?).ok()
}
