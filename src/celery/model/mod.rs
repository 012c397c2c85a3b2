//! What lies in a Celery broker, in Celery's own terms. Serialize only: this is public JSON.

mod message;

pub use message::{AgeSource, Enqueued, RequestRef, TaskMessage};
