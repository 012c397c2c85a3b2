//! Bytes relayed through a pod of the application, by a few lines of the Python that runs there: the way to a server that only the
//! cluster can reach. Nothing is written to the pod, nothing secret stands in the arguments, and the relay ends with its stream.

use super::{
    kube::{Ask, Cluster, encode},
    route::{RelayHint, RelayPods},
    service,
};
use crate::{
    answer::Hint,
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use futures_util::future::BoxFuture;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::api::AttachedProcess;
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, ReadHalf, SimplexStream, WriteHalf};

/// Connects to host and port, says `+`, and copies until one side ends. Also good for the Python 2 of an old image.
const RELAY: &str = include_str!("relay.py");
/// What the relay has to say within this time: its own connection may take 10 s.
const GREETING: Duration = Duration::from_secs(20);
/// The Pythons of images, the likelier first.
const PYTHONS: [&str; 2] = ["python3", "python"];
/// What the relay ends with when its own connection failed.
const NO_CONNECTION: &str = "7";
/// How many pods are tried in one dial.
const TRIES: usize = 6;

/// The way through a pod.
pub struct Relay {
    cluster: Arc<Cluster>,
    hint: RelayHint,
    /// The pod of the last dial, which had a Python.
    last: Mutex<Option<Chosen>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Chosen {
    pod: String,
    container: Option<String>,
    python: &'static str,
}

/// Why a relay did not start.
enum NotStarted {
    /// No program of this name in the image.
    NoPython,
    /// Something that another pod can do no better.
    Fatal(Error),
}

impl Relay {
    pub(super) fn new(cluster: Arc<Cluster>, hint: RelayHint) -> Self {
        Self { cluster, hint, last: Mutex::default() }
    }

    pub(super) fn says(&self) -> Safe {
        match &*self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(chosen) => safe!("exec through pod {}", Safe::name(&chosen.pod)),
            None => match self.hint.pods.first() {
                Some(first) => safe!("exec through {}", first.name),
                None => "exec".into(),
            },
        }
    }

    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<Relayed> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(chosen) = last
            && let Ok(stream) = self.start(&chosen, host, port).await
        {
            return Ok(stream);
        }
        let mut without: Vec<Safe> = Vec::new();
        let mut failed = None;
        for candidate in self.candidates().await?.into_iter().take(TRIES) {
            for python in PYTHONS {
                let chosen = Chosen { python, ..candidate.clone() };
                match self.start(&chosen, host, port).await {
                    Ok(stream) => {
                        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(chosen);
                        return Ok(stream);
                    }
                    Err(NotStarted::NoPython) if python == PYTHONS[1] => without.push(Safe::name(&chosen.pod)),
                    Err(NotStarted::NoPython) => {}
                    // It ended between the list and the dial.
                    Err(NotStarted::Fatal(error)) if error.kind() == Kind::NotFound => {
                        failed = Some(error);
                        break;
                    }
                    Err(NotStarted::Fatal(error)) => return Err(error),
                }
            }
        }
        Err(match failed {
            Some(error) if without.is_empty() => error,
            _ => Error::new(Kind::Unreachable, safe!("relaying to {}", crate::config::host_port(host, port)))
                .to(self.cluster.provenance())
                .what(safe!("no Python in pod {}: the relay needs one", Safe::join(&without, ", ")))
                .hint(Hint::Set("relay: to an app whose image has Python; Django's and Celery's do".into())),
        })
    }

    /// The ready pods, in the order of the hint.
    async fn candidates(&self) -> Result<Vec<Chosen>> {
        let fail = |what: Safe| Error::new(Kind::Unreachable, "looking for a pod that relays").to(self.cluster.provenance()).what(what);
        let mut found = Vec::new();
        for RelayPods { selector, container, .. } in &self.hint.pods {
            let namespace = &self.hint.namespace;
            let path = format!("/api/v1/namespaces/{}/pods?labelSelector={}", encode(namespace), encode(selector));
            let ask = Ask::new("looking for a pod that relays".into(), path, "list", "pods", Some(namespace));
            let pods: Vec<Pod> = self.cluster.list(&ask).await?;
            let names = pods.iter().filter(|pod| service::ready(pod)).filter_map(|pod| pod.metadata.name.clone());
            found.extend(names.map(|pod| Chosen { pod, container: container.clone(), python: PYTHONS[0] }));
        }
        if !found.is_empty() {
            return Ok(found);
        }
        let names: Vec<Safe> = self.hint.pods.iter().map(|p| p.name.clone()).collect();
        Err(match names.as_slice() {
            [] => fail("no app is known whose pod could relay".into())
                .hint(Hint::Set("relay: and an app under apps: with its selector".into())),
            _ => fail(safe!("no pod of {} is ready", Safe::join(&names, ", "))).hint(Hint::Run("kubectl get pods".into())),
        })
    }

    async fn start(&self, chosen: &Chosen, host: &str, port: u16) -> Result<Relayed, NotStarted> {
        let port_text = port.to_string();
        let words = [chosen.python, "-c", RELAY, host, &port_text];
        let started = self.cluster.exec(&self.hint.namespace, &chosen.pod, chosen.container.as_deref(), &words).await;
        let mut process = started.map_err(|error| {
            // containerd says it in the answer to the request, others in the status of the process.
            if error.what_happened().contains("executable file not found") { NotStarted::NoPython } else { NotStarted::Fatal(error) }
        })?;
        let at = crate::config::host_port(host, port);
        let fail = |kind, what: Safe| {
            NotStarted::Fatal(
                Error::new(kind, safe!("connecting to {} from pod {}", at, Safe::name(&chosen.pod)))
                    .to(self.cluster.provenance())
                    .what(what),
            )
        };
        let taken = process.stdin().zip(process.stdout()).zip(process.stderr()).zip(process.take_status());
        let Some((((stdin, mut stdout), mut stderr), status)) = taken else {
            return Err(fail(Kind::Bug, "the exec has no streams".into()));
        };
        let mut greeting = [0u8; 1];
        let greeted = tokio::time::timeout(GREETING, stdout.read_exact(&mut greeting)).await;
        match greeted {
            Err(_) => Err(fail(Kind::Timeout, safe!("the relay said nothing within {} s", GREETING.as_secs()))),
            Ok(Ok(_)) if &greeting == b"+" => {
                Ok(Relayed { stdin, stdout, _stderr: stderr, status: Some(Box::pin(status)), _process: process })
            }
            Ok(_) => {
                let mut complaint = String::new();
                let _ = tokio::time::timeout(Duration::from_secs(2), (&mut stderr).take(4096).read_to_string(&mut complaint)).await;
                let status = tokio::time::timeout(Duration::from_secs(2), status).await.ok().flatten().unwrap_or_default();
                if is_no_python(&status) {
                    return Err(NotStarted::NoPython);
                }
                let said = complaint.trim().lines().next_back().unwrap_or_default();
                Err(fail(Kind::Unreachable, why(said, &status, &self.cluster)))
            }
        }
    }
}

fn is_no_python(status: &Status) -> bool {
    let message = status.message.as_deref().unwrap_or_default();
    message.contains("executable file not found") || message.contains("no such file or directory") || exit_code(status) == Some("127")
}

fn exit_code(status: &Status) -> Option<&str> {
    let causes = status.details.as_ref()?.causes.as_ref()?;
    causes.iter().find(|c| c.reason.as_deref() == Some("ExitCode"))?.message.as_deref()
}

/// Python's words for what a connection can fail of, in ours.
fn why(said: &str, status: &Status, cluster: &Cluster) -> Safe {
    let lower = said.to_lowercase();
    let known: &[(&str, &'static str)] = &[
        ("connection refused", "it refuses connections: nothing listens there"),
        ("timed out", "no answer within 10 s"),
        ("name or service not known", "the host name does not resolve there"),
        ("temporary failure in name resolution", "the host name does not resolve there"),
        ("no address associated", "the host name does not resolve there"),
        ("name does not resolve", "the host name does not resolve there"),
        ("network is unreachable", "there is no way to it from there"),
        ("no route to host", "there is no way to it from there"),
    ];
    if let Some((_, ours)) = known.iter().find(|(theirs, _)| lower.contains(theirs)) {
        return (*ours).into();
    }
    if exit_code(status) == Some(NO_CONNECTION) && !said.is_empty() {
        return cluster.redactor().safe(said.as_bytes()).clipped(200);
    }
    let message = status.message.as_deref().unwrap_or("it gave no reason");
    safe!("the relay did not start: {}", cluster.redactor().safe(message.as_bytes()).clipped(200))
}

/// One connection through a relay. Dropping it closes the stream, which ends the relay.
pub struct Relayed {
    stdin: WriteHalf<SimplexStream>,
    stdout: ReadHalf<SimplexStream>,
    // Kept open, or the relay would die of its first word.
    _stderr: ReadHalf<SimplexStream>,
    /// Kept and watched: kube's pipes say nothing when their far end is gone, the status does. None: it has ended.
    status: Option<BoxFuture<'static, Option<Status>>>,
    _process: AttachedProcess,
}

impl Relayed {
    fn has_ended(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(status) = &mut self.status
            && status.as_mut().poll(cx).is_ready()
        {
            self.status = None;
        }
        self.status.is_none()
    }
}

impl AsyncRead for Relayed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Asked first: what came before the end is then in the pipe already.
        let ended = self.has_ended(cx);
        match Pin::new(&mut self.stdout).poll_read(cx, buf) {
            Poll::Pending if ended => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

impl AsyncWrite for Relayed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.has_ended(cx) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the relay has ended")));
        }
        Pin::new(&mut self.stdin).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
