//! Readings of pg_stat_statements. Its columns go by the version of the EXTENSION, which an upgrade of the server leaves behind.

use super::{
    look::{ask, ask_one, coverage},
    transaction::is_ours,
};
use crate::{
    answer::{Coverage, Hint},
    connect::postgres::Postgres,
    error::{Error, Kind, Result},
    postgres::{
        decode::rows,
        model::{Backend, DatabaseSeen, StatementReading, StatementsExtension, quoted},
        statement::shown::Asker,
    },
    safe,
    text::Redactor,
};

/// What the columns are called in each version; one name each for `decode`.
fn columns((major, minor): (u32, u32)) -> String {
    let from = |least: u32| major > 1 || minor >= least;
    let time =
        if from(8) { "s.total_exec_time AS total_ms, s.max_exec_time AS max_ms" } else { "s.total_time AS total_ms, s.max_time AS max_ms" };
    let io = match () {
        () if from(11) => {
            "s.shared_blk_read_time + s.shared_blk_write_time + s.local_blk_read_time + s.local_blk_write_time \
             + s.temp_blk_read_time + s.temp_blk_write_time"
        }
        () if from(10) => "s.blk_read_time + s.blk_write_time + s.temp_blk_read_time + s.temp_blk_write_time",
        () => "s.blk_read_time + s.blk_write_time",
    };
    let wal = if from(8) { "s.wal_bytes::float8 AS wal_bytes" } else { "NULL::float8 AS wal_bytes" };
    let toplevel = if from(9) { "s.toplevel" } else { "true AS toplevel" };
    let since = if from(11) { "s.stats_since" } else { "NULL::timestamptz AS stats_since" };
    format!(
        "s.queryid, d.datname, r.rolname, {toplevel}, s.query, s.calls, {time}, s.rows, s.shared_blks_hit AS hit, s.shared_blks_read AS read, \
         s.temp_blks_read + s.temp_blks_written AS temp, {io} AS io_ms, {wal}, {since}"
    )
}

fn missing(server: &DatabaseSeen) -> Error {
    Error::new(Kind::Denied, "reading pg_stat_statements")
        .what(safe!("the extension is not installed in database {}", server.database))
        .hint(Hint::Try(
            "CREATE EXTENSION pg_stat_statements;  with shared_preload_libraries = 'pg_stat_statements' in postgresql.conf".into(),
        ))
}

fn installed(server: &DatabaseSeen) -> Result<&StatementsExtension> {
    server.statements.as_ref().ok_or_else(|| missing(server))
}

/// One reading: of this database, or of all that the server has.
///
/// # Errors
/// `Denied` where the extension is not installed or not loaded; else as `Postgres::rows`.
pub async fn reading(db: &Postgres, server: &DatabaseSeen, all_databases: bool, redact: &Redactor) -> Result<(StatementReading, Coverage)> {
    let extension = installed(server)?;
    let schema = quoted(&extension.schema);
    let only = if all_databases { "" } else { "WHERE d.datname = current_database()" };
    let sql = format!(
        "SELECT {} FROM {schema}.pg_stat_statements s LEFT JOIN pg_database d ON d.oid = s.dbid LEFT JOIN pg_roles r ON r.oid = s.userid {only}",
        columns(extension.version)
    );
    let doing = "reading pg_stat_statements";
    let texts = ask(db, doing, &sql).await.map_err(|error| not_loaded(error, server))?;
    let mut read = rows::all(texts.iter().map(String::as_str), |text| rows::statement(text, redact));
    let ours = Some(Asker::Application("obsctl".into()));
    read.rows.retain(|statement| statement.asker != ours && !statement.query.as_deref().is_some_and(is_ours));
    let hidden = read.rows.iter().filter(|s| s.query.is_none()).count();
    let (at, reset_at, evictions) = if extension.version >= (1, 9) {
        let sql = format!("SELECT i.stats_reset, i.dealloc FROM {schema}.pg_stat_statements_info i");
        let (reset_at, evictions) = ask_one(db, doing, &sql, rows::reset).await?;
        (super::look::database_seen(db).await?.observed_at, reset_at, evictions)
    } else {
        (super::look::database_seen(db).await?.observed_at, None, None)
    };
    let coverage = coverage(server, &["pg_stat_statements"], hidden, read.bad);
    Ok((StatementReading { at, reset_at, evictions, statements: read.rows }, coverage))
}

/// An extension that was created, but whose library the server has not loaded.
fn not_loaded(error: Error, server: &DatabaseSeen) -> Error {
    if !error.what_happened().contains("shared_preload_libraries") {
        return error;
    }
    Error::new(Kind::Denied, "reading pg_stat_statements")
        .what(safe!("it is installed in database {}, but its library is not loaded", server.database))
        .hint(Hint::Set("shared_preload_libraries = 'pg_stat_statements' in postgresql.conf, and a restart of the server".into()))
}

/// The sessions that run something now: who asks, by the ID of the statement.
///
/// # Errors
/// As `Postgres::rows`.
pub async fn running(db: &Postgres, server: &DatabaseSeen, redact: &Redactor) -> Result<Vec<Backend>> {
    let (facts, _) = super::activity::of(db, server.clone(), redact).await?;
    Ok(facts.backends.into_iter().filter(|b| b.query_id.is_some()).collect())
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_follow_the_extensions_version() {
        assert!(columns((1, 7)).contains("s.total_time"));
        assert!(columns((1, 8)).contains("s.total_exec_time") && columns((1, 8)).contains("true AS toplevel"));
        assert!(columns((1, 10)).contains("temp_blk_read_time") && !columns((1, 10)).contains("shared_blk_read_time"));
        assert!(columns((1, 12)).contains("s.stats_since") && columns((2, 0)).contains("s.stats_since"));
    }
}
