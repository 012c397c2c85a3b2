//! The commands that obsctl may send to Redis, as data: a closed list of reads, and the few writes of the control bus, which need a leave
//! that only a flag can make. What is not in here cannot be sent; each prints itself as redis-cli takes it.

use crate::text::{Safe, SafeBuf};

/// A key, a member, a pattern or a payload: any bytes.
pub type Raw = Vec<u8>;

/// A command that changes nothing. Each is O(1) or bounded by its own arguments, except `Smembers`, whose size is asked first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Whether it answers.
    Ping,
    /// Its clock.
    Time,
    /// A section of `INFO`: `memory`, `persistence`, `replication`, `server`, `keyspace`, `clients`.
    Info(&'static str),
    /// The length of a list.
    Llen(Raw),
    /// One element of a list; −1 is the next to run.
    Lindex(Raw, i64),
    /// Elements of a list, both ends included.
    Lrange(Raw, i64, i64),
    /// How many fields a hash has.
    Hlen(Raw),
    /// Fields of a hash, from a cursor, about so many.
    Hscan(Raw, u64, u32),
    /// Some fields of a hash.
    Hmget(Raw, Vec<Raw>),
    /// How many bytes a field of a hash has.
    Hstrlen(Raw, Raw),
    /// How many members a sorted set has.
    Zcard(Raw),
    /// How many members have a score in this range, in Redis' own notation: `-inf`, `(5`, `5`.
    Zcount(Raw, String, String),
    /// Members by rank, both ends included, with their scores.
    Zrange(Raw, i64, i64),
    /// The score of a member.
    Zscore(Raw, Raw),
    /// How many members a set has.
    Scard(Raw),
    /// All members of a set; its size is asked first.
    Smembers(Raw),
    /// Members of a set, from a cursor, about so many.
    Sscan(Raw, u64, u32),
    /// Keys of the database, from a cursor.
    Scan {
        /// Where the last call ended; 0 to begin.
        cursor: u64,
        /// A glob.
        pattern: Raw,
        /// About how many keys are looked at.
        count: u32,
        /// Only keys of this type: `list`, `set`.
        of_type: Option<&'static str>,
    },
    /// What a key holds.
    Type(Raw),
    /// The bytes that a key takes, estimated from so many samples.
    MemoryUsage(Raw, u32),
    /// A string.
    Get(Raw),
    /// How many milliseconds a key still lives.
    Pttl(Raw),
}

impl Read {
    /// The words that are sent.
    pub fn words(&self) -> Vec<Raw> {
        match self {
            Self::Ping => words(&[b"PING"]),
            Self::Time => words(&[b"TIME"]),
            Self::Info(section) => words(&[b"INFO", section.as_bytes()]),
            Self::Llen(key) => words(&[b"LLEN", key]),
            Self::Lindex(key, at) => words(&[b"LINDEX", key, &number(at)]),
            Self::Lrange(key, from, to) => words(&[b"LRANGE", key, &number(from), &number(to)]),
            Self::Hlen(key) => words(&[b"HLEN", key]),
            Self::Hscan(key, cursor, count) => words(&[b"HSCAN", key, &number(cursor), b"COUNT", &number(count)]),
            Self::Hmget(key, fields) => {
                let mut all = words(&[b"HMGET", key]);
                all.extend(fields.iter().cloned());
                all
            }
            Self::Hstrlen(key, field) => words(&[b"HSTRLEN", key, field]),
            Self::Zcard(key) => words(&[b"ZCARD", key]),
            Self::Zcount(key, from, to) => words(&[b"ZCOUNT", key, from.as_bytes(), to.as_bytes()]),
            Self::Zrange(key, from, to) => words(&[b"ZRANGE", key, &number(from), &number(to), b"WITHSCORES"]),
            Self::Zscore(key, member) => words(&[b"ZSCORE", key, member]),
            Self::Scard(key) => words(&[b"SCARD", key]),
            Self::Smembers(key) => words(&[b"SMEMBERS", key]),
            Self::Sscan(key, cursor, count) => words(&[b"SSCAN", key, &number(cursor), b"COUNT", &number(count)]),
            Self::Scan { cursor, pattern, count, of_type } => {
                let mut all = words(&[b"SCAN", &number(cursor), b"MATCH", pattern, b"COUNT", &number(count)]);
                if let Some(of_type) = of_type {
                    all.extend(words(&[b"TYPE", of_type.as_bytes()]));
                }
                all
            }
            Self::Type(key) => words(&[b"TYPE", key]),
            Self::MemoryUsage(key, samples) => words(&[b"MEMORY", b"USAGE", key, b"SAMPLES", &number(samples)]),
            Self::Get(key) => words(&[b"GET", key]),
            Self::Pttl(key) => words(&[b"PTTL", key]),
        }
    }

    /// The command as redis-cli takes it, ready to paste into a shell.
    pub fn shown(&self) -> Safe {
        shown(&self.words())
    }
}

/// A command of the control bus, which changes something: sent only with a [`WriteLeave`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Adds a member to a set.
    Sadd(Raw, Raw),
    /// Takes a member out of a set.
    Srem(Raw, Raw),
    /// Speaks to the subscribers of a channel; answers how many there are.
    Publish(Raw, Raw),
    /// Takes the last element of a list, waiting for it so many seconds.
    Brpop(Raw, u32),
    /// Deletes a key.
    Del(Raw),
}

impl Write {
    /// The words that are sent.
    pub fn words(&self) -> Vec<Raw> {
        match self {
            Self::Sadd(key, member) => words(&[b"SADD", key, member]),
            Self::Srem(key, member) => words(&[b"SREM", key, member]),
            Self::Publish(channel, message) => words(&[b"PUBLISH", channel, message]),
            Self::Brpop(key, seconds) => words(&[b"BRPOP", key, &number(seconds)]),
            Self::Del(key) => words(&[b"DEL", key]),
        }
    }

    /// The command as redis-cli takes it, ready to paste into a shell.
    pub fn shown(&self) -> Safe {
        shown(&self.words())
    }
}

/// The leave to write. Only a flag of the command line makes one.
#[derive(Clone, Copy, Debug)]
pub struct WriteLeave(());

impl WriteLeave {
    /// The user gave this flag, whose help says what is written.
    pub fn given_by(_flag: &'static str) -> Self {
        Self(())
    }
}

fn words(parts: &[&[u8]]) -> Vec<Raw> {
    parts.iter().map(|part| part.to_vec()).collect()
}

fn number(n: impl ToString) -> Raw {
    n.to_string().into_bytes()
}

/// Words as a shell takes them. Keys of kombu hold control characters, which bash's `$'…'` can say and plain quotes cannot.
fn shown(words: &[Raw]) -> Safe {
    let mut out = SafeBuf::new();
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            out.push_fixed(" ");
        }
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./:=,@%+".contains(b);
        if !word.is_empty() && word.iter().all(plain) {
            out.push_name(word);
        } else if word.iter().all(|b| (b' '..0x7f).contains(b) && *b != b'\'') {
            out.push_fixed("'");
            out.push_name(word);
            out.push_fixed("'");
        } else {
            out.push_fixed("$'");
            for byte in word {
                match byte {
                    b'\'' => out.push_fixed("\\'"),
                    b'\\' => out.push_fixed("\\\\"),
                    b' '..0x7f => out.push_name(&[*byte]),
                    _ => out.push_name(format!("\\x{byte:02x}").as_bytes()),
                }
            }
            out.push_fixed("'");
        }
    }
    out.into_safe()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_itself_for_a_shell() {
        let of = |read: Read| read.shown().to_string();
        assert_eq!(of(Read::Llen(b"mail".to_vec())), "LLEN mail");
        assert_eq!(of(Read::Llen(b"mail\x06\x163".to_vec())), r"LLEN $'mail\x06\x163'");
        assert_eq!(of(Read::Lindex(b"it's \\ mine".to_vec(), -1)), r"LINDEX $'it\'s \\ mine' -1");
        assert_eq!(of(Read::Zcount(b"unacked_index".to_vec(), "-inf".into(), "(5".into())), "ZCOUNT unacked_index -inf '(5'");
        assert_eq!(of(Read::Llen(Vec::new())), "LLEN ''");
    }
}
