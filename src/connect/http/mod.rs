//! One question over HTTP/1.1, on any stream: the phases are timed by us, the certificate is kept also when it is refused, and redirects are
//! followed by us, so that a secret never crosses to another scheme, host or port. Everything is bounded: time, head, body, hops.

mod certificate;
mod dial;
mod echo;
mod post;
mod url;

pub use certificate::HttpTrust;
pub use post::{HttpPost, Posted, post};
pub use url::HttpUrl;

use super::kube::Cluster;
use crate::{
    answer::{Exchange, Hop, HttpFault, HttpStep},
    safe,
    text::{Redactor, Safe, units},
};
use bytes::Bytes;
use dial::{Clock, Open, ms};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How many redirects are followed.
const HOPS: usize = 5;
/// The largest head of an answer.
const HEAD: usize = 64 << 10;
/// The most of a body that is read.
const BODY: usize = 1 << 20;

/// The way a question takes.
#[derive(Clone)]
pub enum Way {
    /// From here, through a proxy where there is one for the host.
    Direct(Arc<Proxies>),
    /// Straight to one machine, through no proxy, whatever the URL's host is. That is what the machine is told, and whose certificate it has
    /// to have.
    To {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Through a tunnel to one port of one pod, ready or not. The URL's host is what the pod is told.
    Pod {
        /// The cluster.
        cluster: Arc<Cluster>,
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        pod: String,
        /// Its port.
        port: u16,
    },
}

/// The proxies of the environment; as URLs, which can hold a password.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For https.
    pub https: Option<String>,
    /// For http.
    pub http: Option<String>,
    /// The hosts that need none.
    pub none_for: Option<String>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// One phase.
    pub each: Duration,
    /// All of it, redirects included.
    pub whole: Duration,
}

/// A question.
#[derive(Clone)]
pub struct HttpQuestion {
    /// Where to.
    pub url: HttpUrl,
    /// The way.
    pub way: Way,
    /// Headers beside our own. They may be secret: only this scheme, host and port get them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who is trusted.
    pub trust: HttpTrust,
    /// How long it may take.
    pub limits: HttpLimits,
}

/// The answer's body, with what says how to read it.
#[derive(Clone, Debug, Default)]
pub struct HttpBody {
    /// The beginning of it, at most 1 MiB.
    pub bytes: Bytes,
    /// Whether more came, or would have.
    pub cut: bool,
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Encoding`.
    pub encoding: String,
    /// `Location`, of a redirect that was not followed.
    pub location: String,
    /// The path that was asked last.
    pub path: String,
    /// All headers of the answer.
    pub headers: HeaderMap,
}

/// Asks. What went wrong is in the exchange: a fault is an answer too.
pub async fn ask(question: &HttpQuestion, redact: &Redactor) -> (Exchange, HttpBody) {
    let mut seen = Exchange::default();
    let clock = Clock { each: question.limits.each, until: Instant::now() + question.limits.whole };
    let mut url = question.url.clone();
    loop {
        let hops = std::mem::take(&mut seen.hops);
        seen = Exchange { hops, ..Exchange::default() };
        let body = match once(question, &url, clock, redact, &mut seen).await {
            Ok(answer) => answer,
            Err(fault) => {
                seen.fault = Some(fault);
                return (seen, HttpBody { path: url.path, ..HttpBody::default() });
            }
        };
        let location = body.location.clone();
        if !(300..400).contains(&seen.status.unwrap_or_default()) || location.is_empty() {
            return (seen, body);
        }
        match next(question, &url, &location, seen.hops.len()) {
            Ok(to) => {
                seen.hops.push(Hop { status: seen.status.unwrap_or_default(), to: to.shown(), refused: None });
                url = to;
            }
            Err((to, why)) => {
                seen.hops.push(Hop { status: seen.status.unwrap_or_default(), to, refused: Some(why) });
                return (seen, body);
            }
        }
    }
}

/// Connects, greets with TLS where the URL says so, and asks nothing.
pub async fn reach(question: &HttpQuestion, redact: &Redactor) -> Exchange {
    let mut seen = Exchange::default();
    let clock = Clock { each: question.limits.each, until: Instant::now() + question.limits.whole };
    let url = &question.url;
    let opened = dial::open(url, &question.way, &url.host, &question.trust, clock, redact, &mut seen).await;
    seen.fault = opened.err();
    seen
}

/// Where a redirect leads, if it may be followed.
fn next(question: &HttpQuestion, from: &HttpUrl, location: &str, hops: usize) -> Result<HttpUrl, (Safe, Safe)> {
    let Some(to) = from.join(location) else {
        return Err((Safe::name(location.split(['?', '#', '@']).next().unwrap_or_default()).clipped(80), "it is no URL".into()));
    };
    let refuse = |why: Safe| Err((to.shown(), why));
    if from.https && !to.https {
        return refuse("from https to http: not followed".into());
    }
    if hops >= HOPS {
        return refuse(safe!("more than {} redirects", HOPS));
    }
    match question.way {
        Way::Direct(_) => Ok(to),
        Way::To { .. } if to.same_origin(from) => Ok(to),
        // Behind a balancer a server often names the port that it listens on itself: that is where it was asked.
        Way::To { port, .. } if to.host == from.host && to.https == from.https && to.port == port => {
            Ok(HttpUrl { path: to.path, ..from.clone() })
        }
        Way::To { .. } => refuse("it leads away from the machine that was asked".into()),
        // The tunnel leads to one port of this pod: the same host under another path is all that it can answer, in its own scheme.
        Way::Pod { .. } if to.host == from.host && to.path != from.path && (to.same_origin(from) || to.https != from.https) => {
            Ok(HttpUrl { path: to.path, ..from.clone() })
        }
        Way::Pod { .. } => refuse("it leads away from the pod".into()),
    }
}

/// One request and its answer; notes status and times in `seen`.
async fn once(question: &HttpQuestion, url: &HttpUrl, clock: Clock, redact: &Redactor, seen: &mut Exchange) -> Result<HttpBody, HttpFault> {
    let Open { stream, through_proxy, credentials } =
        dial::open(url, &question.way, &url.host, &question.trust, clock, redact, seen).await?;
    let request = request(question, url, through_proxy, credentials)
        .map_err(|_| HttpFault::at(HttpStep::Head, "the request cannot be written: a header or the path is malformed"))?;
    let head_fault = |what: Safe| HttpFault::at(HttpStep::Head, what);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| head_fault(Safe::name(e.to_string())))?;
    let exchange = async {
        let asking = async { sender.send_request(request).await.map_err(|e| broken(&e, redact)) };
        let (took, answer) = clock.step(HttpStep::Head, asking).await;
        seen.phases.wait_ms = Some(took);
        let (head, incoming) = Response::into_parts(answer?);
        seen.status = Some(head.status.as_u16());
        let begun = Instant::now();
        let (bytes, cut, fault) = body(incoming, clock, redact).await;
        seen.phases.transfer_ms = Some(ms(begun.elapsed()));
        seen.fault = fault;
        Ok(HttpBody {
            bytes: echo::without(bytes, &question.headers),
            cut,
            content_type: text(&head.headers, &header::CONTENT_TYPE),
            encoding: text(&head.headers, &header::CONTENT_ENCODING),
            location: echo::without_in(text(&head.headers, &header::LOCATION), &question.headers),
            path: url.path.clone(),
            headers: head.headers.clone(),
        })
    };
    // The connection is driven beside the exchange and ends with it. What it has to complain of, the exchange hears as well.
    let driver = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        answer = exchange => answer,
        () = driver => Err(head_fault("the connection ended".into())),
    }
}

fn request(
    question: &HttpQuestion,
    url: &HttpUrl,
    through_proxy: bool,
    credentials: Option<HeaderValue>,
) -> http::Result<Request<Empty<Bytes>>> {
    let target = if through_proxy { format!("http://{}{}", url.authority(), url.path) } else { url.path.clone() };
    let mut headers = HeaderMap::new();
    headers
        .insert(header::ACCEPT, HeaderValue::from_static("application/json, application/health+json;q=0.9, text/plain;q=0.8, */*;q=0.1"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("obsctl/", env!("CARGO_PKG_VERSION"))));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::HOST, HeaderValue::from_str(&url.authority())?);
    if url.same_origin(&question.url) {
        for (name, value) in question.headers.iter().filter(|(name, _)| *name != header::HOST) {
            headers.insert(name.clone(), value.clone());
        }
    }
    if let Some(credentials) = credentials {
        headers.insert(header::PROXY_AUTHORIZATION, credentials);
    }
    let mut request = Request::get(target).body(Empty::new())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Reads a body up to its cap; what was read before a fault is kept.
async fn body(mut incoming: Incoming, clock: Clock, redact: &Redactor) -> (Bytes, bool, Option<HttpFault>) {
    let mut read = Vec::new();
    let until = clock.until.min(Instant::now() + clock.each);
    loop {
        let size = |read: &Vec<u8>| units::bytes(read.len() as u64);
        match tokio::time::timeout_at(until, incoming.frame()).await {
            Err(_) => {
                let what = safe!("its end did not come in time: {} came", size(&read));
                return (read.into(), true, Some(HttpFault::late(HttpStep::Body, what)));
            }
            Ok(None) => return (read.into(), false, None),
            Ok(Some(Err(error))) => {
                let what = safe!("the answer broke off after {}: {}", size(&read), broken(&error, redact));
                return (read.into(), true, Some(HttpFault::at(HttpStep::Body, what)));
            }
            Ok(Some(Ok(frame))) => {
                let Some(data) = frame.data_ref() else { continue };
                let room = BODY - read.len();
                read.extend_from_slice(data.get(..data.len().min(room)).unwrap_or_default());
                if data.len() >= room {
                    return (read.into(), true, None);
                }
            }
        }
    }
}

/// What went wrong on a connection, by its innermost cause.
fn broken(error: &hyper::Error, redact: &Redactor) -> Safe {
    if error.is_incomplete_message() {
        return "the connection was closed in the middle of an answer".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let said = redact.safe(cause.to_string().as_bytes()).clipped(160);
    if error.is_parse() { safe!("what came is no HTTP: {}", said) } else { said }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(url: &str) -> HttpQuestion {
        let secret = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        HttpQuestion {
            url: HttpUrl::parse(url).expect("a URL"),
            way: Way::Direct(Arc::default()),
            headers: vec![
                secret("authorization", "Bearer x"),
                secret("cookie", "a=b"),
                secret("x-api-key", "k"),
                secret("host", "evil.example"),
            ],
            trust: HttpTrust::anybody(),
            limits: HttpLimits { each: Duration::from_secs(1), whole: Duration::from_secs(1) },
        }
    }

    #[test]
    fn secrets_stay_with_their_scheme_host_and_port() {
        let question = question("https://app.example.org/a");
        for (url, same) in [
            ("https://app.example.org/b?c", true),
            ("https://app.example.org:443/", true),
            ("https://app.example.org:8443/", false),
            ("http://app.example.org/", false),
            ("https://example.org/", false),
            ("https://app.example.org.evil.example/", false),
        ] {
            let to = HttpUrl::parse(url).expect("a URL");
            let request = request(&question, &to, false, None).expect("a request");
            for name in ["authorization", "cookie", "x-api-key"] {
                assert_eq!(request.headers().contains_key(name), same, "{name} to {url}");
            }
            assert_eq!(request.headers().get(header::HOST).and_then(|h| h.to_str().ok()), Some(to.authority().as_str()));
        }
    }

    #[test]
    fn redirects_are_followed_where_that_is_safe() {
        let question = question("https://app.example.org/a");
        let to = |location, hops| {
            next(&question, &question.url, location, hops).map(|u| u.shown().to_string()).map_err(|(_, why)| why.to_string())
        };
        assert_eq!(to("/b", 0).as_deref(), Ok("https://app.example.org/b"));
        assert_eq!(to("//other.example/", 4).as_deref(), Ok("https://other.example"));
        assert_eq!(to("http://app.example.org/a", 0), Err("from https to http: not followed".into()));
        assert_eq!(to("/b", 5), Err("more than 5 redirects".into()));
        assert_eq!(to("https://u:p@app.example.org/", 0), Err("it is no URL".into()));
    }
}
