//! Statements that the server knows: of a running session, or from pg_stat_statements. Such a statement is explained, and run only where
//! that was asked for.

use super::{
    server::get,
    transaction::{Access, Limits, ROLLBACK, send, under},
};
use crate::{
    answer::Hint,
    connect::postgres::{BurstAsk, Postgres},
    error::{Error, Kind, Result},
    postgres::{model::PgServer, statement::is_cut},
    safe,
    text::Safe,
};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

/// A statement as the server knows it. Its text is other people's: not safe to print.
#[derive(Clone, Debug)]
pub struct KnownStatement {
    /// Its text, with the literals of a session or with `$1` in their place.
    pub sql: String,
    /// What it is known by in the statistics.
    pub query_id: Option<i64>,
    /// The session that runs it.
    pub pid: Option<i32>,
}

/// By what the slowest statement is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slowness {
    /// All its calls together.
    #[default]
    Total,
    /// One call.
    Mean,
    /// The longest that runs right now.
    Now,
}

const OF_PID: &str = "SELECT a.query, a.query_id, a.pid FROM pg_stat_activity a WHERE a.pid = $1 AND a.datname = current_database()";
const NOW: &str = "SELECT a.query, a.query_id, a.pid FROM pg_stat_activity a WHERE a.datname = current_database() AND a.state = 'active' \
    AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND a.query <> '<insufficient privilege>' \
    ORDER BY a.query_start LIMIT 1 OFFSET $1";
/// A client that puts its literals into the text shows them here: the best example there is.
const LIVE: &str = "SELECT a.query, a.query_id, a.pid FROM pg_stat_activity a WHERE a.datname = current_database() AND a.query_id = $1 \
    AND a.query !~ '\\$[0-9]' AND a.pid <> pg_backend_pid() ORDER BY a.query_start DESC LIMIT 1";

/// The statement of a session.
///
/// # Errors
/// `NotFound` for no such session in this database; `Denied` where other roles' statements are not shown, or it was cut off.
pub async fn by_pid(pg: &Postgres, server: &PgServer, pid: i32) -> Result<KnownStatement> {
    let doing = safe!("looking for the statement of process {}", pid);
    let found = one(pg, server, &doing, OF_PID, vec![(&pid, Type::INT4)]).await?;
    let Some(known) = found else { return Err(Error::new(Kind::NotFound, doing).what("there is no such session in this database")) };
    whole(known, server, doing)
}

/// A running statement of this query ID with literals in it, if there is one.
///
/// # Errors
/// As the connection's.
pub async fn live_example(pg: &Postgres, server: &PgServer, query_id: i64) -> Result<Option<KnownStatement>> {
    let doing = safe!("looking for a session that runs it");
    let found = one(pg, server, &doing, LIVE, vec![(&query_id, Type::INT8)]).await?;
    Ok(found.and_then(|known| whole(known, server, doing).ok()))
}

/// The statement of this query ID in pg_stat_statements.
///
/// # Errors
/// `NotFound` where it is not there; `Denied` where the extension is not, or other roles' statements are not shown.
pub async fn by_query_id(pg: &Postgres, server: &PgServer, query_id: i64) -> Result<KnownStatement> {
    let doing = safe!("looking for query {}", query_id);
    let sql = statistics(pg, server, &doing, "s.queryid = $1 ORDER BY s.total_exec_time DESC LIMIT 1").await?;
    let found = one(pg, server, &doing, &sql, vec![(&query_id, Type::INT8)]).await?;
    let Some(known) = found else {
        return Err(Error::new(Kind::NotFound, doing).what("pg_stat_statements has no such query of this database"));
    };
    whole(known, server, doing)
}

/// The slowest statement of this database; `rank` counts from 1.
///
/// # Errors
/// As `by_query_id`.
pub async fn slowest(pg: &Postgres, server: &PgServer, by: Slowness, rank: u32) -> Result<KnownStatement> {
    let doing = safe!("looking for the slowest statement");
    let skipped = i64::from(rank.max(1) - 1);
    let sql = match by {
        Slowness::Now => NOW.to_owned(),
        // What is no read or write has no plan.
        Slowness::Total | Slowness::Mean => {
            let column = if by == Slowness::Total { "total_exec_time" } else { "mean_exec_time" };
            let order = format!(
                "s.query ~* '^\\s*(/\\*.*?\\*/\\s*)*\\(?(select|with|insert|update|delete|merge|values)\\y' ORDER BY s.{column} DESC LIMIT 1 OFFSET $1"
            );
            statistics(pg, server, &doing, &order).await?
        }
    };
    let found = one(pg, server, &doing, &sql, vec![(&skipped, Type::INT8)]).await?;
    let Some(known) = found else {
        // Texts that are hidden look like none.
        return Err(match server.sees_others {
            true => Error::new(Kind::NotFound, doing).what("there are not so many statements"),
            false => unseen(server, doing),
        });
    };
    whole(known, server, doing)
}

/// The question to pg_stat_statements, wherever it is installed.
async fn statistics(pg: &Postgres, server: &PgServer, doing: &Safe, rest: &str) -> Result<String> {
    if server.pg_stat_statements.is_none() {
        return Err(Error::new(Kind::Denied, doing.clone())
            .what("the extension pg_stat_statements is not installed in this database")
            .hint(Hint::Try("CREATE EXTENSION pg_stat_statements, with it in shared_preload_libraries".into())));
    }
    let schema = "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";
    let rows = ask(pg, server, doing, schema, Vec::new()).await?;
    let schema: String = rows.first().map(|row| get(row, 0)).transpose()?.unwrap_or_default();
    Ok(format!(
        "SELECT s.query, s.queryid, NULL::int4 FROM {schema}.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
         WHERE d.datname = current_database() AND s.queryid IS NOT NULL AND s.query NOT LIKE '%/*application=''obsctl''*/%' AND {rest}"
    ))
}

async fn ask(pg: &Postgres, server: &PgServer, doing: &Safe, sql: &str, parameters: Vec<(&(dyn ToSql + Sync), Type)>) -> Result<Vec<Row>> {
    let limits = Limits::default();
    let limit = under(&limits, server.major(), &[]);
    let asks = [
        BurstAsk::plain(Access::Only.begin()),
        BurstAsk::plain(&limit),
        BurstAsk::plain("SET LOCAL search_path = pg_catalog, pg_temp"),
        BurstAsk::with(sql, parameters),
        BurstAsk::plain(ROLLBACK),
    ];
    let mut answers = send(pg, doing, &asks, limits.patience()).await?;
    answers.failed(4)?;
    answers.rows(3).map_err(|f| f.error)
}

async fn one(
    pg: &Postgres,
    server: &PgServer,
    doing: &Safe,
    sql: &str,
    parameters: Vec<(&(dyn ToSql + Sync), Type)>,
) -> Result<Option<KnownStatement>> {
    let rows = ask(pg, server, doing, sql, parameters).await?;
    let read = |row: &Row| -> Result<KnownStatement> {
        Ok(KnownStatement { sql: get::<Option<String>>(row, 0)?.unwrap_or_default(), query_id: get(row, 1)?, pid: get(row, 2)? })
    };
    rows.first().map(read).transpose()
}

fn unseen(server: &PgServer, doing: Safe) -> Error {
    Error::new(Kind::Denied, doing)
        .what(safe!("{} does not see other roles' statements", server.role))
        .hint(Hint::Try(safe!("GRANT pg_monitor TO {};", server.role)))
}

/// Refuses what is not the whole statement.
fn whole(known: KnownStatement, server: &PgServer, doing: Safe) -> Result<KnownStatement> {
    if known.sql == "<insufficient privilege>" {
        return Err(unseen(server, doing));
    }
    if known.sql.is_empty() {
        return Err(Error::new(Kind::NotFound, doing).what("that session runs nothing"));
    }
    if known.pid.is_some() && is_cut(&known.sql, server.track_activity_query_size) {
        return Err(Error::new(Kind::Denied, doing)
            .what(safe!(
                "the server keeps {} bytes of a running statement (track_activity_query_size), and this one is longer",
                server.track_activity_query_size
            ))
            .hint(Hint::Try(match known.query_id {
                Some(id) => safe!("--queryid {}, if pg_stat_statements has it whole", id),
                None => "the whole text, from the application's source".into(),
            })));
    }
    Ok(known)
}
