//! What tasks ended with, wherever Celery keeps it: in a Redis under a key for each, or in the table of django_celery_results. Finds the
//! results of what was found already, and of the ID that was asked for.

use super::{find::WHOLE, lists::LARGEST};
use crate::{
    celery::{
        decode::result,
        keys::Keys,
        model::{FindFacts, MOST_FOUND, TaskOutcome},
    },
    connect::{
        postgres::Postgres,
        redis::{Read, Redis, Reply},
    },
    error::Result,
    safe,
    text::{Redactor, Safe},
};
use tokio_postgres::types::Type;

/// Where results are kept.
pub enum ResultStore<'a> {
    /// In the broker's own Redis: a guess, where nothing says where they are.
    Broker(&'a Redis),
    /// In another Redis.
    Redis(&'a Redis),
    /// In the application's database.
    Django(&'a Postgres),
}

/// Adds the results of the tasks of an answer, and of the ID that was asked for.
///
/// # Errors
/// The store cannot be read. What is wrong with one result is among the troubles of the answer.
pub async fn results(store: &ResultStore<'_>, id: &str, facts: &mut FindFacts, redact: &Redactor) -> Result<()> {
    facts.searched.results = Some(match store {
        ResultStore::Broker(redis) => {
            in_redis(redis, id, facts, redact).await?;
            facts.searched.results_guessed = true;
            "in this Redis, where nothing says that they are".into()
        }
        ResultStore::Redis(redis) => {
            in_redis(redis, id, facts, redact).await?;
            safe!("in {} db {}", redis.at().await, redis.db())
        }
        ResultStore::Django(database) => {
            in_django(database, id, facts, redact).await?;
            safe!("in {}, table {}", database.provenance().at, result::TABLE)
        }
    });
    Ok(())
}

fn add(facts: &mut FindFacts, id: &Safe, outcome: TaskOutcome) {
    if let Some(task) = facts.task(id, false) {
        task.task = task.task.take().or_else(|| outcome.task.clone());
        task.outcome = Some(outcome);
    }
}

async fn in_redis(redis: &Redis, id: &str, facts: &mut FindFacts, redact: &Redactor) -> Result<()> {
    let mut ids: Vec<Safe> = facts.tasks.iter().map(|task| task.id.clone()).collect();
    let more = if id.len() == WHOLE { vec![Safe::name(id)] } else { named_like(redis, id, facts).await? };
    ids.extend(more.into_iter().filter(|id| facts.tasks.iter().all(|task| task.id != *id)));
    for id in ids {
        let Some(replies) = redis.ask_at_most(&[Read::Get(Keys::task_result(&id))], LARGEST).await? else {
            facts.searched.trouble.push(safe!("the result of {} is larger than 1 MiB", id));
            continue;
        };
        if let Some(refusal) = replies.iter().find_map(Reply::refused) {
            facts.searched.trouble.push(safe!("the result of {}: {} {}", id, refusal.code, refusal.says));
            continue;
        }
        let Some(raw) = replies.first().and_then(Reply::bytes) else { continue };
        match result::outcome(raw, redact) {
            Ok(outcome) => add(facts, &id, outcome),
            Err(undecodable) => facts.searched.trouble.push(safe!("the result of {}: {}", id, undecodable.0)),
        }
    }
    Ok(())
}

/// The IDs of results that begin so.
async fn named_like(redis: &Redis, id: &str, facts: &mut FindFacts) -> Result<Vec<Safe>> {
    // What is no part of a task's ID is no glob either.
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Ok(Vec::new());
    }
    let pattern = Keys::task_result(&format!("{id}*"));
    let skip = Keys::task_result("").len();
    let (mut cursor, mut ids) = (0, Vec::new());
    for _ in 0..400 {
        let scan = Read::Scan { cursor, pattern: pattern.clone(), count: 5000, of_type: None };
        let replies = redis.ask(&[scan]).await?;
        if let Some(refusal) = replies.iter().find_map(Reply::refused) {
            facts.searched.trouble.push(safe!("the names of results: {} {}", refusal.code, refusal.says));
            return Ok(ids);
        }
        let Some((next, found)) = replies.first().and_then(Reply::scan) else { break };
        ids.extend(found.iter().filter_map(Reply::bytes).filter_map(|key| key.get(skip..)).map(Safe::name));
        cursor = next;
        if cursor == 0 || ids.len() > MOST_FOUND {
            return Ok(ids);
        }
    }
    facts.searched.trouble.push("not all names of results were looked at".into());
    Ok(ids)
}

async fn in_django(database: &Postgres, id: &str, facts: &mut FindFacts, redact: &Redactor) -> Result<()> {
    let known: Vec<String> = facts.tasks.iter().map(|task| task.id.to_string()).collect();
    let like = result::like(id);
    let rows =
        database.rows("reading the result of a task".into(), result::QUERY, &[(&known, Type::TEXT_ARRAY), (&like, Type::TEXT)]).await?;
    if rows.len() > result::MOST_ROWS {
        facts.searched.trouble.push(safe!("more than {} results begin so", result::MOST_ROWS));
    }
    for row in rows.iter().take(result::MOST_ROWS) {
        let (id, raw): (String, String) = (row.try_get(0).unwrap_or_default(), row.try_get(1).unwrap_or_default());
        let id = Safe::name(&id);
        match result::stored(raw.as_bytes(), redact) {
            Ok(outcome) => add(facts, &id, outcome),
            Err(undecodable) => facts.searched.trouble.push(safe!("the result of {}: {}", id, undecodable.0)),
        }
    }
    Ok(())
}
