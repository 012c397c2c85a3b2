//! Celery on Redis: where every task is, and whether that is bad. Reads what kombu left in the broker; only `control` writes, and only
//! with a leave.
//!
//! `keys` names what lies in Redis, `decode` reads it, `model` is what it means.

pub mod analyze;
pub mod collect;
pub mod control;
pub mod decode;
pub mod keys;
pub mod model;
pub mod view;
