//! A port-forward to a ready pod behind a Service, opened for one connection and closed with it. A pod that went away is replaced by
//! another one at the next dial.

use super::{
    kube::Cluster,
    service::{Door, Inside},
};
use crate::{
    error::{Error, Kind, Result},
    safe,
    text::Safe,
};
use futures_util::future::BoxFuture;
use kube::api::Portforwarder;
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// How many pods are tried in one dial.
const TRIES: usize = 3;

/// The way to one Service, or one pod.
pub struct Tunnel {
    cluster: Arc<Cluster>,
    inside: Inside,
    /// The pod of the last dial: the same one is taken again, so that a subscription and its questions meet in one server.
    last: Mutex<Option<String>>,
}

impl Tunnel {
    pub(super) fn new(cluster: Arc<Cluster>, inside: Inside) -> Self {
        Self { cluster, inside, last: Mutex::default() }
    }

    pub(super) fn says(&self) -> Safe {
        match &*self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(pod) => safe!("tunnel to pod {}", Safe::name(pod)),
            None => safe!("tunnel to {}", self.inside.says()),
        }
    }

    /// The host matters only to TLS: the way was chosen by it.
    pub(super) async fn dial(&self, _host: &str, port: u16) -> Result<Forwarded> {
        let mut doors = self.inside.doors(&self.cluster, port).await?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        doors.sort_by_key(|door| (Some(&door.pod) != last.as_ref(), door.pod.clone()));
        let mut failed = None;
        for Door { namespace, pod, port } in doors.into_iter().take(TRIES) {
            match self.cluster.forward(&namespace, &pod, port).await {
                Ok(forwarder) => {
                    let stream = Forwarded::new(forwarder, &pod, port)?;
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(pod);
                    return Ok(stream);
                }
                // It ended between the list and the dial.
                Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Unreachable) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failed
            .unwrap_or_else(|| Error::new(Kind::Unreachable, safe!("opening a tunnel to {}", self.inside.says())).what("no pod is left")))
    }
}

/// A tunnel to this very pod, ready or not.
pub(super) async fn to_pod(cluster: &Cluster, namespace: &str, pod: &str, port: u16) -> Result<Forwarded> {
    Forwarded::new(cluster.forward(namespace, pod, port).await?, pod, port)
}

/// One connection through a port-forward. Ends with its owner.
pub struct Forwarded {
    stream: DuplexStream,
    /// Why the far end closed: only the server's error channel says so.
    trouble: Option<BoxFuture<'static, Option<String>>>,
    forwarder: Portforwarder,
    pod: String,
    port: u16,
}

impl Forwarded {
    fn new(mut forwarder: Portforwarder, pod: &str, port: u16) -> Result<Self> {
        let taken = forwarder.take_stream(port).zip(forwarder.take_error(port));
        let (stream, trouble) = taken.ok_or_else(|| Error::new(Kind::Bug, "opening a tunnel").what("the port-forward has no such port"))?;
        Ok(Self { stream, trouble: Some(Box::pin(trouble)), forwarder, pod: pod.to_owned(), port })
    }

    fn said(&self, text: &str) -> io::Error {
        let (pod, port) = (&self.pod, self.port);
        if text.contains("connection refused") {
            return io::Error::new(io::ErrorKind::ConnectionRefused, format!("nothing listens on port {port} of pod {pod}"));
        }
        // The last part names the cause; what is before it are the node's own paths.
        let cause = text.trim().rsplit(": ").next().unwrap_or_default();
        io::Error::new(io::ErrorKind::ConnectionReset, format!("the tunnel to port {port} of pod {pod} broke: {cause}"))
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() > before {
            return read;
        }
        // Nothing to read, or the end: the reason, if there is one, is the better answer.
        if let Some(trouble) = &mut self.trouble
            && let Poll::Ready(said) = trouble.as_mut().poll(cx)
        {
            self.trouble = None;
            if let Some(text) = said {
                return Poll::Ready(Err(self.said(&text)));
            }
        }
        ready!(read)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    /// Done when the last word is on its way to the pod: only then the tunnel closes its own end, which is read here. Who drops it before
    /// cuts off what was not sent yet.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        let mut rest = [0; 1024];
        loop {
            let mut unread = ReadBuf::new(&mut rest);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut unread)) {
                Ok(()) if !unread.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
