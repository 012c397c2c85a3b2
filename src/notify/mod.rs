//! Telling somebody: what an alert says, the shape that each service wants it in, the outbox that loses none, and one attempt to send.
//! Decides nothing: who is told of what comes from outside.

pub mod decode;
pub mod model;
pub mod outbox;
pub mod payload;
pub mod send;
