//! What one sample adds to what is remembered of a broker.

use crate::{
    celery::model::{KnownBy, Sample},
    store::{BrokerMemory, QueueMemory, TailMemory},
};
use std::collections::BTreeMap;

/// Remembers a sample. The same message at the end of a list keeps the time of its first sight.
pub fn remember(memory: &mut BrokerMemory, sample: &Sample) {
    for (name, queue) in &sample.queues {
        let Some(waiting) = queue.waiting() else { continue };
        // A name that only memory keeps alive, and that holds nothing, is forgotten in time.
        if waiting == 0 && matches!(queue.known, KnownBy::Remembered | KnownBy::Asked) {
            continue;
        }
        let before = memory.queues.remove(name).map(|queue| queue.tails).unwrap_or_default();
        let tails: BTreeMap<u8, TailMemory> = queue
            .filled()
            .filter_map(|(step, bucket)| {
                let mark = bucket.tail.mark()?.to_owned();
                // A time of the future is that of another server's clock.
                let since =
                    before.get(&step).filter(|tail| tail.mark == mark && tail.since <= sample.at).map_or(sample.at, |tail| tail.since);
                Some((step, TailMemory { mark, since }))
            })
            .collect();
        memory.queues.insert(name.clone(), QueueMemory { at: sample.at, waiting, tails });
    }
}
