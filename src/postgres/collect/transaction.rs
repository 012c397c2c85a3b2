//! The frame of every transaction: read-only from its first word, limits set and read back, a query run at once so that nothing can make
//! it writable later, a savepoint to come back to, and ROLLBACK at the end. Values that a session keeps are set for the transaction only:
//! behind a pooler the session is somebody else's a moment later.

use super::look::OURS;
use crate::{
    connect::postgres::{BurstAsk, BurstFault, Postgres},
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};
use tokio_postgres::Row;

/// What a statement may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may run.
    pub statement: Duration,
    /// How long it may wait for a lock.
    pub lock: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { statement: Duration::from_secs(10), lock: Duration::from_secs(1) }
    }
}

impl Limits {
    /// How long we wait for an answer ourselves: longer than the server does.
    pub(super) fn patience(&self) -> Duration {
        self.statement + Duration::from_secs(5)
    }

    /// A transaction holds a few statements.
    fn transaction(&self) -> Duration {
        self.statement * 2 + Duration::from_secs(5)
    }
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing can be written.
    Only,
    /// The user asked for a write to be run and rolled back.
    Write,
}

impl Access {
    pub(super) fn begin(self) -> &'static str {
        match self {
            Self::Only => "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY",
            Self::Write => "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }
}

pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const SAVEPOINT: &str = "SAVEPOINT obsctl";
pub(super) const BACK: &str = "ROLLBACK TO SAVEPOINT obsctl";
pub(super) const TREES_OFF: &str = "SET LOCAL debug_print_rewritten = off";

/// Sets the limits, as the transaction's first query; every value comes back as the server now has it. `further` are settings of one's own.
pub(super) fn under(limits: &Limits, major: u32, further: &[(&str, &str)]) -> String {
    let ms = |d: Duration| format!("{}ms", d.as_millis().max(1));
    let mut settings = vec![
        ("statement_timeout", ms(limits.statement)),
        ("lock_timeout", ms(limits.lock)),
        ("idle_in_transaction_session_timeout", ms(limits.transaction())),
    ];
    if major >= 17 {
        settings.push(("transaction_timeout", ms(limits.transaction())));
    }
    settings.extend(further.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let set: Vec<String> =
        settings.iter().map(|(name, value)| format!("pg_catalog.set_config('{name}', {}, true)", literal(value))).collect();
    format!("SELECT {}, pg_catalog.current_setting('transaction_read_only')", set.join(", "))
}

/// Whether the limits hold: none reads back as off, and the transaction is as read-only as asked.
pub(super) fn holds(row: Option<&Row>, access: Access) -> bool {
    let Some(row) = row else { return false };
    let value = |at: usize| row.try_get::<_, String>(at).unwrap_or_default();
    let limited = (0..3).all(|at| !matches!(value(at).as_str(), "" | "0"));
    let last = value(row.len().saturating_sub(1));
    limited && last == if access == Access::Only { "on" } else { "off" }
}

/// A value as PostgreSQL reads it, whatever `standard_conforming_strings` says: `E'…'` with its backslashes and quotes doubled.
pub(super) fn literal(value: &str) -> String {
    format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// The beginning of the names that we give to prepared statements.
const NAMED: &str = "obsctl_";

/// Whether a text of pg_stat_statements is part of a transaction of ours: commands take no comment that would mark them.
pub(super) fn is_ours(text: &str) -> bool {
    let named = || text.split([' ', '(', ';']).any(|word| word.starts_with(NAMED));
    match text.split(' ').next() {
        Some("EXPLAIN" | "PREPARE" | "DEALLOCATE") => named(),
        Some("BEGIN") => [Access::Only, Access::Write].iter().any(|access| access.begin() == text),
        Some("SAVEPOINT") => text == SAVEPOINT,
        Some("ROLLBACK") => text == BACK,
        _ => false,
    }
}

/// A name that no other session behind the same pooler has.
pub(super) fn unique_name() -> String {
    format!("{NAMED}{:016x}", RandomState::new().build_hasher().finish())
}

/// Sends a burst. A SELECT in it is a question of our own, and marked as such: the statistics are not to hold it for the application's.
pub(super) async fn send(pg: &Postgres, doing: &Safe, asks: &[BurstAsk<'_>], patience: Duration) -> Result<Answers> {
    let is_ours = |ask: &BurstAsk<'_>| !ask.only_parsed && ask.sql.trim_start().starts_with("SELECT");
    let texts: Vec<Option<String>> = asks.iter().map(|ask| is_ours(ask).then(|| format!("{} {OURS}", ask.sql))).collect();
    let marked = asks.iter().zip(&texts).map(|(ask, text)| BurstAsk {
        sql: text.as_deref().unwrap_or(ask.sql),
        parameters: ask.parameters.clone(),
        only_parsed: ask.only_parsed,
    });
    pg.burst(doing, &marked.collect::<Vec<_>>(), patience).await.map(|all| Answers(all.into_iter().map(Some).collect()))
}

/// The answers of a burst, each taken once.
pub(super) struct Answers(Vec<Option<Result<Vec<Row>, BurstFault>>>);

impl Answers {
    /// The rows of the statement at this place.
    pub(super) fn rows(&mut self, at: usize) -> Result<Vec<Row>, BurstFault> {
        self.0.get_mut(at).and_then(Option::take).unwrap_or_else(|| {
            Err(BurstFault {
                state: None,
                position: None,
                error: Error::new(Kind::Bug, "reading answers").what(safe!("none is left at place {}", at)),
            })
        })
    }

    /// The first statement up to this place that failed by itself.
    pub(super) fn failed(&mut self, up_to: usize) -> Result<(), Error> {
        for at in 0..=up_to {
            if let Some(Some(Err(fault))) = self.0.get(at)
                && !fault.is_aftermath()
            {
                return Err(self.rows(at).err().map_or_else(|| Error::new(Kind::Bug, "reading answers"), |f| f.error));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_cannot_be_left() {
        assert_eq!(literal("it's"), "E'it''s'");
        assert_eq!(literal(r"a\"), r"E'a\\'");
        assert_eq!(literal(r"\'; DROP TABLE t; --"), r"E'\\''; DROP TABLE t; --'");
    }

    #[test]
    fn our_own_commands_are_told_from_others() {
        let explained = format!("EXPLAIN (VERBOSE, SETTINGS, FORMAT JSON) EXECUTE {}('…')", unique_name());
        for ours in [explained.as_str(), Access::Only.begin(), SAVEPOINT, BACK, "DEALLOCATE obsctl_0123456789abcdef"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in ["BEGIN", "ROLLBACK", "EXPLAIN SELECT 1", "SELECT 'obsctl_1'", "SAVEPOINT s1"] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn limits_are_never_off() {
        let none = Limits { statement: Duration::ZERO, lock: Duration::ZERO };
        let sql = under(&none, 17, &[]);
        assert!(
            sql.contains("'statement_timeout', E'1ms'") && sql.contains("'lock_timeout', E'1ms'") && sql.contains("transaction_timeout")
        );
        assert!(!under(&none, 16, &[]).contains("'transaction_timeout'"));
        assert_ne!(unique_name(), unique_name());
    }
}
