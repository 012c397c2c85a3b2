//! Looks: from checks to what there is to see. Equal questions are asked once, and what one system knows is asked over few connections: the
//! broker's own, one per database, two per address. Judges nothing.

mod broker;
mod cluster;
mod command;
mod database;
mod health;
mod logs;
mod net;
mod round;
mod told;

use crate::{
    checks::{
        kind::CheckKind,
        kinds::{BlindSpot, Glance},
        model::{CheckStatus, Unanswered},
        spec::CheckSpec,
    },
    connect::http::HttpTrust,
    error::Result,
    safe,
    session::Session,
    text::{Safe, units},
};
use cluster::ClusterSeen;
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    sync::{OnceCell, Semaphore},
    time::{Instant, timeout},
};
use told::Told;

/// Looks at a time.
const AT_ONCE: usize = 64;
/// Connections to one address at a time.
const PER_ADDRESS: usize = 2;
/// Readings of logs at a time.
const LOGS: usize = 2;

/// What all looks share.
pub(super) struct Rig<'a> {
    session: &'a Session,
    patience: SignedDuration,
    trust: HttpTrust,
    addresses: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    logs: Semaphore,
    cluster: Mutex<Arc<OnceCell<Arc<ClusterSeen>>>>,
    told: Mutex<Told>,
    refused: AtomicBool,
}

/// Checks that one look answers.
#[derive(PartialEq)]
enum LookOf {
    Broker,
    Database(String),
    Cluster,
    Own,
}

/// Each check's place, and what it was answered with.
type Answers = Vec<(usize, Arc<Glance>)>;

impl<'a> Rig<'a> {
    pub fn new(session: &'a Session, patience: SignedDuration) -> Result<Self> {
        Ok(Self {
            session,
            patience,
            trust: HttpTrust::machine(),
            addresses: Mutex::default(),
            logs: Semaphore::new(LOGS),
            cluster: Mutex::default(),
            told: Mutex::default(),
            refused: AtomicBool::new(false),
        })
    }

    /// The session.
    pub fn session(&self) -> &Session {
        self.session
    }

    /// Forgets what was seen: a new round looks anew.
    fn forget(&self) {
        *lock(&self.cluster) = Arc::default();
    }

    /// Looks at everything; the answers stand in the order of the checks.
    async fn all(&self, specs: &[CheckSpec]) -> Vec<Arc<Glance>> {
        let mut groups: Vec<(LookOf, Vec<usize>)> = Vec::new();
        for (i, spec) in specs.iter().enumerate() {
            let of = match &spec.kind {
                CheckKind::Queue(_) | CheckKind::Workers | CheckKind::Beat | CheckKind::Redis => LookOf::Broker,
                CheckKind::Postgres(name) => LookOf::Database(name.clone()),
                CheckKind::Sql(ask) => LookOf::Database(ask.database.clone()),
                CheckKind::Kubernetes(_) => LookOf::Cluster,
                _ => LookOf::Own,
            };
            let same = |(other, members): &&mut (LookOf, Vec<usize>)| match of {
                LookOf::Own => *other == LookOf::Own && members.first().and_then(|m| specs.get(*m)).is_some_and(|m| m.kind == spec.kind),
                _ => *other == of,
            };
            match groups.iter_mut().find(same) {
                Some((_, members)) => members.push(i),
                None => groups.push((of, vec![i])),
            }
        }
        let looks = groups.into_iter().map(|(of, members)| self.bounded(of, members, specs));
        let answered: Vec<Answers> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        let mut found: Vec<(usize, Arc<Glance>)> = answered.into_iter().flatten().collect();
        found.sort_by_key(|(i, _)| *i);
        found.into_iter().map(|(_, glance)| glance).collect()
    }

    /// One look, within its time, and until the user stops it.
    async fn bounded(&self, of: LookOf, members: Vec<usize>, specs: &[CheckSpec]) -> Answers {
        let begun = Instant::now();
        let patience = Duration::try_from(self.patience).unwrap_or_default();
        let stop = self.session.stop.token();
        let none = |why, says: Safe| -> Answers {
            let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let spot = BlindSpot { why, says, next: Vec::new(), status: CheckStatus::Unknown, cluster_away: false, took_ms };
            let glance = Arc::new(Err(spot));
            members.iter().map(|i| (*i, glance.clone())).collect()
        };
        tokio::select! {
            biased;
            answered = timeout(patience, self.look(&of, &members, specs)) => match answered {
                Ok(answers) => answers.into_iter().map(|(i, mut glance)| {
                    timed(&mut glance, begun);
                    (i, Arc::new(glance))
                }).collect(),
                Err(_) => none(Unanswered::Timeout, safe!("no whole answer within {}", units::duration(self.patience))),
            },
            () = stop.cancelled() => none(Unanswered::Stopped, "stopped before it answered".into()),
        }
    }

    async fn look(&self, of: &LookOf, members: &[usize], specs: &[CheckSpec]) -> Vec<(usize, Glance)> {
        let ours: Vec<(usize, &CheckSpec)> = members.iter().filter_map(|i| Some((*i, specs.get(*i)?))).collect();
        match of {
            LookOf::Broker => same(&ours, self.broker(&ours).await),
            LookOf::Database(name) => self.database(name, &ours).await,
            LookOf::Cluster => self.pods(&ours).await,
            LookOf::Own => {
                let Some((_, first)) = ours.first() else { return Vec::new() };
                let glance = match &first.kind {
                    CheckKind::Health(ask) => self.health(ask).await,
                    CheckKind::Logs(ask) => self.logs(ask).await,
                    CheckKind::Http(ask) => self.http(ask, &ours).await,
                    CheckKind::Tcp(ask) => self.tcp(ask).await,
                    CheckKind::Tls(ask) => self.tls(ask).await,
                    CheckKind::Promql(ask) => self.promql(ask).await,
                    CheckKind::Command(words) => self.command(words).await,
                    _ => return Vec::new(),
                };
                same(&ours, glance)
            }
        }
    }

    /// The turn at an address.
    fn turn_at(&self, address: &str) -> Arc<Semaphore> {
        lock(&self.addresses).entry(address.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PER_ADDRESS))).clone()
    }

    /// What changed in the last hour, where a cluster was looked at.
    pub async fn changes(&self, now: Timestamp) -> Vec<Safe> {
        let cell = lock(&self.cluster).clone();
        cell.get().map(|seen| seen.changes(now, self.session)).unwrap_or_default()
    }
}

fn same(ours: &[(usize, &CheckSpec)], glance: Glance) -> Vec<(usize, Glance)> {
    ours.iter().map(|(i, _)| (*i, glance.clone())).collect()
}

fn timed(glance: &mut Glance, begun: Instant) {
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match glance {
        Ok(seen) if seen.took_ms == 0 => seen.took_ms = took,
        Err(spot) if spot.took_ms == 0 => spot.took_ms = took,
        _ => {}
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
