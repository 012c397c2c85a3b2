//! What one HTTP exchange showed: the way of its redirects, the time of its phases, the certificate, and how it ended. Facts only, shared by
//! whoever asks over HTTP; the body is not among them.

use super::Permission;
use crate::text::Safe;
use jiff::Timestamp;
use serde::Serialize;

/// One question over HTTP and its answer, redirects included. The times are those of the last hop.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Exchange {
    /// The redirects that were followed, or refused, in order.
    pub hops: Vec<Hop>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Where the time went.
    pub phases: Phases,
    /// The server's certificate, also when it was not good enough to go on.
    pub certificate: Option<Certificate>,
    /// Why there is no answer, or no whole one.
    pub fault: Option<HttpFault>,
}

/// A redirect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    /// Its status.
    pub status: u16,
    /// Where it led, without its query.
    pub to: Safe,
    /// Why it was not followed, where it was not.
    pub refused: Option<Safe>,
}

/// Where the time went, in milliseconds; what did not happen has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Phases {
    /// The look-up of the name.
    pub dns_ms: Option<f64>,
    /// The connection; of a pod, the tunnel to it.
    pub connect_ms: Option<f64>,
    /// The TLS handshake.
    pub tls_ms: Option<f64>,
    /// From the request to the head of the answer.
    pub wait_ms: Option<f64>,
    /// The body.
    pub transfer_ms: Option<f64>,
}

impl Phases {
    /// All of them by name, in order.
    pub fn each(&self) -> [(&'static str, Option<f64>); 5] {
        [("dns", self.dns_ms), ("tcp", self.connect_ms), ("tls", self.tls_ms), ("wait", self.wait_ms), ("body", self.transfer_ms)]
    }
    /// The whole time.
    pub fn total_ms(&self) -> f64 {
        self.each().iter().filter_map(|(_, ms)| *ms).sum()
    }
}

/// A server's certificate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Certificate {
    /// Whose it is.
    pub subject: Safe,
    /// The names that it is good for.
    pub names: Vec<Safe>,
    /// Who signed it.
    pub issuer: Safe,
    /// Whether it signed itself.
    pub self_signed: bool,
    /// Good from.
    pub not_before: Option<Timestamp>,
    /// Good until.
    pub not_after: Option<Timestamp>,
    /// Why it was not good enough, in words; none: it was verified.
    pub refused: Option<Safe>,
    /// Whether it was refused only for want of an authority that knows it.
    pub signer_unknown: bool,
    /// Whether it was looked at at all: `verify: false` looks at nothing.
    pub verified: bool,
}

impl Certificate {
    /// Whole days until it ends; below zero it has.
    pub fn days_left(&self, now: Timestamp) -> Option<i64> {
        self.not_after.map(|end| end.duration_since(now).as_hours().div_euclid(24))
    }
}

/// The step at which an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpStep {
    /// The look-up of the name.
    Dns,
    /// The connection.
    Connect,
    /// The way through a proxy.
    Proxy,
    /// TLS.
    Tls,
    /// The question and the head of the answer.
    Head,
    /// The body.
    Body,
}

/// Why an exchange has no answer, or no whole one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpFault {
    /// Where it failed.
    pub step: HttpStep,
    /// Whether it was the time that ran out.
    pub late: bool,
    /// What happened.
    pub what: Safe,
    /// The right that is missing on this side: nothing was learnt of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Permission>,
}

impl HttpFault {
    /// What happened at a step.
    pub fn at(step: HttpStep, what: impl Into<Safe>) -> Self {
        Self { step, late: false, what: what.into(), needs: None }
    }
    /// The time ran out at a step.
    pub fn late(step: HttpStep, what: impl Into<Safe>) -> Self {
        Self { late: true, ..Self::at(step, what) }
    }
}
