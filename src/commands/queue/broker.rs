//! The broker of the environment, opened: its connection, its names, and the first line of an answer from it.

use crate::{
    celery::keys::Keys,
    config::{QueueThresholds, Transport},
    connect::redis::Redis,
    error::Result,
    report::{Line, Out, Where},
    safe,
    session::Session,
    text::Safe,
};

/// A broker that answers.
pub(super) struct Opened {
    pub redis: Redis,
    pub keys: Keys,
    pub transport: Transport,
    pub thresholds: QueueThresholds,
    pub place: Where,
    /// What tells this broker from others, without credentials: the same URL is another Redis in another namespace.
    pub identity: String,
}

impl Opened {
    /// Opens it, and says what its user should know.
    pub async fn open(session: &Session, out: &mut Out) -> Result<Self> {
        let (opened, warnings) = Self::of(session).await?;
        for warning in session.env.warnings.iter().chain(&warnings) {
            out.note(&Line::plain(safe!("warning: {}", warning)));
        }
        Ok(opened)
    }

    /// Opens it; with the warnings of the way there.
    pub async fn of(session: &Session) -> Result<(Self, Vec<Safe>)> {
        let link = session.broker().await?;
        let redis = session.unless_stopped(safe!("connecting to the broker at {}", link.at()), link.open()).await?;
        let keys = Keys::from(&link.transport);
        let place = match link.cluster() {
            Some(cluster) => session.at_cluster(cluster, Safe::name(&cluster.namespace)),
            None => Where { environment: session.env.name.clone(), ..Where::default() },
        };
        let route = link.route().map(|route| safe!(" ({})", route)).unwrap_or_default();
        let place = Where { system: Some(safe!("{} db {}{}", redis.at().await, redis.db(), route)), ..place };
        let part = |text: &Option<Safe>| text.as_ref().map(Safe::to_string).unwrap_or_default();
        let [context, server, namespace] = [&place.context, &place.server, &place.namespace].map(part);
        let identity = format!("{context}{server} {namespace} {} {}", link.at(), keys.prefix);
        Ok((Self { redis, keys, transport: link.transport.clone(), thresholds: link.thresholds, place, identity }, link.warnings.clone()))
    }
}
