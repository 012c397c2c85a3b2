//! Looks at a broker, one after the other, with an open ear for its workers; and the answer that they make.
#![expect(clippy::disallowed_methods, reason = "the time between two samples is the measurement itself")]

use super::{broker::Opened, depth::Args};
use crate::{
    answer::{Answer, Coverage, Finding},
    celery::{
        analyze::depth::{self, Looked},
        collect::{Collector, Ears},
        model::{BeatSaid, Cost, DepthFacts, KnownBy, Sample, WorkersHeard},
    },
    error::{Error, Kind, Result},
    safe,
    session::Session,
    store::{self, BrokerMemory},
    text::Safe,
};
use std::{collections::BTreeMap, time::Duration};

/// Workers beat every two seconds: who was not heard by then is waited for a little longer.
const HEAR_OUT: Duration = Duration::from_millis(2600);

pub(super) struct Looks<'b> {
    broker: &'b Opened,
    session: &'b Session,
    collector: Collector<'b>,
    ears: std::result::Result<Ears, Safe>,
    /// What earlier runs left.
    before: BrokerMemory,
    memory: BrokerMemory,
    samples: Vec<Sample>,
    elsewhere: Vec<(u64, u64)>,
    /// What beat has done, where a database knows.
    beat: Option<(BeatSaid, Vec<Finding>)>,
}

impl<'b> Looks<'b> {
    pub async fn begin(broker: &'b Opened, session: &'b Session, args: &Args) -> Self {
        let configured = broker.transport.queues.iter().map(|queue| (queue.clone(), KnownBy::Configured));
        let mut named: BTreeMap<String, KnownBy> = configured.collect();
        if !args.queues.is_empty() {
            let known = |queue: &String| named.get(queue).copied().unwrap_or(KnownBy::Asked);
            named = args.queues.iter().map(|queue| (queue.clone(), known(queue))).collect();
        }
        let folder = session.state.as_deref();
        let memory = folder.map(|folder| store::broker_memory(folder, &broker.identity)).transpose();
        let memory = memory.inspect_err(|e| tracing::debug!("earlier runs are not known: {e}")).ok().flatten().unwrap_or_default();
        let remembered = memory.queues.keys().cloned().collect();
        let collector = Collector::new(&broker.redis, broker.keys.clone(), named, remembered);
        let collector = if args.show_commands { collector.keeping_commands() } else { collector };
        // One look is over before a worker beats.
        let ears = async {
            match args.once {
                true => Err("one look is over before a worker beats".into()),
                false => Ears::open(&broker.redis, &broker.keys).await.map_err(|error| deaf(&error, broker)),
            }
        };
        let (ears, beat) = tokio::join!(ears, super::database::beat(session));
        let before = memory.clone();
        Self { broker, session, collector, ears, before, memory, samples: Vec::new(), elsewhere: Vec::new(), beat }
    }

    /// One look. The last two are kept.
    pub async fn look(&mut self) -> Result<()> {
        if self.ears.as_ref().is_ok_and(Ears::closed) {
            self.ears = Ears::open(&self.broker.redis, &self.broker.keys).await.map_err(|error| deaf(&error, self.broker));
        }
        let sample = self.collector.sample().await?;
        depth::remember(&mut self.memory, &sample);
        if self.samples.len() == 2 {
            self.samples.remove(0);
        }
        self.samples.push(sample);
        Ok(())
    }

    /// Waits for the time of the next look. False: stopped.
    pub async fn wait(&self, interval: Duration) -> bool {
        let stop = self.session.stop.token();
        tokio::select! {
            () = tokio::time::sleep(interval) => true,
            () = stop.cancelled() => false,
        }
    }

    /// Listens a little longer where a known worker was not heard yet.
    pub async fn hear_them_out(&self) {
        let (Ok(ears), Some(last)) = (&self.ears, self.samples.last()) else { return };
        let step = Duration::from_millis(50);
        while ears.listened() < HEAR_OUT && !ears.heard_all(&last.inventory.workers) {
            if !self.wait(step).await {
                return;
            }
        }
    }

    /// Where nothing waits, the tasks may be in another database.
    pub async fn look_elsewhere(&mut self) {
        let Some(last) = self.samples.last() else { return };
        let nothing = last.queues.values().all(|queue| queue.waiting() == Some(0)) && last.delivered.count == Some(0);
        if let Some(server) = last.server.clone().filter(|_| nothing && last.inventory.workers.is_empty()) {
            self.elsewhere = self.collector.elsewhere(&server).await;
        }
    }

    /// What the looks mean. None: there was none.
    pub async fn answer(&self) -> Option<Answer<DepthFacts>> {
        let traffic = self.broker.redis.traffic();
        let (facts, mut findings) = depth::depth(Looked {
            samples: &self.samples,
            before: &self.before,
            memory: &self.memory,
            workers: self.workers(),
            elsewhere: &self.elsewhere,
            keys: &self.broker.keys,
            db: self.broker.redis.db(),
            thresholds: &self.broker.thresholds,
            beat: self.beat.as_ref().map(|(said, _)| said.clone()),
            cost: Cost { round_trips: traffic.round_trips(), received: traffic.received() },
        })?;
        findings.extend(self.beat.iter().flat_map(|(_, findings)| findings.iter().cloned()));
        let coverage: Coverage = self.collector.coverage().await;
        Some(Answer { facts, findings, coverage, sources: vec![self.broker.redis.provenance().await] })
    }

    fn workers(&self) -> WorkersHeard {
        match &self.ears {
            Ok(ears) => {
                let (heard, undecodable) = ears.heard();
                WorkersHeard { listened_s: Some(ears.listened().as_secs_f64()), heard, undecodable, ..WorkersHeard::default() }
            }
            Err(why) => WorkersHeard { deaf: Some(why.clone()), ..WorkersHeard::default() },
        }
    }

    /// For the next run. Without a folder everything works, and ages are known later.
    pub fn remember(&self) {
        let (Some(folder), Some(last)) = (&self.session.state, self.samples.last()) else { return };
        if let Err(e) = store::remember_broker(folder, &self.broker.identity, &self.memory, last.at) {
            tracing::debug!("the next run will not know of this one: {e}");
        }
    }

    pub fn sent(&mut self) -> Vec<Vec<Safe>> {
        self.collector.sent()
    }
}

/// Redis compares a subscriber's pattern with those of its rights letter by letter: a wider one does not admit it.
fn deaf(error: &Error, broker: &Opened) -> Safe {
    let hint = match error.kind() {
        Kind::Denied => safe!(" (ACL SETUSER … +psubscribe '&{}', just so)", Safe::name(broker.keys.event_channels(broker.redis.db()))),
        _ => Safe::EMPTY,
    };
    safe!("{}{}", error.says(), hint)
}
