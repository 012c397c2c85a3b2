//! How a system is reached: straight from here, through a port-forward, or relayed through a pod of the application. A route is cheap to
//! clone and dials again on demand, because a subscription, a cancel request and a failover each need a further connection.
#![expect(clippy::disallowed_methods, reason = "the one place that dials, with a deadline")]

use super::{
    exec::Relay,
    kube::Cluster,
    service::{self, Place},
    stream::Duplex,
    tunnel::Tunnel,
};
use crate::{
    answer::Hint,
    config::Via,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use std::{io::ErrorKind, net::IpAddr, path::Path, sync::Arc, time::Duration};
use tokio::net::{TcpStream, UnixStream};

/// How long a connection may take to open.
const DIALING: Duration = Duration::from_secs(10);

/// An open connection, whatever lies below.
pub type Stream = Box<dyn Duplex>;

/// The way to a system.
#[derive(Clone)]
pub enum Route {
    /// Straight from here.
    Direct,
    /// Through a port-forward to a ready pod.
    Tunnel(Arc<Tunnel>),
    /// Relayed through a pod of the application.
    Exec(Arc<Relay>),
}

/// Whose pod can relay, and what is known of where the address came from.
#[derive(Clone, Debug, Default)]
pub struct RelayHint {
    /// The groups of pods, the likeliest first.
    pub pods: Vec<RelayPods>,
    /// Whether the address is meant for pods: it came from an object of the cluster.
    pub for_pods: bool,
    /// The namespace in which a bare name of a Service is looked up.
    pub namespace: String,
}

/// A group of pods that can relay.
#[derive(Clone, Debug)]
pub struct RelayPods {
    /// The app, or the workload.
    pub name: Safe,
    /// Their label selector.
    pub selector: String,
    /// The container; None: the pod's first.
    pub container: Option<String>,
}

impl Route {
    /// Opens one connection.
    ///
    /// # Errors
    /// `Unreachable` or `Timeout` with what to try; `Denied` with the right that is needed.
    pub async fn dial(&self, host: &str, port: u16) -> Result<Stream> {
        match self {
            Self::Direct => direct(host, port).await,
            Self::Tunnel(tunnel) => Ok(Box::new(tunnel.dial(host, port).await?)),
            Self::Exec(relay) => Ok(Box::new(relay.dial(host, port).await?)),
        }
    }

    /// In a few words: `direct`, `tunnel to pod redis-0`, `exec through pod backend-7f9c`.
    pub fn says(&self) -> Safe {
        match self {
            Self::Direct => "direct".into(),
            Self::Tunnel(tunnel) => tunnel.says(),
            Self::Exec(relay) => relay.says(),
        }
    }

    /// Whether the way leads through the cluster: what a server there says of hosts is meant for pods.
    pub fn is_inside(&self) -> bool {
        !matches!(self, Self::Direct)
    }
}

/// Chooses the way to a host. `Via::Auto`: a tunnel where the host is a Service or a pod of the cluster, else direct where it resolves.
///
/// # Errors
/// `Config` where the cluster that a way needs is missing, or the host is nothing that it could lead to; `Unreachable` where no way is
/// left, with the one to try; else as the cluster's.
pub async fn choose(via: Via, host: &str, port: u16, cluster: Option<&Arc<Cluster>>, hint: &RelayHint) -> Result<Route> {
    let doing = safe!("choosing the way to {}", Safe::name(host));
    let needed = || {
        cluster.cloned().ok_or_else(|| {
            Error::new(Kind::Config, doing.clone())
                .what(safe!("via: {} leads through a cluster, and this environment has none", via.name()))
        })
    };
    let exec = |cluster: Arc<Cluster>| Route::Exec(Arc::new(Relay::new(cluster, hint.clone())));
    match via {
        Via::Direct => Ok(Route::Direct),
        Via::Exec => Ok(exec(needed()?)),
        Via::Tunnel => {
            let cluster = needed()?;
            match service::find(&cluster, &hint.namespace, host, true).await? {
                Place::Inside(inside) => Ok(Route::Tunnel(Arc::new(Tunnel::new(cluster, inside)))),
                Place::Outside(why) | Place::Unknown(why, _) => Err(Error::new(Kind::Config, doing)
                    .what(safe!("no tunnel: {}", why))
                    .hint(Hint::Set("via: exec, which relays through a pod of the application".into()))),
            }
        }
        Via::Auto => {
            let Some(cluster) = cluster else { return Ok(Route::Direct) };
            if is_loopback(host) {
                // In a pod this is the pod itself; here it would be another machine's Redis, with the wrong queues.
                return Ok(if hint.for_pods { exec(cluster.clone()) } else { Route::Direct });
            }
            let why = match service::find(cluster, &hint.namespace, host, hint.for_pods).await? {
                Place::Inside(inside) => return Ok(Route::Tunnel(Arc::new(Tunnel::new(cluster.clone(), inside)))),
                Place::Outside(why) => why,
                Place::Unknown(why, refused) => {
                    if !resolves(host, port).await
                        && let Some(refused) = refused
                    {
                        return Err(refused);
                    }
                    why
                }
            };
            if resolves(host, port).await {
                return Ok(Route::Direct);
            }
            Err(Error::new(Kind::Unreachable, doing)
                .what(safe!("it does not resolve here, and {}", why))
                .hint(Hint::Set("via: exec, which relays through a pod of the application".into())))
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn resolves(host: &str, port: u16) -> bool {
    let lookup = tokio::time::timeout(DIALING, tokio::net::lookup_host((host, port))).await;
    lookup.is_ok_and(|found| found.is_ok_and(|mut found| found.next().is_some()))
}

async fn direct(host: &str, port: u16) -> Result<Stream> {
    let at = crate::config::host_port(host, port);
    let stream = opened(&at, TcpStream::connect((host, port))).await?;
    // Questions are short and wait for their answers.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

/// Opens a socket of this machine.
///
/// # Errors
/// As `Route::dial`.
pub async fn dial_unix(path: &Path) -> Result<Stream> {
    let at = Safe::name(path.as_os_str().as_encoded_bytes());
    Ok(Box::new(opened(&at, UnixStream::connect(path)).await?))
}

async fn opened<T>(at: &Safe, opening: impl Future<Output = std::io::Result<T>>) -> Result<T> {
    let doing = safe!("connecting to {}", *at);
    let error = match tokio::time::timeout(DIALING, opening).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => error,
        Err(_) => {
            return Err(Error::new(Kind::Timeout, doing)
                .what(safe!("no answer within {} s", DIALING.as_secs()))
                .hint(Hint::Set("via: exec, where only the cluster reaches it".into())));
        }
    };
    let what = match error.kind() {
        ErrorKind::ConnectionRefused => "it refuses connections: nothing listens there".into(),
        ErrorKind::NotFound => "there is no such socket on this machine".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "there is no way to it from here".into(),
        _ if error.raw_os_error().is_none() => "the host name does not resolve".into(),
        _ => Safe::name(error.to_string()),
    };
    Err(Error::new(Kind::Unreachable, doing).what(what).hint(Hint::Set("via: exec, where only the cluster reaches it".into())))
}
