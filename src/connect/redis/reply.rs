//! What Redis answers, reduced to what a reader asks of it. A reply that is not what was asked for is a value (`None`), not an error:
//! one key of another type must not hide the rest.

use crate::text::{Redactor, Safe};
use redis::Value;

/// The answer to one command.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes, or a status word.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Self>),
    /// The server refused this one command.
    Refused(Refusal),
}

/// The refusal of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its first word: `NOPERM`, `WRONGTYPE`, `READONLY`, `ERR`.
    pub code: Safe,
    /// What the server says.
    pub says: Safe,
}

impl Reply {
    pub(super) fn of(value: Value, redact: &Redactor) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Int(n) => Self::Int(n),
            Value::Boolean(b) => Self::Int(b.into()),
            Value::BulkString(bytes) => Self::Bytes(bytes),
            Value::SimpleString(text) => Self::Bytes(text.into_bytes()),
            Value::Okay => Self::Bytes(b"OK".to_vec()),
            Value::Double(n) => Self::Bytes(n.to_string().into_bytes()),
            Value::VerbatimString { text, .. } => Self::Bytes(text.into_bytes()),
            Value::Array(all) | Value::Set(all) | Value::Push { data: all, .. } => {
                Self::List(all.into_iter().map(|v| Self::of(v, redact)).collect())
            }
            Value::Map(pairs) => Self::List(pairs.into_iter().flat_map(|(k, v)| [Self::of(k, redact), Self::of(v, redact)]).collect()),
            Value::Attribute { data, .. } => Self::of(*data, redact),
            Value::ServerError(error) => {
                Self::Refused(Refusal { code: Safe::name(error.code()), says: redact.safe(error.details().unwrap_or_default().as_bytes()) })
            }
            _ => Self::Nil,
        }
    }

    /// A number, also one that came as text.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }
    /// A count; negative ones are none.
    pub fn count(&self) -> Option<u64> {
        self.int().and_then(|n| u64::try_from(n).ok())
    }
    /// A number with a fraction: scores are.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        }
    }
    /// The bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
    /// The parts; nothing where it is no list.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(all) => all,
            _ => &[],
        }
    }
    /// Members and their scores.
    pub fn scored(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.list().chunks_exact(2).filter_map(|pair| Some((pair[0].bytes()?, pair[1].float()?)))
    }
    /// The next cursor and what was found.
    pub fn scan(&self) -> Option<(u64, &[Self])> {
        match self.list() {
            [cursor, found] => Some((cursor.count()?, found.list())),
            _ => None,
        }
    }
    /// Why it was refused, if it was.
    pub fn refused(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
