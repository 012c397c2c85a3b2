//! `--deep`: what the broker, the databases and the workers say to obsctl itself, by its own routes. Reads only; the comparison with what
//! the endpoints say is made elsewhere.

use crate::{
    answer::{Missing, Part, Provenance, Why},
    celery::{
        collect::workers::{WorkersQuestion, workers},
        decode::info::info,
        keys::Keys,
        model::ServerRole,
    },
    connect::redis::{Read, Redis, Reply},
    error::{Error, Kind, Result},
    health::model::{Condition, PartKind, SeenHere},
    safe,
    session::Session,
    text::{Safe, units},
};
use jiff::SignedDuration;
use std::time::Duration;
use tokio::time::Instant;

/// Workers beat every two seconds.
const HEAR_OUT: Duration = Duration::from_millis(2600);
/// Whether it answers, whether it is a replica, and how old what it last heard of its primary is.
const STANDING: &str = "SELECT pg_is_in_recovery(), \
    CASE WHEN pg_is_in_recovery() THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 END";

/// What was seen, what could not be, and where it came from.
#[derive(Default)]
pub(super) struct Deep {
    pub seen: Vec<SeenHere>,
    pub missing: Vec<Missing>,
    pub sources: Vec<Provenance>,
}

/// Asks all of them side by side.
pub(super) async fn look(session: &Session) -> Deep {
    let mut names: Vec<&str> = session.env.postgres.keys().map(String::as_str).collect();
    // What the file does not name, the apps' own variables may.
    if names.is_empty() && session.env.kube.is_some() {
        names.push("main");
    }
    let databases = futures_util::future::join_all(names.iter().map(|name| database(session, name)));
    let broker = async { if session.env.broker.is_some() || session.env.kube.is_some() { broker(session).await } else { Deep::default() } };
    let (databases, broker) = tokio::join!(databases, broker);
    let mut all = broker;
    for one in databases {
        all.join(one);
    }
    all
}

impl Deep {
    fn join(&mut self, other: Self) {
        self.seen.extend(other.seen);
        self.missing.extend(other.missing);
        self.sources.extend(other.sources);
    }

    /// What does not answer is ill; what we may not ask, or nobody knows the place of, says nothing.
    fn fault(&mut self, kind: PartKind, name: Safe, error: &Error) {
        match error.kind() {
            Kind::Unreachable | Kind::Timeout | Kind::Tls | Kind::Protocol => {
                self.seen.push(SeenHere { kind, name, condition: Condition::Failed, says: error.says() });
            }
            Kind::Cancelled => {}
            _ => {
                let system = if kind == PartKind::Database { "postgresql" } else { "redis" };
                let hint = error.hints().first().cloned();
                self.missing.push(Missing { part: Part { system, name }, why: Why::Unreachable(error.says()), hint });
            }
        }
    }
}

async fn database(session: &Session, name: &str) -> Deep {
    let (mut deep, shown) = (Deep::default(), Safe::name(name));
    let asking = async {
        let database = session.postgres(name).await?.open().await?;
        let begun = Instant::now();
        let rows = database.rows("asking whether it is a replica".into(), STANDING, &[]).await?;
        let took = took(begun);
        let replica = rows.first().and_then(|row| row.try_get::<_, bool>(0).ok()).unwrap_or_default();
        let behind = rows.first().and_then(|row| row.try_get::<_, Option<f64>>(1).ok()).flatten();
        Ok((replica, behind, took, database.provenance()))
    };
    match session.unless_stopped("asking the database".into(), asking).await {
        Ok((replica, behind, took, source)) => {
            deep.sources.push(source);
            let behind = behind.and_then(|s| SignedDuration::try_from_secs_f64(s).ok());
            let role = match (replica, behind) {
                (false, _) => "primary".into(),
                (true, Some(d)) => safe!("replica, its last change is {} old", units::duration(d)),
                (true, None) => "replica".into(),
            };
            // The database that an application writes to cannot be a replica.
            let condition = if replica && name == "main" { Condition::Degraded } else { Condition::Ok };
            deep.seen.push(SeenHere { kind: PartKind::Database, name: shown, condition, says: safe!("answers in {}, {}", took, role) });
        }
        Err(error) => deep.fault(PartKind::Database, shown, &error),
    }
    deep
}

async fn broker(session: &Session) -> Deep {
    let (mut deep, name) = (Deep::default(), Safe::from("broker"));
    let opening = async {
        let link = session.broker().await?;
        let redis = link.open().await?;
        let seen = redis_itself(&redis, name.clone()).await?;
        Ok((link, redis, seen))
    };
    match session.unless_stopped("asking the broker".into(), opening).await {
        Ok((link, redis, seen)) => {
            deep.sources.push(link.provenance(&redis).await);
            deep.seen.push(seen);
            let question = WorkersQuestion { listen: HEAR_OUT, bus: None, queues: Vec::new() };
            match workers(&redis, &Keys::from(&link.transport), &question, &session.stop.token()).await {
                Ok(seen) if seen.stopped => {}
                Ok(seen) => match seen.deaf {
                    Some(error) => deep.fault(PartKind::Workers, "workers".into(), &error),
                    None => deep.seen.push(heard(&seen.inventory, seen.beats.iter().map(|beat| &beat.worker))),
                },
                Err(error) => deep.fault(PartKind::Workers, "workers".into(), &error),
            }
        }
        Err(error) => deep.fault(PartKind::Redis, name, &error),
    }
    deep
}

async fn redis_itself(redis: &Redis, name: Safe) -> Result<SeenHere> {
    let begun = Instant::now();
    let replies = redis.ask(&[Read::Ping, Read::Info("replication")]).await?;
    let took = took(begun);
    let seen = |condition, says| Ok(SeenHere { kind: PartKind::Redis, name: name.clone(), condition, says });
    if let Some(Reply::Refused(refusal)) = replies.first() {
        return seen(Condition::Failed, safe!("PING is refused: {} {}", refusal.code, refusal.says));
    }
    let server = info(replies.get(1).and_then(Reply::bytes));
    match (server.role, server.link_up) {
        (Some(ServerRole::Replica), Some(false)) => {
            seen(Condition::Degraded, safe!("PONG in {}, and it is a replica that has lost its primary", took))
        }
        (Some(ServerRole::Replica), _) => seen(Condition::Degraded, safe!("PONG in {}, and it is a replica: nothing can be written", took)),
        (Some(ServerRole::Primary), _) => seen(Condition::Ok, safe!("PONG in {}, primary", took)),
        (None, _) => seen(Condition::Ok, safe!("PONG in {}", took)),
    }
}

/// Who was heard of those that are known.
fn heard<'a>(inventory: &[Safe], beats: impl Iterator<Item = &'a Safe>) -> SeenHere {
    let heard: std::collections::BTreeSet<&Safe> = beats.collect();
    let workers = units::plural(heard.len(), "worker", "workers");
    let silent: Vec<&Safe> = inventory.iter().filter(|name| !heard.contains(name)).collect();
    let (condition, says) = match (heard.len(), silent.len()) {
        (0, 0) => (Condition::Failed, "no worker is connected to the broker".into()),
        // One that is busy with `--pool solo`, or was told not to, does not beat.
        (0, n) => (Condition::Degraded, safe!("none of {} was heard within 3 s", units::plural(n, "worker", "workers"))),
        (_, 0) => (Condition::Ok, safe!("{} heard", workers)),
        (_, _) => (Condition::Ok, safe!("{} heard, and not {}", workers, Safe::join(silent.into_iter().take(3), ", "))),
    };
    SeenHere { kind: PartKind::Workers, name: "workers".into(), condition, says }
}

fn took(begun: Instant) -> Safe {
    let took = SignedDuration::try_from(begun.elapsed()).unwrap_or_default();
    if took.as_millis() < 1 { "< 1 ms".into() } else { units::duration(took) }
}
