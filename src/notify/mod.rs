//! Telling somebody: what an alert says, the shape that each service wants it in, and the outbox that loses none. Sends nothing itself:
//! a `Letter` is what a sender needs, and its answer comes back as a [`outbox::Reaction`].

pub mod model;
pub mod outbox;
pub mod payload;
