//! From a pod to the question for it: path, port, scheme and headers of its probe, the Host that it expects, and how the cluster says it is.

use super::{
    manner::{Manner, is_secret},
    plan::{Planner, of_app},
};
use crate::{
    config::App,
    connect::{
        http::{HttpQuestion, HttpUrl, Way},
        kube::Cluster,
    },
    health::{
        collect::HealthTarget,
        model::{Asked, PodStanding},
    },
    kubernetes::{
        rollout,
        serving::{HttpProbe, Neighbourhood, Serving},
    },
    safe,
    session::Session,
    text::{Safe, units},
};
use http::{HeaderName, HeaderValue, header};
use std::sync::Arc;

/// A pod, and everything that decides how it is asked.
pub(super) struct PodAsk<'a> {
    pub planner: &'a Planner<'a>,
    pub session: &'a Session,
    pub pod: &'a Serving,
    pub app: Option<&'a App>,
    pub name: Option<&'a Safe>,
    pub manner: &'a Manner,
    pub around: &'a Neighbourhood,
    pub cluster: &'a Arc<Cluster>,
}

/// Which probe says how a pod is asked: whether it takes requests is the nearest to the question.
fn leading(pod: &Serving) -> Option<&HttpProbe> {
    [&pod.readiness, &pod.startup, &pod.liveness].into_iter().flatten().next()
}

impl PodAsk<'_> {
    /// The path that is asked for. None: the pod cannot be asked at all.
    pub fn path(&self) -> Option<String> {
        let own = self.planner.args.path.clone().or_else(|| self.manner.path.clone());
        own.or_else(|| leading(self.pod).map(|p| p.path.clone()))
    }

    /// The pod as a target, asked through its own tunnel.
    pub fn target(&self) -> HealthTarget {
        let (pod, probe) = (self.pod, leading(self.pod));
        let configured = self.planner.args.port.or_else(|| self.app.and_then(|a| a.port));
        let port = configured.or_else(|| probe.map(|p| p.port)).or_else(|| pod.ports.first().copied());
        let question = match (self.path(), port) {
            (None, _) => Err("it has no HTTP probe, and no path is given: apps.NAME.health in the configuration, or --path".into()),
            (_, None) => Err("it names no port: apps.NAME.port in the configuration, or --port".into()),
            // A sidecar that waits does not keep the other from answering.
            (Some(path), Some(port)) => match pod.waits.iter().find(|(container, _)| *container == pod.container) {
                Some((_, reason)) => Err(safe!("its container waits: {}", reason)),
                None if pod.phase != "Running" => Err(safe!("it is {}", Safe::name(pod.phase.to_lowercase()))),
                None => self.question(probe, &path, port),
            },
        };
        let from = if self.planner.args.path.is_some() {
            "--path"
        } else if self.manner.path.is_some() {
            "the configuration"
        } else {
            "its probe"
        };
        let says = question.as_ref().ok().map(|q| {
            let port = port.unwrap_or(0);
            safe!("{} port {} of {}, Host {}", Safe::name(&q.url.path), port, from, Safe::name(q.url.authority()))
        });
        HealthTarget {
            name: Safe::name(&pod.name),
            asked: Asked::Pod,
            app: self.name.cloned(),
            says,
            question: question.map(Box::new),
            dialect: self.planner.args.dialect.or(self.manner.dialect),
            pod: Some(self.standing()),
        }
    }

    /// The question that the livenessProbe asks: the app's, its path, and the question.
    pub fn liveness(&self) -> Option<(Safe, Safe, HealthTarget)> {
        let probe = self.pod.liveness.as_ref().filter(|_| self.pod.ready)?;
        let question = self.question(Some(probe), &probe.path, probe.port).ok()?;
        let app = self.name.cloned().unwrap_or_else(|| Safe::name(&self.pod.name));
        let target = HealthTarget { question: Ok(Box::new(question)), ..self.target() };
        Some((app, Safe::name(&probe.path), target))
    }

    /// A path and a port of the pod, asked as a probe asks it.
    fn question(&self, probe: Option<&HttpProbe>, path: &str, port: u16) -> Result<HttpQuestion, Safe> {
        if let Some(why) = &self.manner.broken {
            return Err(why.clone());
        }
        // What a probe sends is meant for its own port.
        let probe = probe.filter(|p| p.port == port);
        let mut headers = self.manner.headers.clone();
        let mut add = |name: HeaderName, value: HeaderValue| {
            if name != header::HOST && !headers.iter().any(|(known, _)| *known == name) {
                headers.push((name, value));
            }
        };
        for (name, value) in probe.iter().flat_map(|p| &p.headers) {
            if let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                value.set_sensitive(is_secret(&name, &value, self.session));
                add(name, value);
            }
        }
        add(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"));
        let scheme = if probe.is_some_and(|p| p.https) { "https" } else { "http" };
        let url = HttpUrl::parse(&format!("{scheme}://{}{path}", self.host(probe, port))).map_err(|e| e.says())?;
        let (namespace, pod) = (self.pod.namespace.clone(), self.pod.name.clone());
        let way = Way::Pod { cluster: self.cluster.clone(), namespace, pod, port };
        Ok(HttpQuestion { url, way, headers, trust: self.manner.trust.clone(), limits: self.planner.limits() })
    }

    /// The Host that the pod expects: as configured, as its probe says, as the world calls it, as it allows itself; else its own address, as
    /// the kubelet does it.
    fn host(&self, probe: Option<&HttpProbe>, port: u16) -> String {
        let public = || {
            let first = self.app.and_then(|a| a.urls.first())?;
            first.health.host.clone().or_else(|| of_app(&first.url, None).ok().map(|u| u.authority()))
        };
        let of_probe = || probe?.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, host)| host.clone());
        let of_ingress = || self.around.hosts_of(self.pod).next().map(|h| h.host.clone());
        let own = || {
            let ip = self.pod.ip.as_deref()?;
            Some(if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") })
        };
        let configured = self.manner.host.clone().or_else(public);
        let told = configured.or_else(of_probe).or_else(of_ingress).or_else(|| self.pod.hosts.first().cloned());
        told.or_else(own).unwrap_or_else(|| "localhost".into())
    }

    fn standing(&self) -> PodStanding {
        let (pod, now) = (self.pod, self.planner.now);
        let mut why: Vec<Safe> = Vec::new();
        why.extend(pod.waits.iter().map(|(container, reason)| safe!("container {} waits: {}", Safe::name(container), reason)));
        for (container, end) in &pod.ends {
            let ago = end.at.map(|at| safe!(" {} ago", units::duration(now.duration_since(at)))).unwrap_or_default();
            let reason = end.reason.clone().unwrap_or_else(|| "ended".into());
            why.push(safe!("container {} before this one: {}, status {}{}", Safe::name(container), reason, end.code, ago));
        }
        let events = self.around.events.iter().rev().filter(|(name, ..)| *name == pod.name).take(2);
        why.extend(events.map(|(_, at, says)| match at {
            Some(at) => safe!("{} ({} ago)", says, units::duration(now.duration_since(*at))),
            None => says.clone(),
        }));
        PodStanding {
            ready: pod.ready,
            since: pod.since,
            starting: !pod.ready && pod.grace_until.is_some_and(|until| until > now),
            new: !pod.ready && pod.new_until.is_some_and(|until| until > now),
            leaving: pod.leaving,
            restarts: pod.restarts,
            why,
            image: Some(Safe::name(rollout::tag(&pod.image))).filter(|tag| !tag.is_empty()),
        }
    }
}
