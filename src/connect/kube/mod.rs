//! One Kubernetes cluster: typed, bounded GETs and log streams over one HTTP stack, and byte streams into pods. Asks for no change.
#![expect(clippy::disallowed_methods, reason = "waits as long as the server said before a request is repeated")]

mod client;
mod credentials;
mod fault;
mod kubeconfig;
mod node;
mod plugin;
mod proxy;
mod review;
mod stream;

pub(super) use client::basic_auth;
use credentials::Credentials;
pub use kubeconfig::{Contexts, KubeAsk};
pub(super) use proxy::bypasses;
pub use review::{AccessQuestion, ClusterAbout};

use crate::{
    answer::{Permission, Provenance},
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::{
    client::Body,
    core::{ListMeta, Status},
};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long one request may take until its answer is complete; log streams excepted.
const UNARY: Duration = Duration::from_secs(15);
/// How long the server may take to begin its answer to a log request.
const FIRST_BYTE: Duration = Duration::from_secs(20);
/// How often a request is repeated after an answer that says "later".
const TRIES: u32 = 3;
/// The largest answer that is read into memory.
const LARGEST: usize = 256 << 20;
/// How many backfill reads run at once: log requests are outside the API server's fairness, so the client has to be polite.
const POLITE: usize = 16;
/// The form of a list without what its objects hold. Nothing else is accepted: a server that does not know it refuses.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// The same for a watch.
const CHANGES: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// How many objects one page of a list holds.
const PAGE: u32 = 500;

/// A connected cluster.
pub struct Cluster {
    credentials: Credentials,
    redact: Redactor,
    /// The context's name; none inside a pod.
    pub context: Option<Safe>,
    /// The namespace of the context, or the one that was asked for.
    pub namespace: String,
    /// The API server, without credentials.
    pub server: Safe,
    /// What the user should know about this connection: unverified TLS.
    pub warnings: Vec<Safe>,
    reads: Semaphore,
}

/// What a request is for, in Kubernetes' own words: makes the error and the Role that would help.
#[derive(Clone, Debug)]
pub struct Ask {
    /// "listing pods".
    pub doing: Safe,
    /// The path below the server, query included.
    pub path: String,
    /// The permission that it needs.
    pub needs: Permission,
    /// Whether the names, labels and times of the objects are all that is asked for: nothing that a Secret holds leaves the server.
    pub metadata_only: bool,
    /// The same for a watch.
    pub changes_only: bool,
}

/// An answer that is no stream, and how long to wait before asking again where the server says so.
#[derive(Debug)]
pub struct Later {
    /// What went wrong.
    pub error: Error,
    /// How long.
    pub after: Option<Duration>,
}

/// The innermost cause of a broken stream.
pub fn cause(error: &kube::Error) -> String {
    fault::root_cause(error)
}

impl Ask {
    /// A request with its verb, resource and namespace (none: the whole cluster).
    pub fn new(doing: Safe, path: String, verb: &'static str, resource: impl Into<Safe>, namespace: Option<&str>) -> Self {
        let scope = namespace.map_or_else(|| "the cluster".into(), |n| safe!("namespace {}", Safe::name(n)));
        Self {
            doing,
            path,
            needs: Permission { verb: verb.into(), resource: resource.into(), scope },
            metadata_only: false,
            changes_only: false,
        }
    }

    /// The same, for nothing but names, labels and times.
    pub fn metadata_only(self) -> Self {
        Self { metadata_only: true, ..self }
    }

    /// A watch, for nothing but that something changed.
    pub fn changes_only(self) -> Self {
        Self { changes_only: true, ..self }
    }
}

/// A page of a list.
#[derive(serde::Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: ListMeta,
    // A list of nothing may come as null.
    #[serde(default = "Option::default")]
    items: Option<Vec<T>>,
}

impl Cluster {
    /// Connects as the kubeconfig says. No request is sent yet, but an exec credential plugin runs.
    ///
    /// # Errors
    /// `Config` for a kubeconfig that cannot be used, `Auth` for a plugin that fails, `Tls` for certificates that cannot be loaded.
    pub async fn connect(ask: &KubeAsk, redact: Redactor) -> Result<Self> {
        let loaded = kubeconfig::load(ask).await?;
        let client = client::build(&loaded.config)?;
        let namespace = ask.namespace.clone().unwrap_or_else(|| loaded.config.default_namespace.clone());
        Ok(Self {
            credentials: Credentials::new(client, ask.clone()),
            redact,
            context: loaded.context,
            namespace,
            server: loaded.server,
            warnings: loaded.warnings,
            reads: Semaphore::new(POLITE),
        })
    }

    /// Where facts of this cluster come from.
    pub fn provenance(&self) -> Provenance {
        Provenance { system: "kubernetes", at: self.context.clone().unwrap_or_else(|| self.server.clone()), through: None }
    }

    /// What this connection may use to hide secrets.
    pub fn redactor(&self) -> &Redactor {
        &self.redact
    }

    /// One object.
    ///
    /// # Errors
    /// `NotFound`, `Denied` (with the permission), `Auth`, `Unreachable`, `Tls`, `Timeout`, `Protocol`.
    pub async fn get<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T> {
        let body = self.unary(ask, &ask.path).await?;
        serde_json::from_slice(&body).map_err(|e| {
            Error::new(Kind::Protocol, ask.doing.clone()).to(self.provenance()).what(safe!(
                "the answer is not what Kubernetes sends (line {}, column {})",
                e.line(),
                e.column()
            ))
        })
    }

    /// All objects of a list, page by page.
    ///
    /// # Errors
    /// As `get`.
    pub async fn list<T: DeserializeOwned>(&self, ask: &Ask) -> Result<Vec<T>> {
        let joint = if ask.path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!("{}{joint}limit={PAGE}{next}", ask.path);
            let page: Page<T> = self.get(&Ask { path, ..ask.clone() }).await?;
            all.extend(page.items.unwrap_or_default());
            match page.metadata.continue_.filter(|c| !c.is_empty()) {
                Some(token) => next = format!("&continue={}", encode(&token)),
                None => return Ok(all),
            }
        }
    }

    /// Waits for a turn to read: at most 16 backfill reads run at once. Follow streams take none, they are idle most of the time.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.reads.acquire().await.ok()
    }

    /// Opens a log stream. The answer's head has a deadline, the stream itself has none.
    ///
    /// # Errors
    /// As `get`; `Kind::Usage` with the server's words for 400 (waiting to start, ambiguous container).
    pub async fn open(&self, ask: &Ask) -> Result<Body> {
        self.open_or_later(ask).await.map_err(|later| later.error)
    }

    /// The same, with the pause that a server wants before it is asked again.
    ///
    /// # Errors
    /// As `open`.
    pub async fn open_or_later(&self, ask: &Ask) -> Result<Body, Later> {
        let response = self.send(ask, &ask.path, FIRST_BYTE).await.map_err(|error| Later { error, after: None })?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let after = retry_after(&response).map(Duration::from_secs);
        Err(Later { error: self.refused(ask, response).await, after })
    }

    /// One request with its answer read whole, repeated when the server says "later".
    async fn unary(&self, ask: &Ask, path: &str) -> Result<bytes::Bytes> {
        let mut attempt = 1;
        loop {
            let result = tokio::time::timeout(UNARY, self.once(ask, path)).await.unwrap_or_else(|_| Err(self.late(ask, UNARY)));
            match result {
                Err((error, Some(pause))) if attempt < TRIES => {
                    tracing::debug!(attempt, "{error}; again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    attempt += 1;
                }
                Err((error, _)) => return Err(error),
                Ok(body) => return Ok(body),
            }
        }
    }

    async fn once(&self, ask: &Ask, path: &str) -> Result<bytes::Bytes, (Error, Option<Duration>)> {
        let response = self.send(ask, path, UNARY).await.map_err(|e| {
            let again = (e.kind() == Kind::Unreachable).then_some(Duration::from_millis(300));
            (e, again)
        })?;
        if !response.status().is_success() {
            let pause = later(&response);
            return Err((self.refused(ask, response).await, pause));
        }
        let limited = http_body_util::Limited::new(response.into_body(), LARGEST);
        let body = limited.collect().await.map_err(|e| {
            let error = Error::new(Kind::Unreachable, ask.doing.clone())
                .to(self.provenance())
                .what(safe!("the answer broke off: {}", self.redact.safe(fault::root_cause(&*e).as_bytes())));
            (error, Some(Duration::from_millis(300)))
        })?;
        Ok(body.to_bytes())
    }

    async fn send(&self, ask: &Ask, path: &str, within: Duration) -> Result<Response<Body>> {
        let response = self.send_once(ask, path, within).await?;
        // A token that expired in the middle: the kubeconfig and its plugin are asked for another, once.
        if response.status() == StatusCode::UNAUTHORIZED && self.credentials.renew(self).await {
            return self.send_once(ask, path, within).await;
        }
        Ok(response)
    }

    async fn send_once(&self, ask: &Ask, path: &str, within: Duration) -> Result<Response<Body>> {
        let mut request = Request::get(path);
        if ask.metadata_only {
            request = request.header(http::header::ACCEPT, METADATA);
        } else if ask.changes_only {
            request = request.header(http::header::ACCEPT, CHANGES);
        }
        let request = request.body(Body::empty()).map_err(|_| Error::new(Kind::Bug, ask.doing.clone()).what("the path is no URI"))?;
        match tokio::time::timeout(within, self.credentials.client().send(request)).await {
            Err(_) => Err(self.late(ask, within).0),
            Ok(Err(e)) => Err(fault::of_transport(&e, ask, self)),
            Ok(Ok(response)) => Ok(response),
        }
    }

    fn late(&self, ask: &Ask, within: Duration) -> (Error, Option<Duration>) {
        let error = Error::new(Kind::Timeout, ask.doing.clone())
            .to(self.provenance())
            .what(safe!("no answer from {} within {} s", self.server, within.as_secs()))
            .hint(crate::answer::Hint::Try("check the VPN or the proxy; kubectl version shows whether kubectl gets through".into()));
        (error, None)
    }

    /// The error for an answer that is no success; reads its body for the server's own words.
    async fn refused(&self, ask: &Ask, response: Response<Body>) -> Error {
        let status = response.status();
        let limited = http_body_util::Limited::new(response.into_body(), 64 << 10);
        let body = match tokio::time::timeout(Duration::from_secs(5), limited.collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            _ => bytes::Bytes::new(),
        };
        let said = match serde_json::from_slice::<Status>(&body) {
            Ok(s) if !s.message.is_empty() => self.redact.safe(s.message.as_bytes()),
            _ => self.redact.safe(&body).clipped(200),
        };
        fault::of_status(status, &said, ask, self)
    }
}

/// How long to wait before asking again, where asking again makes sense.
fn later(response: &Response<Body>) -> Option<Duration> {
    let status = response.status();
    let asked = retry_after(response);
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(Duration::from_secs(asked.unwrap_or(1).min(5))),
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Some(Duration::from_millis(500)),
        _ => None,
    }
}

fn retry_after(response: &Response<Body>) -> Option<u64> {
    response.headers().get(http::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// Percent-encodes a value for a query or a path segment.
pub fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_a_query_cannot_hold() {
        assert_eq!(encode("a b/2026-11-21T02:44:10Z,app=x"), "a%20b%2F2026-11-21T02%3A44%3A10Z%2Capp%3Dx");
    }
}
