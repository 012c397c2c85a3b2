//! Asks the catalog about the tables of an advice, and the planner about indexes that exist for it alone (hypopg) or that it did not take.
//! Plain EXPLAIN only, of the very statement that was screened, each in a short transaction of its own. A hypothetical index lives in the
//! server's session, not in the transaction: it is taken away before ROLLBACK whatever happened, since behind a pooler that session is
//! somebody else's a moment later.

use super::*;
use crate::postgres::{
    advice::{
        self, IndexAdvice,
        candidate::Candidate,
        trial::{Forced, Hypothetical, Trial},
    },
    model::{ColumnFacts, IndexFacts, TableFacts},
};
use tokio_postgres::types::Type;

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

const HYPOPG: &str =
    "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'";

/// What the catalog says.
#[derive(Default)]
struct Known {
    tables: Vec<TableFacts>,
    /// The schema of hypopg, quoted.
    hypopg: Option<String>,
}

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
        let known = self.known(request, &candidates).await?;
        for candidate in candidates {
            let table = known.tables.iter().find(|t| t.name == candidate.relation && candidate.schema.as_ref() == Some(&t.schema));
            let Some(columns) = candidate.ranked(table) else { continue };
            let exists = table.is_some_and(|t| t.leading_index(&columns).is_some());
            let trial = match (exists, &known.hypopg) {
                (true, _) => self.without_full_reads(statement, request, of, table, &columns).await?.map(Trial::WithoutSeqScan),
                (false, None) => Some(Trial::NotInstalled),
                (false, Some(schema)) => self.hypothetical(statement, request, of, (candidate, &columns), schema).await?,
            };
            found.extend(advice::advise(candidate, table, trial.as_ref()).filter(|a| found.iter().all(|f| f.statement != a.statement)));
        }
        Ok(found)
    }

    async fn known(&self, request: &Request, candidates: &[&Candidate]) -> Result<Known> {
        let doing = safe!("asking the catalog about the tables of the plan");
        let (schemas, names): (Vec<String>, Vec<String>) =
            candidates.iter().map(|c| (c.schema.as_ref().map(Safe::to_string).unwrap_or_default(), c.relation.to_string())).unzip();
        let named = || vec![(&schemas as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT_ARRAY), (&names as _, Type::TEXT_ARRAY)];
        let limit = under(&request.limits, self.server.major(), &[]);
        let asks = [
            BurstAsk::plain(Access::Only.begin()),
            BurstAsk::plain(&limit),
            BurstAsk::plain("SET LOCAL search_path = pg_catalog, pg_temp"),
            BurstAsk { sql: TABLES, parameters: named() },
            BurstAsk { sql: INDEXES, parameters: named() },
            BurstAsk::plain(HYPOPG),
            BurstAsk::plain(ROLLBACK),
        ];
        let mut answers = send(self.pg, &self.sent, &doing, &asks, request.limits.patience()).await?;
        answers.failed(5)?;
        let mut tables = answers.rows(3).map_err(|f| f.error)?.iter().map(table).collect::<Result<Vec<_>>>()?;
        tables.dedup_by(|a, b| (&a.schema, &a.name) == (&b.schema, &b.name));
        for row in answers.rows(4).map_err(|f| f.error)? {
            let (schema, name) = (Safe::name(get::<String>(&row, 0)?), Safe::name(get::<String>(&row, 1)?));
            let index = index(&row)?;
            if let Some(table) = tables.iter_mut().find(|t| t.schema == schema && t.name == name && !t.indexes.contains(&index)) {
                table.indexes.push(index);
            }
        }
        let hypopg = answers.rows(5).map_err(|f| f.error)?.first().map(|row| get(row, 0)).transpose()?;
        Ok(Known { tables, hypopg })
    }

    /// The statement with more and more of the columns indexed, as far as hypopg goes.
    async fn hypothetical(
        &self,
        statement: &Statement,
        request: &Request,
        of: &Explained,
        (candidate, columns): (&Candidate, &[Safe]),
        schema: &str,
    ) -> Result<Option<Trial>> {
        let mut tried = Vec::new();
        for count in 1..=columns.len() {
            let index = literal(&candidate.hypothetical(columns.get(..count).unwrap_or(columns)));
            let reset = format!("SELECT {schema}.hypopg_reset()");
            let create = format!("SELECT {schema}.hypopg_relation_size(h.indexrelid)::bigint FROM {schema}.hypopg_create_index({index}) h");
            let asked = self.try_plan(statement, request, of, &[&reset, &create], Some(&reset)).await?;
            let Some((plan, mut answers)) = asked else { return Ok(None) };
            let size = answers.rows(2).map_err(|f| f.error)?.first().map(|row| get::<i64>(row, 0)).transpose()?;
            tried.push(Hypothetical::of(count, &of.plain, &plan, size.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)));
        }
        Ok(Some(Trial::Hypothetical(tried)))
    }

    /// The statement where full reads are the last resort: does it take the index that is there?
    async fn without_full_reads(
        &self,
        statement: &Statement,
        request: &Request,
        of: &Explained,
        table: Option<&TableFacts>,
        columns: &[Safe],
    ) -> Result<Option<Forced>> {
        let asked = self.try_plan(statement, request, of, &["SET LOCAL enable_seqscan = off"], None).await?;
        let index = table.and_then(|t| t.leading_index(columns)).map(|i| i.name.clone());
        let cost = |plan: &Plan| plan.nodes.first().map_or(0.0, |n| n.total_cost);
        Ok(asked.map(|(plan, _)| Forced {
            chosen: cost(&of.plain),
            forced: cost(&plan),
            used: index.is_some() && plan.nodes.iter().any(|n| n.index == index),
        }))
    }

    /// Explains the statement after some commands, in a transaction of its own. None where it is no longer the one that was screened, or
    /// where one of the commands fails: then nothing is known, and nothing said.
    async fn try_plan(
        &self,
        statement: &Statement,
        request: &Request,
        of: &Explained,
        before: &[&str],
        after: Option<&str>,
    ) -> Result<Option<(Plan, Answers)>> {
        let doing = safe!("asking the planner about an index");
        let opened = self.open(statement, &request.limits, Access::Only).await?;
        let asked = async {
            if opened.tree != of.tree {
                return Ok(None);
            }
            let mode = if of.is_generic {
                "SET LOCAL plan_cache_mode = force_generic_plan"
            } else {
                "SET LOCAL plan_cache_mode = force_custom_plan"
            };
            let values = if of.is_generic { vec![None; opened.types.len()] } else { request.values.list.clone() };
            let plain = explain("", &opened, &values);
            let asks: Vec<BurstAsk<'_>> = [mode].iter().chain(before).chain(&[plain.as_str()]).map(|sql| BurstAsk::plain(sql)).collect();
            let answers = send(self.pg, &self.sent, &doing, &asks, request.limits.patience()).await;
            if let Some(after) = after {
                // Back to before a failure first: in a failed transaction nothing would be taken away.
                let asks = [BACK, after].map(BurstAsk::plain);
                let _ = send(self.pg, &self.sent, &doing, &asks, request.limits.patience()).await;
            }
            let mut answers = answers?;
            Ok(self.plan(&mut answers, before.len() + 1).ok().map(|plan| (plan, answers)))
        };
        let asked = asked.await;
        self.close(&opened, &request.limits).await;
        asked
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
