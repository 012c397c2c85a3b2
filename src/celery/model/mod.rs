//! What lies in a Celery broker, in Celery's own terms. Serialize only: this is public JSON.

mod beat;
mod depth;
mod find;
mod held;
mod message;
mod peek;
mod sample;
mod server;
mod worker;
mod workers;

pub use beat::{BeatEntry, BeatFacts};
pub use depth::{Age, BeatSaid, Cost, Delivered, DepthFacts, PriorityDepth, QueueDepth, WorkerHeard, WorkersHeard};
pub use find::{FindFacts, FindFrom, FoundTask, Kinship, Relative, Searched, TaskOutcome, TaskPlace};
pub use held::{ControlMethod, HeldTask, Hold, Leftover, WorkerSays, WorkerStats};
pub use message::{AgeSource, Enqueued, RequestRef, TaskMessage};
pub use peek::{PeekBucket, PeekFacts, PeekSample, PeekedTask};
pub use sample::{Beside, BucketSample, DeliveredSample, HeldMessage, Inventory, KnownBy, QueueSample, Sample, Scanned, Tail};
pub use server::{ServerFacts, ServerRole};
pub use worker::{Binding, Heartbeat, Sign};
pub use workers::{BusFacts, DatabaseRoom, Orphan, PodEnd, PodSeen, QueueUse, WorkerFacts, WorkerState, WorkersFacts};
