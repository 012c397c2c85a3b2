//! The HTTP stack under every request to a cluster. Our own, because kube's sets no TCP keep-alive (a half-open follow would hang for
//! ever) and a large buffer per connection; sends no Accept-Encoding, so that log bytes arrive as they are.

use crate::{
    error::{Error, Kind, Result},
    safe,
    text::{Redactor, Safe},
};
use http::Uri;
use hyper_util::{
    client::legacy::{
        Client as Legacy,
        connect::{
            Connection, HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
    },
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt},
};
use std::time::Duration;
use tower::ServiceBuilder;

/// The client for a kubeconfig's cluster.
pub(super) fn build(config: &Config) -> Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(10)));
    tcp.set_keepalive(Some(Duration::from_secs(15)));
    tcp.set_keepalive_interval(Some(Duration::from_secs(5)));
    tcp.set_keepalive_retries(Some(3));
    tcp.set_tcp_user_timeout(Some(Duration::from_secs(30)));
    let Some(proxy) = config.proxy_url.clone() else {
        return finish(config, tcp);
    };
    match proxy.scheme_str() {
        Some("socks5") => finish(config, SocksV5::new(proxy, tcp)),
        Some("http") => finish(config, tunnel(proxy, tcp)),
        Some("https") => {
            let tls = config.rustls_https_connector_with_connector(tcp).map_err(|e| unusable(&e))?;
            finish(config, tunnel(proxy, tls))
        }
        other => Err(Error::new(Kind::Config, "connecting through the proxy")
            .what(safe!("its scheme {} is none of http, https, socks5", Safe::name(other.unwrap_or("(none)"))))),
    }
}

/// A CONNECT proxy, with the credentials of its URL.
fn tunnel<C>(proxy: Uri, inner: C) -> Tunnel<C> {
    let credentials = proxy.authority().and_then(|a| a.as_str().rsplit_once('@')).map(|(user, _)| user.to_owned());
    let tunnel = Tunnel::new(proxy, inner);
    match credentials.and_then(|c| basic_auth(&c)) {
        Some(header) => tunnel.with_auth(header),
        None => tunnel,
    }
}

/// The header for the `user:password` of a URL.
pub(in crate::connect) fn basic_auth(credentials: &str) -> Option<http::HeaderValue> {
    let mut header = http::HeaderValue::from_str(&format!("Basic {}", super::plugin::base64(&decode(credentials)))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Percent-decoding of a URL's user and password.
fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[i], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    out
}

fn finish<H>(config: &Config, connector: H) -> Result<Client>
where
    H: tower::Service<Uri> + Clone + Send + Sync + 'static,
    H::Response: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    H::Future: Send + 'static,
    H::Error: Into<Box<dyn std::error::Error + Send + Sync>> + std::error::Error + Send + Sync + 'static,
{
    let https = config.rustls_https_connector_with_connector(connector).map_err(|e| unusable(&e))?;
    let http = Legacy::builder(TokioExecutor::new()).http1_max_buf_size(64 * 1024).build::<_, Body>(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(|e| unusable(&e))?)
        .layer(config.extra_headers_layer().map_err(|e| unusable(&e))?)
        .map_err(Box::<dyn std::error::Error + Send + Sync>::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
}

fn unusable(error: &kube::Error) -> Error {
    let cause = super::fault::root_cause(error);
    Error::new(Kind::Config, "setting up the connection to the cluster")
        .what(Redactor::default().safe(cause.as_bytes()))
        .hint(crate::answer::Hint::Try("kubectl config view --minify shows certificates and credentials that are named".into()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn decodes_credentials() {
        assert_eq!(super::decode("u%40:p%3aw%"), b"u@:p:w%");
    }
}
