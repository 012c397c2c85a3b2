//! A database: one connection for all checks of it, asked one after the other.

use super::Rig;
use crate::{
    checks::{
        kind::{CheckKind, SqlAsk},
        kinds::{
            Glance, Sighting,
            postgres::{DatabaseLooks, sighting},
            sql,
        },
        spec::CheckSpec,
    },
    connect::postgres::Postgres,
    error::{Error, Result},
    postgres::{
        analyze::statements::{self, Readings},
        collect::{self, Explainer, Request},
        model::StatementOrder,
    },
    text::Safe,
};
use tokio::time::Instant;

impl Rig<'_> {
    pub(super) async fn database(&self, name: &str, ours: &[(usize, &CheckSpec)]) -> Vec<(usize, Glance)> {
        let opened = async {
            let link = self.session.postgres(name).await?;
            self.warn(&link.warnings);
            link.open().await
        };
        let db = match opened.await {
            Ok(db) => db,
            Err(error) => return super::same(ours, Err(self.blind(&error))),
        };
        self.source(db.provenance());
        let mut answers = Vec::new();
        let sessions: Vec<(usize, &CheckSpec)> = ours.iter().filter(|(_, s)| matches!(s.kind, CheckKind::Postgres(_))).copied().collect();
        if !sessions.is_empty() {
            let slow = sessions.iter().any(|(_, s)| s.thresholds().any(|t| t.figure == "slow"));
            let begun = Instant::now();
            let mut glance = self.sessions(name, &db, slow).await.map_err(|error| self.blind(&error));
            super::timed(&mut glance, begun);
            answers.extend(super::same(&sessions, glance));
        }
        for (i, spec) in ours {
            let CheckKind::Sql(ask) = &spec.kind else { continue };
            let begun = Instant::now();
            let mut glance = self.select(&db, ask).await.map_err(|error| self.blind(&error));
            super::timed(&mut glance, begun);
            answers.push((*i, glance));
        }
        answers
    }

    async fn sessions(&self, name: &str, db: &Postgres, slow: bool) -> Result<Sighting> {
        let redact = &self.session.redact;
        let (activity, _) = collect::activity::activity(db, redact).await?;
        let locks = collect::locks::locks(db, redact).await.map(|(facts, _)| facts);
        let replica = collect::circumstances::replica_state(db).await;
        let (slow, slow_findings) = match slow {
            true => self.slowest(db).await.map_or_else(|error| (Some(Err(error)), Vec::new()), |(slow, found)| (Some(Ok(slow)), found)),
            false => (None, Vec::new()),
        };
        Ok(sighting(DatabaseLooks { name, activity: &activity, locks: Some(locks), replica: Some(replica), slow, slow_findings }))
    }

    /// The statement with the longest mean, of those that ran often enough to matter.
    async fn slowest(&self, db: &Postgres) -> Result<(Option<(f64, Safe)>, Vec<crate::answer::Finding>), Error> {
        let server = collect::database_seen(db).await?;
        let (now, _) = collect::statements::reading(db, &server, false, &self.session.redact).await?;
        let readings = Readings { server, now: &now, from: None, before: None, running: &[] };
        let facts = statements::rank(&readings, StatementOrder::Mean, 5);
        let findings = statements::findings(&facts);
        let slowest = facts.statements.first().map(|s| (s.mean_ms / 1000.0, s.stats.query.clone().unwrap_or_default()));
        Ok((slowest, findings))
    }

    async fn select(&self, db: &Postgres, ask: &SqlAsk) -> Result<Sighting> {
        let explainer = Explainer::new(db, &self.session.redact).await?;
        let rows = explainer.select(&ask.statement, &Request::default()).await?;
        Ok(sql::sighting(&rows, ask.unit, &self.session.redact))
    }
}
