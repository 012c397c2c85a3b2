//! What surrounds a statement: one look at sessions, locks, the tables that it reads, and the replica's state. A part that cannot be read
//! is said to be not seen; the others still are.

use super::{
    activity, locks,
    look::{ask, ask_one},
};
use crate::{
    connect::postgres::Postgres,
    error::{Error, Result},
    postgres::{
        decode::rows,
        model::{Circumstances, LookedAt, Plan, ReplicaState, TableStats},
    },
    text::Redactor,
};
use std::collections::BTreeSet;
use tokio_postgres::types::{ToSql, Type};

/// Their settings are those of the table, else of the server.
const TABLES: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.reltuples::float8 AS reltuples, \
    t.n_live_tup, t.n_dead_tup, t.n_mod_since_analyze, greatest(t.last_analyze, t.last_autoanalyze) AS analyzed, \
    coalesce(o.threshold, current_setting('autovacuum_analyze_threshold')::float8) \
    + coalesce(o.factor, current_setting('autovacuum_analyze_scale_factor')::float8) * greatest(c.reltuples, 0) AS analyze_after, \
    coalesce(io.heap_blks_hit, 0) + coalesce(io.idx_blks_hit, 0) AS hit, coalesce(io.heap_blks_read, 0) + coalesce(io.idx_blks_read, 0) AS read \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_stat_all_tables t ON t.relid = c.oid LEFT JOIN pg_statio_all_tables io ON io.relid = c.oid \
    LEFT JOIN LATERAL (SELECT max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_analyze_threshold') AS threshold, \
    max(option_value::float8) FILTER (WHERE option_name = 'autovacuum_analyze_scale_factor') AS factor \
    FROM pg_options_to_table(c.reloptions)) o ON true WHERE c.relkind IN ('r', 'p', 'm') AND c.oid = ANY (ARRAY[";

const REPLICA: &str = "SELECT pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() AS caught_up, \
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS replayed_s_ago, \
    pg_is_wal_replay_paused() AS paused, (SELECT bool_or(status = 'streaming') FROM pg_stat_wal_receiver) AS receiving, \
    (SELECT sum(confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock) FROM pg_stat_database_conflicts \
    WHERE datname = current_database())::bigint AS cancelled";

const OIDS: &str = "SELECT c.oid FROM unnest($1::text[], $2::text[]) w(s, r) JOIN pg_catalog.pg_namespace n ON n.nspname = w.s \
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.r";

/// Of a table with more partitions the first tell enough.
const MOST_TABLES: usize = 50;

/// Looks around. `tables` are their OIDs.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn circumstances(db: &Postgres, tables: &[u32], redact: &Redactor) -> Result<Circumstances> {
    let server = super::look::database_seen(db).await?;
    let locks = seen(locks::of(db, server.clone(), redact).await.map(|(facts, _)| facts));
    let activity = seen(activity::of(db, server.clone(), redact).await.map(|(facts, _)| facts));
    let tables = seen(tables_of(db, tables).await);
    let replica = match server.replica {
        true => Some(seen(ask_one(db, "asking how far the replica is", REPLICA, rows::replica).await)),
        false => None,
    };
    Ok(Circumstances { server, activity, locks, tables, replica })
}

/// Statistics of these tables.
///
/// # Errors
/// As `Postgres::rows`.
pub async fn tables_of(db: &Postgres, tables: &[u32]) -> Result<Vec<TableStats>> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let oids: Vec<String> = tables.iter().map(u32::to_string).collect();
    let texts = ask(db, "reading the statistics of its tables", &format!("{TABLES}{}]::oid[])", oids.join(","))).await?;
    Ok(rows::all(texts.iter().map(String::as_str), rows::table).rows)
}

/// The tables that a plan reads, as the catalog of this server has them; those of another database are left out.
///
/// # Errors
/// As `Postgres::rows`.
pub async fn tables_of_plan(db: &Postgres, plan: &Plan) -> Result<Vec<u32>> {
    let named = plan.nodes.iter().filter_map(|node| Some((node.schema.as_ref()?.to_string(), node.relation.as_ref()?.to_string())));
    let named: BTreeSet<(String, String)> = named.collect();
    let (schemas, tables): (Vec<String>, Vec<String>) = named.into_iter().take(MOST_TABLES).unzip();
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&schemas, Type::TEXT_ARRAY), (&tables, Type::TEXT_ARRAY)];
    let rows = db.rows("finding the tables of the plan".into(), OIDS, &parameters).await?;
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

/// How far a server is behind its primary; none where it is one.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn replica_state(db: &Postgres) -> Result<Option<LookedAt<ReplicaState>>> {
    let server = super::look::database_seen(db).await?;
    Ok(match server.replica {
        true => Some(seen(ask_one(db, "asking how far the replica is", REPLICA, rows::replica).await)),
        false => None,
    })
}

fn seen<T>(got: Result<T, Error>) -> LookedAt<T> {
    match got {
        Ok(value) => LookedAt::Seen(value),
        Err(error) => LookedAt::NotSeen(error.says()),
    }
}
