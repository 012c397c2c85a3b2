//! The connection under a probe, with the time of each step: the look-up, the socket or the tunnel, the proxy, TLS.
#![expect(clippy::disallowed_methods, reason = "dials by itself, since the look-up and the connection are timed apart; with a deadline")]

use super::{
    HttpUrl, Proxies, Way,
    certificate::{HttpTrust, server_name},
};
use crate::{
    answer::{Exchange, Hint, HttpFault, HttpStep},
    connect::{route::Stream, tunnel},
    error::Error,
    safe,
    text::{Redactor, Safe},
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::{io::ErrorKind, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::TlsConnector;

/// The longest head of a proxy's answer.
const PROXY_HEAD: usize = 8 << 10;

/// How long one address is tried before the next one is tried beside it, as RFC 8305 has it.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long one step may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub each: Duration,
    pub until: Instant,
}

impl Clock {
    /// Runs a step within its time; gives its time in milliseconds too.
    pub async fn step<T>(&self, step: HttpStep, work: impl Future<Output = Result<T, Safe>>) -> (f64, Result<T, HttpFault>) {
        self.run(step, async { work.await.map_err(|what| HttpFault::at(step, what)) }).await
    }

    /// The same, for work that knows more of its fault.
    pub async fn run<T>(&self, step: HttpStep, work: impl Future<Output = Result<T, HttpFault>>) -> (f64, Result<T, HttpFault>) {
        let begun = Instant::now();
        let until = self.until.min(begun + self.each);
        let result = tokio::time::timeout_at(until, work).await.unwrap_or_else(|_| {
            let waited = begun.elapsed().as_secs_f64();
            Err(HttpFault::late(step, safe!("nothing came within {:.1} s", waited)))
        });
        (ms(begun.elapsed()), result)
    }
}

/// Milliseconds, to the microsecond.
pub(super) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// An open connection, and whether requests on it name the whole URL, as a proxy for plain http wants them.
pub(super) struct Open {
    pub stream: Stream,
    pub through_proxy: bool,
    pub credentials: Option<http::HeaderValue>,
}

/// Opens the connection for a URL; notes the times and the certificate in `seen`.
pub(super) async fn open(
    url: &HttpUrl,
    way: &Way,
    name: &str,
    trust: &HttpTrust,
    clock: Clock,
    redact: &Redactor,
    seen: &mut Exchange,
) -> Result<Open, HttpFault> {
    let mut open = match way {
        Way::Pod { cluster, namespace, pod, port } => {
            let dial = async { tunnel::to_pod(cluster, namespace, pod, *port).await.map_err(|error| no_tunnel(&error)) };
            let (took, stream) = clock.run(HttpStep::Connect, dial).await;
            seen.phases.connect_ms = Some(took);
            Open { stream: Box::new(stream?), through_proxy: false, credentials: None }
        }
        Way::To { host, port } => Open { stream: socket(host, *port, clock, seen).await?, through_proxy: false, credentials: None },
        Way::Direct(proxies) => match proxies.of(url).map_err(|what| HttpFault::at(HttpStep::Proxy, what))? {
            None => Open { stream: socket(&url.host, url.port, clock, seen).await?, through_proxy: false, credentials: None },
            Some(proxy) => {
                let stream = socket(&proxy.host, proxy.port, clock, seen).await.map_err(|mut fault| {
                    fault.what = safe!("the proxy {}: {}", proxy.at(), fault.what);
                    HttpFault { step: HttpStep::Proxy, ..fault }
                })?;
                let credentials = proxies.credentials(url);
                if url.https {
                    let (_, tunnelled) = clock.step(HttpStep::Proxy, connect(stream, url, credentials.as_ref(), redact)).await;
                    Open { stream: tunnelled?, through_proxy: false, credentials: None }
                } else {
                    Open { stream, through_proxy: true, credentials }
                }
            }
        },
    };
    if url.https {
        open.stream = secure(open.stream, name, trust, clock, seen).await?;
    }
    Ok(open)
}

/// Why there is no tunnel. Where a right is missing, that says nothing of the pod.
fn no_tunnel(error: &Error) -> HttpFault {
    let needs = error.hints().iter().find_map(|hint| if let Hint::Grant(right) = hint { Some(right.clone()) } else { None });
    HttpFault { needs, ..HttpFault::at(HttpStep::Connect, error.says()) }
}

async fn socket(host: &str, port: u16, clock: Clock, seen: &mut Exchange) -> Result<Stream, HttpFault> {
    let lookup = async {
        let found: Vec<_> =
            tokio::net::lookup_host((host, port)).await.map_err(|_| Safe::from("the host name does not resolve"))?.collect();
        if found.is_empty() { Err("the host name has no address".into()) } else { Ok(found) }
    };
    let (took, addresses) = clock.step(HttpStep::Dns, lookup).await;
    // An address needs no look-up.
    seen.phases.dns_ms = host.parse::<std::net::IpAddr>().is_err().then_some(took);
    let addresses = addresses?;
    let (took, stream) = clock.step(HttpStep::Connect, first(addresses)).await;
    seen.phases.connect_ms = Some(took);
    let stream = stream?;
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

/// The first connection that stands. An address that does not answer holds up the next one for a moment only: half of a dual-stack network
/// that is broken must not look like a broken server.
async fn first(addresses: Vec<SocketAddr>) -> Result<TcpStream, Safe> {
    let mut waiting = addresses.into_iter();
    let mut dials: FuturesUnordered<_> = waiting.next().map(TcpStream::connect).into_iter().collect();
    let mut last = Safe::from("it has no address");
    loop {
        tokio::select! {
            biased;
            Some(dialled) = dials.next() => match dialled {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    last = refused(&error);
                    dials.extend(waiting.next().map(TcpStream::connect));
                }
            },
            () = tokio::time::sleep(HEAD_START), if !dials.is_empty() && waiting.len() > 0 => {
                dials.extend(waiting.next().map(TcpStream::connect));
            }
            else => return Err(last),
        }
    }
}

fn refused(error: &std::io::Error) -> Safe {
    match error.kind() {
        ErrorKind::ConnectionRefused => "it refuses connections: nothing listens there".into(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "there is no way to it from here".into(),
        ErrorKind::TimedOut => "no answer to the connection".into(),
        _ => Safe::name(error.to_string()),
    }
}

async fn secure(stream: Stream, name: &str, trust: &HttpTrust, clock: Clock, seen: &mut Exchange) -> Result<Stream, HttpFault> {
    let fail = |error: Error| HttpFault::at(HttpStep::Tls, error.says());
    let (config, witness) = trust.client().map_err(fail)?;
    let server = server_name(name).map_err(fail)?;
    let shake = async {
        let secured = TlsConnector::from(config).connect(server, stream).await;
        secured.map_err(|error| match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS: try http://".into(),
            Some(rustls::Error::AlertReceived(alert)) => safe!("it refused: {}", Safe::name(format!("{alert:?}"))),
            Some(other) => Safe::name(other.to_string()).clipped(200),
            None if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                "it closed the connection in the middle of the greeting".into()
            }
            None => Safe::name(error.to_string()),
        })
    };
    let (took, secured) = clock.step(HttpStep::Tls, shake).await;
    seen.phases.tls_ms = Some(took);
    seen.certificate = witness.certificate();
    let refused = seen.certificate.as_ref().and_then(|c| c.refused.clone());
    match (secured, refused) {
        (Ok(stream), _) => Ok(Box::new(stream)),
        (Err(fault), Some(why)) => Err(HttpFault { what: safe!("its certificate is refused: {}", why), ..fault }),
        (Err(fault), None) => Err(fault),
    }
}

/// `CONNECT` through a proxy.
async fn connect(mut stream: Stream, url: &HttpUrl, auth: Option<&http::HeaderValue>, redact: &Redactor) -> Result<Stream, Safe> {
    let at = url.at();
    let mut head = format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n").into_bytes();
    if let Some(auth) = auth {
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(auth.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let broke = |error: std::io::Error| safe!("the proxy hung up: {}", Safe::name(error.to_string()));
    stream.write_all(&head).await.map_err(broke)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= PROXY_HEAD {
            return Err("the proxy's answer has no end".into());
        }
        // Byte by byte: what follows the head belongs to TLS.
        answer.push(stream.read_u8().await.map_err(broke)?);
    }
    let first = answer.split(|b| *b == b'\r').next().unwrap_or_default();
    match first.get(9..12) {
        Some([b'2', _, _]) => Ok(stream),
        Some(b"407") => Err("the proxy wants to know who asks (407)".into()),
        _ => Err(safe!("the proxy refused: {}", redact.safe(first).clipped(120))),
    }
}

impl Proxies {
    /// The proxy for a URL; none: straight there.
    fn of(&self, url: &HttpUrl) -> Result<Option<HttpUrl>, Safe> {
        let Some(proxy) = (if url.https { &self.https } else { &self.http }) else { return Ok(None) };
        if self.none_for.as_deref().is_some_and(|list| super::super::kube::bypasses(list, &url.host, url.port)) || is_here(&url.host) {
            return Ok(None);
        }
        let (_, plain) = parts(proxy);
        let plain = if plain.contains("://") { plain } else { format!("http://{plain}") };
        match HttpUrl::parse(&plain) {
            Ok(parsed) if !parsed.https => Ok(Some(parsed)),
            _ => Err("only proxies with http:// can be used here: HTTPS_PROXY and NO_PROXY say which".into()),
        }
    }

    fn credentials(&self, url: &HttpUrl) -> Option<http::HeaderValue> {
        let (user, _) = parts((if url.https { &self.https } else { &self.http }).as_deref()?);
        super::super::kube::basic_auth(&user?)
    }
}

/// Its `user:password`, and the rest of it.
fn parts(proxy: &str) -> (Option<String>, String) {
    let (scheme, rest) = proxy.split_once("://").map_or(("http", proxy), |(s, r)| (s, r));
    match rest.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), format!("{scheme}://{host}")),
        None => (None, format!("{scheme}://{rest}")),
    }
}

/// This machine needs no proxy to itself, as curl and Go have it for names of it.
fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_or_is_silent_does_not_hide_the_next() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (at, closed) = (open.local_addr().expect("its address"), SocketAddr::from(([127, 0, 0, 1], 1)));
        assert!(first(vec![closed, at]).await.is_ok());
        assert_eq!(
            first(vec![closed, closed]).await.err().as_ref().map(Safe::as_str),
            Some("it refuses connections: nothing listens there")
        );
        assert_eq!(first(Vec::new()).await.err().as_ref().map(Safe::as_str), Some("it has no address"));
        // Its queue is full: the kernel answers nobody.
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
        let silent = socket.listen(1).expect("listening");
        let silent_at = silent.local_addr().expect("its address");
        let mut full = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(silent_at)).await {
            full.push(stream);
        }
        let begun = Instant::now();
        assert!(first(vec![silent_at, at]).await.is_ok());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
