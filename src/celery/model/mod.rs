//! What lies in a Celery broker, in Celery's own terms. Serialize only: this is public JSON.

mod depth;
mod message;
mod sample;
mod server;
mod worker;

pub use depth::{Age, BeatSaid, Cost, Delivered, DepthFacts, PriorityDepth, QueueDepth, WorkerHeard, WorkersHeard};
pub use message::{AgeSource, Enqueued, RequestRef, TaskMessage};
pub use sample::{Around, BucketSample, DeliveredSample, HeldMessage, Inventory, KnownBy, QueueSample, Sample, Scanned, Tail};
pub use server::{Role, ServerFacts};
pub use worker::{Binding, Heartbeat, Sign};
