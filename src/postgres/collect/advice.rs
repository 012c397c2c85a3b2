//! Asks the catalog about the tables of an advice, and the planner, by `trial`, about indexes that exist for it alone or that it did not
//! take. What could not be asked leaves a candidate unverified.

use super::{
    explain::{Explained, Explainer, Request},
    server::get,
    transaction::{Access, ROLLBACK, send, under},
};
use crate::{
    connect::postgres::BurstAsk,
    error::Result,
    postgres::{
        advice::{
            self, IndexAdvice,
            candidate::Candidate,
            trial::{Forced, Hypothetical, Trial},
        },
        model::{ColumnFacts, IndexFacts, Plan, TableFacts},
        statement::Statement,
    },
    safe,
    text::Safe,
};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

/// Candidates that are asked about: each costs a few round trips.
const MOST: usize = 3;

const TABLES: &str = "SELECT n.nspname::text, c.relname::text, c.reltuples::float8, pg_relation_size(c.oid), \
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum), \
    ARRAY(SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum), \
    ARRAY(SELECT (SELECT s.n_distinct::float8 FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname \
        AND s.attname = a.attname ORDER BY s.inherited DESC LIMIT 1) FROM pg_attribute a \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum), \
    ARRAY(SELECT (SELECT s.avg_width FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname \
        AND s.attname = a.attname ORDER BY s.inherited DESC LIMIT 1) FROM pg_attribute a \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum), \
    (SELECT (t.n_tup_ins + t.n_tup_upd + t.n_tup_del)::float8 / nullif(extract(epoch FROM now() - d.stats_reset), 0)::float8 \
        FROM pg_stat_all_tables t, pg_stat_database d WHERE t.relid = c.oid AND d.datname = current_database()) \
    FROM unnest($1::text[], $2::text[]) w(s, r) JOIN pg_namespace n ON n.nspname = w.s \
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.r";

const INDEXES: &str = "SELECT w.s, w.r, i.relname::text, m.amname::text, x.indisvalid AND x.indisready, x.indpred IS NOT NULL, \
    pg_relation_size(i.oid), pg_stat_get_numscans(i.oid), \
    ARRAY(SELECT (SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = k.num AND k.num > 0) \
        FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(num, place) WHERE k.place <= x.indnkeyatts ORDER BY k.place) \
    FROM unnest($1::text[], $2::text[]) w(s, r) JOIN pg_namespace n ON n.nspname = w.s \
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.r JOIN pg_index x ON x.indrelid = c.oid \
    JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam ORDER BY i.relname";

impl Explainer<'_> {
    /// The advice that stands after the catalog and the planner were asked. What could not be asked leaves a candidate unverified.
    ///
    /// # Errors
    /// As the connection's; the plans that are known stay good.
    pub async fn advise(
        &self,
        statement: &Statement,
        request: &Request,
        of: &Explained,
        candidates: &[Candidate],
    ) -> Result<Vec<IndexAdvice>> {
        let mut found: Vec<IndexAdvice> = Vec::new();
        let candidates: Vec<&Candidate> = candidates.iter().filter(|c| c.schema.is_some()).take(MOST).collect();
        if candidates.is_empty() {
            return Ok(found);
        }
        let tables = self.tables(request, &candidates).await?;
        for candidate in candidates {
            let table = tables.iter().find(|t| t.name == candidate.relation && candidate.schema.as_ref() == Some(&t.schema));
            let Some(columns) = candidate.ranked(table) else { continue };
            let trial = match table.and_then(|t| t.leading_index(&columns)) {
                Some(index) => self
                    .without_seq_scans(statement, request)
                    .await
                    .ok()
                    .map(|plan| Trial::WithoutSeqScan(Forced::of(&of.plain, &plan, &index.name))),
                None if self.server.hypopg.is_none() => Some(Trial::NotInstalled),
                None => self.hypothetical(statement, request, &of.plain, (candidate, &columns)).await,
            };
            found.extend(advice::advise(candidate, table, trial.as_ref()).filter(|a| found.iter().all(|f| f.statement != a.statement)));
        }
        Ok(found)
    }

    async fn tables(&self, request: &Request, candidates: &[&Candidate]) -> Result<Vec<TableFacts>> {
        let doing = safe!("asking the catalog about the tables of the plan");
        let (schemas, names): (Vec<String>, Vec<String>) =
            candidates.iter().map(|c| (c.schema.as_ref().map(Safe::to_string).unwrap_or_default(), c.relation.to_string())).unzip();
        let named = || vec![(&schemas as &(dyn ToSql + Sync), Type::TEXT_ARRAY), (&names as _, Type::TEXT_ARRAY)];
        let limit = under(&request.limits, self.server.major(), &[]);
        let asks = [
            BurstAsk::plain(Access::Only.begin()),
            BurstAsk::plain(&limit),
            BurstAsk::plain("SET LOCAL search_path = pg_catalog, pg_temp"),
            BurstAsk::with(TABLES, named()),
            BurstAsk::with(INDEXES, named()),
            BurstAsk::plain(ROLLBACK),
        ];
        let mut answers = send(self.pg, &doing, &asks, request.limits.patience()).await?;
        answers.failed(4)?;
        let mut tables = answers.rows(3).map_err(|f| f.error)?.iter().map(table).collect::<Result<Vec<_>>>()?;
        tables.dedup_by(|a, b| (&a.schema, &a.name) == (&b.schema, &b.name));
        for row in answers.rows(4).map_err(|f| f.error)? {
            let (schema, name) = (Safe::name(get::<String>(&row, 0)?), Safe::name(get::<String>(&row, 1)?));
            let index = index(&row)?;
            if let Some(table) = tables.iter_mut().find(|t| t.schema == schema && t.name == name && !t.indexes.contains(&index)) {
                table.indexes.push(index);
            }
        }
        Ok(tables)
    }

    /// The statement with more and more of the columns indexed. None where not one could be tried.
    async fn hypothetical(&self, statement: &Statement, request: &Request, before: &Plan, of: (&Candidate, &[Safe])) -> Option<Trial> {
        let (candidate, columns) = of;
        let texts: Vec<String> =
            (1..=columns.len()).map(|n| candidate.hypothetical(columns.get(..n).unwrap_or(columns)).to_string()).collect();
        let tried = self.trials(statement, request, &texts).await.ok()?;
        let with = |(i, tried): (usize, super::TriedIndex)| {
            let bytes = tried.bytes.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            tried.plan.ok().map(|plan| Hypothetical::of(i + 1, before, &plan, bytes))
        };
        let tried: Vec<Hypothetical> = tried.into_iter().enumerate().filter_map(with).collect();
        (!tried.is_empty()).then_some(Trial::Hypothetical(tried))
    }
}

fn names(row: &Row, at: usize) -> Result<Vec<Safe>> {
    Ok(get::<Vec<String>>(row, at)?.into_iter().map(Safe::name).collect())
}

fn table(row: &Row) -> Result<TableFacts> {
    let (columns, types) = (names(row, 4)?, names(row, 5)?);
    let (distinct, widths): (Vec<Option<f64>>, Vec<Option<i32>>) = (get(row, 6)?, get(row, 7)?);
    let columns = columns.into_iter().zip(types).zip(distinct.into_iter().zip(widths));
    let columns = columns.map(|((name, type_name), (n_distinct, width))| ColumnFacts {
        name,
        type_name,
        n_distinct,
        width: width.and_then(|w| u64::try_from(w).ok()),
    });
    Ok(TableFacts {
        schema: Safe::name(get::<String>(row, 0)?),
        name: Safe::name(get::<String>(row, 1)?),
        rows: get(row, 2)?,
        bytes: u64::try_from(get::<i64>(row, 3)?).unwrap_or(0),
        columns: columns.collect(),
        indexes: Vec::new(),
        writes_per_s: get(row, 8)?,
    })
}

fn index(row: &Row) -> Result<IndexFacts> {
    Ok(IndexFacts {
        name: Safe::name(get::<String>(row, 2)?),
        method: Safe::name(get::<String>(row, 3)?),
        usable: get(row, 4)?,
        partial: get(row, 5)?,
        bytes: u64::try_from(get::<i64>(row, 6)?).unwrap_or(0),
        scans: get::<Option<i64>>(row, 7)?.and_then(|n| u64::try_from(n).ok()),
        columns: get::<Vec<Option<String>>>(row, 8)?.into_iter().map(|c| c.map(Safe::name)).collect(),
    })
}
