//! From pods, configuration and flags to the questions: which path, port and scheme, which Host, and which public URLs.

use super::Args;
use crate::{
    config::App,
    connect::{
        http::{HttpLimits, HttpQuestion, HttpTrust, HttpUrl, Proxies, Way},
        kube::Cluster,
    },
    error::Result,
    health::{
        collect::HealthTarget,
        model::{Asked, PodStanding},
    },
    kubernetes::{
        rollout,
        serving::{HttpProbe, Neighbourhood, Serving},
    },
    safe,
    text::{Safe, units},
};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use std::sync::Arc;

/// What all questions share.
pub(super) struct Planner<'a> {
    pub args: &'a Args,
    pub trust: HttpTrust,
    pub pods_trust: HttpTrust,
    pub proxies: Arc<Proxies>,
    pub now: Timestamp,
}

impl Planner<'_> {
    fn limits(&self) -> HttpLimits {
        HttpLimits { each: self.args.timeout, whole: self.args.timeout }
    }

    /// A URL, asked from here.
    pub fn url(&self, url: HttpUrl, app: Option<Safe>) -> HealthTarget {
        let question = HttpQuestion {
            way: Way::Direct(self.proxies.clone()),
            headers: Vec::new(),
            trust: self.trust.clone(),
            limits: self.limits(),
            url: url.clone(),
        };
        HealthTarget {
            name: url.shown(),
            asked: Asked::Url,
            app,
            says: None,
            question: Ok(Box::new(question)),
            dialect: self.args.dialect,
            pod: None,
        }
    }

    /// The public URLs of a pod: what the configuration says, else the hosts of its Ingresses.
    pub fn public(&self, pod: &Serving, app: Option<&App>, around: &Neighbourhood) -> Result<Vec<HttpUrl>> {
        let path = self.path(pod, app).unwrap_or_else(|| "/".to_owned());
        if let Some(url) = app.and_then(|a| a.url.as_deref()) {
            return Ok(vec![of_app(url, Some(&path))?]);
        }
        let hosts = around.hosts_of(pod).filter(|h| h.services.iter().any(|(_, prefix)| path.starts_with(prefix.as_str())));
        let urls = hosts.map(|h| HttpUrl::parse(&format!("{}://{}{path}", if h.https { "https" } else { "http" }, h.host)));
        Ok(urls.filter_map(Result::ok).take(5).collect())
    }

    fn path(&self, pod: &Serving, app: Option<&App>) -> Option<String> {
        let probe = [&pod.readiness, &pod.startup, &pod.liveness].into_iter().flatten().next().map(|p| p.path.clone());
        self.args.path.clone().or_else(|| app.and_then(|a| a.health.clone())).or(probe)
    }

    /// Whether a pod can be asked at all.
    pub fn asks(&self, pod: &Serving, app: Option<&App>) -> bool {
        self.path(pod, app).is_some()
    }

    /// A pod, asked through its own tunnel.
    pub fn pod(
        &self,
        pod: &Serving,
        name: Option<Safe>,
        app: Option<&App>,
        around: &Neighbourhood,
        cluster: &Arc<Cluster>,
    ) -> HealthTarget {
        let probe = [&pod.readiness, &pod.startup, &pod.liveness].into_iter().flatten().next();
        let path = self.path(pod, app);
        let port =
            self.args.port.or_else(|| app.and_then(|a| a.port)).or_else(|| probe.map(|p| p.port)).or_else(|| pod.ports.first().copied());
        let question = match (path, port) {
            (None, _) => Err("it has no HTTP probe, and no path is given: apps.NAME.health in the configuration, or --path".into()),
            (_, None) => Err("it names no port: apps.NAME.port in the configuration, or --port".into()),
            _ if pod.waits.len() == 1 => {
                Err(safe!("its container waits: {}", pod.waits.first().map(|(_, w)| w.clone()).unwrap_or_default()))
            }
            _ if pod.phase != "Running" => Err(safe!("it is {}", Safe::name(pod.phase.to_lowercase()))),
            (Some(path), Some(port)) => self.through(pod, probe, &path, port, app, around, cluster).map(Box::new),
        };
        let from = if self.args.path.is_some() {
            "--path"
        } else if app.is_some_and(|a| a.health.is_some()) {
            "the configuration"
        } else {
            "its probe"
        };
        let says = question
            .as_ref()
            .ok()
            .map(|q| safe!("{} port {} of {}, Host {}", Safe::name(&q.url.path), port.unwrap_or(0), from, Safe::name(&q.url.host)));
        HealthTarget {
            name: Safe::name(&pod.name),
            asked: Asked::Pod,
            app: name,
            says,
            question,
            dialect: self.args.dialect,
            pod: Some(self.standing(pod, around)),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a question is made of")]
    fn through(
        &self,
        pod: &Serving,
        probe: Option<&HttpProbe>,
        path: &str,
        port: u16,
        app: Option<&App>,
        around: &Neighbourhood,
        cluster: &Arc<Cluster>,
    ) -> Result<HttpQuestion, Safe> {
        // What a probe sends is meant for its own port.
        let probe = probe.filter(|p| p.port == port);
        let https = probe.is_some_and(|p| p.https);
        let own = probe
            .iter()
            .flat_map(|p| &p.headers)
            .filter_map(|(name, value)| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?)));
        let mut headers: Vec<(HeaderName, HeaderValue)> = own.collect();
        let forwarded = HeaderName::from_static("x-forwarded-proto");
        if !headers.iter().any(|(name, _)| *name == forwarded) {
            headers.push((forwarded, HeaderValue::from_static("https")));
        }
        let configured = app.and_then(|a| a.url.as_deref()).and_then(|u| HttpUrl::parse(u).ok()).map(|u| u.authority());
        let of_probe =
            probe.and_then(|p| p.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"))).map(|(_, host)| host.clone());
        let of_ingress = || around.hosts_of(pod).next().map(|h| h.host.clone());
        let host = configured.or(of_probe).or_else(of_ingress).or_else(|| pod.hosts.first().cloned()).unwrap_or_else(|| "localhost".into());
        let url = HttpUrl::parse(&format!("{}://{host}{path}", if https { "https" } else { "http" })).map_err(|e| e.says())?;
        let way = Way::Pod { cluster: cluster.clone(), namespace: pod.namespace.clone(), pod: pod.name.clone(), port };
        Ok(HttpQuestion { url, way, headers, trust: self.pods_trust.clone(), limits: self.limits() })
    }

    fn standing(&self, pod: &Serving, around: &Neighbourhood) -> PodStanding {
        let mut why: Vec<Safe> = Vec::new();
        why.extend(pod.waits.iter().map(|(container, reason)| safe!("container {} waits: {}", Safe::name(container), reason)));
        for (container, end) in &pod.ends {
            let ago = end.at.map(|at| safe!(" {} ago", units::duration(self.now.duration_since(at)))).unwrap_or_default();
            let reason = end.reason.clone().unwrap_or_else(|| "ended".into());
            why.push(safe!("container {} before this one: {}, status {}{}", Safe::name(container), reason, end.code, ago));
        }
        let events = around.events.iter().rev().filter(|(name, ..)| *name == pod.name).take(2);
        why.extend(events.map(|(_, at, says)| match at {
            Some(at) => safe!("{} ({} ago)", says, units::duration(self.now.duration_since(*at))),
            None => says.clone(),
        }));
        PodStanding {
            ready: pod.ready,
            since: pod.since,
            starting: !pod.ready && pod.grace_until.is_some_and(|until| until > self.now),
            new: !pod.ready && pod.new_until.is_some_and(|until| until > self.now),
            leaving: pod.leaving,
            restarts: pod.restarts,
            why,
            image: Some(Safe::name(rollout::tag(&pod.image))).filter(|tag| !tag.is_empty()),
        }
    }
}

/// The URL of an app: as it is where it names a path, else that of its health endpoint.
pub(super) fn of_app(url: &str, path: Option<&str>) -> Result<HttpUrl> {
    let url = HttpUrl::parse(url)?;
    match path.filter(|_| url.path == "/") {
        Some(path) => Ok(HttpUrl { path: path.to_owned(), ..url }),
        None => Ok(url),
    }
}
