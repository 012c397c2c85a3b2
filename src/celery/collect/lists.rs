//! A list of waiting messages, read from its tail (the next to run) towards its head, in pieces, while workers take from that tail: pieces
//! overlap, and each message is given once. What is too large is passed over, not fetched.

use crate::{
    connect::redis::{Raw, Read, Redis, Refusal, Reply},
    error::Result,
};
use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher,
};

/// A message of more bytes is not fetched.
pub const LARGEST: u64 = 1 << 20;
/// Pieces overlap by so many: as many may be consumed between two of them without a step back.
const OVERLAP: u64 = 64;
/// So many messages in a piece, however small they are.
const MOST: u64 = 10_000;

/// One place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// What stands there.
    Read(Raw),
    /// More than is fetched.
    TooLarge,
}

/// Walks through a list.
pub struct Walker<'r> {
    redis: &'r Redis,
    key: Raw,
    /// How many places from the tail are done.
    done: u64,
    /// How many messages in the next piece.
    piece: u64,
    largest_piece: u64,
    /// What a piece may have.
    bytes: u64,
    hasher: RandomState,
    seen: HashSet<u64>,
    /// The length of the list when it was last looked at.
    pub length: u64,
    /// The list is none.
    pub refused: Option<Refusal>,
}

impl<'r> Walker<'r> {
    /// From this place on (0: the next to run), in pieces of about so many bytes.
    pub fn new(redis: &'r Redis, key: Raw, from: u64, bytes_each: u64, bytes: u64) -> Self {
        let piece = (bytes / bytes_each.max(1)).clamp(1, MOST);
        Self {
            redis,
            key,
            done: from,
            piece,
            largest_piece: piece,
            bytes,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            length: 0,
            refused: None,
        }
    }

    /// How many places are done: where another walk would go on.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The next messages with their places, the next to run first. None: the end of the list.
    ///
    /// # Errors
    /// As `Redis::ask`.
    pub async fn next(&mut self) -> Result<Option<Vec<(u64, Element)>>> {
        loop {
            let overlap = if self.seen.is_empty() { 0 } else { OVERLAP.min(self.piece / 2).min(self.done) };
            let (from, to) = (self.done - overlap, self.done + self.piece);
            let at = |place: u64| i64::try_from(place).map_or(i64::MIN, |place| -1 - place);
            let reads = [Read::Llen(self.key.clone()), Read::Lrange(self.key.clone(), at(to - 1), at(from))];
            let most = if self.piece == 1 { LARGEST } else { self.bytes.saturating_mul(4).max(LARGEST) };
            let Some(replies) = self.redis.ask_at_most(&reads, most).await? else {
                if self.piece > 1 {
                    self.piece = (self.piece / 8).max(1);
                    continue;
                }
                let place = self.done;
                self.done += 1;
                return Ok(Some(vec![(place, Element::TooLarge)]));
            };
            if let Some(refusal) = replies.iter().find_map(Reply::refused) {
                self.refused = Some(refusal.clone());
                return Ok(None);
            }
            self.length = replies.first().and_then(Reply::count).unwrap_or_default();
            let found = replies.get(1).map(Reply::list).unwrap_or_default();
            if found.is_empty() {
                return Ok(None);
            }
            // The reply is in the list's order: its last one stands nearest to the tail. A short reply lacks what lies beyond the head.
            let found: Vec<&[u8]> = found.iter().rev().filter_map(Reply::bytes).collect();
            let hash = |raw: &[u8]| self.hasher.hash_one(raw);
            let known = found.iter().take(usize::try_from(overlap).unwrap_or(usize::MAX)).any(|raw| self.seen.contains(&hash(raw)));
            if overlap > 0 && !known {
                // More were consumed than pieces overlap: what came nearer to the tail meanwhile was not seen yet.
                self.done = self.done.saturating_sub(self.piece + overlap);
                continue;
            }
            if from + found.len() as u64 <= self.done {
                return Ok(None);
            }
            let mut fresh = Vec::new();
            for (place, raw) in (from..).zip(&found) {
                if self.seen.insert(self.hasher.hash_one(raw)) {
                    fresh.push((place, Element::Read(raw.to_vec())));
                }
            }
            self.done = from + found.len() as u64;
            self.piece = (self.piece * 2).min(self.largest_piece);
            return Ok(Some(fresh));
        }
    }
}
