//! The other systems' part of `doctor`: the broker, the databases, the public URLs; each is tried as the commands would try it.

use super::failed;
use crate::{
    answer::{Hint, Provenance},
    celery::{decode::info::info, keys::Keys, model::ServerRole},
    connect::{
        http::{self, HttpLimits, HttpQuestion, HttpTrust, HttpUrl, Way},
        redis::{Read, Redis, Reply},
    },
    doctor::{
        analyze,
        model::{Checkup, DoctorFacts, Fit},
    },
    error::{Error, Kind, Result},
    postgres::{collect::server_facts, model::PgServer},
    safe,
    session::Session,
    text::{Safe, units},
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// So long a public URL may take, in one phase and in all.
const PATIENCE: HttpLimits = HttpLimits { each: Duration::from_secs(5), whole: Duration::from_secs(10) };

/// Adds a system that was tried; one that nobody configured is absent, not broken.
fn add(facts: &mut DoctorFacts, system: &'static str, name: Safe, configured: bool, tried: Result<Checkup>) {
    facts.checkups.push(tried.unwrap_or_else(|error| {
        let mut checkup = failed(system, name, &error);
        if !configured && matches!(error.kind(), Kind::Config | Kind::NotFound) {
            checkup.fit = Fit::Absent;
        }
        checkup
    }));
}

/// The broker: its route, its server, the commands that our user may run, its clock.
pub(super) async fn broker(session: &Session, facts: &mut DoctorFacts, sources: &mut Vec<Provenance>) {
    let tried = async {
        let link = session.broker().await?;
        let redis = link.open().await?;
        let replies = redis.ask(&[Read::Info("server"), Read::Info("replication"), Read::Time]).await?;
        let server = info(replies.iter().take(2).filter_map(Reply::bytes));
        let role = match server.role {
            Some(ServerRole::Replica) => ", a replica",
            _ => "",
        };
        let version = server.version.unwrap_or_else(|| "of an unknown version".into());
        let route = link.route().map(|route| safe!(" ({})", route)).unwrap_or_default();
        let says = safe!("Redis {}{} at {} db {}{}", version, Safe::from(role), redis.at().await, redis.db(), route);
        let mut checkup = Checkup::good("redis", "broker".into(), says);
        if let Some(says) = replies.get(2).and_then(clock).and_then(|theirs| analyze::clock(session.now().timestamp(), theirs)) {
            checkup = checkup.lacking(says, None);
        }
        let refused = refused(&redis, &Keys::from(&link.transport)).await?;
        if !refused.is_empty() {
            let says = safe!("its user may not run {}", Safe::join(&refused, ", "));
            checkup = checkup.lacking(says, Some(Hint::Run("obsctl doctor --print redis-acl".into())));
        }
        sources.push(redis.provenance().await);
        Ok(link.warnings.iter().fold(checkup, |checkup, warning| checkup.lacking(warning.clone(), None)))
    };
    let tried = tried.await;
    add(facts, "redis", "broker".into(), session.env.broker.is_some(), tried);
}

fn clock(reply: &Reply) -> Option<Timestamp> {
    let second = std::str::from_utf8(reply.list().first()?.bytes()?).ok()?.parse().ok()?;
    Timestamp::from_second(second).ok()
}

/// The commands of `obsctl queue` that this user may not run, tried on a key that does not exist.
async fn refused(redis: &Redis, keys: &Keys) -> Result<Vec<Safe>> {
    let key = || keys.binding("obsctl-doctor");
    let probes = [
        Read::Scan { cursor: 0, pattern: key(), count: 1, of_type: None },
        Read::Sscan(key(), 0, 1),
        Read::Llen(key()),
        Read::Lindex(key(), 0),
        Read::Lrange(key(), 0, 0),
        Read::Hlen(key()),
        Read::Hmget(key(), vec![b"x".to_vec()]),
        Read::Hstrlen(key(), b"x".to_vec()),
        Read::Zcount(key(), "-inf".into(), "+inf".into()),
        Read::Zrange(key(), 0, 0),
        Read::Zscore(key(), b"x".to_vec()),
        Read::Get(key()),
        Read::MemoryUsage(key(), 1),
    ];
    let replies = redis.ask(&probes).await?;
    let mut refused: Vec<Safe> = probes
        .iter()
        .zip(&replies)
        .filter(|(_, reply)| reply.refused().is_some_and(|refusal| refusal.code.as_str() == "NOPERM"))
        .map(|(probe, _)| Safe::name(probe.words().swap_remove(0)))
        .collect();
    match redis.listen(&keys.event_channels(redis.db())).await {
        Err(error) if error.kind() == Kind::Denied => refused.push("PSUBSCRIBE".into()),
        _ => {}
    }
    Ok(refused)
}

/// The databases that are configured, else the one that the apps' variables name.
pub(super) async fn databases(session: &Session, facts: &mut DoctorFacts, sources: &mut Vec<Provenance>) {
    let configured = !session.env.postgres.is_empty();
    let names: Vec<String> = if configured { session.env.postgres.keys().cloned().collect() } else { vec!["main".to_owned()] };
    for name in names {
        let tried = async {
            let link = session.postgres(&name).await?;
            let pg = link.open().await?;
            let server = server_facts(&pg).await?;
            let checkup = Checkup::good("postgresql", safe!("postgres {}", Safe::name(&name)), database(&server, pg.route(), &link.at()));
            let sql = "SELECT extract(epoch FROM clock_timestamp())::float8";
            let rows = pg.rows("asking for the clock".into(), sql, &[]).await?;
            let second = rows.first().and_then(|row| row.try_get::<_, f64>(0).ok());
            let theirs = second.and_then(|second| Timestamp::from_millisecond((second * 1000.0) as i64).ok());
            sources.push(pg.provenance());
            let checkup = link.warnings.iter().fold(fitness(checkup, &server), |checkup, warning| checkup.lacking(warning.clone(), None));
            Ok(match theirs.and_then(|theirs| analyze::clock(session.now().timestamp(), theirs)) {
                Some(says) => checkup.lacking(says, None),
                None => checkup,
            })
        };
        let tried: Result<Checkup, Error> = tried.await;
        add(facts, "postgresql", safe!("postgres {}", Safe::name(&name)), configured, tried);
    }
}

fn database(server: &PgServer, route: &Safe, at: &Safe) -> Safe {
    let lag = server.replay_age_seconds.filter(|_| server.replica).map(|s| units::duration(SignedDuration::from_secs_f64(s.max(0.0))));
    let replica = match lag {
        Some(lag) => safe!(", a replica, {} behind", lag),
        None if server.replica => ", a replica".into(),
        None => Safe::EMPTY,
    };
    safe!("PostgreSQL {}{} at {} ({}), as {}", server.version, replica, *at, *route, server.role)
}

/// What this role lacks, or has too much of.
fn fitness(mut checkup: Checkup, server: &PgServer) -> Checkup {
    if let Some(why) = server.too_powerful() {
        checkup =
            checkup.lacking(safe!("{}: explain runs nothing as such a role", why), Some(Hint::Run("obsctl doctor --print grants".into())));
    }
    if !server.sees_others {
        let hint = Hint::Try(safe!("GRANT pg_monitor TO {}", server.role));
        checkup = checkup.lacking("other roles' statements and sessions are hidden".into(), Some(hint));
    }
    if server.pg_stat_statements.is_none() {
        let hint = Hint::Try("CREATE EXTENSION pg_stat_statements, with shared_preload_libraries = 'pg_stat_statements'".into());
        checkup = checkup.lacking("pg_stat_statements is not installed: no db slow, no explain --slowest".into(), Some(hint));
    }
    checkup
}

/// The public URLs of the apps: whether they answer at all. What they answer is `health`'s to say.
pub(super) async fn urls(session: &Session, facts: &mut DoctorFacts) {
    let urls = session.env.apps.iter().flat_map(|(name, app)| app.urls.iter().map(move |one| (name, app, one)));
    for (name, app, one) in urls {
        let tried = async {
            let base = HttpUrl::parse(&one.url)?;
            let path = one.health.path.as_deref().or(app.health.path.as_deref());
            let url = path.and_then(|path| base.join(path)).unwrap_or(base);
            let shown = url.shown();
            let trust = HttpTrust::machine();
            let question = HttpQuestion { url, way: Way::Direct(session.proxies.clone()), headers: Vec::new(), trust, limits: PATIENCE };
            let (seen, _) = http::ask(&question, &session.redact).await;
            if let Some(fault) = &seen.fault {
                return Err(Error::new(Kind::Unreachable, safe!("asking {}", shown)).what(fault.what.clone()));
            }
            let status = seen.status.map(|status| safe!("HTTP {}", status)).unwrap_or_default();
            Ok(Checkup::good("http", safe!("url {}", Safe::name(name)), safe!("{} answers {}", shown, status)))
        };
        let tried: Result<Checkup> = tried.await;
        add(facts, "http", safe!("url {}", Safe::name(name)), true, tried);
    }
}
