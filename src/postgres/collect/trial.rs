//! Would this index help? Asked of the planner itself, with hypopg's hypothetical indexes, one at a time and inside of one transaction.
//! They live in the server's session and would outlast the rollback, so each is taken back before the next, and all before the end.

use super::{
    explain::{Explainer, Request, explain},
    look::OURS,
    server::get,
    transaction::{Access, BACK, send},
};
use crate::{
    connect::postgres::BurstAsk,
    error::{Error, Kind, Result},
    postgres::{model::Plan, statement::Statement},
    safe,
    text::Safe,
};
use tokio_postgres::types::Type;

/// What the planner makes of a hypothetical index.
#[derive(Clone, Debug)]
pub struct TriedIndex {
    /// The text that was given.
    pub statement: String,
    /// The plan with it, or why there is none.
    pub plan: Result<Plan, Safe>,
    /// How large it would be, by hypopg's estimate.
    pub bytes: Option<i64>,
}

const SCHEMA: &str = "SELECT pg_catalog.quote_ident(n.nspname::pg_catalog.text) FROM pg_catalog.pg_extension e \
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace WHERE e.extname OPERATOR(pg_catalog.=) 'hypopg'";
const TRIAL: &str = "SAVEPOINT obsctl_trial";
const END_OF_TRIAL: &str = "ROLLBACK TO SAVEPOINT obsctl_trial";

impl Explainer<'_> {
    /// Tries indexes, each a `CREATE INDEX` of obsctl's own making, for a statement that `explain` has screened.
    ///
    /// # Errors
    /// `NotFound` where hypopg is not installed; `Denied` where the statement was not screened or changed since; else as the connection's.
    pub async fn trials(&self, statement: &Statement, request: &Request, indexes: &[String]) -> Result<Vec<TriedIndex>> {
        let doing = safe!("trying an index");
        if self.server.hypopg.is_none() {
            return Err(Error::new(Kind::NotFound, doing).what("the extension hypopg is not installed in this database"));
        }
        let opened = self.open_screened(statement, &request.limits).await?;
        let tried = async {
            let mut answers = send(self.pg, &doing, &[BurstAsk::plain(SCHEMA)], request.limits.patience()).await?;
            let rows = answers.rows(0).map_err(|f| f.error)?;
            let schema: String = rows.first().map(|row| get(row, 0)).transpose()?.unwrap_or_default();
            let create =
                format!("SELECT ({schema}.hypopg_relation_size(c.indexrelid))::pg_catalog.int8 FROM {schema}.hypopg_create_index($1) c");
            let reset = format!("SELECT {schema}.hypopg_reset()");
            let generic = statement.has_parameters() && request.values.list.is_empty();
            let mode =
                if generic { "SET LOCAL plan_cache_mode = force_generic_plan" } else { "SET LOCAL plan_cache_mode = force_custom_plan" };
            let values = if generic { vec![None; opened.types.len()] } else { request.values.list.clone() };
            let plan = explain("", &opened, &values);
            let mut found = Vec::new();
            let trying = async {
                for index in indexes {
                    let asks = [
                        BurstAsk::plain(TRIAL),
                        BurstAsk::plain(mode),
                        BurstAsk::with(&create, vec![(index, Type::TEXT)]),
                        // A generic plan that is kept knows nothing of the new index.
                        BurstAsk::plain("DISCARD PLANS"),
                        BurstAsk::plain(&plan),
                        BurstAsk::plain(END_OF_TRIAL),
                        BurstAsk::plain(&reset),
                    ];
                    let mut answers = send(self.pg, &doing, &asks, request.limits.patience()).await?;
                    let size = answers.rows(2);
                    let plan = match &size {
                        Ok(_) => self.plan(&mut answers, 4).map_err(|f| f.error.what_happened().clone()),
                        Err(fault) => Err(fault.error.what_happened().clone()),
                    };
                    let bytes = size.ok().and_then(|rows| rows.first().and_then(|row| get::<Option<i64>>(row, 0).ok().flatten()));
                    found.push(TriedIndex { statement: index.clone(), plan, bytes });
                }
                Ok(())
            };
            let tried = trying.await;
            // Whatever became of them: none is left to whoever has the server's session next.
            let reset = format!("{reset} {OURS}");
            self.pg.last_burst(&[BurstAsk::plain(BACK), BurstAsk::plain(&reset)], request.limits.patience()).await;
            tried.map(|()| found)
        };
        let tried = tried.await;
        self.close(&opened, &request.limits).await;
        tried
    }

    /// The plan that the server would take if it could help itself: whether an index that exists could serve. For a statement that
    /// `explain` has screened.
    ///
    /// # Errors
    /// As `trials`.
    pub async fn without_seq_scans(&self, statement: &Statement, request: &Request) -> Result<Plan> {
        let doing = safe!("asking for the plan without sequential scans");
        let opened = self.open_screened(statement, &request.limits).await?;
        let generic = statement.has_parameters() && request.values.list.is_empty();
        let mode = if generic { "SET LOCAL plan_cache_mode = force_generic_plan" } else { "SET LOCAL plan_cache_mode = force_custom_plan" };
        let values = if generic { vec![None; opened.types.len()] } else { request.values.list.clone() };
        let plan = explain("", &opened, &values);
        let asks = [mode, "SET LOCAL enable_seqscan = off", plan.as_str()].map(BurstAsk::plain);
        let answered = send(self.pg, &doing, &asks, request.limits.patience()).await;
        let plan = answered.and_then(|mut answers| self.plan(&mut answers, 2).map_err(|f| f.error));
        self.close(&opened, &request.limits).await;
        plan
    }

    /// A transaction in which a statement is prepared whose tree is the one that was screened.
    async fn open_screened(&self, statement: &Statement, limits: &super::Limits) -> Result<super::explain::Opened> {
        let opened = self.open(statement, limits, Access::Only).await?;
        if self.was_screened(&statement.sql, &opened.tree) {
            return Ok(opened);
        }
        self.close(&opened, limits).await;
        Err(Error::new(Kind::Denied, "screening the statement").what("it was not screened, or what it reaches has changed since"))
    }
}
