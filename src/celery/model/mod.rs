//! What lies in a Celery broker, in Celery's own terms. Serialize only: this is public JSON.

mod message;
mod worker;

pub use message::{AgeSource, Enqueued, RequestRef, TaskMessage};
pub use worker::{ControlMethod, HeldTask, Hold, Leftover, WorkerSays, WorkerStats};
