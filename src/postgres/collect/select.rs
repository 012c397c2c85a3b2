//! One reading statement of a user's own, run in the frame of `explain`: screened first, then prepared, compared with the tree that was
//! judged, and executed in a transaction that only reads and ends soon. Its rows come back as JSON, whatever their types.

use super::{
    explain::{Explainer, Request},
    transaction::{Access, send},
};
use crate::{
    answer::Hint,
    connect::postgres::BurstAsk,
    error::{Error, Kind, Result},
    postgres::statement::{Statement, StatementKind},
    safe,
    text::Safe,
};

/// So many rows are counted.
pub const MOST_ROWS: usize = 1000;

impl Explainer<'_> {
    /// The rows of a SELECT, each as the text of a JSON object whose keys stand in the order of its columns; at most `MOST_ROWS` and one.
    ///
    /// # Errors
    /// `Usage` for what is no SELECT, `Denied` for what may not run, `Timeout` where it takes too long; else as the connection's.
    pub async fn select(&self, sql: &str, request: &Request) -> Result<Vec<String>> {
        let doing = || Safe::from("running the statement of a check");
        let own = Statement::read(sql, self.server.standard_conforming_strings)?;
        if own.has_parameters() {
            return Err(Error::new(Kind::Usage, doing()).what("it has placeholders, and a check has no values for them"));
        }
        if own.seems == StatementKind::Write {
            return Err(Error::new(Kind::Denied, doing()).what("it changes rows: a check only reads"));
        }
        if let Some(power) = self.server.too_powerful().filter(|_| !request.allow_superuser) {
            return Err(Error::new(Kind::Denied, doing())
                .what(safe!("{}: what such a role runs is limited by nothing", power))
                .hint(Hint::Set("postgres: a role that only reads".into())));
        }
        // The whole is screened, so that nothing can be hidden in how the two are put together.
        let whole =
            format!("SELECT pg_catalog.row_to_json(obsctl_row)::pg_catalog.text FROM (\n{}\n) obsctl_row LIMIT {}", own.sql, MOST_ROWS + 1);
        let statement = Statement::read(&whole, self.server.standard_conforming_strings)?;
        let screened = self.screen(&statement, request).await?;
        if screened.shape.writes || screened.shape.locks {
            return Err(Error::new(Kind::Denied, doing()).what("it changes or locks rows: a check only reads"));
        }
        let opened = self.open(&statement, &request.limits, Access::Only).await?;
        let ran = async {
            if opened.tree != screened.tree {
                return Err(Error::new(Kind::Denied, doing()).what("what it reaches changed while it was being screened"));
            }
            let execute = format!("EXECUTE {}", opened.name);
            let mut answers = send(self.pg, &doing(), &[BurstAsk::plain(&execute)], request.limits.patience()).await?;
            answers.rows(0).map_err(|fault| match fault.state.as_deref() {
                Some("57014") => Error::new(Kind::Timeout, doing())
                    .what(safe!("it was cancelled after {} s, which is all that it may take", request.limits.statement.as_secs())),
                _ => fault.error,
            })
        };
        let rows = ran.await;
        self.close(&opened, &request.limits).await;
        let text = |row: &tokio_postgres::Row| {
            row.try_get::<_, String>(0).map_err(|_| Error::new(Kind::Protocol, doing()).what("a row that is no text"))
        };
        rows?.iter().map(text).collect()
    }
}
