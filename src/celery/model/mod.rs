//! What lies in a Celery broker, in Celery's own terms. Serialize only: this is public JSON.

mod held;
mod message;
mod worker;
mod workers;

pub use held::{ControlMethod, HeldTask, Hold, Leftover, WorkerSays, WorkerStats};
pub use message::{AgeSource, Enqueued, RequestRef, TaskMessage};
pub use worker::{Binding, Heartbeat, Sign};
pub use workers::{BusFacts, DatabaseRoom, Orphan, PodEnd, PodSeen, QueueUse, WorkerFacts, WorkerState, WorkersFacts};
