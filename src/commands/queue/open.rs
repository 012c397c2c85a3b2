//! The broker of the environment, connected: what every verb of `queue` begins with.
#![expect(clippy::disallowed_methods, reason = "dials directly until the session does")]

use crate::{
    answer::{Hint, Provenance},
    celery::keys::Keys,
    config::{Address, BrokerAddress, BrokerUrl, Transport},
    connect::{
        redis::{Dial, Dialled, Login, Redis},
        secret::{Secrets, needs_cluster},
    },
    error::{Error, Kind, Result},
    report::Where,
    safe,
    session::Session,
    text::Safe,
};
use secrecy::ExposeSecret;
use std::sync::Arc;

/// A broker that answers.
pub(super) struct OpenBroker {
    /// The connection.
    pub redis: Redis,
    /// Its names.
    pub keys: Keys,
    /// The queues that the configuration names.
    pub queues: Vec<String>,
    /// The first line of an answer.
    pub place: Where,
}

/// Connects to it.
pub(super) async fn open(session: &Session) -> Result<OpenBroker> {
    let connecting = "connecting to the broker";
    let missing = || {
        Error::new(Kind::Config, connecting)
            .what("the configuration names no broker")
            .hint(Hint::Set("broker.url of the environment, or CELERY_BROKER_URL".into()))
    };
    let broker = session.env.broker.as_ref().ok_or_else(missing)?;
    let Address::Url(url) = &broker.endpoint.address else { return Err(missing()) };
    let cluster = if needs_cluster(&url.value) { Some(session.cluster().await?) } else { None };
    let namespace = cluster.as_ref().map(|c| c.namespace.clone()).unwrap_or_default();
    let text = Secrets::new(cluster, namespace, session.redact.clone()).resolve(url).await?;
    let url = BrokerUrl::parse(text.expose_secret())?.into_iter().next().ok_or_else(missing)?;
    let BrokerAddress::Tcp { host, port } = url.address.clone() else {
        return Err(Error::new(Kind::Config, connecting).what("only a host and a port so far"));
    };
    let at = safe!("{}:{}", Safe::name(&host), port);
    let dial: Dial = Arc::new(move || {
        let (host, at) = (host.clone(), at.clone());
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect((host.as_str(), port)).await.map_err(|e| {
                let to = Provenance { system: "redis", at: at.clone(), through: None };
                Error::new(Kind::Unreachable, connecting).to(to).what(Safe::name(e.to_string()))
            })?;
            Ok(Dialled { stream: Box::new(stream), at })
        })
    });
    let login = Login { user: url.user, password: url.password, db: url.db.into() };
    let redis = Redis::open(dial, login, session.redact.clone()).await?;
    let server = redis.provenance().await.at;
    let place = Where { environment: session.env.name.clone(), server: Some(safe!("redis {}", server)), ..Where::default() };
    Ok(OpenBroker { keys: keys(&broker.transport), queues: broker.transport.queues.clone(), redis, place })
}

fn keys(transport: &Transport) -> Keys {
    Keys {
        prefix: transport.key_prefix.clone(),
        sep: transport.sep.clone(),
        steps: transport.priority_steps.clone(),
        unacked: transport.unacked_key.clone(),
        unacked_index: transport.unacked_index_key.clone(),
        visibility_timeout: transport.visibility_timeout,
    }
}
