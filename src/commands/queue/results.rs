//! The store of results of the environment, opened where the configuration says that it is; a gap where it cannot be read.

use super::broker::Opened;
use crate::{
    answer::{Coverage, Hint, Missing, Part, Permission, Provenance, Why},
    celery::{
        collect::results::{ResultStore, results},
        decode::result::TABLE,
        model::FindFacts,
    },
    connect::{broker::ResultBackend, postgres::Postgres, redis::Redis},
    error::{Error, Kind, Result},
    safe,
    session::Session,
    text::{Redactor, Safe},
};

/// Adds what the tasks of an answer ended with, and where that was read.
pub(super) async fn add(
    broker: &Opened,
    session: &Session,
    id: &str,
    facts: &mut FindFacts,
    redact: &Redactor,
    coverage: &mut Coverage,
    sources: &mut Vec<Provenance>,
) {
    let mut part = Part { system: "redis", name: "the stored results".into() };
    let asked: Result<Option<Provenance>> = async {
        match session.results().await? {
            ResultBackend::Unsaid => {
                results(&ResultStore::Broker(&broker.redis), id, facts, redact).await?;
                Ok(None)
            }
            ResultBackend::Redis(link) => {
                let redis: Redis = link.open().await?;
                results(&ResultStore::Redis(&redis), id, facts, redact).await?;
                coverage.bytes += redis.traffic().received();
                Ok(Some(redis.provenance().await))
            }
            ResultBackend::Django(name) => {
                part = Part { system: "postgresql", name: safe!("the stored results in database {}", Safe::name(&name)) };
                let database: Postgres = session.postgres(&name).await?.open().await?;
                results(&ResultStore::Django(&database), id, facts, redact).await?;
                Ok(Some(database.provenance()))
            }
            ResultBackend::Elsewhere(kind) => Err(Error::new(Kind::Config, "reading the stored results")
                .what(safe!("Celery keeps them in {}, which obsctl does not read: Redis and django-db it does", kind))),
        }
    }
    .await;
    match asked {
        Ok(None) => {}
        Ok(Some(source)) => {
            coverage.searched.push(Part { system: source.system, name: source.at.clone() });
            sources.push(source);
        }
        Err(error) => coverage.miss(missing(part, &error)),
    }
}

/// Why they were not read, and what would help.
fn missing(part: Part, error: &Error) -> Missing {
    let django = part.system == "postgresql";
    match error.kind() {
        Kind::Denied if django => {
            let needs = Permission { verb: "SELECT".into(), resource: TABLE.into(), scope: "that database".into() };
            Missing { part, why: Why::Refused(needs), hint: Some(Hint::Try(safe!("GRANT SELECT ON {} TO …", TABLE))) }
        }
        Kind::NotFound if django => {
            let hint = Hint::Set("results: {django_db: …}: the database of django_celery_results, and a role that sees its schema".into());
            Missing { part, why: Why::Unreachable(error.says()), hint: Some(hint) }
        }
        _ => Missing { part, why: Why::Unreachable(error.says()), hint: error.hints().first().cloned() },
    }
}
