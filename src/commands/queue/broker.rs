//! The broker of the environment, opened: its connection, its names, and the first line of an answer from it.
#![expect(clippy::disallowed_methods, reason = "dials until the session does")]

use crate::{
    answer::Hint,
    celery::keys::Keys,
    config::{Address, BrokerAddress, BrokerUrl, QueueThresholds, SecretRef, Transport},
    connect::redis::{Dial, Dialled, Login, Redis},
    error::{Error, Kind, Result},
    report::{Out, Where},
    safe,
    session::Session,
    text::Safe,
};
use secrecy::ExposeSecret;
use std::sync::Arc;
use tokio::net::TcpStream;

/// A broker that answers.
pub(super) struct Opened {
    pub redis: Redis,
    pub keys: Keys,
    pub transport: Transport,
    pub thresholds: QueueThresholds,
    pub place: Where,
    /// What tells this broker from others, without credentials.
    pub identity: String,
}

impl Opened {
    pub async fn open(session: &Session, out: &mut Out) -> Result<Self> {
        let none = || {
            Error::new(Kind::Config, "looking for the broker")
                .what("no broker is configured")
                .hint(Hint::Set("broker.url in obsctl.yaml, or CELERY_BROKER_URL".into()))
        };
        let broker = session.env.broker.clone().ok_or_else(none)?;
        let Address::Url(url) = &broker.endpoint.address else { return Err(none()) };
        let (SecretRef::Literal(url) | SecretRef::Variables { value: url, .. }) = &url.value else { return Err(none()) };
        let url = BrokerUrl::parse(url.expose_secret())?.into_iter().next().ok_or_else(none)?;
        for warning in session.env.warnings.iter().chain(&url.warnings) {
            out.note(&crate::report::Line::plain(safe!("warning: {}", warning)));
        }
        let BrokerAddress::Tcp { host, port } = url.address.clone() else { return Err(none()) };
        let at = safe!("{}:{}", Safe::name(&host), port);
        let dial: Dial = {
            let at = at.clone();
            Arc::new(move || {
                let (host, at) = (host.clone(), at.clone());
                Box::pin(async move {
                    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|e| {
                        Error::new(Kind::Unreachable, "connecting to Redis").what(safe!("{}: {}", at, Safe::name(e.to_string())))
                    })?;
                    let _ = stream.set_nodelay(true);
                    Ok(Dialled { stream: Box::new(stream), at })
                })
            })
        };
        let login = Login { user: url.user.clone(), password: url.password.clone(), db: u64::from(url.db) };
        let redis = Redis::open(dial, login, session.redact.clone()).await?;
        let keys = Keys::from(&broker.transport);
        let place = Where { environment: session.env.name.clone(), system: Some(safe!("{} db {}", at, url.db)), ..Where::default() };
        let identity = format!("{at}/{} {}", url.db, keys.prefix);
        Ok(Self { redis, keys, transport: broker.transport, thresholds: broker.thresholds, place, identity })
    }
}
