//! Addresses: HTTP, TCP, TLS and Prometheus. Two connections to one address at a time, whatever the number of checks.

use super::Rig;
use crate::{
    answer::Exchange,
    checks::{
        kind::{HttpAsk, PromqlAsk, ReachAsk},
        kinds::{BlindSpot, Glance, net, promql},
        spec::CheckSpec,
    },
    connect::{
        http::{self, HttpBody, HttpLimits, HttpQuestion, HttpUrl, Proxies, Way},
        kube::encode,
    },
    error::Result,
};
use http as connect_http;
use jiff::SignedDuration;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

impl Rig<'_> {
    fn question(&self, url: HttpUrl, headers: &BTreeMap<String, String>, time: SignedDuration, direct: bool) -> HttpQuestion {
        let time = Duration::try_from(time).unwrap_or_default();
        // What cannot be sent was refused when the file was read.
        let headers = headers.iter().filter_map(|(name, value)| {
            Some((::http::HeaderName::from_bytes(name.as_bytes()).ok()?, ::http::HeaderValue::from_str(value).ok()?))
        });
        let proxies = if direct { Arc::new(Proxies::default()) } else { self.session.proxies.clone() };
        let limits = HttpLimits { each: time, whole: time };
        HttpQuestion { url, way: Way::Direct(proxies), headers: headers.collect(), trust: self.trust.clone(), limits }
    }

    async fn asked(&self, url: &str, headers: &BTreeMap<String, String>, time: SignedDuration) -> Result<(Exchange, HttpBody)> {
        let url = HttpUrl::parse(url)?;
        let turn = self.turn_at(&url.authority());
        let _turn = turn.acquire().await;
        Ok(connect_http::ask(&self.question(url, headers, time, false), &self.session.redact).await)
    }

    pub(super) async fn http(&self, ask: &HttpAsk, ours: &[(usize, &CheckSpec)]) -> Glance {
        let (exchange, body) = self.asked(&ask.url, &ask.headers, ask.timeout).await.map_err(|error| BlindSpot::of(&error))?;
        let named = ours.iter().flat_map(|(_, spec)| spec.thresholds()).map(|t| t.figure.as_str());
        let dynamic: Vec<&str> = named.filter(|f| f.starts_with('$') || f.starts_with("header ")).collect();
        let headers =
            body.headers.iter().map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let answer = net::HttpSeen { exchange: &exchange, body: &body.bytes, headers: headers.collect(), reachable: ask.reachable };
        Ok(net::http(&answer, &dynamic, self.session.now().timestamp(), &self.session.redact))
    }

    async fn reached(&self, ask: &ReachAsk, scheme: &str) -> Result<Exchange> {
        let url = HttpUrl::parse(&format!("{scheme}://{}/", ask.address))?;
        let turn = self.turn_at(&url.authority());
        let _turn = turn.acquire().await;
        Ok(connect_http::reach(&self.question(url, &BTreeMap::new(), ask.timeout, true), &self.session.redact).await)
    }

    pub(super) async fn tcp(&self, ask: &ReachAsk) -> Glance {
        let exchange = self.reached(ask, "http").await.map_err(|error| BlindSpot::of(&error))?;
        Ok(net::tcp(&exchange, ask.reachable))
    }

    pub(super) async fn tls(&self, ask: &ReachAsk) -> Glance {
        let exchange = self.reached(ask, "https").await.map_err(|error| BlindSpot::of(&error))?;
        Ok(net::tls(&exchange, &ask.address, ask.reachable, self.session.now().timestamp()))
    }

    pub(super) async fn promql(&self, ask: &PromqlAsk) -> Glance {
        let url = format!("{}/api/v1/query?query={}", ask.url.trim_end_matches('/'), encode(&ask.query));
        let (exchange, body) = self.asked(&url, &BTreeMap::new(), ask.timeout).await.map_err(|error| BlindSpot::of(&error))?;
        if let Some(fault) = &exchange.fault {
            return Err(net::blind(fault));
        }
        promql::sighting(exchange.status.unwrap_or_default(), &body.bytes, ask.unit, &self.session.redact)
    }
}
