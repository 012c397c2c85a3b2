//! UnackedMessage and not acknowledged messages, read in pieces: first the index, then the sizes, then those that are small enough. New ones
//! come and old ones go meanwhile; each is given at most once.

use crate::{
    celery::keys::Keys,
    connect::redis::{Raw, Read, Redis, Reply},
    error::Result,
};

/// So many are looked at in one piece.
const PIECE: u64 = 500;
/// A message of more bytes is not fetched.
const LARGEST: u64 = 256 << 10;
/// So many bytes are fetched in one round trip.
const AT_ONCE: u64 = 4 << 20;

/// One of them.
#[derive(Clone, Debug)]
pub struct UnackedMessage {
    /// Its tag.
    pub tag: Raw,
    /// When it was delivered, as seconds since 1970.
    pub score: f64,
    /// `[message, exchange, routing key]`. None: it is larger than is read, or went meanwhile.
    pub raw: Option<Raw>,
}

/// What was not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnackedRead {
    /// How many were looked at.
    pub seen: u64,
    /// How many were too large to be read.
    pub too_large: u64,
    /// Whether there were more than were wanted.
    pub capped: bool,
}

/// Gives each of them to `each`, the longest delivered first, until all are given, `most` are, or `each` has enough.
///
/// # Errors
/// As `Redis::ask`.
pub async fn walk(redis: &Redis, keys: &Keys, most: u64, mut each: impl FnMut(UnackedMessage) -> bool) -> Result<UnackedRead> {
    let mut read = UnackedRead::default();
    let (hash, index) = (keys.unacked(), keys.unacked_index());
    // Those that go meanwhile move the rest to lower ranks: the index is read whole before the content, its entries are small.
    let mut entries: Vec<(Raw, f64)> = Vec::new();
    loop {
        let from = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let found = redis.ask(&[Read::Zrange(index.clone(), from, from + 9_999)]).await?;
        let before = entries.len();
        entries.extend(found.iter().flat_map(Reply::scored).map(|(tag, score)| (tag.to_vec(), score)));
        if entries.len() == before {
            break;
        }
        if entries.len() as u64 > most {
            read.capped = true;
            entries.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            break;
        }
    }
    for piece in entries.chunks(PIECE as usize) {
        let sizes = redis.ask(&piece.iter().map(|(tag, _)| Read::Hstrlen(hash.clone(), tag.clone())).collect::<Vec<_>>()).await?;
        let mut batch: Vec<&(Raw, f64)> = Vec::new();
        let mut bytes = 0;
        for (entry, size) in piece.iter().zip(&sizes) {
            read.seen += 1;
            let size = size.count().unwrap_or_default();
            if size > LARGEST {
                read.too_large += 1;
                if !each(UnackedMessage { tag: entry.0.clone(), score: entry.1, raw: None }) {
                    return Ok(read);
                }
                continue;
            }
            if bytes + size > AT_ONCE && !fetch(redis, &hash, &std::mem::take(&mut batch), &mut each).await? {
                return Ok(read);
            }
            bytes = if batch.is_empty() { size } else { bytes + size };
            batch.push(entry);
        }
        if !fetch(redis, &hash, &batch, &mut each).await? {
            return Ok(read);
        }
    }
    Ok(read)
}

async fn fetch(redis: &Redis, hash: &Raw, batch: &[&(Raw, f64)], each: &mut impl FnMut(UnackedMessage) -> bool) -> Result<bool> {
    if batch.is_empty() {
        return Ok(true);
    }
    let replies = redis.ask(&[Read::Hmget(hash.clone(), batch.iter().map(|(tag, _)| tag.clone()).collect())]).await?;
    let values = replies.first().map(Reply::list).unwrap_or_default();
    for ((tag, score), value) in batch.iter().copied().zip(values) {
        if !each(UnackedMessage { tag: tag.clone(), score: *score, raw: value.bytes().map(<[u8]>::to_vec) }) {
            return Ok(false);
        }
    }
    Ok(true)
}
