//! One POST, for whoever is told something: never redirected, bounded in time, and exact about whether it may have arrived.

use super::{
    HttpTrust, HttpUrl, Proxies, Way,
    dial::{self, Clock, Open},
};
use crate::{
    answer::{Exchange, HttpFault, HttpStep},
    text::{Redactor, Safe},
};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The longest pause that a receiver may ask for.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// What is posted.
pub struct HttpPost<'a> {
    /// Where to. Its path may be secret: only its host is ever said.
    pub url: &'a HttpUrl,
    /// The proxies.
    pub proxies: Arc<Proxies>,
    /// Who is trusted.
    pub trust: &'a HttpTrust,
    /// A JSON text.
    pub json: Bytes,
    /// How long all of it may take.
    pub patience: Duration,
    /// Now, for a pause that is given as a date.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Debug)]
pub enum Posted {
    /// An answer: its status, and how long to wait, where it says.
    Answered(u16, Option<SignedDuration>),
    /// It never left.
    Unsent(Safe),
    /// It left, and no answer came: it may have arrived.
    Unclear(Safe),
}

/// Posts.
pub async fn post(post: &HttpPost<'_>, redact: &Redactor) -> Posted {
    let clock = Clock { each: post.patience, until: Instant::now() + post.patience };
    let (way, mut seen) = (Way::Direct(post.proxies.clone()), Exchange::default());
    let Open { stream, through_proxy, credentials } =
        match dial::open(post.url, &way, &post.url.host, post.trust, clock, redact, &mut seen).await {
            Ok(open) => open,
            Err(fault) => return Posted::Unsent(fault.what),
        };
    let Ok(request) = request(post, through_proxy, credentials) else { return Posted::Unsent("the request cannot be written".into()) };
    let (mut sender, connection) = match http1::handshake(TokioIo::new(stream)).await {
        Ok(open) => open,
        Err(error) => return Posted::Unsent(super::broken(&error, redact)),
    };
    let asking = async { sender.send_request(request).await.map_err(|error| super::broken(&error, redact)) };
    let driver = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    let answered: Result<_, HttpFault> = tokio::select! {
        biased;
        (_, answer) = clock.step(HttpStep::Head, asking) => answer,
        () = driver => return Posted::Unclear("the connection ended".into()),
    };
    match answered {
        Ok(answer) => {
            let pause = answer.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|text| pause(text, post.now));
            Posted::Answered(answer.status().as_u16(), pause)
        }
        Err(fault) => Posted::Unclear(fault.what),
    }
}

fn request(post: &HttpPost<'_>, through_proxy: bool, credentials: Option<HeaderValue>) -> http::Result<Request<Full<Bytes>>> {
    let url = post.url;
    let target = if through_proxy { format!("http://{}{}", url.authority(), url.path) } else { url.path.clone() };
    let mut request = Request::post(target)
        .header(header::HOST, url.authority())
        .header(header::USER_AGENT, concat!("obsctl/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close");
    if let Some(credentials) = credentials {
        request = request.header(header::PROXY_AUTHORIZATION, credentials);
    }
    request.body(Full::new(post.json.clone()))
}

/// `Retry-After`: seconds, also with a fraction as Discord writes them, or a date.
fn pause(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    let asked = match text.parse::<f64>() {
        Ok(seconds) => SignedDuration::try_from_secs_f64(seconds).ok()?,
        Err(_) => jiff::fmt::rfc2822::parse(text).ok()?.timestamp().duration_since(now),
    };
    Some(asked.clamp(SignedDuration::ZERO, LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_read_in_all_its_forms() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().expect("a time");
        for (text, seconds) in [
            ("30", Some(30.0)),
            ("0.5", Some(0.5)),
            ("Sat, 21 Nov 2026 03:00:20 GMT", Some(20.0)),
            ("Sat, 21 Nov 2026 02:00:00 GMT", Some(0.0)),
            ("-5", Some(0.0)),
            ("1e30", None),
            ("NaN", None),
            ("999999", Some(3600.0)),
            ("soon", None),
        ] {
            assert_eq!(pause(text, now).map(|d| d.as_secs_f64()), seconds, "{text}");
        }
    }
}
