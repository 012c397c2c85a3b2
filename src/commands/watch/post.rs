//! Beside the rounds, and never in their way: what is to be told is sent, and the sign of life is given.

use super::desk::Desk;
use crate::{
    config::{Channel, RouteName},
    connect::http::{self, HttpLimits, HttpQuestion, HttpTrust, HttpUrl, Way},
    error::{Error, Kind, Result},
    notify::{
        decode,
        outbox::{Letter, Reaction},
        send::{Delivery, PostOffice, ReadyChannel},
    },
    safe,
    session::Session,
    text::Safe,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// How often the outbox is looked into for what may go again.
const LOOK: Duration = Duration::from_secs(1);
/// How long a sign of life may take.
const PING: Duration = Duration::from_secs(10);

/// Everybody who may be told.
pub(in crate::commands) struct Post {
    pub office: PostOffice,
    channels: Mutex<BTreeMap<String, Held>>,
}

/// A channel, and the secret that it was made ready with.
#[derive(Clone)]
struct Held {
    channel: Arc<ReadyChannel>,
    secret: Option<SecretString>,
}

impl Post {
    /// Makes these channels ready: what is wrong with one is found at the start, not at night.
    ///
    /// # Errors
    /// `Config`: the file is not trusted, or a channel's reference or address is wrong.
    pub async fn ready(session: &Session, wanted: impl Iterator<Item = &String>) -> Result<Self> {
        let settings = &session.env.notify;
        if settings.untrusted {
            return Err(Error::new(Kind::Config, "preparing the channels")
                .what("the file that names them lies in a project folder, and nobody trusted it yet")
                .hint(crate::answer::Hint::Run("obsctl config trust".into())));
        }
        let mut channels = BTreeMap::new();
        for name in wanted {
            let Some(channel) = settings.channels.get(name) else { continue };
            channels.insert(name.clone(), held(name, channel, session).await?);
        }
        let office = PostOffice { proxies: session.proxies.clone(), trust: HttpTrust::machine(), redact: session.redact.clone() };
        Ok(Self { office, channels: Mutex::new(channels) })
    }

    /// The channels, by name.
    pub fn channels(&self) -> Vec<(String, Arc<ReadyChannel>)> {
        self.held().iter().map(|(name, held)| (name.clone(), held.channel.clone())).collect()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is told, in words.
    pub(super) fn who(&self) -> Safe {
        let channels = self.held();
        if channels.is_empty() {
            return "nobody is told: the configuration names no channel for that".into();
        }
        let names: Vec<Safe> = channels.keys().map(Safe::name).collect();
        safe!("{} will be told", Safe::join(&names, ", "))
    }

    /// The channels of a route.
    pub(super) async fn of_route(session: &Session, route: RouteName) -> Result<Self> {
        Self::ready(session, session.env.notify.of(route).iter()).await
    }

    /// The channels of all routes.
    pub(super) async fn of_all(session: &Session) -> Result<Self> {
        let notify = &session.env.notify;
        Self::ready(session, notify.page.iter().chain(&notify.notify).chain(&notify.record)).await
    }

    async fn send(&self, letter: Letter, session: &Session) -> (Letter, Delivery) {
        let refused = |says: Safe| Delivery { reaction: Reaction::Refused, says };
        let held = self.held().get(&letter.channel).cloned();
        let attempt = match (held, decode::alert(&letter.alert, letter.again)) {
            (None, _) => refused("the configuration names no such channel any more".into()),
            (_, None) => refused("what was stored of it makes no sense".into()),
            (Some(held), Some(alert)) => {
                let first = held.channel.send(&alert, &self.office, session.now().timestamp()).await;
                match first.reaction {
                    Reaction::Refused => match self.rotated(&letter.channel, &held, session).await {
                        Some(anew) => anew.send(&alert, &self.office, session.now().timestamp()).await,
                        None => first,
                    },
                    _ => first,
                }
            }
        };
        (letter, attempt)
    }

    /// A channel that refused, with what its reference gives now; none where that is what it refused.
    async fn rotated(&self, name: &str, refused: &Held, session: &Session) -> Option<Arc<ReadyChannel>> {
        session.refresh().await;
        let anew = held(name, session.env.notify.channels.get(name)?, session).await.ok()?;
        let exposed = |held: &Held| held.secret.as_ref().map(|s| s.expose_secret().to_owned());
        if exposed(&anew) == exposed(refused) {
            return None;
        }
        let channel = anew.channel.clone();
        self.held().insert(name.to_owned(), anew);
        Some(channel)
    }

    /// Sends what is due, for ever; several at a time, so that a receiver that hangs holds up nobody else.
    pub(super) async fn deliver(&self, desk: &Desk, session: &Session) {
        let mut flying = FuturesUnordered::new();
        loop {
            flying.extend(desk.due(session.now().timestamp()).into_iter().map(|letter| self.send(letter, session)));
            tokio::select! {
                Some((letter, attempt)) = flying.next(), if !flying.is_empty() => {
                    desk.reacted(&letter, &attempt, session.now().timestamp());
                }
                _ = timeout(LOOK, desk.wake.notified()) => {}
            }
        }
    }
}

/// Makes a channel ready with what its reference gives now.
async fn held(name: &str, channel: &Channel, session: &Session) -> Result<Held> {
    let secret = match channel {
        Channel::Slack(v) | Channel::Discord(v) | Channel::PagerDuty(v, _) | Channel::Webhook(v) | Channel::Mail(v, ..) => {
            Some(session.resolve(v).await?)
        }
        Channel::Command(_) => None,
    };
    Ok(Held { channel: Arc::new(ReadyChannel::of(name, channel, secret.as_ref())?), secret })
}

/// Gives a sign of life after every round, for ever.
pub(super) async fn live(url: Option<&HttpUrl>, trust: &HttpTrust, desk: &Desk, session: &Session) {
    let mut unheard = false;
    loop {
        desk.alive.notified().await;
        let Some(url) = url else { continue };
        let way = Way::Direct(session.proxies.clone());
        let limits = HttpLimits { each: PING, whole: PING };
        let question = HttpQuestion { url: url.clone(), way, headers: Vec::new(), trust: trust.clone(), limits };
        let (exchange, _) = http::ask(&question, &session.redact).await;
        let heard = exchange.fault.is_none() && exchange.status.is_some_and(|s| (200..300).contains(&s));
        if !heard && !unheard {
            let what = exchange.fault.map(|f| f.what).or_else(|| exchange.status.map(|s| safe!("it answered {}", s))).unwrap_or_default();
            desk.remark(safe!("the sign of life is not heard: {}: {}", url.at(), what));
        }
        unheard = !heard;
    }
}
