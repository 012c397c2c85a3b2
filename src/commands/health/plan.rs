//! From configuration and flags to the questions for URLs; what is true of all questions.

use super::{
    Args,
    manner::{Arrives, Manner, Manners},
};
use crate::{
    config::App,
    connect::http::{HttpLimits, HttpQuestion, HttpUrl, Proxies, Way},
    error::Result,
    health::{collect::HealthTarget, model::Asked},
    kubernetes::serving::{Neighbourhood, Serving},
    safe,
    session::Session,
    text::Safe,
};
use jiff::Timestamp;
use std::sync::Arc;

/// What all questions share.
pub(super) struct Planner<'a> {
    pub args: &'a Args,
    pub manners: Manners,
    pub proxies: Arc<Proxies>,
    pub now: Timestamp,
}

impl Planner<'_> {
    pub fn limits(&self) -> HttpLimits {
        HttpLimits { each: self.args.timeout, whole: self.args.timeout }
    }

    /// A URL, asked from here.
    pub fn url(&self, url: &HttpUrl, manner: &Manner, app: Option<Safe>) -> HealthTarget {
        let ask = |url: HttpUrl, way| HttpQuestion {
            url,
            way,
            headers: manner.headers.clone(),
            trust: manner.trust.clone(),
            limits: self.limits(),
        };
        let question = match (&manner.broken, &manner.host) {
            (Some(why), _) => Err(why.clone()),
            (None, None) => Ok(ask(url.clone(), Way::Direct(self.proxies.clone()))),
            (None, Some(host)) => {
                let named = HttpUrl::parse(&format!("{}://{host}{}", url.scheme(), url.path)).map_err(|error| error.says());
                named.map(|named| ask(named, Way::To { host: url.host.clone(), port: url.port }))
            }
        };
        HealthTarget {
            name: url.shown(),
            asked: Asked::Url,
            app,
            says: manner.host.as_ref().map(|host| safe!("Host {}", Safe::name(host))),
            question: question.map(Box::new),
            dialect: self.args.dialect.or(manner.dialect),
            pod: None,
        }
    }

    /// A URL that somebody typed. Where the configuration knows its scheme, host and port, it is asked as that says.
    pub async fn typed(&self, text: &str, session: &Session) -> Result<HealthTarget> {
        let url = of_app(text, self.args.path.as_deref())?;
        for configured in session.env.apps.values().flat_map(|app| &app.urls) {
            let Ok(known) = of_app(&configured.url, configured.health.path.as_deref()) else { continue };
            if known.same_origin(&url) {
                let manner = self.manners.of(&configured.health, Arrives::Outside, session).await;
                // Another path may speak another dialect.
                let dialect = manner.dialect.filter(|_| known.path == url.path);
                return Ok(self.url(&url, &Manner { dialect, ..manner }, None));
            }
        }
        Ok(self.url(&url, &self.manners.plain(), None))
    }

    /// The URLs of an app, as the configuration says them. `path` is that of its pods.
    pub async fn configured(&self, app: &App, path: Option<&str>, name: Option<&Safe>, session: &Session) -> Result<Vec<HealthTarget>> {
        let mut targets = Vec::new();
        for one in &app.urls {
            let url = of_app(&one.url, self.args.path.as_deref().or(one.health.path.as_deref()).or(path))?;
            let manner = self.manners.of(&one.health, Arrives::Outside, session).await;
            targets.push(self.url(&url, &manner, name.cloned()));
        }
        Ok(targets)
    }

    /// The URLs under which Ingresses lead to a pod. Nobody configured these hosts: they get no header.
    pub fn of_ingresses(
        &self,
        pod: &Serving,
        path: &str,
        manner: &Manner,
        name: Option<&Safe>,
        around: &Neighbourhood,
    ) -> Vec<HealthTarget> {
        let hosts = around.hosts_of(pod).filter(|h| h.services.iter().any(|(_, prefix)| path.starts_with(prefix.as_str())));
        let urls = hosts.map(|h| HttpUrl::parse(&format!("{}://{}{path}", if h.https { "https" } else { "http" }, h.host)));
        let plain = Manner { dialect: manner.dialect, ..self.manners.plain() };
        urls.filter_map(Result::ok).take(5).map(|url| self.url(&url, &plain, name.cloned())).collect()
    }
}

/// A URL as it is where it names a path, else with this one.
pub(super) fn of_app(url: &str, path: Option<&str>) -> Result<HttpUrl> {
    let url = HttpUrl::parse(url)?;
    match path.filter(|_| url.path == "/") {
        Some(path) => Ok(HttpUrl { path: path.to_owned(), ..url }),
        None => Ok(url),
    }
}
