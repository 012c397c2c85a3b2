//! What a server says about itself and about our role, in one short transaction.

use super::transaction::{Access, Limits, ROLLBACK, send, under};
use crate::{
    connect::postgres::{BurstAsk, Postgres},
    error::{Error, Kind, Result},
    postgres::model::PgServer,
    safe,
    text::Safe,
};
use tokio_postgres::{Row, types::FromSql};

/// Roles that can do what no transaction undoes.
const POWERS: [&str; 3] = ["pg_execute_server_program", "pg_write_server_files", "pg_read_server_files"];
/// A session of the server that is so much older than ours belongs to a pooler, in seconds: a handshake takes less.
const OLDER: f64 = 2.0;

const FACTS: &str = "SELECT current_setting('server_version'), current_setting('server_version_num')::int, current_database()::text, \
    current_user::text, pg_is_in_recovery(), \
    CASE WHEN pg_is_in_recovery() THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END, \
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), \
    ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1::text[]) AND pg_has_role(current_user, oid, 'MEMBER') ORDER BY 1), \
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), \
    extract(epoch FROM clock_timestamp() - (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()))::float8, \
    (SELECT extversion FROM pg_extension WHERE extname = 'hypopg'), \
    (SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'), \
    (SELECT setting::int FROM pg_settings WHERE name = 'track_activity_query_size'), \
    current_setting('standard_conforming_strings') = 'on', version() LIKE '%linux%'";

/// Asks for them.
///
/// # Errors
/// `Protocol` for a server older than 14; else as the connection's.
pub async fn server_facts(pg: &Postgres) -> Result<PgServer> {
    facts(pg, &Limits::default()).await
}

pub(super) async fn facts(pg: &Postgres, limits: &Limits) -> Result<PgServer> {
    let doing = safe!("asking PostgreSQL about itself");
    let powers: Vec<&str> = POWERS.to_vec();
    let limit = under(limits, 14, &[]);
    let asks = [
        BurstAsk::plain(Access::Only.begin()),
        // Before the path is set, and with nothing in it that a path could lead astray.
        BurstAsk::plain("SELECT pg_catalog.current_setting('search_path')"),
        BurstAsk::plain(&limit),
        BurstAsk::plain("SET LOCAL search_path = pg_catalog, pg_temp"),
        BurstAsk::with(FACTS, vec![(&powers, tokio_postgres::types::Type::TEXT_ARRAY)]),
        BurstAsk::plain(ROLLBACK),
    ];
    let mut answers = send(pg, &doing, &asks, limits.patience()).await?;
    answers.failed(5)?;
    let path = answers.rows(1).map_err(|f| f.error)?;
    let rows = answers.rows(4).map_err(|f| f.error)?;
    let (Some(path), Some(row)) = (path.first(), rows.first()) else {
        return Err(Error::new(Kind::Protocol, doing).what("it answered without a row"));
    };
    let text = |at: usize| -> Result<Safe> { get::<String>(row, at).map(Safe::name) };
    let version_number = u32::try_from(get::<i32>(row, 1)?).unwrap_or(0);
    if version_number < 140_000 {
        return Err(Error::new(Kind::Protocol, doing).what(safe!("it is PostgreSQL {}; 14 and newer are understood", text(0)?)));
    }
    let server_age = get::<Option<f64>>(row, 9)?;
    let ours = pg.age().as_secs_f64();
    Ok(PgServer {
        version: text(0)?,
        version_number,
        database: text(2)?,
        role: text(3)?,
        replica: get(row, 4)?,
        replay_age_seconds: get(row, 5)?,
        superuser: get::<Option<bool>>(row, 6)?.unwrap_or(false),
        powers: get::<Vec<String>>(row, 7)?.into_iter().map(Safe::name).collect(),
        sees_others: get(row, 8)?,
        pooled: server_age.is_some_and(|age| age > ours + OLDER),
        search_path: Safe::name(get::<String>(path, 0)?),
        hypopg: get::<Option<String>>(row, 10)?.map(Safe::name),
        pg_stat_statements: get::<Option<String>>(row, 11)?.map(Safe::name),
        track_activity_query_size: usize::try_from(get::<i32>(row, 12)?).unwrap_or(1024),
        standard_conforming_strings: get(row, 13)?,
        linux: get(row, 14)?,
    })
}

/// A column, whose type the question fixes.
pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|_| {
        Error::new(Kind::Protocol, "reading the server's answer").what(safe!("column {} is of another type than asked for", at))
    })
}
