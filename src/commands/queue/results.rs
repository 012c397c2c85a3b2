//! The store of results of the environment, opened where the configuration says that it is; a gap where it cannot be read.

use super::broker::Opened;
use crate::{
    answer::{Coverage, Hint, Missing, Part, Permission, Provenance, Why},
    celery::{
        collect::results::{ResultStore, results},
        decode::result::TABLE,
        model::FindFacts,
    },
    config::Results,
    connect::{postgres::Postgres, redis::Redis},
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
    let (asked, part): (Result<Option<Provenance>>, Part) = match &session.env.results {
        None => {
            let part = Part { system: "redis", name: "the stored results".into() };
            (results(&ResultStore::Broker(&broker.redis), id, facts, redact).await.map(|()| None), part)
        }
        Some(Results::At(endpoint)) => {
            let asked = async {
                let redis: Redis = session.results(endpoint).await?.open().await?;
                results(&ResultStore::Redis(&redis), id, facts, redact).await?;
                coverage.bytes += redis.traffic().received();
                Ok(Some(redis.provenance().await))
            };
            (asked.await, Part { system: "redis", name: "the stored results".into() })
        }
        Some(Results::DjangoDb(name)) => {
            let asked = async {
                let database: Postgres = session.postgres(&name.value).await?.open().await?;
                results(&ResultStore::Django(&database), id, facts, redact).await?;
                Ok(Some(database.provenance()))
            };
            (asked.await, Part { system: "postgresql", name: safe!("the stored results in database {}", Safe::name(&name.value)) })
        }
    };
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
