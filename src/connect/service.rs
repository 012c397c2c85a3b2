//! What a host name means inside a cluster: a Service, a pod behind a headless one, an address of either, or nothing. Opens no stream.

use super::kube::{Ask, Cluster, encode};
use crate::{
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use k8s_openapi::{
    api::core::v1::{Pod, Service},
    apimachinery::pkg::util::intstr::IntOrString,
};
use std::net::IpAddr;

/// Where a host is, seen from the cluster.
pub(super) enum Place {
    /// In it.
    Inside(Inside),
    /// Not in it, with what was found instead.
    Outside(Safe),
    /// It may be, and the error that hid it.
    Unknown(Safe, Option<Error>),
}

/// Something in a cluster that has pods behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// A Service with a selector.
    Service { namespace: String, name: String },
    /// One pod by name.
    Pod { namespace: String, name: String },
    /// One pod by its address.
    Address { namespace: String, ip: IpAddr },
}

/// A name as the cluster's DNS would read it, best reading first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    namespace: String,
    service: String,
    pod: Option<String>,
    /// Its form can be nothing else: it ends in `.svc`.
    certain: bool,
}

/// `redis`, `redis.ns`, `redis.ns.svc[.cluster.local]`, and the same with a pod in front.
fn readings(host: &str, namespace: &str) -> Vec<Reading> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<&str> = host.split('.').collect();
    let svc = labels.iter().position(|label| *label == "svc").filter(|at| (2..=3).contains(at));
    let (labels, certain) = match svc {
        Some(at) => (labels.get(..at).unwrap_or_default(), true),
        None => (labels.as_slice(), false),
    };
    let read = |pod: Option<&str>, service: &str, namespace: &str| Reading {
        namespace: namespace.to_owned(),
        service: service.to_owned(),
        pod: pod.map(str::to_owned),
        certain,
    };
    match *labels {
        [service] => vec![read(None, service, namespace)],
        [service, ns] if certain => vec![read(None, service, ns)],
        [first, second] => vec![read(Some(first), second, namespace), read(None, first, second)],
        [pod, service, ns] => vec![read(Some(pod), service, ns)],
        _ => Vec::new(),
    }
}

/// Looks a host up. `for_pods`: the name was written for pods, so a refusal to look is an answer to show.
pub(super) async fn find(cluster: &Cluster, namespace: &str, host: &str, for_pods: bool) -> Result<Place> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return by_address(cluster, namespace, ip).await;
    }
    let shown = Safe::name(host);
    let mut hidden = None;
    for reading in readings(host, namespace) {
        match service(cluster, &reading.namespace, &reading.service).await {
            Ok(found) => {
                let spec = found.spec.unwrap_or_default();
                if spec.type_.as_deref() == Some("ExternalName") {
                    let to = Safe::name(spec.external_name.unwrap_or_default());
                    return Ok(Place::Outside(safe!("Service {} stands for {}, outside the cluster", shown, to)));
                }
                if spec.selector.as_ref().is_none_or(|labels| labels.is_empty()) {
                    return Ok(Place::Outside(safe!("Service {} has no pods behind it", shown)));
                }
                let Reading { namespace, service, pod, .. } = reading;
                return Ok(Place::Inside(match pod {
                    Some(name) => Inside::Pod { namespace, name },
                    None => Inside::Service { namespace, name: service },
                }));
            }
            Err(error) if error.kind() == Kind::NotFound => {}
            // `db.example.com` read as a Service in the namespace `com`, where nobody may look.
            Err(error) if error.kind() == Kind::Denied && !reading.certain && reading.namespace != namespace => {}
            Err(error) if error.kind() == Kind::Denied => hidden = hidden.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(match hidden {
        Some(error) => Place::Unknown(
            safe!("whether {} is a Service may not be looked up", shown),
            Some(error).filter(|_| for_pods || !host.contains('.')),
        ),
        None => Place::Outside(safe!("{} is no Service of the cluster", shown)),
    })
}

async fn service(cluster: &Cluster, namespace: &str, name: &str) -> Result<Service> {
    let path = format!("/api/v1/namespaces/{}/services/{}", encode(namespace), encode(name));
    cluster.get(&Ask::new(safe!("looking up Service {}", Safe::name(name)), path, "get", "services", Some(namespace))).await
}

async fn by_address(cluster: &Cluster, namespace: &str, ip: IpAddr) -> Result<Place> {
    let shown = safe!("{}", Safe::name(ip.to_string()));
    let path = format!("/api/v1/namespaces/{}/services", encode(namespace));
    let ask = Ask::new("looking for the Service of an address".into(), path, "list", "services", Some(namespace));
    let services: Vec<Service> = match cluster.list(&ask).await {
        Ok(found) => found,
        Err(error) if error.kind() == Kind::Denied => return Ok(Place::Unknown("Services may not be listed".into(), None)),
        Err(error) => return Err(error),
    };
    let text = ip.to_string();
    let has = |s: &Service| {
        s.spec.as_ref().is_some_and(|spec| {
            spec.selector.as_ref().is_some_and(|labels| !labels.is_empty())
                && (spec.cluster_ip.as_ref() == Some(&text) || spec.cluster_ips.iter().flatten().any(|own| *own == text))
        })
    };
    if let Some(name) = services.into_iter().find(has).and_then(|s| s.metadata.name) {
        return Ok(Place::Inside(Inside::Service { namespace: namespace.to_owned(), name }));
    }
    let inside = Inside::Address { namespace: namespace.to_owned(), ip };
    Ok(match pods(cluster, &inside).await {
        Ok(found) if !found.is_empty() => Place::Inside(inside),
        Ok(_) => Place::Outside(safe!("no Service and no pod of namespace {} has the address {}", Safe::name(namespace), shown)),
        Err(error) if error.kind() == Kind::Denied => Place::Unknown("pods may not be listed".into(), None),
        Err(error) => return Err(error),
    })
}

/// The pods of one place, ready or not.
async fn pods(cluster: &Cluster, inside: &Inside) -> Result<Vec<Pod>> {
    let (namespace, query) = match inside {
        Inside::Service { namespace, name } => {
            let spec = service(cluster, namespace, name).await?.spec.unwrap_or_default();
            let labels: Vec<String> = spec.selector.unwrap_or_default().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
            (namespace, format!("?labelSelector={}", encode(&labels.join(","))))
        }
        Inside::Pod { namespace, name } => (namespace, format!("?fieldSelector={}", encode(&format!("metadata.name={name}")))),
        Inside::Address { namespace, ip } => (namespace, format!("?fieldSelector={}", encode(&format!("status.podIP={ip}")))),
    };
    let path = format!("/api/v1/namespaces/{}/pods{query}", encode(namespace));
    cluster.list(&Ask::new("listing the pods to reach".into(), path, "list", "pods", Some(namespace))).await
}

/// A pod and the port of it that a dial means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Door {
    pub namespace: String,
    pub pod: String,
    pub port: u16,
}

impl Inside {
    /// `Service redis`, `pod redis-0`.
    pub fn says(&self) -> Safe {
        match self {
            Self::Service { name, .. } => safe!("Service {}", Safe::name(name)),
            Self::Pod { name, .. } => safe!("pod {}", Safe::name(name)),
            Self::Address { ip, .. } => safe!("the pod at {}", Safe::name(ip.to_string())),
        }
    }

    /// The doors that are open now: ready pods, with the port that stands behind `port`.
    ///
    /// # Errors
    /// `Unreachable` when no pod is ready, or the Service has no such port; else as the cluster's.
    pub async fn doors(&self, cluster: &Cluster, port: u16) -> Result<Vec<Door>> {
        let fail =
            |what: Safe| Error::new(Kind::Unreachable, safe!("looking for a pod of {}", self.says())).to(cluster.provenance()).what(what);
        let target = match self {
            Self::Service { namespace, name } => target_port(service(cluster, namespace, name).await?, port).map_err(fail)?,
            Self::Pod { .. } | Self::Address { .. } => IntOrString::Int(i32::from(port)),
        };
        let all = pods(cluster, self).await?;
        let count = all.len();
        let doors: Vec<Door> = all.iter().filter(|pod| ready(pod)).filter_map(|pod| door(pod, &target)).collect();
        if doors.is_empty() {
            return Err(fail(match count {
                0 => "there is no pod behind it".into(),
                1 => "its pod is not ready".into(),
                n => safe!("none of its {} pods is ready", n),
            })
            .hint(crate::answer::Hint::Run("kubectl get pods".into())));
        }
        Ok(doors)
    }
}

/// What a Service's port is in its pods. A headless Service passes any port through.
fn target_port(service: Service, port: u16) -> Result<IntOrString, Safe> {
    let spec = service.spec.unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    if let Some(found) = ports.iter().find(|p| p.port == i32::from(port)) {
        return Ok(match (&found.target_port, spec.cluster_ip.as_deref()) {
            (_, Some("None")) => IntOrString::Int(found.port),
            (Some(target), _) => target.clone(),
            (None, _) => IntOrString::Int(found.port),
        });
    }
    if spec.cluster_ip.as_deref() == Some("None") {
        return Ok(IntOrString::Int(i32::from(port)));
    }
    let has: Vec<Safe> = ports.iter().map(|p| safe!("{}", p.port)).collect();
    Err(safe!("it has no port {}: it has {}", port, Safe::join(&has, ", ")))
}

fn door(pod: &Pod, target: &IntOrString) -> Option<Door> {
    let port = match target {
        IntOrString::Int(number) => u16::try_from(*number).ok()?,
        IntOrString::String(name) => {
            let containers = &pod.spec.as_ref()?.containers;
            let named = containers.iter().flat_map(|c| c.ports.iter().flatten()).find(|p| p.name.as_ref() == Some(name))?;
            u16::try_from(named.container_port).ok()?
        }
    };
    Some(Door { namespace: pod.metadata.namespace.clone()?, pod: pod.metadata.name.clone()?, port })
}

/// Whether a pod takes part: ready, and not on its way out.
pub(super) fn ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
        && pod
            .status
            .as_ref()
            .and_then(|s| s.conditions.as_ref())
            .is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_cluster_s_dns_does() {
        let read = |host: &str| {
            let shown =
                |r: &Reading| format!("{}/{}{}", r.namespace, r.service, r.pod.as_ref().map(|p| format!(" {p}")).unwrap_or_default());
            readings(host, "shop").iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(read("redis"), ["shop/redis"]);
        assert_eq!(read("redis.data"), ["shop/data redis", "data/redis"]);
        assert_eq!(read("redis.data.svc"), ["data/redis"]);
        assert_eq!(read("Redis.data.svc.cluster.local."), ["data/redis"]);
        assert_eq!(read("redis-0.redis.data.svc.cluster.local"), ["data/redis redis-0"]);
        assert_eq!(read("redis-0.redis.data"), ["data/redis redis-0"]);
        assert_eq!(read("a.b.c.example.com"), [""; 0]);
    }

    #[test]
    fn a_port_of_a_service_is_another_in_its_pods() {
        let of = |spec: serde_json::Value, port| {
            target_port(serde_json::from_value(serde_json::json!({"spec": spec})).expect("a Service"), port)
        };
        let usual = serde_json::json!({"ports": [{"port": 6379, "targetPort": "redis"}, {"port": 80, "targetPort": 8000}, {"port": 81}]});
        assert_eq!(of(usual.clone(), 6379), Ok(IntOrString::String("redis".into())));
        assert_eq!(of(usual.clone(), 80), Ok(IntOrString::Int(8000)));
        assert_eq!(of(usual.clone(), 81), Ok(IntOrString::Int(81)));
        assert_eq!(of(usual, 82), Err("it has no port 82: it has 6379, 80, 81".into()));
        assert_eq!(of(serde_json::json!({"clusterIP": "None", "ports": [{"port": 80, "targetPort": 8000}]}), 80), Ok(IntOrString::Int(80)));
        assert_eq!(of(serde_json::json!({"clusterIP": "None"}), 82), Ok(IntOrString::Int(82)));
    }
}
