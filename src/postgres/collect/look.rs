//! How sessions, locks and statistics are asked for: every question is a row of JSON per row, so that `decode` reads them all the same way,
//! and a short transaction of its own that only reads.

use crate::{
    answer::{Coverage, Hint, Missing, Part, Permission, Why},
    connect::postgres::Postgres,
    error::{Error, Kind, Result},
    postgres::{
        decode::rows::{self, DecodedRows},
        model::DatabaseSeen,
    },
    safe,
    text::Safe,
};

/// By this our own statements are known in pg_stat_statements, and left out.
pub(super) const OURS: &str = "/*application='obsctl'*/";

/// The rows of a question, each as JSON. One place, so that another connection takes one change.
pub(super) async fn ask(db: &Postgres, doing: &'static str, sql: &str) -> Result<Vec<String>> {
    let rows = db.rows(doing.into(), &format!("SELECT row_to_json(q)::text FROM ({sql}) q {OURS}"), &[]).await?;
    rows.iter()
        .map(|row| row.try_get(0).map_err(|_| Error::new(Kind::Protocol, doing).to(db.provenance()).what("an answer that is no text")))
        .collect()
}

/// The only row of a question.
pub(super) async fn ask_one<T>(
    db: &Postgres,
    doing: &'static str,
    sql: &str,
    read: impl Fn(&str) -> std::result::Result<T, serde_json::Error>,
) -> Result<T> {
    let texts = ask(db, doing, sql).await?;
    let row = texts.first().and_then(|text| read(text).ok());
    row.ok_or_else(|| Error::new(Kind::Protocol, doing).to(db.provenance()).what("the answer makes no sense"))
}

/// All that may matter is `pg_has_role … 'USAGE'`: a role that would have to SET ROLE first sees nothing now.
const SERVER: &str = "SELECT clock_timestamp() AS at, current_setting('server_version') AS version, \
    current_setting('server_version_num')::int AS version_num, pg_is_in_recovery() AS replica, current_user AS role, \
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all, current_database() AS database, \
    current_setting('max_connections')::int AS max_connections, current_setting('superuser_reserved_connections')::int AS reserved, \
    pg_postmaster_start_time() AS started_at, e.extversion AS extension, n.nspname AS extension_schema \
    FROM (SELECT 1) one LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace";

/// The server and what we are to it.
///
/// # Errors
/// As `Postgres::rows`.
pub async fn database_seen(db: &Postgres) -> Result<DatabaseSeen> {
    ask_one(db, "asking the server who it is", SERVER, rows::server).await
}

/// What an answer rests on: the views that were read, what they did not show to this role, and rows that made no sense.
pub fn coverage(server: &DatabaseSeen, views: &[&'static str], hidden: usize, bad: Option<(usize, Safe)>) -> Coverage {
    let part = |name: Safe| Part { system: "postgresql", name };
    let mut coverage = Coverage { searched: views.iter().map(|view| part((*view).into())).collect(), ..Coverage::default() };
    if hidden > 0 {
        let scope = safe!("database {}", server.database);
        coverage.miss(Missing {
            part: part(safe!("what {} of other roles do", count(hidden, "session or statement", "sessions or statements"))),
            why: Why::Refused(Permission { verb: "pg_read_all_stats".into(), resource: "pg_stat views".into(), scope }),
            hint: Some(grant(server)),
        });
    }
    if let Some((n, why)) = bad {
        coverage.miss(Missing { part: part(count(n, "row", "rows")), why: Why::Unreachable(why), hint: None });
    }
    coverage
}

fn count(n: usize, one: &'static str, many: &'static str) -> Safe {
    crate::text::units::plural(n, one, many)
}

/// What would let us see everything.
pub fn grant(server: &DatabaseSeen) -> Hint {
    Hint::Try(server.grant())
}

/// Joins what could not be read of two questions.
pub(super) fn worst<T, U>(a: &DecodedRows<T>, b: &DecodedRows<U>) -> Option<(usize, Safe)> {
    match (&a.bad, &b.bad) {
        (Some((n, why)), Some((m, _))) => Some((n + m, why.clone())),
        (one, other) => one.clone().or_else(|| other.clone()),
    }
}
