//! How each place is asked: what the configuration says of it, with its references resolved when somebody is about to ask. Secrets of one
//! place go to no other; a file that nobody trusted sends none of the cluster's to an address that it names itself.

use crate::{
    config::{HealthSettings, SecretRef, Sourced},
    connect::{http::HttpTrust, secret::needs_cluster},
    health::model::Dialect,
    safe,
    session::Session,
    text::Safe,
};
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Mutex;

/// How one place is asked.
#[derive(Clone)]
pub(super) struct Manner {
    pub path: Option<String>,
    pub host: Option<String>,
    pub dialect: Option<Dialect>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub trust: HttpTrust,
    /// Why it cannot be asked so: a reference that leads nowhere.
    pub broken: Option<Safe>,
}

/// Where what is sent arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrives {
    /// In a pod of the cluster.
    InPods,
    /// At an address of the file.
    Outside,
}

/// The manners of an environment. Cheap to clone; what was resolved stays resolved.
#[derive(Clone)]
pub(in crate::commands) struct Manners {
    machine: HttpTrust,
    anybody: HttpTrust,
    known: Arc<Mutex<BTreeMap<Safe, SecretString>>>,
}

impl Manners {
    pub fn new() -> Self {
        Self { machine: HttpTrust::machine(), anybody: HttpTrust::anybody(), known: Arc::default() }
    }

    /// Forgets what references gave: the next question reads them anew.
    pub async fn forget(&self) {
        self.known.lock().await.clear();
    }

    /// Of a place that nobody configured.
    pub fn plain(&self) -> Manner {
        Manner { path: None, host: None, dialect: None, headers: Vec::new(), trust: self.machine.clone(), broken: None }
    }

    /// Of a pod of no configured app.
    pub fn in_pods(&self) -> Manner {
        Manner { trust: self.anybody.clone(), ..self.plain() }
    }

    /// Of a place that these settings are for.
    pub async fn of(&self, settings: &HealthSettings, arrives: Arrives, session: &Session) -> Manner {
        let mut manner = Manner { path: settings.path.clone(), host: settings.host.clone(), dialect: settings.dialect, ..self.plain() };
        for (name, value) in &settings.headers {
            match self.header(name, value, arrives, session).await {
                Ok(value) => manner.headers.push((name.clone(), value)),
                Err(why) => {
                    manner.broken = Some(safe!("its header {}: {}", Safe::name(name.as_str()), why));
                    return manner;
                }
            }
        }
        // The kubelet verifies nothing in a pod; whoever has the cluster's credentials got there by them.
        match (&settings.ca, arrives) {
            (_, Arrives::InPods) => manner.trust = self.anybody.clone(),
            _ if settings.verify == Some(false) => manner.trust = self.anybody.clone(),
            (None, _) => {}
            (Some(ca), _) => {
                let trust = match self.value(ca, session).await {
                    Ok(pem) => HttpTrust::signed_by(&pem).map_err(|error| error.says()),
                    Err(why) => Err(why),
                };
                match trust {
                    Ok(trust) => manner.trust = trust,
                    Err(why) => manner.broken = Some(safe!("its ca: {}", why)),
                }
            }
        }
        manner
    }

    async fn header(
        &self,
        name: &HeaderName,
        value: &Sourced<SecretRef>,
        arrives: Arrives,
        session: &Session,
    ) -> Result<HeaderValue, Safe> {
        if arrives == Arrives::Outside && needs_cluster(&value.value) && !session.env.trusted {
            return Err("a file that nobody trusted yet may not send what the cluster holds to its own URL: obsctl config trust".into());
        }
        let text = self.value(value, session).await?;
        let parsed = HeaderValue::from_str(text.expose_secret().trim());
        let mut parsed = parsed.map_err(|_| safe!("{} is nothing that a header can hold", value.value.says()))?;
        let literal = matches!(value.value, SecretRef::Literal(_));
        parsed.set_sensitive(!literal || is_secret(name, &parsed, session));
        Ok(parsed)
    }

    async fn value(&self, value: &Sourced<SecretRef>, session: &Session) -> Result<SecretString, Safe> {
        let key = value.from.says();
        // Held across the question: two places that share a reference ask for it once.
        let mut known = self.known.lock().await;
        if let Some(found) = known.get(&key) {
            return Ok(found.clone());
        }
        let stop = session.stop.token();
        let found = tokio::select! {
            biased;
            () = stop.cancelled() => return Err("stopped".into()),
            found = session.resolve(value) => found.map_err(|error| error.says())?,
        };
        known.insert(key, found.clone());
        Ok(found)
    }
}

/// Whether a header holds a secret, as logs are judged too.
pub(super) fn is_secret(name: &HeaderName, value: &HeaderValue, session: &Session) -> bool {
    let Ok(text) = value.to_str() else { return true };
    session.redact.field(name.as_str(), text) != Safe::name(text)
}
