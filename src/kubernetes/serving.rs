//! What a pod serves, and whether it does: its probes, ports and hosts, whether it is ready and why not; and the Services and Ingresses
//! before it. Read from the API's objects; only GET and LIST.

use super::{collect::Scope, model::End};
use crate::{
    answer::{Coverage, Hint, Missing, Part, Why},
    connect::kube::{Ask, Cluster, encode},
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use futures_util::future::join4;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        core::v1::{self, Event, Pod, Probe, Service},
        networking::v1::Ingress,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::collections::BTreeMap;

/// How long the containers of a new pod may take to be made, images and volumes among them.
const MAKING: SignedDuration = SignedDuration::from_mins(2);

/// An HTTP probe of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// The container that it is for.
    pub container: String,
    /// Its path.
    pub path: String,
    /// Its port, looked up where it was a name.
    pub port: u16,
    /// Whether it speaks TLS; the kubelet verifies nothing.
    pub https: bool,
    /// Its headers. They may be secret.
    pub headers: Vec<(String, String)>,
}

/// A pod as one that serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Serving {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `Pending`, `Running`, …
    pub phase: String,
    /// Whether it takes requests.
    pub ready: bool,
    /// Since when it does, or does not.
    pub since: Option<Timestamp>,
    /// Until when a container may take to start.
    pub grace_until: Option<Timestamp>,
    /// Until when it is new: it has just been made, or its container has just begun, and neither has gone wrong yet.
    pub new_until: Option<Timestamp>,
    /// Whether it is on its way out.
    pub leaving: bool,
    /// How often its containers were restarted.
    pub restarts: u32,
    /// What a container waits for: `CrashLoopBackOff`.
    pub waits: Vec<(String, Safe)>,
    /// How the containers before ended.
    pub ends: Vec<(String, End)>,
    /// Its address.
    pub ip: Option<String>,
    /// The container that serves.
    pub container: String,
    /// Its image.
    pub image: String,
    /// Asked whether it takes requests.
    pub readiness: Option<HttpProbe>,
    /// Asked whether it has to be restarted.
    pub liveness: Option<HttpProbe>,
    /// Asked whether it has started.
    pub startup: Option<HttpProbe>,
    /// Its ports, in order.
    pub ports: Vec<u16>,
    /// The hosts that its own variables allow, where they are written in its specification.
    pub hosts: Vec<String>,
}

/// A Service, as far as it leads to pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSeen {
    /// Its name.
    pub name: String,
    /// Whom it selects; empty: nobody.
    pub selector: BTreeMap<String, String>,
}

/// A host of an Ingress, and the Services behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressHost {
    /// The Ingress.
    pub ingress: String,
    /// The host.
    pub host: String,
    /// Whether it has TLS for it.
    pub https: bool,
    /// The Services, with the paths that lead to them.
    pub services: Vec<(String, String)>,
}

/// What stands around the pods of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Neighbourhood {
    /// The pods.
    pub pods: Vec<Serving>,
    /// The Services.
    pub services: Vec<ServiceSeen>,
    /// The hosts of Ingresses.
    pub hosts: Vec<IngressHost>,
    /// Warnings about pods, newest last: the pod's name, when, what.
    pub events: Vec<(String, Option<Timestamp>, Safe)>,
    /// What could not be looked at.
    pub coverage: Coverage,
}

impl Neighbourhood {
    /// The Services that lead to a pod.
    pub fn services_of(&self, pod: &Serving) -> impl Iterator<Item = &ServiceSeen> {
        self.services.iter().filter(|s| !s.selector.is_empty() && s.selector.iter().all(|(k, v)| pod.labels.get(k) == Some(v)))
    }

    /// The hosts under which the world reaches a pod.
    pub fn hosts_of(&self, pod: &Serving) -> impl Iterator<Item = &IngressHost> {
        let services: Vec<&str> = self.services_of(pod).map(|s| s.name.as_str()).collect();
        self.hosts.iter().filter(move |h| h.services.iter().any(|(name, _)| services.contains(&name.as_str())))
    }
}

/// Looks around in a scope.
///
/// # Errors
/// As `Cluster::list`, for the pods; what else could not be listed is in the coverage.
pub async fn look(cluster: &Cluster, scope: &Scope) -> Result<Neighbourhood> {
    let ask = |group: &str, plural: &'static str, query: &str| {
        let path = format!("{}{query}", scope.path(group, plural));
        Ask::new(safe!("listing the {} of {}", plural, scope.shown()), path, "list", plural, scope.namespace())
    };
    let warnings = format!("?fieldSelector={}", encode("involvedObject.kind=Pod,type=Warning"));
    let asks = (
        ask("api/v1", "pods", ""),
        ask("api/v1", "services", ""),
        ask("apis/networking.k8s.io/v1", "ingresses", ""),
        ask("api/v1", "events", &warnings),
    );
    let (pods, services, ingresses, events) = join4(
        cluster.list::<Pod>(&asks.0),
        cluster.list::<Service>(&asks.1),
        cluster.list::<Ingress>(&asks.2),
        cluster.list::<Event>(&asks.3),
    )
    .await;
    let mut coverage = Coverage::default();
    let pods = pods?;
    coverage.searched.push(Part { system: "kubernetes", name: "pods".into() });
    let services = noted(services, "services", &mut coverage)?;
    let ingresses = noted(ingresses, "ingresses", &mut coverage)?;
    let events = noted(events, "events", &mut coverage)?;
    Ok(Neighbourhood {
        pods: pods.iter().map(|p| serving(p, None)).collect(),
        services: services.into_iter().map(service).collect(),
        hosts: ingresses.iter().flat_map(hosts).collect(),
        events: warnings_of(events, cluster.redactor()),
        coverage,
    })
}

/// A refusal is a gap; everything else that fails is an error.
pub(super) fn noted<T>(result: Result<Vec<T>>, what: &'static str, coverage: &mut Coverage) -> Result<Vec<T>> {
    let part = Part { system: "kubernetes", name: what.into() };
    match result {
        Ok(found) => {
            coverage.searched.push(part);
            Ok(found)
        }
        Err(error) if error.kind() == Kind::Denied => {
            coverage.miss(Missing { part, why: refused(&error), hint: None });
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn refused(error: &Error) -> Why {
    let permission = error.hints().iter().find_map(|hint| if let Hint::Grant(p) = hint { Some(p.clone()) } else { None });
    permission.map_or_else(|| Why::Unreachable(error.says()), Why::Refused)
}

/// The API's pod as one that serves; `container` names the one that matters.
pub fn serving(raw: &Pod, container: Option<&str>) -> Serving {
    let meta = &raw.metadata;
    let Some(spec) = &raw.spec else { return Serving::default() };
    let status = raw.status.clone().unwrap_or_default();
    let has_http =
        |c: &&v1::Container| [&c.readiness_probe, &c.startup_probe, &c.liveness_probe].into_iter().flatten().any(|p| p.http_get.is_some());
    let serves = spec
        .containers
        .iter()
        .find(|c| container == Some(c.name.as_str()))
        .or_else(|| spec.containers.iter().find(has_http))
        .or_else(|| spec.containers.first());
    let state = status.container_statuses.iter().flatten();
    let ready = status.conditions.iter().flatten().find(|c| c.type_ == "Ready");
    let begun = serves
        .and_then(|c| state.clone().find(|s| s.name == c.name))
        .filter(|s| s.started != Some(true))
        .and_then(|s| s.state.as_ref()?.running.as_ref()?.started_at.as_ref().map(|t| t.0));
    let grace = serves.and_then(|c| c.startup_probe.as_ref().map(allowance));
    let new_for = newness(raw, serves.map(|c| c.name.as_str()), serves.and_then(|c| c.readiness_probe.as_ref()));
    Serving {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        labels: meta.labels.clone().unwrap_or_default(),
        phase: status.phase.clone().unwrap_or_default(),
        ready: ready.is_some_and(|c| c.status == "True") && meta.deletion_timestamp.is_none(),
        since: ready.and_then(|c| c.last_transition_time.as_ref()).map(|t| t.0),
        grace_until: begun.zip(grace).and_then(|(begun, grace)| begun.checked_add(grace).ok()),
        new_until: new_for.and_then(|(since, lasts)| since.checked_add(lasts).ok()),
        leaving: meta.deletion_timestamp.is_some(),
        restarts: state.clone().map(|s| u32::try_from(s.restart_count).unwrap_or(0)).sum(),
        waits: state
            .clone()
            .filter_map(|s| Some((s.name.clone(), s.state.as_ref()?.waiting.as_ref()?.reason.as_ref().map(Safe::name)?)))
            .collect(),
        ends: state.filter_map(|s| Some((s.name.clone(), end(s.last_state.as_ref()?.terminated.as_ref()?)))).collect(),
        ip: status.pod_ip.clone().filter(|ip| !ip.is_empty()),
        container: serves.map(|c| c.name.clone()).unwrap_or_default(),
        image: serves.and_then(|c| c.image.clone()).unwrap_or_default(),
        readiness: serves.and_then(|c| http(c, c.readiness_probe.as_ref())),
        liveness: serves.and_then(|c| http(c, c.liveness_probe.as_ref())),
        startup: serves.and_then(|c| http(c, c.startup_probe.as_ref())),
        ports: serves.iter().flat_map(|c| c.ports.iter().flatten()).filter_map(|p| u16::try_from(p.container_port).ok()).collect(),
        hosts: serves.map(allowed).unwrap_or_default(),
    }
}

fn end(raw: &v1::ContainerStateTerminated) -> End {
    End {
        code: raw.exit_code,
        reason: raw.reason.as_ref().map(Safe::name),
        started: raw.started_at.as_ref().map(|t| t.0),
        at: raw.finished_at.as_ref().map(|t| t.0),
        id: raw.container_id.clone(),
    }
}

/// Since when a pod is new, and how long that may last: while nothing has gone wrong with it, its containers may take a while to be made, and
/// the one that serves may take as long to be ready as its readinessProbe allows. One that was restarted is not new.
fn newness(raw: &Pod, serves: Option<&str>, readiness: Option<&Probe>) -> Option<(Timestamp, SignedDuration)> {
    let status = raw.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().any(|c| c.type_ == "PodScheduled" && c.status == "False");
    let mut states = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let waits = |s: &v1::ContainerStatus| s.state.as_ref().and_then(|s| s.waiting.as_ref()).and_then(|w| w.reason.clone());
    let harmless = |reason: &String| matches!(reason.as_str(), "ContainerCreating" | "PodInitializing");
    if unscheduled || states.any(|s| s.restart_count > 0 || waits(s).is_some_and(|reason| !harmless(&reason))) {
        return None;
    }
    let served = status.container_statuses.iter().flatten().find(|s| Some(s.name.as_str()) == serves);
    match served.and_then(|s| s.state.as_ref()) {
        Some(v1::ContainerState { running: Some(running), .. }) => Some((running.started_at.as_ref()?.0, readiness.map(allowance)?)),
        Some(v1::ContainerState { terminated: Some(_), .. }) => None,
        _ => Some((raw.metadata.creation_timestamp.as_ref()?.0, MAKING)),
    }
}

/// How long the probes of a container let it take.
fn allowance(probe: &Probe) -> SignedDuration {
    let of = |value: Option<i32>, usual: i64| value.map_or(usual, i64::from).clamp(0, 86_400);
    let tries = of(probe.failure_threshold, 3) * of(probe.period_seconds, 10);
    SignedDuration::from_secs(of(probe.initial_delay_seconds, 0) + tries.min(86_400))
}

fn http(container: &v1::Container, probe: Option<&Probe>) -> Option<HttpProbe> {
    let get = probe?.http_get.as_ref()?;
    let port = match &get.port {
        IntOrString::Int(number) => u16::try_from(*number).ok()?,
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|p| p.name.as_ref() == Some(name))?;
            u16::try_from(named.container_port).ok()?
        }
    };
    Some(HttpProbe {
        container: container.name.clone(),
        path: get.path.clone().filter(|p| !p.is_empty()).unwrap_or_else(|| "/".into()),
        port,
        https: get.scheme.as_deref() == Some("HTTPS"),
        headers: get.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect(),
    })
}

/// The hosts of `ALLOWED_HOSTS` and its like; a wildcard is no host.
fn allowed(container: &v1::Container) -> Vec<String> {
    let values = container.env.iter().flatten().filter(|e| e.name.ends_with("ALLOWED_HOSTS")).filter_map(|e| e.value.as_deref());
    let hosts = values.flat_map(|v| v.split([',', ' ', ';'])).map(|h| h.trim_matches(['[', ']', '"', '\'', ' ']).trim_start_matches('.'));
    hosts.filter(|h| !h.is_empty() && !h.contains('*')).map(str::to_owned).collect()
}

fn service(raw: Service) -> ServiceSeen {
    let spec = raw.spec.unwrap_or_default();
    ServiceSeen { name: raw.metadata.name.unwrap_or_default(), selector: spec.selector.unwrap_or_default() }
}

fn hosts(raw: &Ingress) -> Vec<IngressHost> {
    let Some(spec) = &raw.spec else { return Vec::new() };
    let secured: Vec<&String> = spec.tls.iter().flatten().flat_map(|t| t.hosts.iter().flatten()).collect();
    let rules = spec.rules.iter().flatten().filter_map(|rule| {
        let host = rule.host.clone().filter(|h| !h.contains('*'))?;
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        let services = paths.filter_map(|p| Some((p.backend.service.as_ref()?.name.clone(), p.path.clone().unwrap_or_else(|| "/".into()))));
        let ingress = raw.metadata.name.clone().unwrap_or_default();
        Some(IngressHost { ingress, https: secured.contains(&&host), services: services.collect(), host })
    });
    rules.collect()
}

fn warnings_of(events: Vec<Event>, redact: &Redactor) -> Vec<(String, Option<Timestamp>, Safe)> {
    let mut warnings: Vec<_> = events
        .into_iter()
        .filter_map(|event| {
            let at = event_time(&event);
            let times = event.count.or(event.series.as_ref().and_then(|s| s.count)).unwrap_or(1);
            let message = redact.safe(event.message.as_deref().unwrap_or_default().trim().as_bytes()).clipped(240);
            let again = if times > 1 { safe!(" (× {})", times) } else { Safe::EMPTY };
            let reason = Safe::name(event.reason.unwrap_or_default());
            Some((event.involved_object.name?, at, safe!("{}{}: {}", reason, again, message)))
        })
        .collect();
    warnings.sort_by_key(|(_, at, _)| *at);
    warnings
}

/// When an event last happened.
pub fn event_time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|s| s.last_observed_time.as_ref()).map(|t| t.0);
    series.or(event.last_timestamp.as_ref().map(|t| t.0)).or(event.event_time.as_ref().map(|t| t.0)).or(event
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|t| t.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Serving {
        let raw: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"containers": [
                {"name": "sidecar"},
                {"name": "web", "image": "registry.example:5000/shop/web:0.57.0",
                 "env": [{"name": "DJANGO_ALLOWED_HOSTS", "value": "*, .example.org,app.example.org"}],
                 "ports": [{"name": "http", "containerPort": 8000}],
                 "startupProbe": {"httpGet": {"path": "/healthz", "port": 8000}, "failureThreshold": 30, "periodSeconds": 2, "initialDelaySeconds": 5},
                 "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http", "scheme": "HTTPS", "httpHeaders": [{"name": "Host", "value": "app.example.org"}]}},
                 "livenessProbe": {"exec": {"command": ["true"]}}}]},
            "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T02:49:00Z"}],
                "containerStatuses": [{"name": "web", "ready": false, "started": false, "restartCount": 4, "image": "", "imageID": "",
                    "state": {"running": {"startedAt": "2026-11-21T02:50:00Z"}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-21T02:49:50Z"}}}]}
        }))
        .expect("a pod");
        serving(&raw, None)
    }

    #[test]
    fn a_pod_says_how_it_is_asked() {
        let pod = pod();
        let readiness = pod.readiness.as_ref().expect("it has one");
        assert_eq!((readiness.path.as_str(), readiness.port, readiness.https), ("/readyz", 8000, true));
        assert_eq!(readiness.headers, [("Host".to_owned(), "app.example.org".to_owned())]);
        assert_eq!((pod.liveness.is_some(), pod.startup.is_some(), pod.ready, pod.restarts), (false, true, false, 4));
        assert_eq!(pod.hosts, ["example.org", "app.example.org"]);
        assert_eq!(pod.grace_until.map(|t| t.to_string()).as_deref(), Some("2026-11-21T02:51:05Z"));
        assert_eq!(pod.ends[0].1.reason.as_deref(), Some("OOMKilled"));
    }

    #[test]
    fn hosts_lead_to_pods_through_services() {
        let ingress: Ingress = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "shop"},
            "spec": {"tls": [{"hosts": ["app.example.org"]}], "rules": [
                {"host": "app.example.org", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web"}}}]}},
                {"host": "*.example.org", "http": {"paths": []}}]}
        }))
        .expect("an ingress");
        let services = vec![ServiceSeen { name: "web".into(), selector: [("app".into(), "web".into())].into() }];
        let around = Neighbourhood { services, hosts: hosts(&ingress), ..Neighbourhood::default() };
        let found: Vec<_> = around.hosts_of(&pod()).map(|h| (h.host.as_str(), h.https)).collect();
        assert_eq!(found, [("app.example.org", true)]);
    }
}
